import type {
  CancelAnswer,
  CancelOptions,
  ClaimedJob,
  ClaimOptions,
  DeleteAnswer,
  EnqueueAnswer,
  Extension,
  JobAttempt,
  JobPage,
  ListOptions,
  NewJob,
  QueueCounts,
  RetryAnswer,
  Settlement,
  StoredJob,
} from './job-backend.js';
import { copyOf, later, type MemoryClaim, type MemoryEnd, MemoryJob } from './memory-job.js';
import { cursorAfter, isListedBefore } from './memory-list.js';
import { MemoryPlaces } from './memory-places.js';
import { MemoryRateLimit } from './memory-rate-limit.js';
import { MemoryThroughput } from './memory-throughput.js';
import { MemoryUniqueKeys } from './memory-unique-keys.js';

export interface MemoryQueueHost {
  /** The jobs of all queues: an id is given once. */
  readonly jobs: Map<string, MemoryJob>;
  /** For the next claim, of whatever queue. */
  nextToken(): number;
  /** Jobs were taken away from whoever held them. */
  revoked(ids: readonly string[]): void;
}

/** The jobs of one queue. `roll()` first brings it up to the time at which anything else is then done. */
export class MemoryQueue {
  readonly #name: string;
  readonly #host: MemoryQueueHost;
  readonly #places = new MemoryPlaces();
  readonly #unique = new MemoryUniqueKeys();
  readonly #rate = new MemoryRateLimit();
  readonly #throughput = new MemoryThroughput();
  #ends = 0;
  paused = false;

  constructor(name: string, host: MemoryQueueHost) {
    this.#name = name;
    this.#host = host;
  }

  /** Does what the time alone brings about. */
  roll(now: number): void {
    for (const { id } of this.#places.roll(now)) this.#host.jobs.delete(id);
  }

  enqueue(given: NewJob, now: number): EnqueueAnswer {
    const { id, unique } = given;
    if (this.#host.jobs.has(id)) return { kind: 'exists', id };
    const holder = unique && this.#unique.holderOf(unique.key, now);
    if (holder !== undefined) return { kind: 'duplicate', id: holder.id };
    const job = new MemoryJob(given, now);
    this.#host.jobs.set(id, job);
    this.#unique.hold(job, now);
    this.#places.makeWait(job, now);
    return { kind: 'enqueued', id };
  }

  claim({ limit, prefetch, leaseMs, limits }: ClaimOptions, now: number): readonly ClaimedJob[] {
    if (this.paused) return [];
    const perKey = limits?.perKey ?? Infinity;
    const wanted = Math.min(
      limit + prefetch,
      (limits?.concurrency ?? Infinity) - this.#places.active.size,
      limits?.rate === undefined ? Infinity : this.#rate.available(limits.rate, now),
    );
    const claimed: ClaimedJob[] = [];
    let revoked: string[] | undefined;
    while (claimed.length < wanted) {
      const job = this.#places.next(perKey);
      if (job === undefined) break;
      const before = job.claim;
      if (before !== undefined) {
        if (before.started) job.die(before, now);
        (revoked ??= []).push(job.id);
      }
      const order = this.#host.nextToken();
      const token = String(order);
      const started = claimed.length < limit;
      const claim: MemoryClaim = { token, order, at: now, endsAt: later(now, leaseMs), started, limits };
      this.#places.hold(job, claim);
      claimed.push(job.claimed(claim, token));
    }
    if (limits?.rate !== undefined) this.#rate.spend(claimed.length);
    if (revoked !== undefined) this.#host.revoked(revoked);
    return claimed;
  }

  /** When a claim that gets nothing now may get something, if nothing is done until then. */
  claimableAt({ limits }: ClaimOptions): number {
    if (this.paused) return Infinity;
    const { scheduled, active, ready } = this.#places;
    return Math.min(
      scheduled.first?.dueAt ?? Infinity,
      active.first?.claim?.endsAt ?? Infinity,
      limits?.rate !== undefined && ready.size > 0 ? this.#rate.nextAt(limits.rate) : Infinity,
    );
  }

  extend({ job: { id, token }, leaseMs, progress }: Extension, now: number): boolean {
    const job = this.#held(id, token);
    if (job?.claim === undefined) return false;
    const { claim } = job;
    if (job.place === 'active') {
      this.#places.renew(job, later(now, leaseMs));
    } else if (this.#isPlaceTaken(job, claim)) {
      // Whoever holds it is told so: it has not died.
      claim.token = undefined;
      claim.started = false;
      return false;
    } else {
      this.#places.takeOut(job);
      claim.endsAt = later(now, leaseMs);
      this.#places.hold(job, claim);
    }
    claim.started = true;
    if (progress !== undefined) job.progress = copyOf(progress);
    return true;
  }

  /** Answers how many dead jobs gave way; `undefined` where the token no longer holds. */
  settle(settlement: Settlement, now: number): number | undefined {
    const job = this.#held(settlement.job.id, settlement.job.token);
    if (job === undefined) return undefined;
    this.#places.takeOut(job);
    job.claim = undefined;
    switch (settlement.kind) {
      case 'completed':
        this.#throughput.add('completed', now);
        this.#end(job, 'completed', settlement.keepMs, now, { result: copyOf(settlement.result) });
        return 0;
      case 'scheduled':
        this.#note(job, settlement.attempt, now);
        job.failures = settlement.failures;
        job.dueAt = later(now, settlement.delayMs);
        this.#places.makeWait(job, now);
        return 0;
      case 'released':
        this.#note(job, settlement.attempt, now);
        this.#places.makeWait(job, now);
        return 0;
      case 'cancelled':
        this.#note(job, settlement.attempt, now);
        job.lastError = settlement.error ?? job.lastError;
        this.#end(job, 'cancelled', settlement.keepMs, now);
        return 0;
      case 'dead':
        this.#note(job, settlement.attempt, now);
        job.failures = settlement.failures;
        job.lastError = settlement.error;
        this.#end(job, 'dead', Infinity, now, { cause: settlement.cause });
        return this.#pushOutDead(settlement.maxDead);
    }
  }

  get(id: string, now: number): StoredJob | undefined {
    return this.#find(id)?.stored(now);
  }

  list({ state, cursor, limit }: ListOptions, now: number): JobPage {
    // One more than is wanted tells whether there is a next page.
    const jobs = this.#places.listed(state, isListedBefore(state, cursor), limit + 1);
    const page = jobs.slice(0, limit);
    const last = page.at(-1);
    return {
      jobs: page.map((job) => job.stored(now)),
      cursor: jobs.length > page.length && last !== undefined ? cursorAfter(state, last) : undefined,
    };
  }

  delete(id: string): DeleteAnswer {
    const job = this.#find(id);
    if (job === undefined) return 'unknown';
    this.#places.takeOut(job);
    this.#unique.free(job);
    this.#host.jobs.delete(id);
    return job.claim === undefined ? 'deleted' : 'active';
  }

  cancel(id: string, { keepMs, error }: CancelOptions, now: number): CancelAnswer {
    const job = this.#find(id);
    if (job === undefined) return 'unknown';
    if (job.end !== undefined) return 'ended';
    const { claim } = job;
    this.#places.takeOut(job);
    job.claim = undefined;
    if (claim?.started === true) job.addToHistory(cancelledAttempt(job, claim, now, error));
    job.lastError = error ?? job.lastError;
    this.#end(job, 'cancelled', keepMs, now);
    return claim === undefined ? 'cancelled' : 'active';
  }

  retry(id: string, now: number): RetryAnswer {
    const job = this.#find(id);
    switch (job?.place) {
      case undefined:
        return 'unknown';
      case 'active':
        return 'active';
      case 'completed':
      case 'cancelled':
        return 'ended';
      case 'ready':
      case 'parked':
        return 'ready';
      default:
        this.#places.takeOut(job!);
        this.#revive(job!, now);
        return 'retried';
    }
  }

  counts(dueWithinMs: number, now: number): QueueCounts {
    const { scheduled, ready, keys, active, dead, oldestDueAt } = this.#places;
    return {
      queue: this.#name,
      paused: this.paused,
      ready: ready.size + keys.parked.size,
      scheduled: scheduled.size,
      active: active.size,
      dead: dead.size,
      dueWithin: scheduled.countWhile(({ dueAt }) => dueAt <= now + dueWithinMs),
      oldestReadyAgeMs: Math.max(0, now - Math.min(now, oldestDueAt)),
      throughput: this.#throughput.read(now),
    };
  }

  #find(id: string): MemoryJob | undefined {
    const job = this.#host.jobs.get(id);
    return job?.queue === this.#name ? job : undefined;
  }

  #held(id: string, token: string): MemoryJob | undefined {
    const job = this.#find(id);
    if (job?.claim?.token === token) return job;
    job?.hearOf(token);
    return undefined;
  }

