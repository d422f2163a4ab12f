import { WorkError } from './work-error.js';

export class InvalidPayloadError extends WorkError {
  readonly code = 'JOB_PAYLOAD_INVALID';

  constructor(
    queue: string,
    job: string,
    /** What is wrong with it, as the rest of the sentence "its payload …". */
    what: string,
    /** Where a schema refused it: what it found. */
    readonly issues: readonly { readonly message: string; readonly path: string }[] = [],
    options?: ErrorOptions,
  ) {
    super(
      `Job ${job} of queue "${queue}" was refused: its payload ${what}. Neither waiting nor trying again changes that.`,
      options,
    );
  }
}

export class JobExpiredError extends WorkError {
  readonly code = 'JOB_EXPIRED';

  constructor(queue: string, job: string, age: string, maxAge: string) {
    super(
      `Job ${job} of queue "${queue}" was not run: it was enqueued ${age} ago, and its maxAge is ${maxAge}.`,
    );
  }
}

export class JobHandlerNotFoundError extends WorkError {
  readonly code = 'JOB_HANDLER_NOT_FOUND';

  constructor(queue: string, name: string, known: readonly string[]) {
    const handlers = known.map((one) => (one === '' ? 'jobs without a name' : `"${one}"`)).join(', ');
    const there = known.length === 0 ? 'there is none in this process' : `there are handlers for ${handlers}`;
    super(
      `Queue "${queue}" has no handler for ${name === '' ? 'jobs without a name' : `jobs named "${name}"`}; ${there}. Add @JobHandler('${queue}'${name === '' ? '' : `, { name: '${name}' }`}), or let ` +
        'the processes that have it run first.',
    );
  }
}

export class JobHandlerWithoutHandleError extends WorkError {
  readonly code = 'JOB_HANDLER_WITHOUT_HANDLE';

  constructor(owner: string) {
    super(
      `${owner} is a job handler but has no handle() method. Add \`async handle(job: Job, ctx: JobContext)\`, or remove ` +
        '@JobHandler() from the class.',
    );
  }
}

export class JobQueueNotFoundError extends WorkError {
  readonly code = 'JOB_QUEUE_NOT_FOUND';

  constructor(queue: string, owner: string, known: readonly string[]) {
    const list =
      known.length === 0
        ? 'none is registered'
        : `registered are ${known.map((one) => `"${one}"`).join(', ')}`;
    super(
      `${owner} is for queue "${queue}", which is not registered; ${list}. Add ` +
        `JobsModule.registerQueue({ name: '${queue}' }) to the imports of a module.`,
    );
  }
}

export class JobBackendMissingError extends WorkError {
  readonly code = 'JOB_BACKEND_MISSING';

  constructor(queue: string) {
    super(
      `Queue "${queue}" is registered, but no backend is. Add JobsModule.forRoot({ backend }) to the imports of the ` +
        'root module; without an argument it keeps jobs in memory.',
    );
  }
}

/** What a call to the backend ended with: it failed, or did not answer in time. */
export class JobBackendError extends WorkError {
  readonly code = 'JOB_BACKEND_UNAVAILABLE';
  // Nest answers a request with it: version 11 looks at `statusCode`, version 12 for the shape of an http-errors error.
  readonly statusCode = 503;
  readonly status = 503;
  /** The message is for the log, and not for whoever sent the request. */
  readonly expose = false;

  constructor(backend: string, what: string, options?: ErrorOptions) {
    super(`The job backend "${backend}" ${what}.`, options);
  }
}

/** Nobody knows whether the jobs were stored. Enqueue again with the same ids: what was stored is left alone. */
export class EnqueueError extends WorkError {
  readonly code = 'JOB_ENQUEUE_FAILED';
  readonly statusCode = 503;
  readonly status = 503;
  readonly expose = false;
  /**
   * How many other jobs of the same `enqueueMany()` are known to be stored, now or before; those that a unique key held
   * back are not. 0 where a job was enqueued by itself.
   */
  readonly stored: number;

  constructor(
    queue: string,
    /** Of the jobs that may or may not have been stored. */
    readonly ids: readonly string[],
    why: string,
    options: ErrorOptions & { readonly stored?: number | undefined } = {},
  ) {
    const which = ids.length === 1 ? `job ${ids[0]}` : `${ids.length} jobs (${ids[0]} …)`;
    super(
      `Enqueueing ${which} in queue "${queue}" failed: ${why}. Whether it was stored is not known; enqueue again with ` +
        'the same id: as long as it is stored, it is not stored again.',
      options,
    );
    this.stored = options.stored ?? 0;
  }

  /** Of the one job, or the first. */
  get id(): string {
    return this.ids[0]!;
  }
}

export class InvalidCursorError extends WorkError {
  readonly code = 'JOB_CURSOR_INVALID';

  constructor(cursor: string) {
    super(
      `The cursor ${JSON.stringify(cursor.slice(0, 100))} is none that a page of this list gave. Start without one.`,
    );
  }
}

/** A wait for a job that ended otherwise than completed, or for one that nothing is known of. */
export class JobNotCompletedError extends WorkError {
  readonly code = 'JOB_NOT_COMPLETED';

  constructor(queue: string, job: string, what: string, options?: ErrorOptions) {
    super(`Job ${job} of queue "${queue}" ${what}.`, options);
  }
}
