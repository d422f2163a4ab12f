import { type Duration, parseDuration } from '../clock/index.js';
import { InvalidOptionError, TaskQueueFullError } from '../errors/index.js';
import type { Handler } from '../execution/index.js';
import { Pool, Quiescence, type StopReport } from '../pool/index.js';
import { CarriedRun } from './carried-run.js';
import type { QueuedTask } from './queued-task.js';
import {
  isLater,
  plainTask,
  type ResolvedTaskOptions,
  resolveTaskOptions,
  type TaskOptions,
} from './task-options.js';
import { TaskQueueChild } from './task-queue-child.js';
import {
  checkConcurrency,
  defaultQueueName,
  poolOptionsOf,
  type ResolvedTaskQueueOptions,
  resolveTaskQueueOptions,
  type TaskQueueModuleOptions,
  type TaskQueueOptions,
} from './task-queue-options.js';
import type { TaskQueueSnapshot } from './task-queue-snapshot.js';
import type { TaskRunner } from './task-runner.js';
import type { Task, TaskContext, TaskFunction } from './task.js';

export interface ShutdownOptions {
  /** When to give up on what still runs: so much time from now, or a time of day. Default: `shutdownTimeout`, 25 s. */
  readonly deadline?: Duration | Date;
}

// A queue may drop tasks for hours, thousands in a second.
const saidAgainAfterMs = 60_000;

/**
 * Runs functions in the background of this process, a few at a time. What waits in it is lost when the process
 * ends, so shut it down first: a queue of a Nest app is, by the app; one that is made by hand is its owner's.
 */
export class TaskQueue {
  readonly name: string;
  /** @internal */
  readonly child: TaskQueueChild;
  /** @internal */
  readonly pool: Pool;
  readonly #runner: TaskRunner;
  readonly #options: ResolvedTaskQueueOptions;
  readonly #plain: ResolvedTaskOptions;
  /** Whether the pool is this queue's alone. */
  readonly #ownsPool: boolean;
  #saidDroppingAt = -Infinity;

