import type { Distribution, MarkTally, Outcome } from '../execution/index.js';

/** How a task may end: as its last attempt did, or dropped before it had one. */
export const taskEnds = ['succeeded', 'failed', 'timed-out', 'cancelled', 'dropped'] as const;
export type TaskEnd = (typeof taskEnds)[number];

export const attemptEnds = [
  'succeeded',
  'failed',
  'timed-out',
  'cancelled',
] as const satisfies Outcome['kind'][];

/** What a queue has done so far, in plain numbers that only grow. */
export class TaskTally {
  enqueued = 0;
  /** Tasks that found no room, where `overflow` is `reject`. */
  rejected = 0;
  /** Tasks by how they ended. */
  readonly completed: Record<TaskEnd, number> = {
    succeeded: 0,
    failed: 0,
    'timed-out': 0,
    cancelled: 0,
    dropped: 0,
  };
  /** Attempts by how they ended. */
  readonly attempts: Record<Outcome['kind'], number> = {
    succeeded: 0,
    failed: 0,
    'timed-out': 0,
    cancelled: 0,
  };
  /** Distributions, for each that wants them. */
  measured: readonly MeasuredTasks[] = [];

  /** An attempt began, `waitMs` after it was due. */
  waited(waitMs: number): void {
    for (const { waits } of this.measured) waits.add(Math.max(0, waitMs) / 1_000);
  }

  attemptEnded(outcome: Outcome['kind'], durationMs: number): void {
    this.attempts[outcome]++;
    for (const { durations } of this.measured) durations.add(durationMs / 1_000);
  }

  settled(end: TaskEnd, attempts: number): void {
    this.completed[end]++;
    for (const measured of this.measured) measured.attempts.add(attempts);
  }

  marked(scope: string, action: string, outcome: 'success' | 'error', durationMs: number): void {
    for (const { marks } of this.measured) marks?.add(scope, action, outcome, durationMs);
  }
}

/** Distributions that metrics want to know of. */
export interface MeasuredTasks {
  /** From when a task was due to the begin of its attempt. */
  readonly waits: Distribution;
  /** Of attempts. */
  readonly durations: Distribution;
  /** Of the segments between marks. */
  readonly marks: MarkTally | undefined;
  /** Attempts that settled tasks have had; a count, not a duration. */
  readonly attempts: Distribution;
}
