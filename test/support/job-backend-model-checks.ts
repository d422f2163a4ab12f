import assert from 'node:assert/strict';
import { inspect, isDeepStrictEqual } from 'node:util';
import { exactly, type Span } from './job-backend-model-time.js';

/** A time that lies in a span, which is known exactly from now on. */
export function learnt(time: number | undefined, { from, to }: Span, what: string): Span {
  if (from === to) same(time, from, what);
  else if (time === undefined || !(from <= time && time <= to))
    assert.fail(`${what} is ${time}, not in ${from} to ${to}`);
  return exactly(time!);
}

export function same(actual: unknown, expected: unknown, what = 'it'): void {
  try {
    assert.deepEqual(actual, expected);
  } catch {
    assert.fail(`${what} is ${inspect(actual)}, and not ${inspect(expected)}`);
  }
}

export function atLeast(actual: number | undefined, least: number, what = 'it'): void {
  if (actual === undefined || !(actual >= least))
    assert.fail(`${what} is ${actual}, which is less than ${least}`);
}

export function atMost(actual: number | undefined, most: number, what = 'it'): void {
  if (actual === undefined || !(actual <= most))
    assert.fail(`${what} is ${actual}, which is more than ${most}`);
}

export function includes(all: readonly unknown[], one: unknown, what: string): void {
  if (!all.some((other) => isDeepStrictEqual(other, one)))
    assert.fail(`${what}: ${inspect(one)} is not in ${inspect(all)}`);
}
