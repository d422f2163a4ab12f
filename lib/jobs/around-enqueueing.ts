import type { EnqueuedJob } from './enqueue-options.js';

/** A call that enqueues in this process. */
export interface EnqueueCall {
  readonly queue: string;
  /** Of the handler that is to run the jobs, where the call names one. */
  readonly name: string | undefined;
  /** Whether it is one of `enqueueMany()`. */
  readonly many: boolean;
}

/**
 * Is around each call that enqueues in this process, for one job or for many: what an integration does about it. Unlike a
 * middleware it sees no job, so that many go to the backend together all the same. Calls `run` once, before it returns,
 * and answers what that does. Headers of the jobs are asked for within `run`.
 */
export type AroundEnqueueing = <Answer extends EnqueuedJob | readonly EnqueuedJob[]>(
  call: EnqueueCall,
  run: () => Promise<Answer>,
) => Promise<Answer>;

/** Runs a call within all of them, the first one outermost. */
export function enqueueWithin<Answer extends EnqueuedJob | readonly EnqueuedJob[]>(
  all: readonly AroundEnqueueing[],
  call: EnqueueCall,
  run: () => Promise<Answer>,
): Promise<Answer> {
  return all.reduceRight<() => Promise<Answer>>((inner, around) => () => around(call, inner), run)();
}
