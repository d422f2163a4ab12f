import { type Duration, parseDuration } from '../clock/index.js';
import { ignoreRejection } from '../errors/index.js';

/** Delays that grow: `initial * factor^(n-1)` after the nth consecutive failure, never more than `max`. */
export interface BackoffOptions {
  /** Delay after the first failure. Default `'500ms'`. */
  readonly initial?: Duration;
  /** By how much it grows with each further failure; 1 or more. Default 2. */
  readonly factor?: number;
  /** The longest delay. Default `'60s'`. */
  readonly max?: Duration;
  /**
   * How much of a delay is left to chance, so that many that failed together do not come back together: a share
   * from 0 (none) to 1 (anything between 0 and the delay). `true` (default) is 0.5: the later half.
   */
  readonly jitter?: boolean | number;
}

/** A delay of your own. `failures` counts the consecutive failed attempts, from 1; after a success it is 1. */
export type BackoffFunction = (failures: number, error: unknown) => Duration;

/** Backoff options, checked. */
export interface ExponentialBackoff {
  readonly initialMs: number;
  readonly factor: number;
  readonly maxMs: number;
  /** Share of the delay left to chance, 0 to 1. */
  readonly jitter: number;
}

/** What stands where nothing is said. */
export const defaultBackoff: ExponentialBackoff = Object.freeze({
  initialMs: 500,
  factor: 2,
  maxMs: 60_000,
  jitter: 0.5,
});

/** How long to wait before a restart: growing delays, a function, or not at all. */
export type Backoff = ExponentialBackoff | BackoffFunction | 'none';

/**
 * Milliseconds to wait after `failures` consecutive failures (from 1). `random` is a number from 0 up to 1. What
 * a function answers is cut to 0 and above; where it answers no duration, there is no delay to go by and it throws.
 */
export function delayAfter(backoff: Backoff, failures: number, error: unknown, random: number): number {
  if (backoff === 'none') return 0;
  if (typeof backoff === 'function') {
    const answer: unknown = backoff(failures, error);
    const delayMs = parseDuration(answer);
    if (delayMs === undefined) {
      ignoreRejection(answer);
      throw new TypeError('the backoff function answered no duration');
    }
    return Math.max(0, delayMs);
  }
  const { jitter } = backoff;
  return longestDelay(backoff, failures) * (1 - jitter * random);
}

/** The delay before chance takes its share. The power may grow to Infinity; `max` stands above it. */
export function longestDelay({ initialMs, factor, maxMs }: ExponentialBackoff, failures: number): number {
  if (initialMs === 0) return 0;
  return Math.min(maxMs, initialMs * factor ** (failures - 1));
}