  /** Runs from now on, unless `autoStart` is false. Throws `InvalidOptionError`. */
  constructor(options?: TaskQueueOptions);
  /** @internal One of an app, which registers it and starts it. */
  constructor(options: TaskQueueModuleOptions, pool: Pool, origin: string);
  constructor(options: TaskQueueOptions = {}, pool?: Pool, origin = 'made by hand') {
    this.#ownsPool = pool === undefined;
    this.pool =
      pool ??
      new Pool(
        poolOptionsOf(options),
        `task queue "${(options as TaskQueueOptions | null)?.name ?? defaultQueueName}"`,
      );
    this.#options = resolveTaskQueueOptions(options, this.#report);
    this.#plain = plainTask(this.#options.policy);
    this.name = this.#options.name;
    this.child = new TaskQueueChild(this.pool, this.#options, this.#plain, origin);
    this.#runner = this.child.runner;
    if (!this.#ownsPool) return;
    this.pool.add(this.child);
    this.pool.start();
  }

  /** Shuts several queues down together: each takes tasks of the others until none has any left. */
  static async join(...queues: readonly TaskQueue[]): Promise<readonly StopReport[]> {
    const quiescence = new Quiescence(Promise.resolve());
    return Promise.all(queues.map((queue) => queue.#shutdown(undefined, quiescence)));
  }

  /** How many tasks run at a time. Can be set at any time; throws `InvalidOptionError`. */
  get concurrency(): number {
    return this.#runner.concurrency;
  }

  set concurrency(concurrency: number) {
    this.#runner.concurrency = checkConcurrency(this.name, concurrency);
  }

  /** How many tasks were accepted and do not run: they wait for their turn, for a time, or for room. */
  get size(): number {
    return this.#runner.backlog.size;
  }

  /** How many attempts are under way. */
  get running(): number {
    return this.#runner.running;
  }

  get isPaused(): boolean {
    return this.child.paused;
  }

  /**
   * Runs `run` in the background. Nobody waits for it: a failure is logged and counted. Throws
   * `TaskQueueFullError`, `TaskQueueClosedError` or `InvalidOptionError`.
   */
  submit(run: TaskFunction, options?: TaskOptions): void {
    if (options !== undefined) return void this.#take(run, options);
    this.#checkFunction(run);
    this.child.checkAccepts(this.#plain);
    if (this.#makeRoom(false)) this.#runner.addPlain(this.#carry(run));
    else this.#runner.add(this.#carry(run), this.#plain, false);
  }

  /** Runs `run` in the background, and answers how it goes. Throws as `submit()` does. */
  enqueue<Return>(
    run: (ctx: TaskContext) => Return,
    options?: TaskOptions<Awaited<Return>>,
  ): Task<Awaited<Return>> {
    return this.#take<Awaited<Return>>(run, options as TaskOptions | undefined);
  }

  /** Enqueues all of them, or none: where there is no room for all it throws as `submit()` does. */
  enqueueMany<Run extends (ctx: TaskContext) => unknown>(
    runs: Iterable<Run>,
    options?: TaskOptions<Awaited<ReturnType<Run>>>,
  ): readonly Task<Awaited<ReturnType<Run>>>[] {
    const all = [...runs];
    all.forEach((run) => this.#checkFunction(run));
    const resolved = this.#resolve(options as TaskOptions | undefined);
    this.child.checkAccepts(resolved);
    const later = isLater(resolved);
    if (this.#options.overflow === 'reject' && all.length > Math.max(0, this.#runner.room(later))) {
      this.#reject(all.length);
    }
    return all.map((run) => this.#add<Awaited<ReturnType<Run>>>(run, resolved));
  }

  /** Begins no further attempt until `resume()`. What runs goes on. */
  pause(): void {
    this.child.pause();
  }

  resume(): void {
    this.child.resume();
  }

  /** Runs tasks by itself from now on: with `autoStart: false`, or after a shutdown. */
  start(): void {
    this.child.makeAutomatic();
    if (this.#ownsPool) this.pool.start();
    else if (this.pool.status === 'started') this.pool.startChild(this.child);
  }

  /**
   * Runs everything that is due now, and resolves when it has ended: true where tasks are left. For a queue with
   * `autoStart: false`, or one that is paused.
   */
  async dispatch(): Promise<boolean> {
    await this.child.dispatch();
    return this.size > 0;
  }

  /** Resolves once no task is left, neither running nor waiting, and after a shutdown. */
  onIdle(): Promise<void> {
    return this.child.onIdle();
  }

  /**
   * Takes tasks until none is left that runs or is due, then refuses. What waits for a time is interrupted at once;
   * what still runs 5 s (`abortMargin`) before the deadline is aborted, and at the deadline left behind and named in the
   * answer's `orphans`. Every task has settled when it resolves. `start()` opens the queue again.
   */
  async shutdown({ deadline }: ShutdownOptions = {}): Promise<StopReport> {
    return this.#shutdown(this.#timeLeft(deadline));
  }

  /** How it stands now. */
  snapshot(): TaskQueueSnapshot {
    return this.child.snapshot();
  }

  /** Its snapshot, as plain data. */
  toJSON(): object {
    return this.snapshot().toJSON();
  }

  async #shutdown(timeoutMs: number | undefined, quiescence?: Quiescence): Promise<StopReport> {
    // One that is shutting down already is waited for by the others all the same.
    if (quiescence !== undefined) this.child.settleWith(quiescence);
    // While another shutdown is under way this one may have less time.
    if (this.#ownsPool && !(this.pool.draining && timeoutMs !== undefined)) {
      return this.pool.stop(timeoutMs, quiescence);
    }
    const report = await this.pool.stopOnly([this.child], timeoutMs, quiescence);
    if (report.orphans.length > 0) this.child.abandon();
    return report;
  }

  #take<Result>(run: TaskFunction, options: TaskOptions | undefined): QueuedTask<Result> {
    this.#checkFunction(run);
    const resolved = this.#resolve(options);
    this.child.checkAccepts(resolved);
    return this.#add(run, resolved);
  }

  #resolve(options: TaskOptions | undefined): ResolvedTaskOptions {
    if (options === undefined) return this.#plain;
    return resolveTaskOptions(this.name, options, this.#options.policy, this.#report);
  }

  #add<Result>(run: TaskFunction, resolved: ResolvedTaskOptions): QueuedTask<Result> {
    // For one that will never run nothing is dropped or refused.
    const fits = resolved.signal?.aborted === true || this.#makeRoom(isLater(resolved));
    return this.#runner.add(this.#carry(run), resolved, fits) as QueuedTask<Result>;
  }

  #carry(run: TaskFunction): Handler | CarriedRun {
    return this.#options.carryContext ? new CarriedRun(run as Handler) : (run as Handler);
  }

  /** Whether one more task fits in, after what `overflow` says was done about it. */
  #makeRoom(later: boolean): boolean {
    if (this.#runner.hasRoom(later)) return true;
    const { overflow } = this.#options;
    if (overflow === 'wait') return false;
    if (overflow === 'reject') this.#reject(1);
    this.#runner.dropOne();
    this.#sayDropping();
    return true;
  }

  #reject(tasks: number): never {
    this.#runner.ends.tally.rejected += tasks;
    throw new TaskQueueFullError(this.name, this.#options.maxQueued);
  }

  #sayDropping(): void {
    const now = this.pool.clock.monotonic();
    if (now - this.#saidDroppingAt < saidAgainAfterMs) return;
    this.#saidDroppingAt = now;
    const { maxQueued } = this.#options;
    const { dropped } = this.#runner.ends.tally.completed;
    this.pool.say('warn', `Task queue "${this.name}" is full (${maxQueued}): it drops its oldest tasks`, {
      queue: this.name,
      dropped,
    });
  }

  #timeLeft(deadline: Duration | Date | undefined): number | undefined {
    if (deadline === undefined) return undefined;
    const leftMs =
      deadline instanceof Date ? deadline.getTime() - this.pool.clock.now() : parseDuration(deadline);
    if (leftMs !== undefined && !Number.isNaN(leftMs) && (leftMs >= 0 || deadline instanceof Date))
      return Math.max(0, leftMs);
    throw new InvalidOptionError({
      owner: `shutdown() of task queue "${this.name}"`,
      option: 'deadline',
      given: deadline,
      accepted: "a Date, a number of milliseconds, or a string like '500ms' or '10s'",
      cure: 'Say how long it may take, or until when.',
    });
  }

  #checkFunction(run: unknown): void {
    if (typeof run === 'function') return;
    throw new InvalidOptionError({
      owner: `task queue "${this.name}"`,
      option: 'the task',
      given: run,
      accepted: 'a function (ctx) => …',
      cure: 'Pass the function itself, not what it returns.',
    });
  }

  readonly #report = (what: string, error: unknown): void => this.pool.report(what, error);
}
