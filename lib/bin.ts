#!/usr/bin/env node
import { cli } from './cli/cli.js';

const stop = new AbortController();
// The second one ends it at once.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

void cli(process.argv.slice(2), {
  cwd: process.cwd(),
  signal: stop.signal,
  print: (text) => void process.stdout.write(text),
  tell: (text) => void process.stderr.write(text),
}).then((exitCode) => {
  process.exitCode = exitCode;
  // A module that was loaded may hold something open for ever, such as a client of its own.
  setTimeout(() => process.exit(), 1_000).unref();
});
