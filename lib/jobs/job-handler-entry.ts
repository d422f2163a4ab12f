import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Middleware, MiddlewareFunction } from '../execution/index.js';
import type { Job, JobContext } from './job.js';
import type { JobPolicy } from './settlement.js';

/** A handler of a queue, its options checked and complete. */
export interface JobHandlerEntry extends JobPolicy {
  /** The jobs that it is for; empty: those that no other handler of the queue is for. */
  readonly name: string;
  /** Who declared it, for messages: `EmailHandler in MailModule`. */
  readonly origin: string;
  readonly timeoutMs: number | undefined;
  /** How long an attempt may go on after it was told to end; then it is stuck, and keeps its place. */
  readonly abortGraceMs: number;
  /** A job that was enqueued longer ago is not run any more. */
  readonly maxAgeMs: number | undefined;
  readonly schema: StandardSchemaV1 | undefined;
  /** Around its attempts, inside of those of the pool and the queue. */
  readonly middlewares: readonly (Middleware | MiddlewareFunction)[];
  /** Runs one attempt; makes the instance first where it is request-scoped. */
  handle(job: Job, ctx: JobContext): unknown;
}
