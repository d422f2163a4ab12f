import type { AsyncResource } from 'node:async_hooks';
import type { CancelTimer } from '../clock/index.js';
import { TaskInterruptedError } from '../errors/index.js';
import type { AbortReason } from '../events/index.js';
import type { AttemptContext, AttemptEnvironment, AttemptObserver, Handler } from '../execution/index.js';
import type { ResolvedTaskOptions } from './task-options.js';
import type { Linked } from './linked-list.js';
import type { Task, TaskOutcome, TaskStatus } from './task.js';

/** The queue, as its tasks see it. */
export interface TaskHost {
  readonly kind: 'task-queue';
  readonly name: string;
  readonly environment: AttemptEnvironment & {
    generateId(): string;
    inScope<Result>(fn: () => Result): Result;
  };
  cancel(task: QueuedTask, reason: unknown): boolean;
  attemptAborted(task: QueuedTask, reason: AbortReason): void;
  attemptMarked(
    task: QueuedTask,
    attempt: AttemptContext,
    action: string,
    durationMs: number,
    outcome: 'success' | 'error',
  ): void;
}

interface Deferred<Value> {
  readonly promise: Promise<Value>;
  resolve(value: Value): void;
}

const places: Partial<Record<TaskStatus, string>> = {
  waiting: 'while it waited for room in the queue',
  queued: 'while it waited for its turn',
  deferred: 'before it was due',
  backoff: 'while it waited for its next attempt',
};

/** Everything about one task. Its promises and its id are made when somebody asks for them. */
export class QueuedTask<Result = unknown> implements Task<Result>, AttemptObserver, Linked<QueuedTask> {
  readonly host: TaskHost;
  readonly options: ResolvedTaskOptions;
  /** What its attempts run; nothing any more once it has settled. */
  run: Handler | undefined;
  /** The async context of whoever submitted it, where that is carried along. */
  carried: AsyncResource | undefined;
  /** Whether somebody was given it; if not, it is gone with its last attempt. */
  held = false;
  status: TaskStatus = 'queued';
  attempts = 0;
  /** Since when, or when, it is due, by the monotonic clock. */
  dueAt: number;
  /** Those that are due at the same time come due in this order. */
  delayedOrder = 0;
  /** The attempt that is under way. */
  attempt: AttemptContext | undefined;
  marks: boolean;
  previous: QueuedTask | undefined;
  next: QueuedTask | undefined;
  /** It was told to end while an attempt was under way: whatever becomes of that, there is no other. */
  isCancelled = false;
  /** What `cancel()` was given. */
  cancelledFor: unknown;
  cancelGraceTimer: CancelTimer | undefined;
  #name: string | undefined;
  #id: string | undefined;
  #outcome: TaskOutcome | undefined;
  /** What it was at when it settled. */
  #settledFrom: TaskStatus | undefined;
  #done: Promise<Result> | undefined;
  #resolve: ((result: unknown) => void) | undefined;
  #reject: ((error: unknown) => void) | undefined;
  #accepted: Deferred<void> | undefined;

  constructor(host: TaskHost, run: Handler, options: ResolvedTaskOptions, dueAt: number) {
    this.host = host;
    this.run = run;
    this.options = options;
    this.dueAt = dueAt;
    this.marks = options.scope !== undefined;
  }

  get id(): string {
    return this.attempt?.executionId ?? this.identify();
  }

  get name(): string {
    return (this.#name ??= this.options.name ?? (this.run?.name || 'anonymous'));
  }

  get task(): string {
    return this.name;
  }

  get child(): TaskHost {
    return this.host;
  }

  get queue(): string {
    return this.host.name;
  }

  get scope(): string {
    return this.options.scope ?? this.task;
  }

  get maxAttempts(): number {
    return this.options.maxAttempts;
  }

  get environment(): AttemptEnvironment {
    return this.host.environment;
  }

  get settled(): boolean {
    return this.#outcome !== undefined;
  }

  get nextAttempt(): Date | undefined {
    if (this.status !== 'deferred' && this.status !== 'backoff') return undefined;
    const { clock } = this.environment;
    const date = new Date(clock.now() + this.dueAt - clock.monotonic());
    // A backoff function may answer Infinity.
    return Number.isNaN(date.getTime()) ? undefined : date;
  }

  get accepted(): Promise<void> {
    this.#accepted ??= this.#inScope(() => deferred());
    if (this.status !== 'waiting') this.#accepted.resolve();
    return this.#accepted.promise;
  }

  get done(): Promise<Result> {
    if (this.#done === undefined) {
      this.#done = this.#inScope(
        () =>
          new Promise<Result>((resolve, reject) => {
            this.#resolve = resolve as (result: unknown) => void;
            this.#reject = reject;
          }),
      );
      this.#tell();
    }
    return this.#done;
  }

  cancel(reason?: unknown): boolean {
    return this.host.cancel(this, reason);
  }

  toJSON(): object {
    const { id, name, queue, status, attempts, nextAttempt } = this;
    return { id, name, queue, status, attempts, nextAttempt };
  }

  /** It has left the waiting room. */
  admitted(): void {
    this.#accepted?.resolve();
  }

  /** The next attempt has an id of its own. */
  renew(): void {
    this.#id = undefined;
  }

  /** How it ended, once and for all. `status` may still be `stuck`. */
  settle(outcome: TaskOutcome, status: TaskStatus): void {
    this.#outcome = outcome;
    this.#settledFrom = this.status;
    this.status = status;
    this.#accepted?.resolve();
    // One that nobody was given is gone now, unless it runs on.
    if (!this.held && status !== 'stuck') return;
    // What it ran goes; its name stays.
    this.#name = this.name;
    this.run = undefined;
    if (this.#done !== undefined) this.#tell();
  }

  /** It was stuck, and has ended. */
  unstick(): void {
    this.status = this.#outcome?.kind === 'cancelled' ? 'cancelled' : 'error';
  }

  identify(): string {
    return (this.#id ??= this.host.environment.generateId());
  }

  beat(): void {}

  marked(attempt: AttemptContext, action: string, durationMs: number, outcome: 'success' | 'error'): void {
    this.host.attemptMarked(this, attempt, action, durationMs, outcome);
  }

  aborted(reason: AbortReason): void {
    this.host.attemptAborted(this, reason);
  }

  // A promise keeps the async context that it is made in, and with it the attempt there: of tasks that hand on tasks,
  // each would keep the one before it.
  #inScope<Value>(make: () => Value): Value {
    return this.host.environment.inScope(make);
  }

  #tell(): void {
    const outcome = this.#outcome;
    if (outcome === undefined) return;
    if (outcome.kind === 'succeeded') return this.#resolve?.(outcome.value);
    // Whether anybody waits for it is theirs to know: it never ends the process. Only what fails pays for that.
    this.#done?.catch(ignore);
    this.#reject?.(outcome.kind === 'cancelled' ? this.#interruption(outcome) : outcome.error);
  }

  #interruption({ reason, error }: Extract<TaskOutcome, { readonly kind: 'cancelled' }>): Error {
    const where = places[this.#settledFrom ?? 'running'] ?? 'while it ran';
    const cause = error === undefined ? {} : { cause: error };
    return new TaskInterruptedError(this.name, this.queue, reason, where, cause);
  }
}

const ignore = (): void => {};

function deferred<Value>(): Deferred<Value> {
  let resolve!: (value: Value) => void;
  const promise = new Promise<Value>((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}
