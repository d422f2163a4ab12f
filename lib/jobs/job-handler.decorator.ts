import { SetMetadata } from '@nestjs/common';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { JobHandlerOptions } from './job-handler-options.js';
import type { RunnableJob } from './job.js';

/** Under what `@JobHandler()` keeps its options on a class. Fixed, so that two copies of this package agree. */
export const JOB_HANDLER_METADATA: unique symbol = Symbol.for('nestjs-worker:job-handler') as never;

/** What is kept there. */
export interface JobHandlerMetadata {
  readonly queue: string;
  readonly options: JobHandlerOptions;
}

/** Marks a class whose `handle(job, ctx)` takes jobs with such a payload. */
export type JobHandlerDecorator<Payload> = <
  Class extends new (...dependencies: never[]) => RunnableJob<Payload>,
>(
  target: Class,
) => void;

/**
 * Makes a class a handler of the jobs of `queue`: wherever it is provided in an app that registers the queue, its
 * `handle(job, ctx)` runs each of them, a few at a time. `@Injectable()` is not needed beside it. A class that is
 * request-scoped is made anew for each attempt, and can inject `REQUEST`, which is then `{ job, ctx }`.
 */
export function JobHandler<Schema extends StandardSchemaV1 = StandardSchemaV1<never, never>>(
  queue: string,
  options: JobHandlerOptions<Schema> = {},
): JobHandlerDecorator<StandardSchemaV1.InferOutput<Schema>> {
  const metadata: JobHandlerMetadata = { queue, options };
  return SetMetadata(JOB_HANDLER_METADATA, metadata);
}
