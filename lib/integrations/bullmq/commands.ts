import type { IQueueBackend } from 'bullmq';
import type { CancelAnswer, CancelOptions, DeleteAnswer, JobAttempt, RetryAnswer } from '../../jobs/index.js';
import { type BullMqContext, bullCodeOf, isAtHand, notHeldCodes } from './bullmq-context.js';
import { cancelledValue, failuresOf, isPast, type JobRecord, lastErrorOf, stateOf } from './job-record.js';
import { readById } from './read-by-id.js';

/** For so long is a job taken away from whoever holds it, to be ended at once. */
const seizedMs = 10_000;
/** Others may change a job while it is looked at; after so many times that is none of it. */
const mostTries = 10;
/** Jobs that are changed at the same time. */
const atOnce = 250;

type BullJob = Parameters<IQueueBackend['moveToFailed']>[0];
/** `undefined`: it is not as it was any more, and is to be looked at again. */
type Try<Answer> = (record: JobRecord | undefined, now: number) => Promise<Answer | undefined>;

/** What a person does with jobs. */
export class JobCommands {
  readonly #context: BullMqContext;

  constructor(context: BullMqContext) {
    this.#context = context;
  }

  delete(queue: string, ids: readonly string[]): Promise<DeleteAnswer[]> {
    const { store, host, newLock } = this.#context;
    const calls = store.calls(queue);
    const revoked: string[] = [];
    return this.#each<DeleteAnswer>(
      queue,
      ids,
      'unknown',
      async (record, now) => {
        if (record === undefined) return 'unknown';
        const { id } = record;
        if (record.at === 'active') {
          const lock = newLock();
          if (!(await store.seize(queue, { id, lock }, 'active', seizedMs))) return undefined;
          await calls.moveToFailed(bullJob(record), 'deleted', true, lock, false);
          await this.#freeKey(calls, record);
          return 'active';
        }
        const isGone = isPast(record, now);
        if (record.at === 'completed' || record.at === 'failed') {
          if ((await store.removeEnded(queue, [id])) === 0) return undefined;
          return isGone ? 'unknown' : 'deleted';
        }
        const waits = record.at === 'wait' && record.priority === 0;
        if (waits && (await store.removeWaiting?.(queue, id)) === true) return 'deleted';
        return (await calls.remove(id, false)) === 0 ? undefined : 'deleted';
      },
      (id) => revoked.push(id),
    ).finally(() => {
      if (revoked.length > 0) host.onRevoked(queue, revoked);
    });
  }

  cancel(queue: string, ids: readonly string[], { keepMs, error }: CancelOptions): Promise<CancelAnswer[]> {
    const { store, host, newLock } = this.#context;
    const calls = store.calls(queue);
    const revoked: string[] = [];
    // Named again, it is not known any more where it is not kept.
    return this.#each<CancelAnswer>(
      queue,
      ids,
      keepMs > 0 ? 'ended' : 'unknown',
      async (record, now) => {
        if (record === undefined || isPast(record, now)) return 'unknown';
        const { id, at } = record;
        if (at === 'completed' || at === 'failed') return 'ended';
        if (at === 'children') throw waitsForChildren(queue, id);
        if (record.origin === 'scheduler' && record.claims === 0) throw ofScheduler(queue, id);
        const isActive = at === 'active';
        const attempt = isActive ? calledOff(record, error, now) : lostOne(record, error, now);
        const mark = {
          keptUntil: now + keepMs,
          ...(error !== undefined && { error }),
          ...(attempt !== undefined && { attempt }),
        };
        const lock = newLock();
        if (!(await store.seize(queue, { id, lock }, isActive ? 'active' : 'waiting', seizedMs)))
          return undefined;
        // Whatever waits for it in a flow goes on.
        await calls.moveToCompleted(bullJob(record), cancelledValue(mark), keepMs <= 0, lock, false);
        await this.#freeKey(calls, record);
        return isActive ? 'active' : 'cancelled';
      },
      (id) => revoked.push(id),
    ).finally(() => {
      if (revoked.length > 0) host.onRevoked(queue, revoked);
    });
  }

  retry(queue: string, ids: readonly string[]): Promise<RetryAnswer[]> {
    const { store } = this.#context;
    const calls = store.calls(queue);
    return this.#each<RetryAnswer>(queue, ids, 'ready', async (record, now) => {
      if (record === undefined || isPast(record, now)) return 'unknown';
      const { id } = record;
      const state = stateOf(record, now);
      if (state === 'completed' || state === 'cancelled') return 'ended';
      if (state === 'active' || state === 'ready') return state;
      if (record.at === 'children') throw waitsForChildren(queue, id);
      const lastError = lastErrorOf(record);
      const fresh = {
        failures: 0,
        made: record.at === 'failed' ? 0 : record.made,
        dueAt: now,
        attempts: record.state?.attempts ?? [],
        forgivenAt: now,
        ...(lastError !== undefined && { lastError }),
      };
      if (!(await store.write(queue, id, fresh, undefined))) return undefined;
      if (record.at === 'failed') {
        await calls.retryFinishedJob(bullJob(record), 'failed', { resetAttemptsMade: true });
        const { deduplicationId, own, timestamp } = record;
        if (deduplicationId !== undefined) {
          const leftMs = own.keyTtlMs === undefined ? undefined : timestamp + own.keyTtlMs - now;
          if (leftMs === undefined || leftMs > 0) await store.holdKey(queue, deduplicationId, id, leftMs);
        }
      } else {
        await calls.promote(id);
      }
      return 'retried';
    });
  }

  /** Does something with each job, once; `again` is the answer of one that is named again. */
  async #each<Answer extends string>(
    queue: string,
    ids: readonly string[],
    again: Answer,
    attempt: Try<Answer>,
    onActive: (id: string) => unknown = () => {},
  ): Promise<Answer[]> {
    const answers = new Map<string, Answer>();
    const unique = [...new Set(ids)];
    for (let from = 0; from < unique.length; from += atOnce) {
      const some = unique.slice(from, from + atOnce);
      const records = await readById(this.#context.store, queue, some);
      // One that cannot be done is to keep nobody from hearing of the others.
      const ends = await Promise.allSettled(
        some.map(async (id, index) => {
          const answer = await this.#try(queue, id, records[index], attempt);
          answers.set(id, answer);
          if (answer === 'active' && records[index]?.at === 'active') onActive(id);
        }),
      );
      const failed = ends.find((end) => end.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    }
    const named = new Set<string>();
    return ids.map((id) => {
      const answer = answers.get(id)!;
      if (!named.has(id)) {
        named.add(id);
        return answer;
      }
      return answer === 'unknown' ? answer : again;
    });
  }

  async #try<Answer>(
    queue: string,
    id: string,
    first: JobRecord | undefined,
    attempt: Try<Answer>,
  ): Promise<Answer> {
    let record = first;
    for (let tries = 0; tries < mostTries; tries++) {
      try {
        const answer = await attempt(record, Date.now());
        if (answer !== undefined) return answer;
      } catch (error) {
        const code = bullCodeOf(error);
        if (code === undefined || !notHeldCodes.has(code)) throw error;
      }
      [record] = await readById(this.#context.store, queue, [id]);
    }
    throw new Error(`job ${id} of queue "${queue}" was changed again and again by others`);
  }

  async #freeKey(calls: IQueueBackend, { own, deduplicationId, id }: JobRecord): Promise<void> {
    if (own.keyTtlMs === undefined || deduplicationId === undefined) return;
    await calls.removeDeduplicationKey(deduplicationId, id);
  }
}

