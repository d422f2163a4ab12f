import type { IQueueBackend } from 'bullmq';
import type { BlockingClaimOptions, ClaimedJob, ClaimOptions } from '../../jobs/index.js';
import { atHandOf, type BullMqContext, claimedJob, isAtHand } from './bullmq-context.js';
import type { Held, JobSignal, Lapsed } from './bullmq-store.js';
import { failuresOf, type JobRecord, type NextJob, recordOfClaim, withoutUnmade } from './job-record.js';

/** A queue that is never empty is looked through for jobs whose lease is over so often, at most. */
const lookThroughMs = 2_000;
/** Nobody is asked sooner than that again, however often it was announced that there are jobs. */
const breathMs = 5;

/** What a look brought. */
interface Fetched {
  readonly jobs: ClaimedJob[];
  /** When the next one comes due. */
  readonly nextDueAt: number | undefined;
}

/** A job that BullMQ has given, and by what it is locked. */
interface Taken {
  readonly record: JobRecord;
  readonly lock: string;
}

interface AskedForSome {
  readonly taken: Taken[];
  readonly nextDueAt: number | undefined;
  readonly failure: Error | undefined;
  /** There is no more to be had just now. */
  readonly isEmpty: boolean;
}

/** Takes jobs of one queue, and waits for them. */
export class QueueClaims {
  readonly #context: BullMqContext;
  readonly #queue: string;
  readonly #release: (jobs: readonly ClaimedJob[]) => Promise<unknown>;
  readonly #waiting = new Set<() => void>();
  #signal: JobSignal | undefined;
  #isListening = false;
  /** How often it was announced that there may be jobs. */
  #announced = 0;
  /** Looks since the last one that brought a job. */
  #fruitless = 0;
  #lookingThrough: Promise<{ readonly put: number; readonly nextEndsAt: number | undefined }> | undefined;
  #lookedThroughAt = -Infinity;
  /** When the first of the leases that are known here is over, unless it was renewed. */
  #firstEndsAt = Infinity;
  #closed = false;
  /** How to end the claims that are under way, and what tells when they have given back what they still got. */
  readonly #underWay = new Map<() => void, Promise<void>>();
  #endBreath: () => void = () => {};

  constructor(
    context: BullMqContext,
    queue: string,
    release: (jobs: readonly ClaimedJob[]) => Promise<unknown>,
  ) {
    this.#context = context;
    this.#queue = queue;
    this.#release = release;
  }

