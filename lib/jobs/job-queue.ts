import type { Duration } from '../clock/index.js';
import { InvalidOptionError, JobHandlerNotFoundError } from '../errors/index.js';
import { OptionReader } from '../execution/index.js';
import type { AroundEnqueueing } from './around-enqueueing.js';
import { EncodedPayload } from './encoded-payload.js';
import {
  checkEnqueueMany,
  type EnqueuedJob,
  type EnqueueManyOptions,
  type EnqueueOptions,
} from './enqueue-options.js';
import type { EnqueueTally } from './enqueuer.js';
import type {
  CancelAnswer,
  DeleteAnswer,
  JobBackend,
  JobPage,
  JobState,
  QueueCounts,
  RetryAnswer,
  StoredJob,
} from './job-backend.js';
import type { JobConnection } from './job-connection.js';
import type { JobConsumer } from './job-consumer.js';
import { JobEnqueueing } from './job-enqueueing.js';
import type { JobHandlerEntry } from './job-handler-entry.js';
import type { HeaderProvider } from './job-maker.js';
import type { EnqueueMiddleware } from './job-middleware.js';
import { throughPages } from './job-pages.js';
import type { ResolvedJobQueueOptions } from './job-queue-options.js';
import type { RunEnd } from './job-runner.js';
import { type JobView, type JobViewPage, viewOf } from './job-view.js';
import { JobWaits } from './job-waits.js';

/** Jobs in one call: more would keep the backend from everybody else for long. */
const jobsAtOnce = 500;
const states: readonly JobState[] = ['scheduled', 'ready', 'active', 'completed', 'cancelled', 'dead'];

/** For how long jobs are kept that `cancel()` has ended, at least. */
const keepCancelledMs = 3_600_000;
const cancelledBy = 'Cancelled by a call of cancel().';

/** Which page of which jobs. */
export interface JobListOptions {
  readonly state: JobState;
  /** From the page before. Default: the first page. */
  readonly cursor?: string | undefined;
  /** Jobs per page, 1 to 1000. Default 100. */
  readonly limit?: number | undefined;
}

export interface WaitOptions {
  /** For how long to wait; `Infinity` is allowed. */
  readonly timeout: Duration;
  /** Ends the wait, and leaves the job alone. */
  readonly signal?: AbortSignal | undefined;
}

/** What a queue has from the app. */
export interface JobQueueParts {
  readonly connection: JobConnection;
  readonly options: ResolvedJobQueueOptions;
  readonly headerProviders: readonly HeaderProvider[];
  readonly aroundEnqueueing: readonly AroundEnqueueing[];
}

/**
 * A durable queue, as the app sees it: puts jobs in, looks at them, and changes what is to become of them. Whether this
 * process runs any of them makes no difference. Calls reject with `JobBackendError` where the backend fails or does not
 * answer within `callTimeout`, if nothing else is said.
 */
export class JobQueue<Payload = unknown> {
  readonly name: string;
  /** @internal By name, of this process. */
  readonly handlers = new Map<string, JobHandlerEntry>();
  /** @internal `undefined` where this process has no handler of the queue. */
  consumer: JobConsumer | undefined;
  readonly #connection: JobConnection;
  readonly #options: ResolvedJobQueueOptions;
  readonly #enqueueing: JobEnqueueing;
  readonly #waits: JobWaits;
  /** `undefined` while it is not known what is behind a listed class. */
  #middlewares: readonly EnqueueMiddleware[] | undefined;

