import { AsyncLocalStorage } from 'node:async_hooks';
import * as fc from 'fast-check';
import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it, vi } from 'vitest';

describe('FakeClock', () => {
  it('stands still until it is moved', async () => {
    const clock = new FakeClock();
    const fired = vi.fn();
    clock.setTimer(fired, 0);
    await clock.settle();
    expect(fired).not.toHaveBeenCalled();
    expect([clock.now(), clock.monotonic(), clock.pending]).toEqual([Date.UTC(2026, 0, 1), 0, 1]);
  });

  it('begins at the time that it is given', async () => {
    const clock = new FakeClock(new Date(5_000));
    await clock.advance('1.5s');
    expect([clock.now(), clock.monotonic()]).toEqual([6_500, 1_500]);
  });

  it('fires what comes due, in the order of time and then of coming, at its very time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 20 }), { maxLength: 30 }), async (delays) => {
        const clock = new FakeClock();
        const fired: [delay: number, index: number][] = [];
        delays.forEach((delay, index) =>
          clock.setTimer(() => {
            expect(clock.monotonic()).toBe(delay);
            fired.push([delay, index]);
          }, delay),
        );
        await clock.advance(10);
        const due = delays.map((delay, index) => [delay, index] as const).filter(([delay]) => delay <= 10);
        expect(fired).toEqual(due.toSorted(([a, i], [b, j]) => a - b || i - j));
        expect(clock.pending).toBe(delays.length - due.length);
        expect(clock.monotonic()).toBe(10);
      }),
      { numRuns: 30 },
    );
  });

  it('lets all that a timer sets in motion happen before it moves on', async () => {
    const clock = new FakeClock();
    const times: number[] = [];
    const tick = async (): Promise<void> => {
      await Promise.resolve();
      await new Promise((resolve) => setImmediate(resolve));
      times.push(clock.monotonic());
      if (times.length < 5) clock.setTimer(() => void tick(), 10);
    };
    clock.setTimer(() => void tick(), 10);
    await clock.advance('1s');
    expect(times).toEqual([10, 20, 30, 40, 50]);
  });

  it('forgets a cancelled timer, also one that is due at the same moment', async () => {
    const clock = new FakeClock();
    const fired = vi.fn();
    const cancel = clock.setTimer(fired, 10);
    clock.setTimer(() => cancel(), 5);
    const cancelSecond = clock.setTimer(fired, 5);
    cancelSecond();
    cancelSecond();
    await clock.advance(100);
    expect(fired).not.toHaveBeenCalled();
    expect(clock.pending).toBe(0);
  });

  it('never fires a timer of Infinity', async () => {
    const clock = new FakeClock();
    clock.setTimer(() => expect.unreachable(), Infinity);
    await clock.advance('100 years');
    expect(clock.pending).toBe(1);
  });

  it('takes a delay below 0 for none', async () => {
    const clock = new FakeClock();
    await clock.advance(10);
    clock.setTimer(() => undefined, -5);
    await clock.advance(0);
    expect(clock.pending).toBe(0);
    expect(clock.monotonic()).toBe(10);
  });

  it.each(['soon', -1, Number.NaN])('refuses to advance by %s', async (duration) => {
    await expect(new FakeClock().advance(duration as number)).rejects.toThrow(TypeError);
  });

  it('throws instead of going on for ever where time does not move', async () => {
    const clock = new FakeClock();
    const again = (): void => void clock.setTimer(again, 0);
    again();
    await expect(clock.advance(1)).rejects.toThrow(/endless loop/);
  });

  it('fires in the async context of the one who set the timer, as real timers do', async () => {
    const clock = new FakeClock();
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    storage.run('setter', () => clock.setTimer(() => seen.push(storage.getStore()), 1));
    await storage.run('mover', () => clock.advance(1));
    expect(seen).toEqual(['setter']);
  });

  it('moves also where a test has replaced the timers of Node', async () => {
    vi.useFakeTimers();
    try {
      const clock = new FakeClock();
      const fired = vi.fn();
      clock.setTimer(fired, 5);
      await clock.advance(5);
      expect(fired).toHaveBeenCalledTimes(1);
    } finally {
      vi.useRealTimers();
    }
  });
});
