import type { CancelReason } from '../events/index.js';
import type { Outcome, WorkContext } from '../execution/index.js';

/** What a task is given: who it is, when to end, and where to log. `name` is the name of its queue. */
export interface TaskContext extends WorkContext {
  readonly kind: 'task-queue';
  /** Name of the task. */
  readonly task: string;
}

/** What a task runs, once per attempt. It ends when the promise that it returns settles. */
export type TaskFunction<Result = unknown> = (ctx: TaskContext) => Result | PromiseLike<Result>;

/** How a task ended: as its last attempt did, or cancelled between two. */
export type TaskOutcome<Result = unknown> =
  | { readonly kind: 'succeeded'; readonly value: Result }
  | Extract<Outcome, { readonly kind: 'failed' | 'timed-out' }>
  | { readonly kind: 'cancelled'; readonly reason: CancelReason; readonly error?: unknown };

/**
 * Where a task stands:
 * - `waiting`: for room in the queue (`overflow: 'wait'`);
 * - `queued`: for its turn;
 * - `deferred`: for its `delay` or `notBefore`;
 * - `running`: an attempt is under way;
 * - `backoff`: for its next attempt;
 * - `stuck`: was told to end and did not; it has settled, runs on, and holds its place;
 * - `success`, `error`, `cancelled`: it has settled.
 */
export type TaskStatus =
  | 'waiting'
  | 'queued'
  | 'deferred'
  | 'running'
  | 'backoff'
  | 'stuck'
  | 'success'
  | 'error'
  | 'cancelled';

/** A task that was given to a queue: how it stands, and how it ends. */
export interface Task<Result = unknown> {
  /**
   * Id of the current attempt, as in its log lines; of the next one while it waits for that, and of the last one in
   * the end. Each attempt has a new one.
   */
  readonly id: string;
  /** The `name` option, or that of the function. */
  readonly name: string;
  /** Name of its queue. */
  readonly queue: string;
  readonly status: TaskStatus;
  /** Attempts that have begun. */
  readonly attempts: number;
  /** When its next attempt is due, while it waits for that; `undefined` otherwise. */
  readonly nextAttempt: Date | undefined;
  /** Resolves once the task is in the queue: at once, unless it waits for room with `overflow: 'wait'`. Never rejects. */
  readonly accepted: Promise<void>;
  /**
   * The result, once an attempt has succeeded. Rejects with the last attempt's own error (`AttemptAbortedError` after
   * a timeout), or with `TaskInterruptedError`. Always settles, at the end of a shutdown at the latest, and a rejection
   * that nobody waits for does no harm.
   */
  readonly done: Promise<Result>;
  /**
   * Takes the task off the queue, or tells its attempt to end. Answers false when it has settled already, and then
   * does nothing. `reason` becomes the cause of the `TaskInterruptedError`.
   */
  cancel(reason?: unknown): boolean;
  /** Who it is and how it stands, as plain data. */
  toJSON(): object;
}

/** A task that runs. */
export interface RunningTask {
  readonly id: string;
  readonly name: string;
  /** `stuck` when it was told to end and did not. */
  readonly status: TaskStatus;
  readonly attempt: number;
  /** How long its attempt has lasted, in milliseconds. */
  readonly runningMs: number;
}
