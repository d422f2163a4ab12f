import type { ThroughputBucket } from './job-backend.js';

const minuteMs = 60_000;
const minutesKept = 60;

/** How many jobs ended in each of the last minutes. */
export class MemoryThroughput {
  /** The oldest first. */
  #buckets: { at: number; completed: number; failed: number }[] = [];

  add(end: 'completed' | 'failed', now: number): void {
    const at = Math.floor(now / minuteMs) * minuteMs;
    const last = this.#buckets.at(-1);
    // A clock that was set back goes on in the minute that it had come to.
    if (last !== undefined && last.at >= at) {
      last[end]++;
      return;
    }
    const bucket = { at, completed: 0, failed: 0 };
    bucket[end]++;
    this.#buckets.push(bucket);
    if (this.#buckets.length > minutesKept) this.#buckets.shift();
  }

  read(now: number): readonly ThroughputBucket[] {
    const after = Math.floor(now / minuteMs) * minuteMs - minutesKept * minuteMs;
    return this.#buckets
      .filter(({ at }) => at > after)
      .map(({ at, completed, failed }) => ({ at, completed, failed }));
  }
}
