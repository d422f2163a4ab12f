import { byTurn, type MemoryJob } from './memory-job.js';
import { SortedSet } from './memory-sorted-set.js';

interface Key {
  /** Jobs of it that are held. */
  active: number;
  /** Jobs of it that wait for one of these to end. */
  parked: SortedSet<MemoryJob> | undefined;
}

/**
 * Counts the jobs that are held by their `limitKey`, and keeps those of a key that is at its limit out of the way of the
 * others, so that no claim has to go past them.
 *
 * While any job of a key is parked, as many of its jobs are held or ready as its limit allows, or more: so whenever one
 * of these is held or ready no more, the first of those that are parked takes its place among the ready ones.
 */
export class MemoryKeyLimit {
  readonly #keys = new Map<string, Key>();
  /** All that are parked, whatever their key. */
  readonly parked = new SortedSet<MemoryJob>(byTurn);
  /** The lowest limit by which any is parked. */
  #parkedBy = Infinity;

  isFull(key: string, perKey: number): boolean {
    return (this.#keys.get(key)?.active ?? 0) >= perKey;
  }

  hold(key: string): void {
    this.#keyOf(key).active++;
  }

  /** A job of that key is held no more. */
  letGo(key: string): void {
    const known = this.#keys.get(key);
    if (known === undefined) return;
    known.active--;
    this.#forgetIfIdle(key, known);
  }

  park(job: MemoryJob, key: string, perKey: number): void {
    const known = this.#keyOf(key);
    known.parked ??= new SortedSet<MemoryJob>(byTurn);
    known.parked.add(job);
    this.parked.add(job);
    this.#parkedBy = Math.min(this.#parkedBy, perKey);
  }

  /** Takes out a job that is parked. */
  remove(job: MemoryJob, key: string): void {
    const known = this.#keys.get(key);
    if (known?.parked === undefined) return;
    known.parked.delete(job);
    this.parked.delete(job);
    this.#forgetIfIdle(key, known);
  }

  /** Takes out the first one of a key. */
  next(key: string): MemoryJob | undefined {
    const job = this.#keys.get(key)?.parked?.first;
    if (job !== undefined) this.remove(job, key);
    return job;
  }

  /** Takes out all, where some are parked by a limit that is lower than `perKey`: processes do not agree on it. */
  takeLimitedBelow(perKey: number): readonly MemoryJob[] {
    if (this.parked.size === 0 || perKey <= this.#parkedBy) return [];
    this.#parkedBy = Infinity;
    const jobs = this.parked.takeWhile(() => true);
    for (const [key, known] of this.#keys) {
      known.parked = undefined;
      this.#forgetIfIdle(key, known);
    }
    return jobs;
  }

  #keyOf(key: string): Key {
    let known = this.#keys.get(key);
    if (known === undefined) this.#keys.set(key, (known = { active: 0, parked: undefined }));
    return known;
  }

  #forgetIfIdle(key: string, known: Key): void {
    if (this.parked.size === 0) this.#parkedBy = Infinity;
    if (known.active === 0 && (known.parked?.size ?? 0) === 0) this.#keys.delete(key);
  }
}
