import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Duration } from '../clock/index.js';
import { type Middleware, type MiddlewareFunction, OptionReader } from '../execution/index.js';
import { type MiddlewareClass, type MiddlewareReference, readMiddlewares } from '../pool/index.js';
import {
  type BackoffFunction,
  type BackoffOptions,
  type ExponentialBackoff,
  readBackoff,
  readLimit,
  withSafeBackoff,
} from '../supervision/index.js';
import type { JobHandlerEntry } from './job-handler-entry.js';
import { readConcurrency } from './job-queue-options.js';
import type { JobContext } from './job.js';
import { readSchema } from './payload-schema.js';

/** A middleware as a handler may list it: a function, an object, or a class that Nest provides. */
export type JobHandlerMiddlewareReference =
  | MiddlewareFunction<JobContext>
  | Middleware<JobContext>
  | MiddlewareClass;

/** How the jobs of one handler are tried and kept. */
export interface JobHandlerOptions<Schema extends StandardSchemaV1 = StandardSchemaV1> {
  /** It runs the jobs that were enqueued with this name. Default: those that no other handler of the queue is for. */
  readonly name?: string | undefined;
  /** Of the whole queue in this process: how many jobs run at a time. May be given to the queue instead. Default 10. */
  readonly concurrency?: number | undefined;
  /** The longest that one attempt may take; then `ctx.signal` aborts. Default, and with `Infinity`: no limit. */
  readonly timeout?: Duration | undefined;
  /**
   * How long an attempt may go on after it was told to end. Then it is `stuck`, and keeps its slot until its code ends.
   * Default `'10s'`.
   */
  readonly abortGrace?: Duration | undefined;
  /** Attempts allowed. Default 10. `Infinity` never gives up. `DiscardJob` ends it at any attempt. */
  readonly maxAttempts?: number | undefined;
  /** How long to wait before the next attempt. Default 1 s, growing by 1.6 up to 1 h, jittered by a fifth. */
  readonly backoff?: BackoffOptions | BackoffFunction | 'none' | undefined;
  /**
   * What its payloads are: checked when they are enqueued in this process, and again before they are handled. What is
   * stored is the payload as it was given; what the handler sees is what the schema makes of it. Default: that of the
   * queue.
   */
  readonly schema?: Schema | undefined;
  /** Around its attempts, inside of those of the queue, the first one outermost. */
  readonly middlewares?: readonly JobHandlerMiddlewareReference[] | undefined;
  /** A job that was enqueued longer ago is not run, but dead as `expired`. Default, and with `Infinity`: any age. */
  readonly maxAge?: Duration | undefined;
  /** For how long a completed job is kept with its result, which `waitUntilFinished()` needs. Default 0. */
  readonly keepCompleted?: Duration | undefined;
  /** For how long a cancelled job is kept. Default 0. */
  readonly keepCancelled?: Duration | undefined;
  /** How many dead jobs the queue keeps; the oldest give way. Default 10 000. */
  readonly maxDead?: number | undefined;
}

/** Handler options, checked and complete. */
export interface ResolvedJobHandlerOptions extends Omit<
  JobHandlerEntry,
  'origin' | 'handle' | 'middlewares'
> {
  /** `undefined`: nothing was said. */
  readonly concurrency: number | undefined;
  readonly middlewares: readonly MiddlewareReference[];
}

const defaultBackoff: ExponentialBackoff = Object.freeze({
  initialMs: 1_000,
  factor: 1.6,
  maxMs: 3_600_000,
  jitter: 0.2,
});

const optionNames: readonly (keyof JobHandlerOptions)[] = [
  'name',
  'concurrency',
  'timeout',
  'abortGrace',
  'maxAttempts',
  'backoff',
  'schema',
  'middlewares',
  'maxAge',
  'keepCompleted',
  'keepCancelled',
  'maxDead',
];

/**
 * Checks what `owner` says of how its jobs are handled, and completes it. Throws `InvalidOptionError`. `report` is told
 * when a backoff function fails; the default backoff stands in.
 */
export function resolveJobHandlerOptions(
  owner: string,
  options: JobHandlerOptions,
  report: (what: string, error: unknown) => void,
): ResolvedJobHandlerOptions {
  const reader = new OptionReader(owner, options, optionNames);
  const name = reader.get('name') ?? '';
  if (typeof name !== 'string' || (name === '' && reader.get('name') !== undefined)) {
    return reader.refuse(
      'name',
      'a text that is not empty',
      'Leave it out for the handler that takes the rest.',
    );
  }
  const maxAgeMs = reader.duration('maxAge', Infinity, { min: 1, infinite: true });
  const resolved = {
    name,
    concurrency: readConcurrency(reader),
    timeoutMs: readLimit(reader, 'timeout', undefined),
    abortGraceMs: reader.duration('abortGrace', 10_000),
    maxAttempts: reader.count('maxAttempts', 10, { min: 1, infinite: true }),
    backoff: readBackoff(owner, reader, defaultBackoff),
    schema: readSchema(reader),
    middlewares: readMiddlewares(reader),
    maxAgeMs: maxAgeMs === Infinity ? undefined : maxAgeMs,
    keepCompletedMs: reader.duration('keepCompleted', 0),
    keepCancelledMs: reader.duration('keepCancelled', 0),
    maxDead: reader.count('maxDead', 10_000),
  };
  return withSafeBackoff(resolved, (error) => report(`the backoff function of ${owner}`, error));
}
