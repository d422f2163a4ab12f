import 'reflect-metadata';
import { afterAll, beforeAll } from 'vitest';
import { watchLeaks } from './leaks.js';

// Per file and not per test: a file may share an app between its tests. Each file has a process of its own, and
// hooks of a setup file are the outermost, so what remains here was left by the tests of this file.
let leftBehind: () => Promise<string[]>;

beforeAll(() => {
  leftBehind = watchLeaks();
});

afterAll(async () => {
  const left = await leftBehind();
  if (left.length > 0) throw new Error(`The tests of this file left behind ${left.join(', ')}.`);
});
