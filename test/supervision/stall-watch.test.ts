import { describe, expect, it } from 'vitest';
import type { Clock } from '../../lib/clock/index.js';
import { StallWatch } from '../../lib/supervision/stall-watch.js';

/** A clock whose timers fire when the test says so, at whatever time it is then. */
class LooseClock implements Clock {
  elapsedMs = 0;
  readonly delays: number[] = [];
  #callback: (() => void) | undefined;

  now(): number {
    return this.elapsedMs;
  }

  monotonic(): number {
    return this.elapsedMs;
  }

  setTimer(callback: () => void, delayMs: number): () => void {
    this.delays.push(delayMs);
    this.#callback = callback;
    return () => (this.#callback = undefined);
  }

  fireAt(elapsedMs: number): void {
    this.elapsedMs = elapsedMs;
    this.#callback?.();
  }
}

function watch(): { clock: LooseClock; stallWatch: StallWatch; silences: number[] } {
  const clock = new LooseClock();
  const silences: number[] = [];
  return { clock, silences, stallWatch: new StallWatch(clock, 400, (silentMs) => silences.push(silentMs)) };
}

describe('StallWatch', () => {
  it('has one timer, however many heartbeats there are, and waits for what is left of the silence', () => {
    const { clock, stallWatch, silences } = watch();
    for (let elapsedMs = 1; elapsedMs <= 300; elapsedMs++) {
      clock.elapsedMs = elapsedMs;
      stallWatch.beat();
    }
    clock.fireAt(400);
    expect(clock.delays).toEqual([400, 300]);
    clock.fireAt(700);
    expect(silences).toEqual([400]);
    expect(clock.delays).toHaveLength(2);
  });

  it('waits for a whole millisecond where rounding leaves so little that the time would not move on', () => {
    const { clock, silences } = watch();
    clock.fireAt(400 - 1e-12);
    expect(clock.delays).toEqual([400, 1]);
    expect(silences).toEqual([]);
    clock.fireAt(401);
    expect(silences).toEqual([401]);
  });

  it('says nothing once it is stopped', () => {
    const { clock, stallWatch, silences } = watch();
    stallWatch.stop();
    clock.fireAt(1_000);
    expect(silences).toEqual([]);
  });
});