  /** @internal `JobsModule.registerQueue()` makes it. */
  constructor(parts: JobQueueParts) {
    const { connection, options } = parts;
    this.name = options.name;
    this.#connection = connection;
    this.#options = options;
    this.#enqueueing = new JobEnqueueing({ ...parts, handlers: this.handlers });
    this.#middlewares = options.middlewares.length === 0 ? [] : undefined;
    const { codec } = options.consumer;
    this.#waits = new JobWaits({
      queue: options.name,
      codec,
      pool: connection.pool,
      get: (ids) => this.#call('to a look at jobs', (backend) => backend.get(this.name, ids)),
    });
  }

  /** @internal */
  get options(): ResolvedJobQueueOptions {
    return this.#options;
  }

  /** @internal What became of the jobs that were enqueued here. */
  get tally(): Readonly<EnqueueTally> {
    return this.#enqueueing.tally;
  }

  /** @internal By now the middlewares can be had. */
  use(middlewares: readonly EnqueueMiddleware[]): void {
    this.#middlewares = middlewares;
  }

  /**
   * Stores a job. Jobs that are enqueued at one moment go to the backend together, in order.
   *
   * Rejects with `EnqueueError` where it is not known within `enqueueTimeout` (5 s) whether the job is stored: enqueue it
   * again with the id in that error. Rejects with `InvalidPayloadError` or `InvalidOptionError` where it was not stored.
   */
  async enqueue(payload: Payload, options?: EnqueueOptions): Promise<EnqueuedJob> {
    return this.#enqueueing.one(this.#middlewares ?? this.#refuseEarly(), payload, options);
  }

  /**
   * Stores a job whose payload is encoded already, as by another program: these very bytes, or none. They must be what
   * the format of the queue can read, and fit its schema: else it rejects with `InvalidPayloadError`, and nothing is
   * stored. All the rest is as with `enqueue()`. Middlewares see the payload decoded; where they change it, what they
   * leave is encoded and stored instead of the bytes.
   */
  async enqueueBytes(bytes: Uint8Array | undefined, options?: EnqueueOptions): Promise<EnqueuedJob> {
    if (bytes !== undefined && !(bytes instanceof Uint8Array)) {
      this.#refuse(
        'enqueueBytes()',
        'bytes',
        bytes,
        'a Uint8Array',
        'For a payload as a value there is enqueue().',
      );
    }
    const payload = new EncodedPayload(bytes);
    return this.#enqueueing.one(this.#middlewares ?? this.#refuseEarly(), payload, options);
  }

  /**
   * Stores any number of jobs, in batches of 500 of which a few are under way at a time, so that a source of any length
   * may be given. Answers for each, in order. `options` are those of all jobs, or make those of each.
   *
   * Rejects as `enqueue()` does. What came before a job that is refused is stored, what comes after it is not; an
   * `EnqueueError` has the ids of all jobs that may or may not be stored, and says in `stored` how many are.
   */
  async enqueueMany(
    payloads: Iterable<Payload> | AsyncIterable<Payload>,
    options?: EnqueueManyOptions | ((payload: Payload, index: number) => EnqueueOptions | undefined),
  ): Promise<readonly EnqueuedJob[]> {
    const middlewares = this.#middlewares ?? this.#refuseEarly();
    checkEnqueueMany(this.name, payloads, options);
    return this.#enqueueing.many(middlewares, payloads, options);
  }

  /** What is stored of a job; `undefined` where nothing is, which also means that it has completed. */
  async get(id: string): Promise<JobView<Payload> | undefined> {
    const [job] = await this.#call('to a look at a job', (backend) => backend.get(this.name, [id]));
    return job && viewOf<Payload>(job, this.#options.consumer.codec);
  }

  /** @internal What is stored of jobs, as the backend has it: payloads, progress and results are bytes. */
  stored(ids: readonly string[]): Promise<readonly (StoredJob | undefined)[]> {
    return this.#each('stored', 'a look at', ids, (backend, some) => backend.get(this.name, some));
  }

  /** Jobs of one state, a page at a time. Rejects with `InvalidCursorError` for a cursor that no page gave. */
  async list(options: JobListOptions): Promise<JobViewPage<Payload>> {
    const reader = new OptionReader(`list() of job queue "${this.name}"`, options, [
      'state',
      'cursor',
      'limit',
    ]);
    if (!states.includes(options.state)) {
      reader.refuse('state', states.map((state) => `'${state}'`).join(', '), 'Choose one of these.');
    }
    const limit = reader.count('limit', 100, { min: 1 });
    if (limit > 1_000) reader.refuse('limit', 'at most 1000', 'Ask for the next page with its cursor.');
    const { state, cursor } = options;
    const page = await this.#call('to a list of jobs', (backend) =>
      backend.list(this.name, { state, cursor, limit }),
    );
    return { ...page, jobs: page.jobs.map((job) => viewOf<Payload>(job, this.#options.consumer.codec)) };
  }

  /**
   * Removes jobs for good. One that is being run is aborted, and does not come back; to its handler, it is as if somebody
   * else had the job: `ctx.signal` aborts with the reason `lease-lost`.
   */
  delete(ids: readonly string[]): Promise<readonly DeleteAnswer[]> {
    return this.#each('delete', 'a delete of', ids, (backend, some) => backend.delete(this.name, some));
  }

  /**
   * Ends jobs that nobody wants any more: they are `cancelled`, and kept to be seen for 1 h, or for the longest
   * `keepCancelled` of their queue's handlers in this process where that is longer. Dead jobs stay dead.
   *
   * One that is being run is cancelled at once. Its handler is told as soon as its process hears of it: `ctx.signal`
   * aborts with the reason `lease-lost`, as whenever a job is no longer this process's to run, and what the handler ends
   * with is dropped.
   */
  cancel(ids: readonly string[]): Promise<readonly CancelAnswer[]> {
    const kept = [...this.handlers.values()].map((handler) => handler.keepCancelledMs);
    const options = { keepMs: Math.max(keepCancelledMs, ...kept), error: cancelledBy };
    return this.#each('cancel', 'a cancel of', ids, (backend, some) =>
      backend.cancel(this.name, some, options),
    );
  }

  /** Makes dead and scheduled jobs due now, with all their attempts before them. */
  retry(ids: readonly string[]): Promise<readonly RetryAnswer[]> {
    return this.#each('retry', 'a retry of', ids, (backend, some) => backend.retry(this.name, some));
  }

  /** Retries the jobs that are dead by now, all of them or `limit`. Answers how many. */
  async redrive(options: { readonly limit?: number | undefined } = {}): Promise<number> {
    const reader = new OptionReader(`redrive() of job queue "${this.name}"`, options, ['limit']);
    const limit = reader.count('limit', Infinity, { infinite: true });
    const { dead } = await this.counts();
    const retry = async (ids: readonly string[]): Promise<readonly boolean[]> =>
      (await this.retry(ids)).map((answer) => answer === 'retried');
    return this.#throughPages('dead', Math.min(dead, limit), retry, true);
  }

  /** Hands out none of its jobs any more, in any process. What runs goes on. */
  pause(): Promise<void> {
    return this.#call('to a pause', (backend) => backend.pause(this.name, true));
  }

  resume(): Promise<void> {
    return this.#call('to an end of the pause', (backend) => backend.pause(this.name, false));
  }

  /** Deletes the jobs that are ready or scheduled by now. Answers how many. One that begins at that moment is aborted. */
  async drain(): Promise<number> {
    const { ready, scheduled } = await this.counts();
    const remove = async (ids: readonly string[]): Promise<readonly boolean[]> =>
      (await this.delete(ids)).map((answer) => answer !== 'unknown');
    // What is scheduled may become ready meanwhile, and not the other way round.
    const later = await this.#throughPages('scheduled', scheduled, remove);
    return later + (await this.#throughPages('ready', ready + scheduled - later, remove));
  }

  /** How it stands. `dueWithin`: how far ahead to look for scheduled jobs that come due, default `'1m'`. */
  async counts(options: { readonly dueWithin?: Duration | undefined } = {}): Promise<QueueCounts> {
    const reader = new OptionReader(`counts() of job queue "${this.name}"`, options, ['dueWithin']);
    const dueWithinMs = reader.duration('dueWithin', 60_000);
    const [counts] = await this.#call('how a queue stands', (backend) =>
      backend.counts([this.name], { dueWithinMs }),
    );
    return counts!;
  }

  /**
   * Waits until the job has completed, and answers what its handler returned. Its handler needs `keepCompleted`. Rejects
   * with `JobNotCompletedError` where it was cancelled, is dead, is not known, or did not complete in time.
   */
  async waitUntilFinished<Result = unknown>(id: string, options: WaitOptions): Promise<Result> {
    const { timeout, signal } = (options as WaitOptions | undefined) ?? {};
    const reader = new OptionReader(`waitUntilFinished() of job queue "${this.name}"`, { timeout }, [
      'timeout',
    ]);
    if (timeout === undefined)
      reader.refuse('timeout', 'a length of time', "Say how long to wait, as in '10s'.");
    const timeoutMs = reader.duration('timeout', 0, { infinite: true });
    return (await this.#waits.wait(id, timeoutMs, signal)) as Result;
  }

  /**
   * Runs one job in this process, if one is due, and answers how its attempt ended; `undefined` where none was due. For a
   * process that runs one job and exits, with `autoStart: false`.
   */
  async runOnce(): Promise<RunEnd | undefined> {
    if (this.consumer === undefined) throw new JobHandlerNotFoundError(this.name, '', []);
    return this.consumer.runOnce();
  }

  /** @internal Ends all waiting once nothing is being enqueued any more. */
  async close(): Promise<void> {
    this.#waits.close();
    await this.#enqueueing.idle();
  }

  #call<Result>(what: string, run: (backend: JobBackend) => Promise<Result>): Promise<Result> {
    return this.#connection.call(what, this.#options.consumer.callTimeoutMs, run);
  }

  async #each<Answer>(
    call: string,
    what: string,
    ids: readonly string[],
    run: (backend: JobBackend, ids: readonly string[]) => Promise<readonly Answer[]>,
  ): Promise<readonly Answer[]> {
    if (!Array.isArray(ids) || ids.some((id) => typeof id !== 'string')) {
      this.#refuse(`${call}()`, 'ids', ids, 'a list of ids', 'For one job give [id].');
    }
    const answers: Answer[] = [];
    for (let from = 0; from < ids.length; from += jobsAtOnce) {
      const some = ids.slice(from, from + jobsAtOnce);
      answers.push(...(await this.#call(`to ${what} jobs`, (backend) => run(backend, some))));
    }
    return answers;
  }

  #throughPages(
    state: JobState,
    most: number,
    act: (ids: readonly string[]) => Promise<readonly boolean[]>,
    mayComeBack = false,
  ): Promise<number> {
    const list = (cursor: string | undefined): Promise<JobPage> =>
      this.#call('to a list of jobs', (backend) =>
        backend.list(this.name, { state, cursor, limit: jobsAtOnce }),
      );
    return throughPages(most, list, act, mayComeBack);
  }

  /** Nest may not have made the instances of its middlewares yet. */
  #refuseEarly(): never {
    const given = this.#options.middlewares;
    const accepted = 'none until the app is initialised, since Nest may not have made them yet';
    return this.#refuse('enqueue()', 'middlewares', given, accepted, 'Enqueue in onModuleInit() or later.');
  }

  #refuse(call: string, option: string, given: unknown, accepted: string, cure: string): never {
    throw new InvalidOptionError({
      owner: `${call} of job queue "${this.name}"`,
      option,
      given,
      accepted,
      cure,
    });
  }
}
