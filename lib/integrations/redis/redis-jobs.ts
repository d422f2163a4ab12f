import { createHash } from 'node:crypto';
import type {
  CancelAnswer,
  CancelOptions,
  CountOptions,
  DeleteAnswer,
  EnqueueAnswer,
  Extension,
  JobPage,
  ListOptions,
  NewJob,
  QueueCounts,
  RetryAnswer,
  StoredJob,
} from '../../jobs/index.js';
import { decodeGoJob, encodeGoJob } from './go-job.js';
import { cursorAt, positionOf } from './job-cursor.js';
import { packValues } from './packed-values.js';
import { largestBatch, type RedisScripts } from './redis-scripts.js';
import { type Answer, countsAnswer, describedJob, enqueueAnswer, yesOrNo } from './script-answers.js';
import { bufferOf, enqueueArguments, keptFor } from './script-arguments.js';
import { cancelScript, deleteScript, pauseScript, retryScript } from './scripts/change.js';
import { enqueueScript } from './scripts/enqueue.js';
import { extendScript } from './scripts/extend.js';
import { countsScript, getScript, listScript, readScript } from './scripts/lookup.js';

/** Bytes of payload per call: Redis reads a call as a whole before it does anything. */
const largestBatchBytes = 4 * 1024 * 1024;
/** With all that is known of each, jobs are large. */
const mostDescribed = 100;
/** A job that is changed by others all the time is not retried. */
const mostRetryTries = 5;

const deleteAnswers: readonly DeleteAnswer[] = ['unknown', 'deleted', 'active'];
const cancelAnswers: readonly CancelAnswer[] = ['unknown', 'cancelled', 'active', 'ended'];
const retryAnswers: readonly RetryAnswer[] = ['unknown', 'retried', 'ready', 'active', 'ended'];
const changedMeanwhile = retryAnswers.length;

/** What is done with jobs other than claiming and settling them. */
export class RedisJobs {
  readonly #scripts: RedisScripts;

  constructor(scripts: RedisScripts) {
    this.#scripts = scripts;
  }

  async enqueue(jobs: readonly NewJob[]): Promise<readonly EnqueueAnswer[]> {
    const answers = Array.from<EnqueueAnswer>({ length: jobs.length });
    for (const { queue, indexes } of batchesOf(jobs)) {
      const now = this.#scripts.time.now();
      const values: (string | Buffer)[] = [];
      for (const index of indexes) enqueueArguments(values, jobs[index]!, now);
      const answer = await this.#scripts.call(enqueueScript, queue, [packValues(values)]);
      indexes.forEach((index, at) => {
        answers[index] = enqueueAnswer(jobs[index]!.id, answer[at + 1]);
      });
    }
    return answers;
  }

  extend(queue: string, extensions: readonly Extension[]): Promise<readonly boolean[]> {
    return inBatches(extensions, largestBatch, async (batch) => {
      const args: (string | Buffer)[] = [String(batch.length)];
      for (const { job } of batch) args.push(job.id);
      for (const { job } of batch) args.push(job.token);
      for (const { leaseMs, progress } of batch) {
        args.push(String(Math.ceil(leaseMs)), progress === undefined ? '0' : '1');
        if (progress !== undefined) args.push(bufferOf(progress));
      }
      const answer = await this.#scripts.call(extendScript, queue, args);
      return yesOrNo(answer[1]);
    });
  }

  get(queue: string, ids: readonly string[]): Promise<readonly (StoredJob | undefined)[]> {
    return inBatches(ids, mostDescribed, async (batch) => {
      const [now, ...answers] = await this.#scripts.call(getScript, queue, batch);
      return batch.map((id, at) => describedJob(queue, id, answers[at], Number(now)));
    });
  }

