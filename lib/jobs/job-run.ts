import type { CancelTimer } from '../clock/index.js';
import type { AbortReason } from '../events/index.js';
import { AttemptContext, type AttemptEnvironment, type AttemptObserver } from '../execution/index.js';
import type { ClaimedJob } from './job-backend.js';
import type { JobHandlerEntry } from './job-handler-entry.js';
import type { Job, JobContext } from './job.js';
import type { PayloadCodec } from './payload-codec.js';

/** The consumer, as its runs see it. */
export interface JobRunHost {
  readonly kind: 'job-consumer';
  /** Of the queue. */
  readonly name: string;
  readonly codec: PayloadCodec;
  readonly environment: AttemptEnvironment & { generateId(): string };
  attemptAborted(run: JobRun, reason: AbortReason): void;
  attemptMarked(run: JobRun, action: string, durationMs: number, outcome: 'success' | 'error'): void;
  progressed(run: JobRun, value: unknown): void;
}

/** One attempt at a claimed job. */
export class JobRun implements AttemptObserver {
  readonly host: JobRunHost;
  readonly claimed: ClaimedJob;
  readonly entry: JobHandlerEntry;
  readonly context: JobAttemptContext;
  marks = false;
  isStuck = false;
  cancelGraceTimer: CancelTimer | undefined;

  constructor(host: JobRunHost, claimed: ClaimedJob, entry: JobHandlerEntry, startedAt: number) {
    this.host = host;
    this.claimed = claimed;
    this.entry = entry;
    this.context = new JobAttemptContext(this, startedAt);
  }

  get child(): JobRunHost {
    return this.host;
  }

  get jobId(): string {
    return this.claimed.id;
  }

  get scope(): string {
    return this.entry.name === '' ? this.host.name : this.entry.name;
  }

  get maxAttempts(): number {
    return this.entry.maxAttempts;
  }

  get environment(): AttemptEnvironment {
    return this.host.environment;
  }

  identify(): string {
    return this.host.environment.generateId();
  }

  beat(): void {}

  aborted(reason: AbortReason): void {
    this.host.attemptAborted(this, reason);
  }

  marked(_: AttemptContext, action: string, durationMs: number, outcome: 'success' | 'error'): void {
    this.host.attemptMarked(this, action, durationMs, outcome);
  }
}

/** What a handler is given. */
export class JobAttemptContext extends AttemptContext implements JobContext {
  readonly #run: JobRun;
  #job: ClaimedJobView | undefined;

  constructor(run: JobRun, startedAt: number) {
    super(run, run.claimed.failures + 1, startedAt);
    this.#run = run;
  }

  override get kind(): 'job-consumer' {
    return 'job-consumer';
  }

  /** @internal */
  get run(): JobRun {
    return this.#run;
  }

  get job(): ClaimedJobView {
    return (this.#job ??= new ClaimedJobView(this.#run.claimed));
  }

  get token(): string {
    return this.#run.claimed.token;
  }

  progress(value: unknown): void {
    this.#run.host.progressed(this.#run, value);
  }
}

const noHeaders: Readonly<Record<string, string>> = Object.freeze({});

/** A claimed job as its handler sees it. Its payload is read, and checked, before the handler runs. */
export class ClaimedJobView implements Job {
  readonly #claimed: ClaimedJob;
  payload: unknown = undefined;

  constructor(claimed: ClaimedJob) {
    this.#claimed = claimed;
  }

  get id(): string {
    return this.#claimed.id;
  }

  get queue(): string {
    return this.#claimed.queue;
  }

  get name(): string {
    return this.#claimed.name;
  }

  get attempt(): number {
    return this.#claimed.failures + 1;
  }

  get lastError(): string | undefined {
    return this.#claimed.lastError;
  }

  get createdAt(): Date {
    return new Date(this.#claimed.createdAt);
  }

  get dueAt(): Date {
    return new Date(this.#claimed.dueAt);
  }

  get headers(): Readonly<Record<string, string>> {
    return this.#claimed.headers ?? noHeaders;
  }

  toJSON(): object {
    const { id, queue, name, payload, attempt, lastError, createdAt, dueAt, headers } = this;
    return { id, queue, name, payload, attempt, lastError, createdAt, dueAt, headers };
  }
}
