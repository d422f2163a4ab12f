import type { Clock } from '../clock/index.js';
import type { Handler } from '../execution/index.js';
import { CarriedRun } from './carried-run.js';
import { DelayedTasks } from './delayed-tasks.js';
import { LinkedList } from './linked-list.js';
import { QueuedTask, type TaskHost } from './queued-task.js';
import { ReadyTasks } from './ready-tasks.js';
import type { Waiting } from './run-queue.js';
import { isLater, type ResolvedTaskOptions } from './task-options.js';
import type { TaskStatus } from './task.js';

/** What a backlog needs from its queue. */
export interface BacklogHost extends TaskHost {
  readonly environment: TaskHost['environment'] & {
    readonly clock: Clock;
    inScope<Result>(fn: () => Result): Result;
  };
  /** The options of tasks that have none of their own. */
  readonly plain: ResolvedTaskOptions;
  /** Something has come due. */
  onReady(): void;
}

/** All tasks that were accepted and do not run: due, waiting for a time, or waiting for room. */
export class Backlog {
  readonly #host: BacklogHost;
  readonly #ready = new ReadyTasks();
  readonly #delayed: DelayedTasks;
  /** For room: those that are due, which a free place will do for, and those that are to run later. */
  readonly #waiting = new LinkedList<QueuedTask>();
  readonly #waitingForLater = new LinkedList<QueuedTask>();

  constructor(host: BacklogHost) {
    this.#host = host;
    this.#delayed = new DelayedTasks(host.environment, (task) => this.#makeReady(task));
  }

  get ready(): number {
    return this.#ready.length;
  }

  get delayed(): number {
    return this.#delayed.length;
  }

  /** How many wait for room. */
  get waiting(): number {
    return this.#waiting.length + this.#waitingForLater.length;
  }

  get size(): number {
    return this.#ready.length + this.#delayed.length + this.waiting;
  }

  /** Whether any that is due, or is to run `later`, waits for room. */
  isAwaited(later: boolean): boolean {
    return this.#waitingOf(later).length > 0;
  }

  /** Since when the one that has waited longest is due; `Infinity` where none is. */
  get oldestDueAt(): number {
    const waiting = [this.#waiting, this.#waitingForLater].map(({ first }) => first?.dueAt ?? Infinity);
    return Math.min(this.#ready.oldestDueAt, ...waiting);
  }

  /** Adds what has no options of its own and nobody wants to hear of again. */
  addPlain(run: Handler | CarriedRun, dueAt: number): void {
    this.#ready.pushPlain(run, dueAt);
    this.#host.onReady();
  }

  /** Adds a task; `task.dueAt` says when it is due. */
  add(task: QueuedTask, now: number): void {
    if (task.dueAt <= now) return this.#makeReady(task);
    if (task.attempts === 0) task.status = 'deferred';
    else task.status = 'backoff';
    this.#delayed.push(task);
  }

  /** Adds a task for which there is no room. */
  addWaiting(task: QueuedTask): void {
    task.status = 'waiting';
    this.#waitingOf(isLater(task.options)).push(task);
  }

  /** The first of those that wait for room has found it. */
  letIn(later: boolean, now: number): void {
    const task = this.#waitingOf(later).shift();
    if (task === undefined) return;
    this.add(task, now);
    task.admitted();
  }

  /** Takes out the task whose turn it is. */
  next(): QueuedTask | undefined {
    return this.#taskOf(this.#ready.shift());
  }

  /** What was to wait for a time that has come is due. */
  takeDue(now: number): void {
    this.#delayed.takeDue(now);
  }

  /** Takes out the one that has waited longest among those of the lowest priority, or the one that is due first. */
  takeLeastWanted(): QueuedTask | undefined {
    return this.#taskOf(this.#ready.takeLeastWanted()) ?? this.#delayed.takeFirst();
  }

  /** Takes out all that wait for a time, or would once they found room. */
  *takeDelayed(now: number): Iterable<QueuedTask> {
    for (const task of Array.from(this.#waitingForLater)) {
      if (task.status !== 'waiting' || task.dueAt <= now) continue;
      this.#waitingForLater.remove(task);
      yield task;
    }
    yield* this.#delayed.takeAll();
  }

  /** Takes out everything, one by one. */
  *takeAll(): Iterable<QueuedTask> {
    for (let task = this.next(); task !== undefined; task = this.next()) yield task;
    for (const waiting of [this.#waiting, this.#waitingForLater]) {
      for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) yield task;
    }
    yield* this.#delayed.takeAll();
  }

  /** A task in it has settled; `status` is what it was at. */
  drop(task: QueuedTask, status: TaskStatus): void {
    if (status === 'waiting') this.#waitingOf(isLater(task.options)).remove(task);
    else if (status === 'queued') this.#ready.drop(task);
    else this.#delayed.drop(task);
  }

  #waitingOf(later: boolean): LinkedList<QueuedTask> {
    return later ? this.#waitingForLater : this.#waiting;
  }

  #makeReady(task: QueuedTask): void {
    task.status = 'queued';
    this.#ready.push(task);
    this.#host.onReady();
  }

  #taskOf(waiting: Waiting | undefined): QueuedTask | undefined {
    if (waiting === undefined || waiting instanceof QueuedTask) return waiting;
    return newTask(this.#host, waiting, this.#host.plain, this.#ready.lastDueAt);
  }
}

export function newTask(
  host: TaskHost,
  run: Handler | CarriedRun,
  options: ResolvedTaskOptions,
  dueAt: number,
): QueuedTask {
  if (!(run instanceof CarriedRun)) return new QueuedTask(host, run, options, dueAt);
  const task = new QueuedTask(host, run.run, options, dueAt);
  task.carried = run;
  return task;
}
