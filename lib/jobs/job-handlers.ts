import { formatDuration } from '../clock/index.js';
import { JobExpiredError, JobHandlerNotFoundError } from '../errors/index.js';
import type { Handler } from '../execution/index.js';
import type { UnitEnvironment } from '../pool/index.js';
import type { ConsumerOptions } from './consumer-options.js';
import type { JobHandlerEntry } from './job-handler-entry.js';
import type { JobAttemptContext } from './job-run.js';
import { readPayload } from './read-payload.js';

/** The handlers of a queue, and what is around each: middlewares, and the reading of the payload. */
export class JobHandlers {
  readonly #options: ConsumerOptions;
  readonly #environment: UnitEnvironment;
  readonly #entries: ReadonlyMap<string, JobHandlerEntry>;
  readonly #handlers = new Map<JobHandlerEntry, Handler>();

  constructor(options: ConsumerOptions, entries: readonly JobHandlerEntry[], environment: UnitEnvironment) {
    this.#options = options;
    this.#environment = environment;
    this.#entries = new Map(entries.map((entry) => [entry.name, entry]));
  }

  /** The handler for jobs of that name, or the one for all; where there is neither, one that fails and says so. */
  entryFor(name: string): JobHandlerEntry {
    return this.#entries.get(name) ?? this.#entries.get('') ?? this.#missing(name);
  }

  /** What runs an attempt. */
  handlerOf(entry: JobHandlerEntry): Handler {
    let handler = this.#handlers.get(entry);
    if (handler === undefined) {
      const run: Handler = (ctx) => this.#handle(ctx as JobAttemptContext);
      handler = this.#environment.around(run, entry.middlewares);
      // One for a missing name is made for its job.
      if (this.#entries.get(entry.name) === entry) this.#handlers.set(entry, handler);
    }
    return handler;
  }

  #handle(ctx: JobAttemptContext): unknown {
    const { entry, claimed } = ctx.run;
    const ageMs = claimed.claimedAt - claimed.createdAt;
    if (entry.maxAgeMs !== undefined && ageMs > entry.maxAgeMs) {
      const maxAge = formatDuration(entry.maxAgeMs);
      throw new JobExpiredError(claimed.queue, claimed.id, formatDuration(ageMs), maxAge);
    }
    const payload = readPayload(claimed, this.#options.codec, entry.schema);
    const { job } = ctx;
    if (!(payload instanceof Promise)) {
      job.payload = payload;
      return entry.handle(job, ctx);
    }
    return payload.then((checked: unknown) => {
      job.payload = checked;
      return entry.handle(job, ctx);
    });
  }

  /** Its failure is an attempt like any other: another process may know the name, or this one after a deployment. */
  #missing(name: string): JobHandlerEntry {
    const known = [...this.#entries.values()];
    const handle = (): never => {
      throw new JobHandlerNotFoundError(
        this.#options.queue,
        name,
        known.map((entry) => entry.name),
      );
    };
    return { ...known[0]!, name, schema: undefined, middlewares: [], maxAgeMs: undefined, handle };
  }
}