  /** Whether a lease that is over cannot be renewed, since the limits allow no more and others are held by now. */
  #isPlaceTaken({ limitKey }: MemoryJob, { limits }: MemoryClaim): boolean {
    const { active, keys } = this.#places;
    if (active.size >= (limits?.concurrency ?? Infinity)) return true;
    return limitKey !== undefined && keys.isFull(limitKey, limits?.perKey ?? Infinity);
  }

  /** Writes down an attempt that did not complete its job. */
  #note(job: MemoryJob, attempt: JobAttempt | undefined, now: number): void {
    if (attempt === undefined) return;
    job.addToHistory(attempt);
    if (attempt.outcome !== 'failed' && attempt.outcome !== 'timed-out') return;
    job.lastError = attempt.error ?? job.lastError;
    this.#throughput.add('failed', now);
  }

  #end(
    job: MemoryJob,
    state: MemoryEnd['state'],
    keepMs: number,
    now: number,
    how: Pick<MemoryEnd, 'result' | 'cause'> = {},
  ): void {
    this.#unique.free(job);
    if (keepMs <= 0) this.#host.jobs.delete(job.id);
    else
      this.#places.end(job, { state, at: now, order: this.#ends++, keptUntil: later(now, keepMs), ...how });
  }

  #pushOutDead(maxDead: number): number {
    const { dead } = this.#places;
    let pushedOut = 0;
    for (; dead.size > maxDead; pushedOut++) this.#host.jobs.delete(dead.shift()!.id);
    return pushedOut;
  }

  #revive(job: MemoryJob, now: number): void {
    job.end = undefined;
    job.failures = 0;
    job.deaths = [];
    job.dueAt = now;
    this.#unique.hold(job, now);
    this.#places.makeReady(job);
  }
}

/** That somebody called off from outside. */
function cancelledAttempt(
  { failures }: MemoryJob,
  { at: startedAt }: MemoryClaim,
  endedAt: number,
  error: string | undefined,
): JobAttempt {
  const attempt = { attempt: failures + 1, startedAt, endedAt, outcome: 'cancelled' } as const;
  return error === undefined ? attempt : { ...attempt, error };
}
