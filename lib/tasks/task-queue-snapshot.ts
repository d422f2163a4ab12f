import type { AbortReason, ErrorInfo, WorkEvent } from '../events/index.js';
import type { ExecutionRecord, ExecutionStatus } from '../execution/index.js';
import type { ChildSnapshot } from '../pool/index.js';
import type { TaskRunner } from './task-runner.js';
import type { TaskEnd } from './task-tally.js';
import type { RunningTask } from './task.js';

// A queue may run any number of tasks; who looks at it wants the ones that take long.
const shownTasks = 100;

/** What a snapshot is made of. */
interface QueueParts {
  readonly runner: TaskRunner;
  readonly record: ExecutionRecord;
  readonly status: ExecutionStatus;
  readonly degraded: boolean;
  readonly paused: boolean;
}

/** What is known of a task queue at one moment. Nothing that happens later changes it. */
export class TaskQueueSnapshot implements ChildSnapshot {
  readonly kind = 'task-queue';
  readonly name: string;
  /** `stuck` while a task of it is. */
  readonly status: ExecutionStatus;
  readonly ignorable = false;
  /** True once tasks have waited for a place without a break for `degradedAfter`. */
  readonly degraded: boolean;
  readonly paused: boolean;
  readonly concurrency: number;
  readonly maxQueued: number;
  /** Attempts that are under way. */
  readonly running: number;
  /** Tasks that are due and wait for their turn. */
  readonly queued: number;
  /** Tasks that wait for their `delay` or `notBefore`, or for their next attempt. */
  readonly delayed: number;
  /** Tasks that wait for room in the queue. */
  readonly waiting: number;
  /** Of those that run: told to end, and did not. */
  readonly stuck: number;
  /** Attempts that ran into their timeout with `overlap`, and go on. */
  readonly leftBehind: number;
  /** Calls of `after` that have not ended. */
  readonly settling: number;
  /** How long the task that has waited longest has been due, in milliseconds. */
  readonly oldestDueMs: number;
  /** Tasks ever accepted. */
  readonly enqueued: number;
  /** Tasks by how they ended. */
  readonly completed: Readonly<Record<TaskEnd, number>>;
  /** Attempts by how they ended. */
  readonly attempts: Readonly<Record<Exclude<TaskEnd, 'dropped'>, number>>;
  /** The tasks that run, the longest first; at most a hundred of them. */
  readonly tasks: readonly RunningTask[];
  /** Of the last attempt that failed. */
  readonly lastError: ErrorInfo | undefined;
  readonly startedAt: Date | undefined;
  readonly stopReason: AbortReason | undefined;
  /** The last events of the queue itself, oldest first; those of its tasks are not among them. */
  readonly events: readonly WorkEvent[];

  /** @internal The queue makes it. */
  constructor({ runner, record, status, degraded, paused }: QueueParts) {
    const { backlog, ends, running, stuck } = runner;
    const { enqueued, completed, attempts } = ends.tally;
    this.name = runner.name;
    this.status = status;
    this.degraded = degraded;
    this.paused = paused;
    this.concurrency = runner.concurrency;
    this.maxQueued = runner.maxQueued;
    this.running = running;
    this.queued = backlog.ready;
    this.delayed = backlog.delayed;
    this.waiting = backlog.waiting;
    this.stuck = stuck;
    this.leftBehind = runner.leftBehind;
    this.settling = ends.afters;
    this.oldestDueMs = runner.oldestDueMs;
    this.enqueued = enqueued;
    this.completed = Object.freeze({ ...completed });
    this.attempts = Object.freeze({ ...attempts });
    this.tasks = Object.freeze(runner.longest(shownTasks));
    this.lastError = ends.lastError;
    this.startedAt = record.startedAt === undefined ? undefined : new Date(record.startedAt);
    this.stopReason = record.stopReason;
    this.events = record.history.history().events;
    Object.freeze(this);
  }

  /** JSON knows no Infinity: it is written as a text, not as null. */
  toJSON(): object {
    const { concurrency, maxQueued } = this;
    return Object.assign({}, this, {
      concurrency: textOfInfinity(concurrency),
      maxQueued: textOfInfinity(maxQueued),
    });
  }
}

function textOfInfinity(count: number): number | string {
  return Number.isFinite(count) ? count : 'Infinity';
}