  claim(options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    return new Promise((resolve, reject) => {
      // BullMQ never answers what it is asked while it closes.
      const end = (): void => resolve([]);
      const ended = this.#claim(options)
        .then(resolve, reject)
        .finally(() => this.#underWay.delete(end));
      this.#underWay.set(end, ended);
    });
  }

  async #claim(options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    const { waitMs, signal } = options;
    const deadline = performance.now() + waitMs;
    let heard = this.#announced;
    while (!signal.aborted && !this.#closed) {
      heard = this.#announced;
      await this.putBackLost();
      let { jobs, nextDueAt } = await this.fetch(options);
      let nextEndsAt: number | undefined;
      if (jobs.length === 0 && !signal.aborted) {
        const through = await this.#lookThrough();
        nextEndsAt = through.nextEndsAt;
        if (through.put > 0) ({ jobs, nextDueAt } = await this.fetch(options));
      }
      if (signal.aborted || this.#closed) {
        await this.#release(jobs);
        break;
      }
      if (jobs.length > 0) return jobs;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return [];
      const now = Date.now();
      const until = Math.min(
        leftMs,
        this.#context.pollIntervalMs,
        (nextDueAt ?? Infinity) - now,
        // A millisecond later it is over for sure.
        (nextEndsAt ?? Infinity) - now + 1,
      );
      if (this.#announced === heard) await this.#wait(Math.max(1, until), signal);
    }
    if (this.#announced !== heard && !this.#closed) await this.#passOn();
    return [];
  }

  /** Whether a lease may be over that this handle knows of. */
  get mayHaveLost(): boolean {
    return this.#firstEndsAt <= Date.now();
  }

  /** What was lost comes before what waits: to be called before anything is taken. */
  async putBackLost(): Promise<void> {
    while (this.mayHaveLost) await this.#lookThrough();
  }

  /** A lease was given that ends then. */
  noteLease(endsAt: number): void {
    this.#firstEndsAt = Math.min(this.#firstEndsAt, endsAt);
  }

  /** Takes what there is. */
  async fetch({ limit, prefetch, leaseMs }: ClaimOptions): Promise<Fetched> {
    const calls = this.#context.store.calls(this.#queue, leaseMs);
    const wanted = limit + prefetch;
    const taken: Taken[] = [];
    let nextDueAt: number | undefined;
    let asked = 0;
    // Twice as many each time: to an empty queue one call is enough.
    for (let atOnce = 1; asked < wanted; atOnce = Math.min(atOnce * 2, this.#context.store.claimsAtOnce)) {
      // Those to be started, and then those to be at hand.
      const starts = asked < limit;
      const size = Math.min(atOnce, (starts ? limit : wanted) - asked);
      const answer = await this.#askForSome(calls, size, starts);
      nextDueAt = answer.nextDueAt;
      taken.push(...answer.taken);
      // What was taken before is not to be lost.
      if (answer.failure !== undefined && taken.length === 0) throw answer.failure;
      if (answer.isEmpty) break;
      asked += answer.taken.length;
    }
    if (taken.length > 0) this.#fruitless = 0;
    if (
      taken.length > 0 &&
      performance.now() - this.#lookedThroughAt > Math.max(lookThroughMs, leaseMs / 4)
    ) {
      // Others may have lost some.
      void this.#lookThrough().catch(() => {});
    }
    return { jobs: await this.#claimedOf(taken, leaseMs), nextDueAt };
  }

  /** Makes claimed jobs of what BullMQ has given with a settlement. Gives them back where it cannot. */
  async accept(
    given: readonly { readonly next: NextJob; readonly lock: string }[],
    leaseMs: number,
  ): Promise<ClaimedJob[]> {
    const calls = this.#context.store.calls(this.#queue);
    const taken: Taken[] = [];
    try {
      for (const { next, lock } of given) {
        const record = recordOfClaim(next);
        if (record === undefined) continue;
        const failure = next[0]?.deferredFailure;
        if (failure) await this.#giveUp(calls, record, failure, lock);
        else taken.push({ record, lock });
      }
      return await this.#claimedOf(taken, leaseMs);
    } catch {
      await this.giveBack(given.map(({ next: [, id = ''], lock }) => ({ id, lock })));
      return [];
    }
  }

  /** Puts jobs back that were claimed, and are known to nobody. */
  async giveBack(jobs: readonly Held[]): Promise<void> {
    const { store } = this.#context;
    await Promise.allSettled(jobs.map((job) => store.release(this.#queue, job, undefined)));
  }

  /** Makes claimed jobs of what BullMQ has given. */
  async #claimedOf(taken: readonly Taken[], leaseMs: number): Promise<ClaimedJob[]> {
    const { store, held, schedules } = this.#context;
    for (const { record } of taken) {
      if (record.scheduled) await schedules.goOn(this.#queue, record.scheduled, record.id);
    }
    const told = store.claimsTellAll ? [] : taken.filter(({ record }) => hasMore(record));
    const again = told.map(({ record }) => record.id);
    const stored = again.length === 0 ? [] : await store.read(this.#queue, again);
    if (taken.length > 0) this.noteLease(Date.now() + leaseMs);
    const byId = new Map(stored.map((record) => [record?.id, record]));
    return taken.map(({ record, lock }) => {
      const more = byId.get(record.id);
      const all: JobRecord = more === undefined ? record : { ...more, ...ofClaim(record) };
      const job = claimedJob(this.#queue, all, lock, leaseMs);
      held.hold(this.#queue, { id: record.id, lock });
      return job;
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const wasListening = this.#isListening;
    this.#underWay.forEach((_, end) => end());
    this.#endBreath();
    this.#wake();
    await this.#signal?.close();
    // What was announced to it meanwhile, others are to hear.
    if (wasListening) await this.#context.store.announce(this.#queue).catch(() => {});
    await Promise.all(this.#underWay.values());
  }

  async #askForSome(calls: IQueueBackend, size: number, starts: boolean): Promise<AskedForSome> {
    const { store, processedBy, newLock } = this.#context;
    const name = starts ? processedBy : atHandOf(processedBy);
    const locks = Array.from({ length: size }, () => newLock());
    const answers = await Promise.allSettled(locks.map((lock) => calls.moveToActive(lock, name)));
    const taken: Taken[] = [];
    let nextDueAt: number | undefined;
    let failure: Error | undefined;
    let isEmpty = false;
    for (const [index, answer] of answers.entries()) {
      if (answer.status === 'rejected') {
        failure = answer.reason as Error;
        isEmpty = true;
        continue;
      }
      const next = answer.value as unknown as NextJob;
      const record = recordOfClaim(next);
      if (record === undefined) {
        const [, , limitedMs = 0, delayUntil = 0] = next;
        isEmpty = true;
        if (limitedMs > 0) nextDueAt = Date.now() + limitedMs;
        else if (delayUntil > 0) nextDueAt = delayUntil;
        continue;
      }
      const lock = locks[index]!;
      const failed = next[0]?.deferredFailure;
      // One that cannot be ended now is so when its lease is over.
      if (failed) await this.#giveUp(calls, record, failed, lock).catch(() => {});
      else taken.push({ record, lock });
    }
    if (taken.length > 1 && store.inTurn !== undefined) {
      const claimed = taken.map(({ record }) => record.id);
      // They are claimed: that nobody knows their order is no reason to lose them.
      const ids = await store.inTurn(this.#queue, claimed).catch(() => claimed);
      taken.sort((a, b) => ids.indexOf(a.record.id) - ids.indexOf(b.record.id));
    }
    return { taken, nextDueAt, failure, isEmpty };
  }

  /** One that BullMQ has given up on, such as by a worker of its own, is dead. */
  async #giveUp(calls: IQueueBackend, { id, opts }: JobRecord, failure: string, lock: string): Promise<void> {
    const job = { id, opts } as Parameters<IQueueBackend['moveToFailed']>[0];
    await calls.moveToFailed(job, failure, false, lock, false, { failedReason: failure });
  }

  /** Puts back jobs whose lease is over. */
  #lookThrough(): Promise<{ readonly put: number; readonly nextEndsAt: number | undefined }> {
    this.#lookingThrough ??= this.#lookThroughNow().finally(() => (this.#lookingThrough = undefined));
    return this.#lookingThrough;
  }

  async #lookThroughNow(): Promise<{ readonly put: number; readonly nextEndsAt: number | undefined }> {
    const { store } = this.#context;
    this.#firstEndsAt = Infinity;
    const { lapsed, nextEndsAt } = await store.readActive(this.#queue);
    this.#lookedThroughAt = performance.now();
    this.#firstEndsAt = Math.min(this.#firstEndsAt, nextEndsAt ?? Infinity);
    const now = Date.now();
    // Each is put before the others: the one that was claimed first comes last.
    const inTurn = lapsed.toSorted((a, b) => b.startedAt - a.startedAt);
    const put = await Promise.all(inTurn.map((job) => store.putBack(this.#queue, job, deathOf(job, now))));
    return { put: put.filter(Boolean).length, nextEndsAt };
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancelTimer();
        signal.removeEventListener('abort', end);
        this.#waiting.delete(end);
        resolve();
      };
      const cancelTimer = this.#context.host.setTimer(end, ms);
      signal.addEventListener('abort', end, { once: true });
      this.#waiting.add(end);
      void this.#listen();
    });
  }

  /** Listens for announcements as long as somebody waits. */
  async #listen(): Promise<void> {
    if (this.#isListening) return;
    this.#isListening = true;
    const { store, pollIntervalMs } = this.#context;
    this.#signal ??= store.signal(this.#queue);
    while (this.#waiting.size > 0 && !this.#closed) {
      const isAnnounced = await this.#signal.wait(pollIntervalMs);
      if (!isAnnounced || this.#closed) continue;
      this.#announced++;
      // Redis tells one only.
      if (this.#waiting.size === 0) await store.announce(this.#queue).catch(() => {});
      this.#wake();
      // One that brings nothing again and again is not to keep everybody busy.
      if (++this.#fruitless > 3) await this.#breathe(Math.min(breathMs * 2 ** this.#fruitless, 200));
    }
    this.#isListening = false;
  }

  /** What was announced to one who does not want it any more, another one is to hear. */
  async #passOn(): Promise<void> {
    if (this.#waiting.size > 0) this.#wake();
    else await this.#context.store.announce(this.#queue);
  }

  #wake(): void {
    this.#waiting.forEach((end) => end());
  }

  #breathe(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancelTimer = this.#context.host.setTimer(resolve, ms);
      this.#endBreath = () => {
        cancelTimer();
        resolve();
      };
    });
  }
}

/** Whether there may be more to tell of it than BullMQ does: it was claimed before, or was for later and retried. */
function hasMore({ claims, delay }: JobRecord): boolean {
  return claims > 1 || delay > 0;
}

/** What the claim itself is the last word on. */
function ofClaim({ at, claims, made, processedOn, processedBy, opts }: JobRecord) {
  return { at, claims, made, processedOn, processedBy, ...(opts !== undefined && { opts }) };
}

/** The death of whoever held a job; none where it was only at hand. */
function deathOf(job: Lapsed, now: number) {
  if (isAtHand(job.processedBy)) return undefined;
  const { claim, startedAt } = job;
  const held = withoutUnmade({ ...job, claims: claim, deaths: [] });
  return { claim, startedAt, endedAt: now, attempt: failuresOf(held) + 1 };
}
