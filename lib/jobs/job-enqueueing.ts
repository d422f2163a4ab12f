import { isDeepStrictEqual } from 'node:util';
import { type AroundEnqueueing, enqueueWithin } from './around-enqueueing.js';
import { EncodedPayload } from './encoded-payload.js';
import { enqueueEach, enqueueMany } from './enqueue-many.js';
import type { EnqueuedJob, EnqueueManyOptions, EnqueueOptions } from './enqueue-options.js';
import { Enqueuer, type EnqueueTally } from './enqueuer.js';
import type { NewJob } from './job-backend.js';
import type { JobConnection } from './job-connection.js';
import type { JobHandlerEntry } from './job-handler-entry.js';
import { type HeaderProvider, JobMaker } from './job-maker.js';
import { type EnqueueMiddleware, enqueueThrough, type JobDraft } from './job-middleware.js';
import type { ResolvedJobQueueOptions } from './job-queue-options.js';

export interface JobEnqueueingParts {
  readonly connection: JobConnection;
  readonly options: ResolvedJobQueueOptions;
  /** Of the queue in this process, by name. */
  readonly handlers: ReadonlyMap<string, JobHandlerEntry>;
  readonly headerProviders: readonly HeaderProvider[];
  readonly aroundEnqueueing: readonly AroundEnqueueing[];
}

/** What `enqueueMany()` takes for the options of its jobs. */
export type OptionsOfMany<Payload> =
  | EnqueueManyOptions
  | ((payload: Payload, index: number) => EnqueueOptions | undefined)
  | undefined;

/** How the jobs of a queue come from this process to the backend: within integrations, through middlewares. */
export class JobEnqueueing {
  readonly #options: ResolvedJobQueueOptions;
  readonly #maker: JobMaker;
  readonly #enqueuer: Enqueuer;
  readonly #around: readonly AroundEnqueueing[];

  constructor({ connection, options, handlers, headerProviders, aroundEnqueueing }: JobEnqueueingParts) {
    this.#options = options;
    this.#maker = new JobMaker(connection, options, handlers, headerProviders);
    this.#enqueuer = new Enqueuer(connection, options.name);
    this.#around = aroundEnqueueing;
  }

  get tally(): Readonly<EnqueueTally> {
    return this.#enqueuer.tally;
  }

  /** Resolves once nothing is under way any more. */
  idle(): Promise<void> {
    return this.#enqueuer.idle();
  }

  /** `payload` may be an `EncodedPayload`. */
  one(
    middlewares: readonly EnqueueMiddleware[],
    payload: unknown,
    options: EnqueueOptions | undefined,
  ): Promise<EnqueuedJob> {
    if (this.#around.length === 0) return this.#throughAll(middlewares, payload, options);
    const call = { queue: this.#options.name, name: options?.name, many: false };
    return enqueueWithin(this.#around, call, () => this.#throughAll(middlewares, payload, options));
  }

  many<Payload>(
    middlewares: readonly EnqueueMiddleware[],
    payloads: Iterable<Payload> | AsyncIterable<Payload>,
    options: OptionsOfMany<Payload>,
  ): Promise<readonly EnqueuedJob[]> {
    if (this.#around.length === 0) return this.#each(middlewares, payloads, options);
    const name = typeof options === 'object' ? options.name : undefined;
    const call = { queue: this.#options.name, name, many: true };
    return enqueueWithin(this.#around, call, () => this.#each(middlewares, payloads, options));
  }

  async #each<Payload>(
    middlewares: readonly EnqueueMiddleware[],
    payloads: Iterable<Payload> | AsyncIterable<Payload>,
    options: OptionsOfMany<Payload>,
  ): Promise<readonly EnqueuedJob[]> {
    const optionsOf = typeof options === 'function' ? options : () => options;
    if (middlewares.length > 0) {
      const enqueue = async (payload: Payload, index: number): Promise<EnqueuedJob> =>
        this.#through(middlewares, payload, optionsOf(payload, index));
      return enqueueEach(payloads, enqueue, this.#enqueuer);
    }
    const makeJob = (payload: Payload, index: number): NewJob | Promise<NewJob> =>
      this.#maker.make(payload, this.#maker.resolve(optionsOf(payload, index)));
    const ofAll = typeof options === 'object' ? this.#maker.resolve(options).timeoutMs : undefined;
    return enqueueMany(payloads, makeJob, ofAll ?? this.#options.enqueueTimeoutMs, this.#enqueuer);
  }

  #throughAll(
    middlewares: readonly EnqueueMiddleware[],
    payload: unknown,
    options: EnqueueOptions | undefined,
  ): Promise<EnqueuedJob> {
    return middlewares.length > 0
      ? this.#through(middlewares, payload, options)
      : this.#store(payload, options);
  }

  async #through(
    middlewares: readonly EnqueueMiddleware[],
    payload: unknown,
    options: EnqueueOptions = {},
  ): Promise<EnqueuedJob> {
    const { id } = this.#maker.resolve(options);
    const { id: _, timeout, headers, ...rest } = options;
    const shown = payload instanceof EncodedPayload ? this.#maker.decode(payload, id) : payload;
    const draft: JobDraft = {
      ...rest,
      queue: this.#options.name,
      id,
      payload: shown,
      headers: { ...headers },
    };
    return enqueueThrough(middlewares, draft, () => {
      const { queue: __, payload: left, ...given } = draft;
      return this.#store(this.#asGiven(payload, left, id), { ...given, id, timeout });
    });
  }

  /** The bytes that were given, unless a middleware has left another payload than they stand for, or has changed it. */
  #asGiven(payload: unknown, left: unknown, id: string): unknown {
    if (!(payload instanceof EncodedPayload)) return left;
    return isDeepStrictEqual(left, this.#maker.decode(payload, id)) ? payload : left;
  }

  async #store(payload: unknown, options: EnqueueOptions | undefined): Promise<EnqueuedJob> {
    const resolved = this.#maker.resolve(options);
    const job = this.#maker.make(payload, resolved);
    const timeoutMs = resolved.timeoutMs ?? this.#options.enqueueTimeoutMs;
    const made = job instanceof Promise ? await job : job;
    return made.transaction === undefined
      ? this.#enqueuer.add(made, timeoutMs)
      : this.#enqueuer.addAlone(made, timeoutMs);
  }
}
