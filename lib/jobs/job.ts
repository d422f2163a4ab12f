import type { WorkContext } from '../execution/index.js';

/** A job as its handler sees it. */
export interface Job<Payload = unknown> {
  readonly id: string;
  readonly queue: string;
  /** Which handler of the queue is to run it; empty where it was enqueued without a name. */
  readonly name: string;
  readonly payload: Payload;
  /** 1 for the first attempt; one more after each that failed. */
  readonly attempt: number;
  /** What the attempt before failed with. */
  readonly lastError: string | undefined;
  /** When it was enqueued. */
  readonly createdAt: Date;
  /** When this attempt was due. */
  readonly dueAt: Date;
  /** What was carried along, such as a trace's context. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What a handler is given beside the job: who it is, when to end, where to log. `name` is the name of the queue. */
export interface JobContext extends WorkContext {
  readonly kind: 'job-consumer';
  readonly job: Job;
  /**
   * Proof that this attempt holds the job. With a backend whose tokens are numbers that grow (memory and Redis), a
   * store that keeps the highest one it has seen can refuse what a late holder writes.
   */
  readonly token: string;
  /** Says how far it is, to whoever looks at the job. Kept with the next renewal of the lease. */
  progress(value: unknown): void;
}

/** A handler of jobs: what a class that `@JobHandler()` marks is to be. */
export interface RunnableJob<Payload = unknown, Result = unknown> {
  /** Runs one attempt. The job is completed when it returns; what it returns is the job's result, where that is kept. */
  handle(job: Job<Payload>, ctx: JobContext): Result | PromiseLike<Result>;
}
