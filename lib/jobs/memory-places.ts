import type { JobState } from './job-backend.js';
import {
  byDue,
  byEnd,
  byKeptUntil,
  byLeaseEnd,
  byTurn,
  type MemoryClaim,
  type MemoryEnd,
  type MemoryJob,
} from './memory-job.js';
import { MemoryKeyLimit } from './memory-key-limit.js';
import { inListOrder } from './memory-list.js';
import { SortedSet } from './memory-sorted-set.js';

/** Where the jobs of a queue stand: each is in one set, the one that its `place` says. */
export class MemoryPlaces {
  readonly scheduled = new SortedSet<MemoryJob>(byDue);
  readonly ready = new SortedSet<MemoryJob>(byTurn);
  /** Those that are held, counted by their keys, and those that wait for one of these. */
  readonly keys = new MemoryKeyLimit();
  readonly active = new SortedSet<MemoryJob>(byLeaseEnd);
  readonly completed = new SortedSet<MemoryJob>(byKeptUntil);
  readonly cancelled = new SortedSet<MemoryJob>(byKeptUntil);
  readonly dead = new SortedSet<MemoryJob>(byEnd);

  /** Does what the time alone brings about: jobs come due, leases end. Answers what is to be kept no longer. */
  roll(now: number): readonly MemoryJob[] {
    for (const job of this.scheduled.takeWhile(({ dueAt }) => dueAt <= now)) this.makeReady(job);
    for (const job of this.active.takeWhile(({ claim }) => claim!.endsAt <= now)) {
      // Its claim stays: until somebody else has the job, it may be renewed and settled still.
      this.makeReady(job);
      this.#letGoOfKey(job);
    }
    const isOver = ({ end }: MemoryJob): boolean => end!.keptUntil <= now;
    const over = this.completed.takeWhile(isOver);
    return this.cancelled.size === 0 ? over : over.concat(this.cancelled.takeWhile(isOver));
  }

  /** Of a job that is in no set: lets it wait until it is due, and then for its turn. */
  makeWait(job: MemoryJob, now: number): void {
    if (job.dueAt <= now) return this.makeReady(job);
    job.place = 'scheduled';
    this.scheduled.add(job);
  }

  makeReady(job: MemoryJob): void {
    job.place = 'ready';
    this.ready.add(job);
  }

  hold(job: MemoryJob, claim: MemoryClaim): void {
    job.claim = claim;
    job.place = 'active';
    this.active.add(job);
    if (job.limitKey !== undefined) this.keys.hold(job.limitKey);
  }

  /** Of a job that is held: for longer, or shorter. */
  renew(job: MemoryJob, endsAt: number): void {
    this.active.delete(job);
    job.claim!.endsAt = endsAt;
    this.active.add(job);
  }

  end(job: MemoryJob, end: MemoryEnd): void {
    job.end = end;
    job.place = end.state;
    this[end.state].add(job);
  }

  /** The one whose turn it is, of those whose keys are not held by so many; taken out. */
  next(perKey: number): MemoryJob | undefined {
    for (const job of this.keys.takeLimitedBelow(perKey)) this.makeReady(job);
    for (;;) {
      const job = this.ready.shift();
      if (job?.limitKey === undefined || !this.keys.isFull(job.limitKey, perKey)) return job;
      job.place = 'parked';
      this.keys.park(job, job.limitKey, perKey);
    }
  }

  takeOut(job: MemoryJob): void {
    switch (job.place) {
      case 'parked':
        this.keys.remove(job, job.limitKey!);
        return;
      case 'ready':
        this.ready.delete(job);
        this.#makeNextOfKeyReady(job);
        return;
      case 'active':
        this.active.delete(job);
        this.#letGoOfKey(job);
        return;
      default:
        this[job.place].delete(job);
    }
  }

  /** So many of a state that `isBefore` does not hold for, in the order of its list. */
  listed(state: JobState, isBefore: (job: MemoryJob) => boolean, limit: number): readonly MemoryJob[] {
    if (state === 'ready') {
      const jobs = this.ready.after(isBefore, limit).concat(this.keys.parked.after(isBefore, limit));
      return jobs.toSorted(inListOrder(state)).slice(0, limit);
    }
    if (state === 'active') {
      // They are in another order, but are no more than what the consumers hold.
      const jobs = Array.from(this.active).filter((job) => !isBefore(job));
      return jobs.toSorted(inListOrder(state)).slice(0, limit);
    }
    return this[state].after(isBefore, limit);
  }

  /** Since when the ready job is due that has been due for longest; `Infinity` where none is. */
  get oldestDueAt(): number {
    return Math.min(oldestOf(this.ready), oldestOf(this.keys.parked));
  }

  #letGoOfKey(job: MemoryJob): void {
    if (job.limitKey === undefined) return;
    this.keys.letGo(job.limitKey);
    this.#makeNextOfKeyReady(job);
  }

  #makeNextOfKeyReady({ limitKey }: MemoryJob): void {
    const next = limitKey === undefined ? undefined : this.keys.next(limitKey);
    if (next !== undefined) this.makeReady(next);
  }
}

/** Within a priority, the first has been due for longest. */
function oldestOf(jobs: SortedSet<MemoryJob>): number {
  let oldest = Infinity;
  let job: MemoryJob | undefined = jobs.first;
  while (job !== undefined) {
    const { priority, dueAt }: MemoryJob = job;
    oldest = Math.min(oldest, dueAt);
    job = jobs.after((other) => other.priority >= priority, 1)[0];
  }
  return oldest;
}
