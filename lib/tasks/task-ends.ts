import { isWorkError } from '../errors/index.js';
import { type AbortReason, type ErrorInfo, toErrorInfo } from '../events/index.js';
import { type AttemptContext, newScope, type Outcome, outsideOfWork } from '../execution/index.js';
import { delayAfter } from '../supervision/index.js';
import type { UnitEnvironment } from '../pool/index.js';
import type { QueuedTask } from './queued-task.js';
import { SignalWatch } from './signal-watch.js';
import { TaskEvents } from './task-events.js';
import { TaskTally } from './task-tally.js';
import type { TaskOutcome, TaskStatus } from './task.js';

type Failure = Extract<Outcome, { readonly kind: 'failed' | 'timed-out' }>;
type Cancelled = Extract<TaskOutcome, { readonly kind: 'cancelled' }>;

/** What the end of an attempt means for its task: counts it, tells of it, and settles the task or has it tried again. */
export class TaskEnds {
  readonly tally = new TaskTally();
  readonly events: TaskEvents;
  readonly signals: SignalWatch;
  /** Of the last attempt that failed. */
  lastError: ErrorInfo | undefined;
  /** Set while nothing is tried again, for that reason. */
  noRetries: AbortReason | undefined;
  /** Tasks that had attempts left and were not tried again. */
  interrupted = 0;
  readonly #environment: UnitEnvironment;
  readonly #onAfterEnded: () => void;
  #afters = 0;

  constructor(environment: UnitEnvironment, signals: SignalWatch, onAfterEnded: () => void) {
    this.#environment = environment;
    this.events = new TaskEvents(environment);
    this.signals = signals;
    this.#onAfterEnded = onAfterEnded;
  }

  /** How many calls of `after` have not ended yet. */
  get afters(): number {
    return this.#afters;
  }

  /** Answers in how many milliseconds the task is due again, or `undefined` where it has settled. */
  attemptEnded(task: QueuedTask, outcome: Outcome, attempt: AttemptContext, now: number): number | undefined {
    const durationMs = now - attempt.startedAt;
    this.tally.attemptEnded(outcome.kind, durationMs);
    switch (outcome.kind) {
      case 'succeeded':
        this.events.succeeded(task, attempt, durationMs);
        this.settle(task, outcome, 'success');
        return undefined;
      case 'cancelled': {
        const { reason } = outcome;
        this.events.cancelled(task, reason, durationMs, attempt, outcome.error);
        this.settle(task, cancelled(reason, outcome.error ?? task.cancelledFor), 'cancelled');
        return undefined;
      }
      case 'failed':
      case 'timed-out':
        return this.#failed(task, outcome, attempt, durationMs);
    }
  }

  /** An attempt that was stuck has ended: its task settled long ago. */
  lateEnd(task: QueuedTask, outcome: Outcome, attempt: AttemptContext, now: number): void {
    const durationMs = now - attempt.startedAt;
    this.tally.attemptEnded(outcome.kind, durationMs);
    switch (outcome.kind) {
      case 'succeeded':
        return this.events.succeeded(task, attempt, durationMs);
      case 'cancelled':
        return this.events.cancelled(task, outcome.reason, durationMs, attempt, outcome.error);
      case 'failed':
      case 'timed-out':
        return this.events.failed(task, attempt, durationMs, toErrorInfo(outcome.error));
    }
  }

  settle(task: QueuedTask, outcome: TaskOutcome, status: TaskStatus): void {
    task.settle(outcome, status);
    this.count(task, outcome);
    this.#callAfter(task, outcome);
  }

  /** Tells of a task that was cancelled while it waited. */
  tellCancelled(task: QueuedTask, outcome: Cancelled): void {
    this.#callAfter(task, outcome);
    this.events.cancelled(task, outcome.reason, 0);
  }

  /** A task has settled. */
  count(task: QueuedTask, outcome: TaskOutcome): void {
    const { tally } = this;
    const { signal } = task.options;
    const dropped = outcome.kind === 'cancelled' && outcome.reason === 'dropped';
    tally.settled(dropped ? 'dropped' : outcome.kind, task.attempts);
    if (signal !== undefined) this.signals.remove(task, signal);
  }

  /** It may do anything with the queue: everything else about this task is done by now. */
  #callAfter(task: QueuedTask, outcome: TaskOutcome): void {
    const { carried } = task;
    const { after } = task.options;
    task.carried = undefined;
    if (after === undefined) return;
    const call = (): void => this.#isolated(task, after as (outcome: TaskOutcome) => unknown, outcome);
    const scope = carried ?? this.#environment.inScope(newScope);
    scope.runInAsyncScope(outsideOfWork, undefined, call);
  }

  #failed(
    task: QueuedTask,
    outcome: Failure,
    attempt: AttemptContext,
    durationMs: number,
  ): number | undefined {
    const { error } = outcome;
    const final = isWorkError(error, 'DISCARD') || task.attempts >= task.maxAttempts;
    const delayMs =
      final || this.#overFor(task) !== undefined
        ? undefined
        : delayAfter(task.options.backoff, task.attempts, error, Math.random());
    this.lastError = toErrorInfo(error);
    const interrupted = final ? undefined : this.#overFor(task);
    this.events.failed(task, attempt, durationMs, this.lastError, delayMs, interrupted);
    // The backoff function, or a listener, may have ended it just now.
    const over = this.#overFor(task);
    if (delayMs !== undefined && over === undefined) return delayMs;
    if (final || over === undefined) this.settle(task, outcome, 'error');
    else if (task.isCancelled) this.settle(task, cancelled(over, task.cancelledFor ?? error), 'cancelled');
    else {
      this.interrupted++;
      this.settle(task, cancelled(over, error), 'cancelled');
    }
    return undefined;
  }

  /** Why a task is not tried again, though it has attempts left. */
  #overFor(task: QueuedTask): AbortReason | undefined {
    return task.isCancelled ? 'stop-requested' : this.noRetries;
  }

  #isolated(task: QueuedTask, after: (outcome: TaskOutcome) => unknown, outcome: TaskOutcome): void {
    const failed = (error: unknown): void =>
      this.#environment.report(`after() of a task in queue "${task.queue}"`, error, { task: task.name });
    try {
      const result = after(outcome);
      if (!isThenable(result)) return;
      // One of our own: theirs may throw, or settle more than once.
      const settled = new Promise((resolve) => resolve(result));
      this.#afters++;
      const ended = (): void => {
        this.#afters--;
        this.#onAfterEnded();
      };
      void settled.catch(failed).then(ended, ended);
    } catch (error) {
      failed(error);
    }
  }
}

/** `error`: why, where there is more to say than the reason. */
export function cancelled(reason: Cancelled['reason'], error?: unknown): Cancelled {
  return error === undefined ? { kind: 'cancelled', reason } : { kind: 'cancelled', reason, error };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}
