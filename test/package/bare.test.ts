import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { optionalPeers } from '../support/repository.js';
import { type Consumer, openConsumer } from './consumer.js';

describe('in a project with no optional peer', () => {
  let project: Consumer;
  beforeAll(async () => {
    project = await openConsumer('bare');
  }, 300_000);
  afterAll(() => project?.release());

  const evaluate = (type: 'module' | 'commonjs', code: string): Promise<string> =>
    project.run(process.execPath, `--input-type=${type}`, '--eval', code);

  it('none is there', async () => {
    const found = await evaluate(
      'commonjs',
      `console.log(JSON.stringify(${JSON.stringify(optionalPeers)}.filter((name) => {
        try { return require.resolve(name) } catch { return false }
      })))`,
    );
    expect(JSON.parse(found)).toEqual([]);
  });

  it.each([
    ['module', `import 'reflect-metadata'; import * as root from 'nestjs-worker';`],
    ['commonjs', `require('reflect-metadata'); const root = require('nestjs-worker');`],
  ] as const)('the root loads as %s', async (type, load) => {
    expect(await evaluate(type, `${load} console.log(typeof root.WorkerModule);`)).toBe('function\n');
  });

  it.each([
    ['module', `import 'reflect-metadata'; import * as testing from 'nestjs-worker/testing';`],
    ['commonjs', `require('reflect-metadata'); const testing = require('nestjs-worker/testing');`],
  ] as const)('the testing helpers load as %s', async (type, load) => {
    expect(await evaluate(type, `${load} console.log(typeof testing.FakeClock);`)).toBe('function\n');
  });
});
