import { type EnqueueError, isWorkError } from '../errors/index.js';
import type { EnqueuedJob } from './enqueue-options.js';
import type { Enqueuer } from './enqueuer.js';
import { largestBatch } from './enqueuer.js';
import type { NewJob } from './job-backend.js';

/** Batches that are under way at once: as many jobs are in memory, whatever the number of all. */
const batchesAtOnce = 4;

/** One of many that cannot be enqueued. */
interface RefusedItem {
  /** From 0. */
  readonly index: number;
  readonly error: unknown;
}

/**
 * Stores jobs as they come, batch by batch, in order. Where one cannot be made, those before it are stored and none
 * after it is. A call that fails ends it with `EnqueueError`.
 */
export async function enqueueMany<Payload>(
  payloads: Iterable<Payload> | AsyncIterable<Payload>,
  makeJob: (payload: Payload, index: number) => NewJob | Promise<NewJob>,
  timeoutMs: number,
  enqueuer: Enqueuer,
): Promise<EnqueuedJob[]> {
  const sender = new BatchSender(enqueuer, timeoutMs);
  let index = 0;
  for await (const items of chunksOf(payloads, largestBatch)) {
    const { jobs, refused } = await makeJobs(items, index, makeJob);
    index += items.length;
    await sender.add(jobs);
    if (refused === undefined && !sender.hasFailed) continue;
    await sender.end();
    if (refused !== undefined) throw located(refused);
  }
  return sender.end();
}

/**
 * The same for jobs that are enqueued one by one, as middlewares want it: of each batch all are under way at once.
 * Where one is refused, the others of its batch are stored all the same.
 */
export async function enqueueEach<Payload>(
  payloads: Iterable<Payload> | AsyncIterable<Payload>,
  enqueue: (payload: Payload, index: number) => Promise<EnqueuedJob>,
  enqueuer: Enqueuer,
): Promise<EnqueuedJob[]> {
  const enqueued: EnqueuedJob[] = [];
  let index = 0;
  for await (const items of chunksOf(payloads, largestBatch)) {
    const ends = await Promise.allSettled(items.map((payload, place) => enqueue(payload, index + place)));
    const failed = ends.flatMap((end, place) =>
      end.status === 'rejected' ? [{ index: index + place, error: end.reason as unknown }] : [],
    );
    for (const end of ends) if (end.status === 'fulfilled') enqueued.push(end.value);
    index += items.length;
    if (failed.length === 0) continue;
    const unknown = failed.flatMap(({ error }) => (isWorkError(error, 'JOB_ENQUEUE_FAILED') ? [error] : []));
    if (unknown.length === 0) throw failed[0]!.error;
    const ids = unknown.flatMap((error) => (error as unknown as EnqueueError).ids);
    throw enqueuer.failureOfMany(ids, unknown[0]!.cause, enqueued);
  }
  return enqueued;
}

class BatchSender {
  readonly #enqueuer: Enqueuer;
  readonly #timeoutMs: number;
  readonly #sent: Promise<readonly EnqueuedJob[] | undefined>[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #unknown: string[] = [];
  #firstError: unknown;

  constructor(enqueuer: Enqueuer, timeoutMs: number) {
    this.#enqueuer = enqueuer;
    this.#timeoutMs = timeoutMs;
  }

  get hasFailed(): boolean {
    return this.#unknown.length > 0;
  }

  /** Sends them once there is room for another batch. */
  async add(jobs: readonly NewJob[]): Promise<void> {
    // With a backend that answers at once nothing else would let the event loop have its turn.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#underWay.size >= batchesAtOnce) await Promise.race(this.#underWay);
    if (jobs.length === 0 || this.hasFailed) return;
    const sent = this.#send(jobs);
    this.#underWay.add(sent);
    void sent.then(() => this.#underWay.delete(sent));
    this.#sent.push(sent);
  }

  /** What became of all that were sent. Throws `EnqueueError` where that is not known of some. */
  async end(): Promise<EnqueuedJob[]> {
    const answers = (await Promise.all(this.#sent)).flatMap((batch) => batch ?? []);
    if (!this.hasFailed) return answers;
    throw this.#enqueuer.failureOfMany(this.#unknown, this.#firstError, answers);
  }

  async #send(jobs: readonly NewJob[]): Promise<readonly EnqueuedJob[] | undefined> {
    try {
      return await this.#enqueuer.send(jobs, this.#timeoutMs);
    } catch (error) {
      this.#firstError ??= error;
      for (const { id } of jobs) this.#unknown.push(id);
      return undefined;
    }
  }
}

async function makeJobs<Payload>(
  items: readonly Payload[],
  first: number,
  makeJob: (payload: Payload, index: number) => NewJob | Promise<NewJob>,
): Promise<{ readonly jobs: readonly NewJob[]; readonly refused: RefusedItem | undefined }> {
  const made: (NewJob | Promise<NewJob>)[] = [];
  let refused: RefusedItem | undefined;
  let later = false;
  for (const payload of items) {
    try {
      const job = makeJob(payload, first + made.length);
      if (job instanceof Promise) {
        later = true;
        // All are waited for below, the ones before it first.
        job.catch(() => {});
      }
      made.push(job);
    } catch (error) {
      refused = { index: first + made.length, error };
      break;
    }
  }
  if (!later) return { jobs: made as NewJob[], refused };
  const jobs: NewJob[] = [];
  for (const job of made) {
    try {
      jobs.push(await job);
    } catch (error) {
      return { jobs, refused: { index: first + jobs.length, error } };
    }
  }
  return { jobs, refused };
}

/** Says in an error of ours which one it is about. */
function located({ index, error }: RefusedItem): unknown {
  if (isWorkError(error)) {
    error.message += ` It is item ${index} of enqueueMany(): what came before it is stored, what comes after is not.`;
  }
  return error;
}

/** What comes, in lists; where the source fails, what came before that comes first. */
async function* chunksOf<Item>(
  source: Iterable<Item> | AsyncIterable<Item>,
  size: number,
): AsyncGenerator<readonly Item[]> {
  let chunk: Item[] = [];
  let failure: { readonly error: unknown } | undefined;
  try {
    // Not `for await` for both: it would wait for each of a hundred thousand.
    if (Symbol.iterator in source) {
      for (const item of source) {
        if (chunk.push(item) < size) continue;
        yield chunk;
        chunk = [];
      }
    } else {
      for await (const item of source) {
        if (chunk.push(item) < size) continue;
        yield chunk;
        chunk = [];
      }
    }
  } catch (error) {
    failure = { error };
  }
  if (chunk.length > 0) yield chunk;
  if (failure !== undefined) throw failure.error;
}
