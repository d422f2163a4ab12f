import { setLongTimer } from './long-timer.js';

/** Cancels a timer. Calling it twice, or after the timer has fired, does nothing. */
export type CancelTimer = () => void;

/**
 * What time it is. Everything in this package that waits or measures does so through a clock, so that a test
 * can hold the time in its hand (see `FakeClock` in `nestjs-worker/testing`).
 */
export interface Clock {
  /** Wall time, in milliseconds since the epoch. May jump. */
  now(): number;
  /** Milliseconds since an arbitrary start. Never goes back. */
  monotonic(): number;
  /**
   * Calls `callback` once, after `delayMs` milliseconds or more. Any length is fine, also past the 2^31-1 ms
   * after which Node's own timers fire at once; `Infinity` never fires. Holds the process open until it fires
   * or is cancelled.
   */
  setTimer(callback: () => void, delayMs: number): CancelTimer;
}

/** The time of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer: setLongTimer,
};
