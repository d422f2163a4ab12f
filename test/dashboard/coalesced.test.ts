import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Coalesced } from '../../dashboard/net/coalesced.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Runs that end when they are told to. */
function runs() {
  const ends: (() => void)[] = [];
  const run = vi.fn<() => Promise<void>>(() => new Promise((resolve) => void ends.push(resolve)));
  const coalesced = new Coalesced(run, 100);
  const end = async (): Promise<void> => {
    ends.shift()?.();
    await vi.advanceTimersByTimeAsync(0);
  };
  return { run, coalesced, end };
}

it('runs once for all that is asked for meanwhile, after a pause', async () => {
  const { run, coalesced, end } = runs();
  coalesced.request();
  coalesced.request();
  coalesced.request();
  expect(run).toHaveBeenCalledTimes(1);
  await end();
  await vi.advanceTimersByTimeAsync(99);
  expect(run).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(run).toHaveBeenCalledTimes(2);
  await end();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(run).toHaveBeenCalledTimes(2);
});

it('runs again for what is asked for during the pause', async () => {
  const { run, coalesced, end } = runs();
  coalesced.request();
  await end();
  coalesced.request();
  expect(run).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(100);
  expect(run).toHaveBeenCalledTimes(2);
});

it('runs at once after a quiet time', async () => {
  const { run, coalesced, end } = runs();
  coalesced.request();
  await end();
  await vi.advanceTimersByTimeAsync(100);
  coalesced.request();
  expect(run).toHaveBeenCalledTimes(2);
});

it('runs no more once it is stopped', async () => {
  const { run, coalesced, end } = runs();
  coalesced.request();
  coalesced.request();
  coalesced.stop();
  await end();
  await vi.advanceTimersByTimeAsync(1_000);
  coalesced.request();
  expect(run).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});
