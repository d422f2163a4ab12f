import { Heap } from '@datastructures-js/heap';
import type { CancelTimer, Clock } from '../clock/index.js';
import type { QueuedTask } from './queued-task.js';

/** What a set of delayed tasks needs from its queue. */
export interface DelayedEnvironment {
  readonly clock: Clock;
  /** Runs `fn` outside of any task's async context. */
  inScope<Result>(fn: () => Result): Result;
}

/** Tasks that wait for a time. However many there are, one timer waits for the first of them. */
export class DelayedTasks {
  readonly #environment: DelayedEnvironment;
  readonly #onDue: (task: QueuedTask) => void;
  #heap = new Heap<QueuedTask>(sooner);
  /** Tasks that were taken out but are in the heap still: to look for one there would take as long as it is deep. */
  #gone = 0;
  #timer: CancelTimer | undefined;
  /** When the timer fires. */
  #timerAt = Infinity;
  #order = 0;

  constructor(environment: DelayedEnvironment, onDue: (task: QueuedTask) => void) {
    this.#environment = environment;
    this.#onDue = onDue;
  }

  get length(): number {
    return this.#heap.size() - this.#gone;
  }

  /** The one that is due first. */
  get first(): QueuedTask | undefined {
    this.#skipGone();
    return this.#heap.root() ?? undefined;
  }

  /** `task.dueAt` says when it is due. */
  push(task: QueuedTask): void {
    task.delayedOrder = this.#order++;
    this.#heap.push(task);
    if (task.dueAt < this.#timerAt) this.#arm();
  }

  /** A delayed task has settled. */
  drop(task: QueuedTask): void {
    if (task.delayedOrder === takenOut) return;
    this.#gone++;
    if (this.#gone > 64 && this.#gone > this.#heap.size() / 2) {
      const left = this.#heap.toArray().filter(isDelayed);
      this.#heap = Heap.heapify(left, sooner);
      this.#gone = 0;
    }
    this.#arm();
  }

  /** Takes out the one that is due first. */
  takeFirst(): QueuedTask | undefined {
    const task = this.first;
    if (task === undefined) return undefined;
    this.#heap.pop();
    this.#arm();
    return task;
  }

  /** Takes out all of them. */
  takeAll(): readonly QueuedTask[] {
    const tasks = this.#heap.toArray().filter(isDelayed);
    // Until it is settled, each may still be cancelled.
    for (const task of tasks) task.delayedOrder = takenOut;
    this.#heap = new Heap<QueuedTask>(sooner);
    this.#gone = 0;
    this.#arm();
    return tasks;
  }

  /** Gives out what is due, in the order in which it came due. */
  takeDue(now: number): void {
    for (let task = this.first; task !== undefined && task.dueAt <= now; task = this.first) {
      this.#heap.pop();
      const { clock } = this.#environment;
      // The wall clock may have been set back meanwhile; before a date that was given, a task never runs.
      const earlyMs = (task.options.notBefore ?? 0) - clock.now();
      if (task.attempts === 0 && earlyMs > 0) {
        task.dueAt = now + earlyMs;
        this.#heap.push(task);
        continue;
      }
      this.#onDue(task);
    }
    this.#arm();
  }

  #skipGone(): void {
    for (let root = this.#heap.root(); root !== null && !isDelayed(root); root = this.#heap.root()) {
      this.#heap.pop();
      this.#gone--;
    }
  }

  #arm(): void {
    const dueAt = this.first?.dueAt ?? Infinity;
    if (dueAt === this.#timerAt) return;
    this.#timer?.();
    this.#timer = undefined;
    this.#timerAt = dueAt;
    if (dueAt === Infinity) return;
    const { clock } = this.#environment;
    this.#timer = this.#environment.inScope(() =>
      clock.setTimer(
        () => {
          this.#timerAt = Infinity;
          this.takeDue(clock.monotonic());
        },
        // A timer of Node's may fire a part of a millisecond early: then it is set again.
        Math.max(0, dueAt - clock.monotonic()),
      ),
    );
  }
}

/** The order of those that `takeAll()` gave out. */
const takenOut = -1;

const sooner = (a: QueuedTask, b: QueuedTask): number => a.dueAt - b.dueAt || a.delayedOrder - b.delayedOrder;
const isDelayed = ({ status }: QueuedTask): boolean => status === 'deferred' || status === 'backoff';
