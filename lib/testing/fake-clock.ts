import { AsyncResource } from 'node:async_hooks';
import { type CancelTimer, type Clock, type Duration, parseDuration } from '../clock/index.js';

interface Timer {
  readonly dueAt: number;
  readonly callback: () => void;
}

// Taken at load, so that a test which replaces the global timers does not stop this clock.
const nextTurn = setImmediate;

// Far more than any sound test sets in motion at one moment.
const maxStandstill = 10_000;

/**
 * A clock that a test moves: `WorkerModule.forRoot({ clock })`, `new WorkerPool({ clock })`. Time stands still
 * until `advance()`, which fires what comes due, in order, and lets everything that this sets in motion happen
 * before it goes on.
 */
export class FakeClock implements Clock {
  readonly #begin: number;
  #elapsedMs = 0;
  #timers: Timer[] = [];

  /** `startAt` is the wall time to begin with. Default: the first of January 2026, UTC. */
  constructor(startAt: Date = new Date('2026-01-01T00:00:00Z')) {
    this.#begin = startAt.getTime();
  }

  /** Timers that wait. 0 once everything has stopped. */
  get pending(): number {
    return this.#timers.length;
  }

  now(): number {
    return this.#begin + this.#elapsedMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  setTimer(callback: () => void, delayMs: number): CancelTimer {
    // In the async context of whoever sets it, as real timers are, and not of the test that moves the time.
    const timer: Timer = {
      dueAt: this.#elapsedMs + Math.max(0, delayMs),
      callback: AsyncResource.bind(callback),
    };
    // After those that are due at the same time: first come, first served.
    const index = this.#timers.findLastIndex((other) => other.dueAt <= timer.dueAt) + 1;
    this.#timers.splice(index, 0, timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Moves the time on, timer by timer. Throws `TypeError` for what is no duration. */
  async advance(duration: Duration): Promise<void> {
    const byMs = parseDuration(duration);
    if (byMs === undefined || byMs < 0)
      throw new TypeError(`advance() takes a duration, not ${String(duration)}`);
    const target = this.#elapsedMs + byMs;
    await this.settle();
    let standstill = 0;
    for (let next = this.#timers[0]; next !== undefined && next.dueAt <= target; next = this.#timers[0]) {
      this.#timers.shift();
      standstill = next.dueAt > this.#elapsedMs ? 0 : standstill + 1;
      if (standstill > maxStandstill)
        throw new Error(`${maxStandstill} timers fired and the time stood still: an endless loop`);
      this.#elapsedMs = Math.max(this.#elapsedMs, next.dueAt);
      next.callback();
      await this.settle();
    }
    this.#elapsedMs = target;
  }

  /** Lets promises settle and the event loop turn, at this very time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 2; turn++) await new Promise<void>((resolve) => nextTurn(resolve));
  }
}
