import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { longestTimerMs, systemClock } from '../../lib/clock/index.js';

const day = 86_400_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('systemClock.setTimer', () => {
  it.each([1, 1_000, longestTimerMs, longestTimerMs + 1, 30 * day, 3 * longestTimerMs + 5])(
    'fires once, after %d ms and not before',
    async (delayMs) => {
      const fired = vi.fn();
      systemClock.setTimer(fired, delayMs);
      await vi.advanceTimersByTimeAsync(delayMs - 1);
      expect(fired).not.toHaveBeenCalled();
      await vi.advanceTimersByTimeAsync(1);
      expect(fired).toHaveBeenCalledTimes(1);
      await vi.advanceTimersByTimeAsync(100 * day);
      expect(fired).toHaveBeenCalledTimes(1);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it('never gives Node a delay that it would cut to 1 ms', () => {
    const setTimeout = vi.spyOn(globalThis, 'setTimeout');
    const delays = fc.oneof(fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 53, Infinity), fc.double({ min: 1 }));
    fc.assert(
      fc.property(delays, (delayMs) => {
        setTimeout.mockClear();
        const cancel = systemClock.setTimer(() => undefined, delayMs);
        expect(setTimeout.mock.calls[0]?.[1]).toBe(Math.min(delayMs, longestTimerMs));
        cancel();
      }),
    );
  });

  it('never fires after Infinity', async () => {
    const fired = vi.fn();
    const cancel = systemClock.setTimer(fired, Infinity);
    await vi.advanceTimersByTimeAsync(365 * day);
    expect(fired).not.toHaveBeenCalled();
    cancel();
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([0, -1, -Infinity])('takes the next turn of the event loop for %d ms', async (delayMs) => {
    const fired = vi.fn();
    systemClock.setTimer(fired, delayMs);
    expect(fired).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(0);
    expect(fired).toHaveBeenCalledTimes(1);
  });

  it.each([0, 1_000, 30 * day])('is cancelled, at any time and more than once, at %d ms', async (delayMs) => {
    const fired = vi.fn();
    const cancel = systemClock.setTimer(fired, delayMs);
    await vi.advanceTimersByTimeAsync(Math.max(0, delayMs - 1));
    if (delayMs > 0) {
      cancel();
      cancel();
      await vi.advanceTimersByTimeAsync(100 * day);
      expect(fired).not.toHaveBeenCalled();
    }
    cancel();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is cancelled also in its second piece', async () => {
    const fired = vi.fn();
    const cancel = systemClock.setTimer(fired, 2 * longestTimerMs);
    await vi.advanceTimersByTimeAsync(longestTimerMs + 1);
    cancel();
    expect(vi.getTimerCount()).toBe(0);
    await vi.advanceTimersByTimeAsync(2 * longestTimerMs);
    expect(fired).not.toHaveBeenCalled();
  });
});

describe('systemClock', () => {
  it('tells wall time and a time that does not jump with it', () => {
    vi.setSystemTime(5_000);
    expect(systemClock.now()).toBe(5_000);
    const before = systemClock.monotonic();
    vi.setSystemTime(1_000);
    expect(systemClock.now()).toBe(1_000);
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(before);
  });
});
