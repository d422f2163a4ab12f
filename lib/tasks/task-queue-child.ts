import type { CancelTimer } from '../clock/index.js';
import { TaskQueueClosedError } from '../errors/index.js';
import type { AbortReason, WorkEvent } from '../events/index.js';
import {
  ExecutionRecord,
  type ExecutionStatus,
  type Middleware,
  type MiddlewareFunction,
} from '../execution/index.js';
import {
  type Child,
  type Pool,
  type Quiescence,
  type StopRequest,
  unitEnvironmentOf,
} from '../pool/index.js';
import { TaskRunner } from './task-runner.js';
import type { ResolvedTaskOptions } from './task-options.js';
import type { ResolvedTaskQueueOptions } from './task-queue-options.js';
import { TaskQueueSnapshot } from './task-queue-snapshot.js';

const namedOrphans = 10;

/** Set while it is to stop. */
interface Stopping {
  readonly reason: AbortReason;
  abortAt: number;
  /** The pool has given up on it. */
  abandoned: boolean;
}

/**
 * A task queue as the pool sees it. It takes tasks from the moment it is made, runs them from the start on, and
 * when it is told to stop goes on until nobody feeds it any more and nothing is left to do.
 */
export class TaskQueueChild implements Child {
  readonly kind = 'task-queue';
  readonly drains = 'last';
  readonly ignorable = false;
  readonly name: string;
  readonly runner: TaskRunner;
  record = new ExecutionRecord(0);
  readonly #pool: Pool;
  readonly #options: ResolvedTaskQueueOptions;
  #middlewares: readonly (Middleware | MiddlewareFunction)[] = [];
  #active = false;
  #accepts = true;
  #paused = false;
  /** Whether tasks run without anybody calling `dispatch()`. */
  #automatic: boolean;
  #startedAt = 0;
  #stopping: Stopping | undefined;
  /** Of the stops that it is part of. It is told to end by the first that is over. */
  #quiescences: Quiescence[] = [];
  #interrupted = 0;
  #startAgain = false;
  #cancelAbortTimer: CancelTimer | undefined;
  #onEnded: (() => void)[] = [];
  #onIdle: (() => void)[] = [];
  #onDispatched: (() => void)[] = [];