  async list(queue: string, { state, cursor, limit }: ListOptions): Promise<JobPage> {
    const after = cursor === undefined ? undefined : positionOf(state, cursor);
    const afterKey = after === undefined ? '' : this.#scripts.jobKeyStart + after.id;
    const args = [state, String(Math.min(limit, mostDescribed)), after?.place ?? '', afterKey];
    const [now, hasMore, ...found] = await this.#scripts.call(listScript, queue, args);
    const jobs: StoredJob[] = [];
    let last: string | undefined;
    for (let at = 0; at < found.length; at += 3) {
      const id = String(found[at]).slice(this.#scripts.jobKeyStart.length);
      last = cursorAt(state, { place: String(found[at + 1]), id });
      const job = describedJob(queue, id, found[at + 2], Number(now));
      // What is held is in the same set as what is for later.
      if (job?.state === state) jobs.push(job);
    }
    return { jobs, cursor: Number(hasMore) === 1 ? last : undefined };
  }

  delete(queue: string, ids: readonly string[]): Promise<readonly DeleteAnswer[]> {
    return inBatches(ids, largestBatch, async (batch) => {
      const [, ...answers] = await this.#scripts.call(deleteScript, queue, batch);
      return answers.map((answer) => deleteAnswers[Number(answer)]!);
    });
  }

  cancel(
    queue: string,
    ids: readonly string[],
    { keepMs, error }: CancelOptions,
  ): Promise<readonly CancelAnswer[]> {
    const how = [keptFor(keepMs), error === undefined ? '0' : '1', error ?? ''];
    return inBatches(ids, largestBatch, async (batch) => {
      const [, ...answers] = await this.#scripts.call(cancelScript, queue, [...how, ...batch]);
      return answers.map((answer) => cancelAnswers[Number(answer)]!);
    });
  }

  retry(queue: string, ids: readonly string[]): Promise<readonly RetryAnswer[]> {
    return inBatches(ids, largestBatch, async (batch) => {
      const answers = new Map<string, RetryAnswer>();
      let open = [...new Set(batch)];
      for (let tries = 1; open.length > 0; tries++) {
        if (tries > mostRetryTries)
          throw new Error(`jobs of queue "${queue}" were changed again and again: ${open.join(', ')}`);
        const answered = await this.#retry(queue, open);
        open.forEach((id, at) => {
          const answer = Number(answered[at]);
          if (answer !== changedMeanwhile) answers.set(id, retryAnswers[answer]!);
        });
        open = open.filter((id) => !answers.has(id));
      }
      return batch.map((id) => answers.get(id)!);
    });
  }

  async pause(queue: string, paused: boolean): Promise<void> {
    await this.#scripts.call(pauseScript, queue, [paused ? '1' : '0']);
  }

  async counts(queues: readonly string[], { dueWithinMs }: CountOptions): Promise<readonly QueueCounts[]> {
    const args = [String(Math.max(0, Math.floor(dueWithinMs)))];
    return Promise.all(
      queues.map(async (queue) => countsAnswer(queue, await this.#scripts.call(countsScript, queue, args))),
    );
  }

  /** Go's job is made anew here, and stored if it is still the one that was read. */
  async #retry(queue: string, ids: readonly string[]): Promise<Answer> {
    const [now, ...stored] = await this.#scripts.call(readScript, queue, ids);
    const args = ids.flatMap((id, at) => {
      const bytes = stored[at] as Buffer | null;
      if (bytes === null) return [id, '', ''];
      const sha = createHash('sha1').update(bytes).digest('hex');
      return [id, sha, withAllAttempts(id, bytes, Number(now))];
    });
    const [, ...answers] = await this.#scripts.call(retryScript, queue, args);
    return answers;
  }
}

/** What it last failed with is still of interest. What cannot be read stays as it is. */
function withAllAttempts(id: string, bytes: Buffer, now: number): Buffer {
  const job = decodeGoJob(bytes);
  return job === undefined ? bytes : encodeGoJob({ ...job, id, updatedAt: now, enqueuedAt: now, retries: 0 });
}

async function inBatches<Item, Result>(
  items: readonly Item[],
  size: number,
  run: (batch: readonly Item[]) => Promise<readonly Result[]>,
): Promise<readonly Result[]> {
  if (items.length === 0) return [];
  if (items.length <= size) return run(items);
  const results: Result[] = [];
  for (let at = 0; at < items.length; at += size) results.push(...(await run(items.slice(at, at + size))));
  return results;
}

interface Batch {
  readonly queue: string;
  readonly indexes: number[];
  bytes: number;
}

/** Jobs of one queue each, neither too many nor too large. */
function batchesOf(jobs: readonly NewJob[]): readonly Batch[] {
  const batches: Batch[] = [];
  const open = new Map<string, Batch>();
  jobs.forEach(({ queue, payload }, index) => {
    const bytes = payload?.length ?? 0;
    let batch = open.get(queue);
    const isFull =
      batch !== undefined &&
      (batch.indexes.length >= largestBatch || batch.bytes + bytes > largestBatchBytes);
    if (batch === undefined || isFull) {
      batch = { queue, indexes: [], bytes: 0 };
      open.set(queue, batch);
      batches.push(batch);
    }
    batch.indexes.push(index);
    batch.bytes += bytes;
  });
  return batches;
}
