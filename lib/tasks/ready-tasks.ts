import { QueuedTask } from './queued-task.js';
import { RunQueue, type Waiting } from './run-queue.js';

// Most apps use a few, again and again.
const keptPriorities = 8;

/** What may run now: the highest priority first, and within one priority first come, first served. */
export class ReadyTasks {
  /** Most queues have tasks of this one priority only. */
  readonly #usual = new RunQueue();
  /** The other priorities, highest first. There are at most as many as priorities. */
  #others: { readonly priority: number; readonly queue: RunQueue }[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Adds something that has no options of its own: it takes no more room than this. */
  pushPlain(run: Exclude<Waiting, QueuedTask>, dueAt: number): void {
    this.#length++;
    this.#usual.push(run, dueAt);
  }

  push(task: QueuedTask): void {
    this.#length++;
    const { priority } = task.options;
    (priority === 0 ? this.#usual : this.#queueOf(priority)).push(task, task.dueAt);
  }

  /** Takes the next one out. `lastDueAt` then says since when it was due. */
  shift(): Waiting | undefined {
    const queue = this.#first();
    if (queue === undefined) return undefined;
    return this.#take(queue);
  }

  /** Since when the one that `shift()` gave out was due. */
  lastDueAt = 0;

  /** A task in it has settled, and is to be given out no more. */
  drop(task: QueuedTask): void {
    this.#length--;
    const { priority } = task.options;
    const queue = priority === 0 ? this.#usual : this.#queueOf(priority);
    queue.drop();
    this.#forgetIfEmpty(queue);
  }

  /** Takes out the one that has waited longest among those of the lowest priority. */
  takeLeastWanted(): Waiting | undefined {
    const queue = this.#last();
    if (queue === undefined) return undefined;
    return this.#take(queue);
  }

  /** Since when the one that has waited longest is due; `Infinity` where none waits. */
  get oldestDueAt(): number {
    return this.#others.reduce(
      (oldest, { queue }) => Math.min(oldest, queue.firstDueAt),
      this.#usual.firstDueAt,
    );
  }

  #take(queue: RunQueue): Waiting | undefined {
    this.#length--;
    const waiting = queue.shift();
    this.lastDueAt = queue.shiftedDueAt;
    this.#forgetIfEmpty(queue);
    return waiting;
  }

  /** What a queue costs is not to depend on the priorities that it once had. */
  #forgetIfEmpty(queue: RunQueue): void {
    if (queue.length === 0 && this.#others.length > keptPriorities)
      this.#others = this.#others.filter((other) => other.queue !== queue);
  }

  #first(): RunQueue | undefined {
    if (this.#others.length === 0) return this.#usual.length > 0 ? this.#usual : undefined;
    for (const { priority, queue } of this.#others) {
      if (priority < 0 && this.#usual.length > 0) break;
      if (queue.length > 0) return queue;
    }
    return this.#usual.length > 0 ? this.#usual : undefined;
  }

  #last(): RunQueue | undefined {
    const filled = this.#others.filter(({ queue }) => queue.length > 0);
    const below = filled.findLast(({ priority }) => priority < 0)?.queue;
    return below ?? (this.#usual.length > 0 ? this.#usual : filled.at(-1)?.queue);
  }

  #queueOf(priority: number): RunQueue {
    const known = this.#others.find((other) => other.priority === priority);
    if (known !== undefined) return known.queue;
    const queue = new RunQueue();
    this.#others = [...this.#others, { priority, queue }].toSorted((a, b) => b.priority - a.priority);
    return queue;
  }
}