  constructor(
    pool: Pool,
    options: ResolvedTaskQueueOptions,
    plain: ResolvedTaskOptions,
    readonly origin: string,
  ) {
    this.name = options.name;
    this.#pool = pool;
    this.#options = options;
    this.#automatic = options.autoStart;
    const { concurrency, maxQueued } = options;
    this.runner = new TaskRunner(
      this.name,
      concurrency,
      maxQueued,
      plain,
      unitEnvironmentOf(pool, () => this.#middlewares),
    );
    this.runner.onStandstill = () => this.#standstill();
  }

  get active(): boolean {
    return this.#active;
  }

  get status(): ExecutionStatus {
    return this.runner.stuck > 0 ? 'stuck' : this.record.status;
  }

  get degraded(): boolean {
    return this.runner.saturatedMs >= this.#options.degradedAfterMs && this.runner.saturatedMs > 0;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Options of the pool, such as its middlewares, are settled by now. Throws where a middleware is not provided. */
  register(): void {
    const owner = `task queue "${this.name}" (${this.origin})`;
    const listed = [...this.#pool.options.middlewares, ...this.#options.middlewares];
    this.#middlewares = listed.map((one) => this.#pool.middleware(one, owner));
    this.record = new ExecutionRecord(this.#pool.options.historySize);
    this.record.id = this.#pool.generateId();
    this.#emit({ type: 'registered', enabled: true, ...this.#stamp() });
  }

  start(): void {
    if (this.#active) {
      this.#startAgain = this.#stopping !== undefined;
      return;
    }
    this.#active = true;
    this.#accepts = true;
    this.#startedAt = this.#pool.clock.monotonic();
    this.runner.noRetries = undefined;
    this.#emit({ type: 'started', attempt: 1, maxAttempts: 1, restart: false, ...this.#stamp() });
    this.#openOrHold();
    if (this.#onDispatched.length > 0) this.runner.admitDue();
  }

  stop({ reason, abortAt, quiescence }: StopRequest): Promise<void> {
    this.#startAgain = false;
    if (!this.#active) {
      this.#accepts = false;
      this.#interrupted += this.runner.giveUpQueued(reason);
      this.#sayInterrupted(reason);
      this.#settleWaiting();
      return Promise.resolve();
    }
    const ended = new Promise<void>((resolve) => this.#onEnded.push(resolve));
    if (this.#stopping !== undefined) {
      // The app closes, and leaves it less time than it was given.
      if (abortAt < this.#stopping.abortAt) this.#abortAt(abortAt);
      this.#stopWith(quiescence);
      return ended;
    }
    this.#stopping = { reason, abortAt, abandoned: false };
    this.#emit({ type: 'stopping', reason, ...this.#stamp() });
    this.runner.noRetries = reason;
    this.#interrupted += this.runner.giveUpDelayed(reason);
    // Also where it was paused: what was accepted is run rather than lost.
    this.runner.open = true;
    this.#abortAt(abortAt);
    this.#stopWith(quiescence);
    return ended;
  }

  /** The others of that stop wait for it, whether it was told to stop before or is now. */
  settleWith(quiescence: Quiescence): void {
    if (this.#stopping !== undefined) this.#stopWith(quiescence);
  }

  abandon(): void {
    this.#startAgain = false;
    const stopping = this.#stopping;
    if (stopping === undefined) return;
    const { reason } = stopping;
    // Also where its time was cut short: then nobody has told them yet.
    this.#abort();
    if (stopping.abandoned || this.#stopping !== stopping) return this.#settleWaiting();
    stopping.abandoned = true;
    this.#sayInterrupted(reason);
    const names = this.runner.abandonRunning(reason).map(({ name, id }) => `${name} (${id})`);
    const rest = names.length - namedOrphans;
    const tasks = names.slice(0, namedOrphans);
    if (rest > 0) tasks.push(`${rest} more`);
    const { afters } = this.runner.ends;
    if (afters > 0) tasks.push(`${afters} calls of after()`);
    this.#emit({ type: 'orphaned', reason, ...(tasks.length > 0 && { tasks }), ...this.#stamp() });
    this.#settleWaiting();
  }

  snapshot(): TaskQueueSnapshot {
    return new TaskQueueSnapshot(this);
  }

  /** Runs tasks from now on without being told to each time. */
  makeAutomatic(): void {
    this.#automatic = true;
    this.#openOrHold();
  }

  pause(): void {
    this.#paused = true;
    this.#openOrHold();
  }

  resume(): void {
    this.#paused = false;
    this.#openOrHold();
  }

  /** Throws `TaskQueueClosedError` where a task cannot be taken any more. */
  checkAccepts(options: ResolvedTaskOptions): void {
    if (!this.#accepts) throw new TaskQueueClosedError(this.name, 'has shut down');
    if (this.#stopping === undefined) return;
    if (options.delayMs > 0 || (options.notBefore ?? 0) > this.#pool.clock.now())
      throw new TaskQueueClosedError(this.name, 'is shutting down, and the task is to run later');
  }

  /** Resolves once no task is left. */
  onIdle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isIdle || this.#stopping?.abandoned === true) resolve();
      else this.#onIdle.push(resolve);
    });
  }

  /** Runs what is due now, and resolves when that has ended. */
  dispatch(): Promise<void> {
    if (!this.#accepts || this.#stopping?.abandoned === true) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDispatched.push(resolve);
      // Before the app has started, nothing runs: then it waits for that.
      if (this.#active) this.runner.admitDue();
    });
  }

  get #isIdle(): boolean {
    return this.runner.quiet && this.runner.backlog.size === 0;
  }

  #openOrHold(): void {
    if (this.#stopping !== undefined) return;
    const open = this.#active && this.#automatic && !this.#paused;
    // What was let in by dispatch() goes on.
    if (open || this.#paused || this.#onDispatched.length === 0) this.runner.open = open;
  }

  /** Nothing runs, at this moment. */
  #standstill(): void {
    if (this.#onDispatched.length > 0 && this.runner.dispatched) {
      this.#onDispatched = callAll(this.#onDispatched);
      this.#openOrHold();
    }
    if (this.#onIdle.length > 0 && this.#isIdle) this.#onIdle = callAll(this.#onIdle);
    if (this.#stopping === undefined || !this.runner.quiet) return;
    // Once it refuses, nobody can feed it: then it need not wait for the others either.
    if (!this.#accepts) return this.#end();
    for (const quiescence of this.#quiescences) quiescence.check();
  }

  #stopWith(quiescence: Quiescence): void {
    if (this.#quiescences.includes(quiescence)) return;
    this.#quiescences.push(quiescence);
    const stopping = this.#stopping;
    // A stop may be over long after this queue has ended, and was started and stopped anew.
    quiescence.join({
      isIdle: () => this.#stopping !== stopping || this.runner.quiet,
      onOver: () => this.#stopping === stopping && this.#end(),
    });
    quiescence.check();
  }

  #abortAt(abortAt: number): void {
    this.#stopping!.abortAt = abortAt;
    this.#cancelAbortTimer?.();
    const { clock } = this.#pool;
    this.#cancelAbortTimer = this.#pool.inScope(() =>
      clock.setTimer(() => this.#abort(), Math.max(0, abortAt - clock.monotonic())),
    );
  }

  /** The time in which tasks may finish is over. */
  #abort(): void {
    if (this.#stopping === undefined) return;
    const { reason } = this.#stopping;
    this.#cancelAbortTimer?.();
    this.#refuseAll(reason);
    this.runner.abortRunning(reason);
    // It waited for the others only.
    this.#standstill();
  }

  #refuseAll(reason: AbortReason): void {
    this.#accepts = false;
    this.#interrupted += this.runner.giveUpQueued(reason);
  }

  #end(): void {
    if (this.#stopping === undefined) return;
    const { reason } = this.#stopping;
    // Nothing is left, but what came this very moment.
    this.#refuseAll(reason);
    this.#cancelAbortTimer?.();
    const quiescences = this.#quiescences;
    this.#quiescences = [];
    this.#stopping = undefined;
    this.#active = false;
    this.runner.open = false;
    this.#sayInterrupted(reason);
    const durationMs = this.#pool.clock.monotonic() - this.#startedAt;
    this.#emit({ type: 'cancelled', reason, durationMs, ...this.#stamp() });
    this.#settleWaiting();
    for (const quiescence of quiescences) quiescence.check();
    if (!this.#startAgain) return;
    this.#startAgain = false;
    this.#pool.inScope(() => this.start());
  }

  #settleWaiting(): void {
    this.#onEnded = callAll(this.#onEnded);
    this.#onIdle = callAll(this.#onIdle);
    this.#onDispatched = callAll(this.#onDispatched);
  }

  #sayInterrupted(reason: AbortReason): void {
    const count = this.#interrupted + this.runner.ends.interrupted;
    this.#interrupted = this.runner.ends.interrupted = 0;
    if (count === 0) return;
    const tasks = count === 1 ? '1 task' : `${count} tasks`;
    this.#pool.say(
      'warn',
      `Task queue "${this.name}" gave up ${tasks} that had not begun or waited for another attempt (${reason})`,
      { queue: this.name, interrupted: count },
    );
  }

  #stamp(): Pick<WorkEvent, 'kind' | 'name' | 'executionId' | 'time'> {
    return {
      kind: 'task-queue',
      name: this.name,
      executionId: this.record.id,
      time: this.#pool.clock.now(),
    };
  }

  #emit(event: WorkEvent): void {
    this.record.apply(event);
    this.#pool.emit(event);
  }
}

function callAll(waiting: readonly (() => void)[]): [] {
  waiting.forEach((resolve) => resolve());
  return [];
}