function waitsForChildren(queue: string, id: string): Error {
  return new Error(
    `job ${id} of queue "${queue}" waits for the others of its flow in BullMQ: cancel or delete these, or delete it`,
  );
}

function ofScheduler(queue: string, id: string): Error {
  return new Error(
    `job ${id} of queue "${queue}" belongs to a job scheduler of BullMQ: remove that, by removeJobScheduler()`,
  );
}

/** The attempt that is called off by cancelling; none where it was only at hand. */
function calledOff(record: JobRecord, error: string | undefined, now: number): JobAttempt | undefined {
  if (isAtHand(record.processedBy)) return undefined;
  return {
    attempt: failuresOf(record) + 1,
    startedAt: record.processedOn ?? now,
    endedAt: now,
    outcome: 'cancelled',
    ...(error !== undefined && { error }),
  };
}

/** The attempt of whoever lost a job that nobody has claimed since, and may be at it still. */
function lostOne(
  { deaths, claims }: JobRecord,
  error: string | undefined,
  now: number,
): JobAttempt | undefined {
  const death = deaths.at(-1);
  if (death?.claim !== claims) return undefined;
  const { attempt, startedAt } = death;
  return { attempt, startedAt, endedAt: now, outcome: 'cancelled', ...(error !== undefined && { error }) };
}

function bullJob({ id }: JobRecord): BullJob {
  return { id, opts: { attempts: 0 } } as BullJob;
}
