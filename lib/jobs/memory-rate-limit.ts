import type { ClaimLimits } from './job-backend.js';

type Rate = NonNullable<ClaimLimits['rate']>;

/** Many small parts are added up; what is missing from a whole by rounding is there. */
const rounding = 1e-6;

/** A bucket of tokens, one for each job, that fills up at the given rate, and is full at first. */
export class MemoryRateLimit {
  #tokens = Infinity;
  /** When it held so many. */
  #at = 0;

  /** How many jobs may be claimed now. */
  available(rate: Rate, now: number): number {
    // Nothing comes in while the clock stands, or was set back.
    const passedMs = Math.max(0, now - this.#at);
    this.#tokens = Math.min(rate.limit, this.#tokens + (passedMs * rate.limit) / rate.periodMs);
    this.#at = now;
    return Math.floor(this.#tokens + rounding);
  }

  spend(jobs: number): void {
    this.#tokens -= jobs;
  }

  /** When the next one may be, of those that may not be now. */
  nextAt({ limit, periodMs }: Rate): number {
    return this.#at + Math.max(1, Math.ceil(((1 - this.#tokens) * periodMs) / limit));
  }
}
