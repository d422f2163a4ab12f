import { type CancelTimer, formatDuration } from '../clock/index.js';
import { EnqueueError } from '../errors/index.js';
import { toErrorInfo } from '../events/index.js';
import type { EnqueuedJob } from './enqueue-options.js';
import type { NewJob } from './job-backend.js';
import type { JobConnection } from './job-connection.js';

/** Jobs in one call to the backend: more would keep it from everybody else for long. */
export const largestBatch = 500;
/** Calls that are under way at once. What comes meanwhile goes together in the next. */
const callsAtOnce = 4;

/** What became of the jobs that were enqueued in this process. */
export interface EnqueueTally {
  enqueued: number;
  /** Stored before, or held back by a unique key. */
  duplicates: number;
  /** Nobody knows whether they were stored. */
  failed: number;
}

interface Waiting {
  readonly resolve: (enqueued: EnqueuedJob) => void;
  readonly reject: (error: EnqueueError) => void;
}

/** Jobs that go together. All of them must be stored within the same time. */
interface Batch {
  readonly jobs: NewJob[];
  readonly waiting: Waiting[];
  readonly timeoutMs: number;
  /** By the monotonic clock. */
  readonly madeAt: number;
  /** Set while it waits for another call to end. */
  cancelTimer: CancelTimer | undefined;
}

/**
 * Stores jobs, many in one round trip: those that are enqueued at one moment go together, in order, and so do those
 * that come while calls are under way. Each is answered for itself, and within its time.
 */
export class Enqueuer {
  readonly tally: EnqueueTally = { enqueued: 0, duplicates: 0, failed: 0 };
  readonly #connection: JobConnection;
  readonly #queue: string;
  #batches: Batch[] = [];
  #isDue = false;
  #underWay = 0;
  #onIdle: (() => void)[] = [];

  constructor(connection: JobConnection, queue: string) {
    this.#connection = connection;
    this.#queue = queue;
  }

  /** Stores a job with those of the same moment. Rejects with `EnqueueError`. */
  add(job: NewJob, timeoutMs: number): Promise<EnqueuedJob> {
    return new Promise((resolve, reject) => {
      const batch = this.#batchFor(timeoutMs);
      batch.jobs.push(job);
      batch.waiting.push({ resolve, reject });
      if (this.#isDue) return;
      this.#isDue = true;
      // Not in the async context of the one that came first: it is a call for all of them.
      this.#connection.pool.inScope(() => queueMicrotask(() => this.#sendDue()));
    });
  }

  /** The same in a call of its own, such as one that is not to fail with others. */
  async addAlone(job: NewJob, timeoutMs: number): Promise<EnqueuedJob> {
    try {
      const [enqueued] = await this.send([job], timeoutMs);
      return enqueued!;
    } catch (error) {
      throw this.failure([job.id], error);
    }
  }

  /** Stores jobs in a call of their own. Rejects with what the call failed with. */
  async send(jobs: readonly NewJob[], timeoutMs: number): Promise<readonly EnqueuedJob[]> {
    const { tally } = this;
    this.#underWay++;
    try {
      const answers = await this.#connection.call('to an enqueueing', timeoutMs, (backend) =>
        backend.enqueue(jobs),
      );
      if (answers.length !== jobs.length) {
        throw new Error(`The backend gave ${answers.length} answers for ${jobs.length} jobs`);
      }
      return answers.map(({ kind, id }) => {
        if (kind === 'enqueued') tally.enqueued++;
        else tally.duplicates++;
        return { id, status: kind };
      });
    } catch (error) {
      tally.failed += jobs.length;
      throw error;
    } finally {
      this.#underWay--;
      this.#sendDue();
    }
  }

  /** What whoever wanted `ids` stored is told when that has failed. */
  failure(ids: readonly string[], error: unknown): EnqueueError {
    return new EnqueueError(this.#queue, ids, reasonOf(error), { cause: error });
  }

  /** The same for `ids` of many, of which the answered ones came to something. */
  failureOfMany(ids: readonly string[], error: unknown, answered: readonly EnqueuedJob[]): EnqueueError {
    const stored = answered.filter(({ status }) => status !== 'duplicate').length;
    const why = `${reasonOf(error)} (${stored} jobs of the same enqueueMany() are known to be stored)`;
    return new EnqueueError(this.#queue, ids, why, { cause: error, stored });
  }

  /** Resolves once nothing is under way any more, which takes no longer than enqueueing may. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#underWay === 0 && this.#batches.length === 0) resolve();
      else this.#onIdle.push(resolve);
    });
  }

  #batchFor(timeoutMs: number): Batch {
    const last = this.#batches.at(-1);
    if (last?.timeoutMs === timeoutMs && last.jobs.length < largestBatch && !this.#isOld(last)) return last;
    const madeAt = this.#connection.pool.clock.monotonic();
    const batch: Batch = { jobs: [], waiting: [], timeoutMs, madeAt, cancelTimer: undefined };
    this.#batches.push(batch);
    return batch;
  }

  /** Whether its time has begun to run out: what comes now has all of its own before it. */
  #isOld({ cancelTimer, madeAt, timeoutMs }: Batch): boolean {
    return cancelTimer !== undefined && this.#elapsedSince(madeAt) > timeoutMs / 10;
  }

  #sendDue(): void {
    this.#isDue = false;
    while (this.#underWay < callsAtOnce && this.#batches.length > 0) {
      void this.#sendBatch(this.#batches.shift()!);
    }
    for (const batch of this.#batches) {
      // Until a call has ended, which looks again.
      this.#isDue = true;
      batch.cancelTimer ??= this.#giveUpLater(batch);
    }
    if (this.#underWay === 0) this.#onIdle.splice(0).forEach((resolve) => resolve());
  }

  async #sendBatch(batch: Batch): Promise<void> {
    const { jobs, waiting, timeoutMs, madeAt } = batch;
    const leftMs = batch.cancelTimer === undefined ? timeoutMs : timeoutMs - this.#elapsedSince(madeAt);
    batch.cancelTimer?.();
    if (leftMs <= 0) return this.#giveUp(batch);
    try {
      const enqueued = await this.send(jobs, leftMs);
      waiting.forEach(({ resolve }, index) => resolve(enqueued[index]!));
    } catch (error) {
      this.#reject(batch, error);
    }
  }

  #giveUpLater(batch: Batch): CancelTimer {
    const { pool } = this.#connection;
    const leftMs = batch.timeoutMs - this.#elapsedSince(batch.madeAt);
    return pool.inScope(() =>
      pool.clock.setTimer(() => {
        this.#batches = this.#batches.filter((other) => other !== batch);
        this.#giveUp(batch);
      }, leftMs),
    );
  }

  #giveUp(batch: Batch): void {
    this.tally.failed += batch.jobs.length;
    const why = `The calls before it were not answered within ${formatDuration(batch.timeoutMs)}`;
    this.#reject(batch, this.#connection.error ?? new Error(why));
  }

  #reject({ jobs, waiting }: Batch, error: unknown): void {
    waiting.forEach(({ reject }, index) => reject(this.failure([jobs[index]!.id], error)));
  }

  #elapsedSince(time: number): number {
    return this.#connection.pool.clock.monotonic() - time;
  }
}

/** To be gone on with in a sentence. */
function reasonOf(error: unknown): string {
  return toErrorInfo(error).message.replace(/\.$/, '');
}
