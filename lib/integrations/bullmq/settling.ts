import type { IQueueBackend } from 'bullmq';
import type { ClaimedJob, ClaimOptions, JobAttempt, SettleAnswer, Settlement } from '../../jobs/index.js';
import {
  atHandOf,
  type BullMqContext,
  bullCodeOf,
  noLockCode,
  notHeldCodes,
  claimOf,
  waitingForOthersCodes,
} from './bullmq-context.js';
import { cancelledValue, failuresOf, type JobRecord, type NextJob, type OwnState } from './job-record.js';
import { keepsParsed, valueOf } from './json-bytes.js';
import type { QueueClaims } from './queue-claims.js';
import type { JobRenewing } from './renewing.js';
import { shownFields, stateAfter } from './settled-state.js';
import { storableText } from './storable-text.js';

type BullJob = Parameters<IQueueBackend['moveToCompleted']>[0];

/** For how long a job is locked again whose holder came late, to be settled at once. */
const settleLockMs = 10_000;
/** So many dead jobs are removed with one that dies, at most: those of others may be very many. */
const mostPushedOut = 1_000;

/** One settlement under way. */
interface Settling {
  readonly queue: string;
  readonly job: ClaimedJob;
  readonly record: JobRecord;
  readonly lock: string;
  readonly calls: IQueueBackend;
  /** Whether to take the next job in the same call. */
  readonly takesNext: boolean;
}

/** What BullMQ answered to a settlement that was accepted. */
interface Settled {
  /** By what it was locked, and is the next one. */
  readonly lock: string;
  readonly next?: NextJob | undefined;
  /** The next one was asked for, and there was none. */
  readonly isEmpty?: boolean;
  /** It is due again at once. */
  readonly isBack?: boolean;
  /** Of one that is dead: so many may be. */
  readonly maxDead?: number;
}

/** Says what becomes of jobs that were held. */
export class JobSettling {
  readonly #context: BullMqContext;
  readonly #claimsOf: (queue: string) => QueueClaims;
  readonly #renewing: JobRenewing;

  constructor(context: BullMqContext, claimsOf: (queue: string) => QueueClaims, renewing: JobRenewing) {
    this.#context = context;
    this.#claimsOf = claimsOf;
    this.#renewing = renewing;
  }

