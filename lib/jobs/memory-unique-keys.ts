import type { MemoryJob } from './memory-job.js';

/** Which job holds which unique key. */
export class MemoryUniqueKeys {
  readonly #holders = new Map<string, MemoryJob>();

  holderOf(key: string, now: number): MemoryJob | undefined {
    const holder = this.#holders.get(key);
    return holder === undefined || now >= holder.uniqueUntil ? undefined : holder;
  }

  /** Gives a job that lives, or lives again, its key, unless another one holds it. */
  hold(job: MemoryJob, now: number): void {
    if (job.uniqueKey === undefined || now >= job.uniqueUntil) return;
    if (this.holderOf(job.uniqueKey, now) === undefined) this.#holders.set(job.uniqueKey, job);
  }

  /** A job lives no more. The key may be another's by now. */
  free(job: MemoryJob): void {
    if (job.uniqueKey !== undefined && this.#holders.get(job.uniqueKey) === job)
      this.#holders.delete(job.uniqueKey);
  }
}
