import type { WorkContext } from '../execution/index.js';

/** What a worker is given: who it is, when to end, and where to log. */
export type WorkerContext = WorkContext;

/** Long-running work that the pool supervises. */
export interface RunnableWorker {
  /**
   * Runs until there is nothing left to do or `ctx.signal` aborts. Rejecting, or throwing, is a failure and may
   * lead to a restart; returning is a success. One instance serves all attempts, never two at a time.
   */
  run(ctx: WorkerContext): Promise<unknown>;
}