  async settle(
    queue: string,
    settlements: readonly Settlement[],
    thenClaim?: ClaimOptions,
  ): Promise<SettleAnswer> {
    const { limit = 0, prefetch = 0, leaseMs = 0 } = thenClaim ?? {};
    const { store, processedBy } = this.#context;
    const claims = this.#claimsOf(queue);
    const now = Date.now();
    // Otherwise what was lost comes first, and after the settlements, of which one may be of it.
    const takesNext = !claims.mayHaveLost && settlements.every(({ job }) => job.leaseEndsAt > now);
    // Those that take the next job in the same call: to be started, or to be at hand.
    const toStart = store.calls(queue, leaseMs, processedBy);
    const toHave = store.calls(queue, leaseMs, atHandOf(processedBy));
    // One after the other where several are of the same job.
    const before = new Map<string, Promise<unknown>>();
    const under = settlements.map((settlement, index) => {
      const { id } = settlement.job;
      const calls = index < limit ? toStart : toHave;
      const run = (): Promise<Settled | undefined> =>
        this.#settle(queue, settlement, calls, takesNext && index < limit + prefetch);
      const earlier = before.get(id);
      const settled = earlier === undefined ? run() : earlier.then(run, run);
      before.set(id, settled);
      return settled;
    });
    // All have ended before anything is answered.
    const ends = await Promise.allSettled(under);
    const given = ends.flatMap((end) => {
      const one = end.status === 'fulfilled' ? end.value : undefined;
      return one?.next === undefined ? [] : [{ next: one.next, lock: one.lock }];
    });
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed !== undefined) {
      // What was claimed with the others is answered to nobody.
      await claims.giveBack(given.map(({ next: [, id = ''], lock }) => ({ id, lock })));
      throw failed.reason;
    }
    const settled = await Promise.all(under);
    const claimed = await claims.accept(given, leaseMs);
    // At worst, nobody learns of the death of one that was to be at hand.
    await this.#renewing.start(queue, claimed.slice(0, limit)).catch(() => {});
    const left = limit + prefetch - claimed.length;
    // Where BullMQ had no more, there is none but what was put back.
    const isEmpty =
      settled.some((one) => one?.isEmpty === true) && !settled.some((one) => one?.isBack === true);
    if (left > 0 && !isEmpty) {
      const toBegin = Math.min(left, Math.max(0, limit - claimed.length));
      const rest = { limit: toBegin, prefetch: left - toBegin, leaseMs };
      const fetching = claims.putBackLost().then(() => claims.fetch(rest));
      // What was settled, and claimed with that, is to be answered whether or not there is more.
      const { jobs } = await fetching.catch(() => ({ jobs: [] }));
      claimed.push(...jobs);
    }
    const maxDead = Math.min(...settled.map((one) => one?.maxDead ?? Infinity));
    return {
      accepted: settled.map((one) => one !== undefined),
      claimed,
      // What is too much now is so at the next one that dies, too.
      pushedOut: maxDead === Infinity ? 0 : await this.#pushOut(queue, maxDead).catch(() => 0),
    };
  }

  /** `undefined` where it is refused. */
  async #settle(
    queue: string,
    settlement: Settlement,
    calls: IQueueBackend,
    takesNext: boolean,
  ): Promise<Settled | undefined> {
    const { store, held } = this.#context;
    const { job } = settlement;
    const claim = claimOf(job);
    if (claim === undefined) return undefined;
    const { record, lock, which } = claim;
    const settling: Settling = { queue, job, record, lock, calls, takesNext };
    held.letGo(queue, claim);
    let settled = await this.#tryTo(settling, settlement);
    // Its lease may be over, and nobody has the job yet.
    if (typeof settled === 'number' && (await store.lockAgain(queue, claim, which, settleLockMs))) {
      settled = await this.#tryTo(settling, settlement);
    }
    if (typeof settled === 'number') {
      await store.noteAlive(queue, record.id, which).catch(() => {});
      return undefined;
    }
    this.#count(queue, settlement);
    // At worst it is held until its time is over.
    if (record.own.keyTtlMs !== undefined) await this.#freeKey(settling, settlement).catch(() => {});
    return settled;
  }

  /** A number where it is refused: BullMQ's code. */
  async #tryTo(settling: Settling, settlement: Settlement): Promise<Settled | number> {
    try {
      return await this.#move(settling, settlement);
    } catch (error) {
      const code = bullCodeOf(error);
      if (code !== undefined && notHeldCodes.has(code)) return code;
      if (settlement.kind !== 'completed' || code === undefined || !waitingForOthersCodes.has(code))
        throw error;
      return this.#move(settling, uncompleted(settlement, error as Error));
    }
  }

  async #move(settling: Settling, settlement: Settlement): Promise<Settled | number> {
    const { queue, record, lock, calls, takesNext } = settling;
    const { id } = record;
    const now = Date.now();
    switch (settlement.kind) {
      case 'completed':
        return this.#complete(settling, settlement.result, settlement.keepMs, now);
      case 'cancelled': {
        const { keepMs, error, attempt } = settlement;
        const mark = {
          keptUntil: now + keepMs,
          ...(error !== undefined && { error }),
          ...(attempt && { attempt }),
        };
        const isKept = keepMs > 0;
        const { result } = await calls.moveToCompleted(
          bullJobOf(record),
          cancelledValue(mark),
          !isKept,
          lock,
          takesNext,
        );
        return settledWith(settling, result);
      }
      case 'scheduled': {
        const { delayMs, failures, attempt } = settlement;
        const isFailure = attempt?.outcome === 'failed' || attempt?.outcome === 'timed-out';
        const state = stateAfter(record, {
          failures,
          attempt,
          // BullMQ counts one itself, save for a delay that is no failure.
          made: record.made + (isFailure || delayMs <= 0 ? 1 : 0),
          dueAt: now + delayMs,
        });
        if (!(await this.#context.store.write(queue, id, state, lock))) return noLockCode;
        const fieldsToUpdate = isFailure ? shownFields(state) : undefined;
        const fields = fieldsToUpdate && { fieldsToUpdate };
        if (delayMs > 0) {
          const options = { skipAttempt: !isFailure, fetchNext: takesNext, ...fields };
          return settledWith(settling, await calls.moveToDelayed(id, now, Math.ceil(delayMs), lock, options));
        }
        await calls.retryJob(id, false, lock, fields);
        return { lock, isBack: true };
      }
      case 'released': {
        const { failures } = settling.job;
        const { attempt } = settlement;
        const state = attempt && stateAfter(record, { failures, attempt, made: record.made });
        const isBack = await this.#context.store.release(queue, { id, lock }, state);
        return isBack ? { lock, isBack } : noLockCode;
      }
      case 'dead': {
        const { failures, attempt, cause, error, maxDead } = settlement;
        const made = record.made + 1;
        const state = {
          ...stateAfter(record, { failures, attempt, made }),
          cause,
          lastError: error,
          deadAt: now,
        };
        if (!(await this.#context.store.write(queue, id, state, lock))) return noLockCode;
        // None of his own: BullMQ is to say that all have been used.
        const job = { ...bullJobOf(record), opts: { ...bullJobOf(record).opts, attempts: 0 } } as BullJob;
        const fields = shownFields(state);
        const text = storableText(error);
        const { result } = await calls.moveToFailed(job, text, false, lock, takesNext, fields);
        return { ...settledWith(settling, result), maxDead };
      }
    }
  }

  async #complete(
    settling: Settling,
    result: Uint8Array | undefined,
    keepMs: number,
    now: number,
  ): Promise<Settled | number> {
    const { queue, record, lock, calls, takesNext } = settling;
    const isKept = keepMs > 0;
    if (isKept) {
      const state: OwnState = {
        ...stateAfter(record, { failures: failuresOf(record), made: record.made + 1 }),
        keptUntil: now + keepMs,
        ...(result === undefined && { noResult: true as const }),
      };
      if (!(await this.#context.store.write(queue, record.id, state, lock))) return noLockCode;
    }
    const value = result === undefined ? null : valueOf(result, keepsParsed(this.#context.store.keepsText));
    // Who enqueued it by BullMQ may have said for how long it is kept.
    const keep = isKept ? false : (bullJobOf(record).opts.removeOnComplete ?? true);
    const moved = await calls.moveToCompleted(bullJobOf(record), value, keep, lock, takesNext);
    return settledWith(settling, moved.result);
  }

  /** Removes the oldest of too many dead jobs, or some of them; answers how many. */
  async #pushOut(queue: string, maxDead: number): Promise<number> {
    const { store } = this.#context;
    const calls = store.calls(queue);
    const [dead = 0] = await calls.getCounts(['failed']);
    const surplus = Math.min(dead - maxDead, mostPushedOut);
    if (surplus <= 0) return 0;
    const [ids = []] = (await calls.getRanges(['failed'], 0, surplus - 1, true)) as unknown as string[][];
    return store.removeEnded(queue, ids);
  }

  #count(queue: string, settlement: Settlement): void {
    const attempt: JobAttempt | undefined = 'attempt' in settlement ? settlement.attempt : undefined;
    const now = Date.now();
    if (settlement.kind === 'completed') this.#context.ended.count(queue, 'completed', now);
    else if (attempt?.outcome === 'failed' || attempt?.outcome === 'timed-out') {
      this.#context.ended.count(queue, 'failed', now);
    }
  }

  /** BullMQ goes on holding a key that was to be held for a time, although its job has ended. */
  async #freeKey({ queue, record }: Settling, { kind }: Settlement): Promise<void> {
    const { deduplicationId, id } = record;
    if (deduplicationId === undefined) return;
    if (kind === 'scheduled' || kind === 'released') return;
    await this.#context.store.calls(queue).removeDeduplicationKey(deduplicationId, id);
  }
}

/** One of a flow that was run through although others of it are not, or have failed, is dead. */
function uncompleted({ job }: Settlement, { message: error }: Error): Settlement {
  return { kind: 'dead', job, cause: 'exhausted', failures: job.failures, error, maxDead: Infinity };
}

function bullJobOf({ id, opts = {} }: JobRecord): BullJob {
  return { id, opts } as BullJob;
}

function settledWith({ lock, takesNext }: Settling, result: unknown): Settled {
  const hasNext = Array.isArray(result) && Boolean(result[0]);
  return hasNext ? { lock, next: result as unknown as NextJob } : { lock, isEmpty: takesNext };
}
