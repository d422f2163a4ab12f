import {
  type AbortReason,
  type CancelReason,
  type ErrorInfo,
  toErrorInfo,
  type WorkEvent,
} from '../events/index.js';
import type { AttemptContext } from '../execution/index.js';
import type { UnitEnvironment } from '../pool/index.js';
import type { QueuedTask } from './queued-task.js';

type Stamp = Pick<WorkEvent, 'kind' | 'name' | 'executionId' | 'time' | 'task'>;

/** Tells of single tasks. What nobody wants to know of is not made: a queue may run a million tasks a minute. */
export class TaskEvents {
  readonly #environment: UnitEnvironment;

  constructor(environment: UnitEnvironment) {
    this.#environment = environment;
  }

  started(task: QueuedTask): void {
    if (!this.#environment.wants('started')) return;
    const { attempts: attempt, maxAttempts } = task;
    this.#emit({ type: 'started', attempt, maxAttempts, restart: attempt > 1, ...this.#stamp(task) });
  }

  succeeded(task: QueuedTask, attempt: AttemptContext, durationMs: number): void {
    if (!this.#environment.wants('succeeded')) return;
    this.#emit({ type: 'succeeded', durationMs, ...this.#stamp(task, attempt) });
  }

  /** `delayMs`: until the next attempt, if there is to be one. */
  failed(
    task: QueuedTask,
    attempt: AttemptContext,
    durationMs: number,
    error: ErrorInfo,
    delayMs?: number,
    interrupted?: AbortReason,
  ): void {
    if (!this.#environment.wants('failed')) return;
    const abortedFor = attempt.abortedFor?.reason;
    this.#emit({
      type: 'failed',
      durationMs,
      error,
      ...(abortedFor && { abortedFor }),
      ...(interrupted && { interrupted }),
      ...(delayMs !== undefined && { retry: { attempt: task.attempts + 1, delayMs } }),
      ...this.#stamp(task, attempt),
    });
  }

  /** In an attempt, or without one. */
  cancelled(
    task: QueuedTask,
    reason: CancelReason,
    durationMs: number,
    attempt?: AttemptContext,
    error?: unknown,
  ): void {
    if (!this.#environment.wants('cancelled')) return;
    this.#emit({
      type: 'cancelled',
      reason,
      durationMs,
      ...(error !== undefined && { error: toErrorInfo(error) }),
      ...this.#stamp(task, attempt),
    });
  }

  stuck(task: QueuedTask, reason: AbortReason, graceMs: number): void {
    this.#emit({ type: 'stuck', reason, graceMs, ...this.#stamp(task) });
  }

  orphaned(task: QueuedTask, reason: AbortReason): void {
    if (this.#environment.wants('orphaned')) this.#emit({ type: 'orphaned', reason, ...this.#stamp(task) });
  }

  // Spread last into an event: V8 takes a hundred times as long for an object that begins with a spread.
  #stamp(task: QueuedTask, attempt = task.attempt): Stamp {
    return {
      kind: 'task-queue',
      name: task.queue,
      executionId: attempt?.executionId ?? task.id,
      time: this.#environment.clock.now(),
      task: task.name,
    };
  }

  #emit(event: WorkEvent): void {
    this.#environment.emit(event);
  }
}
