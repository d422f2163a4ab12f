import type { Distribution, MarkTally } from '../execution/index.js';
import type { JobOutcome } from './settlement.js';

/** How an attempt at a job may end. */
export const jobOutcomes = [
  'succeeded',
  'failed',
  'timed-out',
  'cancelled',
  'snoozed',
] as const satisfies JobOutcome['kind'][];

/** What a consumer has done with the jobs of its queue so far, in plain numbers that only grow. */
export class JobTally {
  /** Attempts by how they ended. */
  readonly attempts: Record<JobOutcome['kind'], number> = {
    succeeded: 0,
    failed: 0,
    'timed-out': 0,
    cancelled: 0,
    snoozed: 0,
  };
  /** Jobs that this process has given up on. */
  dead = 0;
  /** Jobs that are dead since the process that ran them died, again and again. */
  quarantined = 0;
  /** Dead jobs that gave way to newer ones. */
  pushedOut = 0;
  /** Attempts whose job somebody else may hold by now; whatever they ended with counts for nothing. */
  leasesLost = 0;
  /** Claimed jobs that were handed back, or put off, before they had begun. */
  released = 0;
  /** Distributions, for each that wants them. */
  measured: readonly MeasuredJobs[] = [];

  claimed(count: number): void {
    for (const { batches } of this.measured) batches.add(count);
  }

  /** An attempt began, `waitMs` after it was due. */
  waited(waitMs: number): void {
    for (const { waits } of this.measured) waits.add(Math.max(0, waitMs) / 1_000);
  }

  attemptEnded(outcome: JobOutcome['kind'], durationMs: number): void {
    this.attempts[outcome]++;
    for (const { durations } of this.measured) durations.add(durationMs / 1_000);
  }

  /** A job has ended, `lifeMs` after it was enqueued. */
  ended(lifeMs: number): void {
    for (const { lives } of this.measured) lives.add(Math.max(0, lifeMs) / 1_000);
  }

  marked(scope: string, action: string, outcome: 'success' | 'error', durationMs: number): void {
    for (const { marks } of this.measured) marks?.add(scope, action, outcome, durationMs);
  }
}

/** Distributions that metrics want to know of, in seconds where nothing else is said. */
export interface MeasuredJobs {
  /** From when a job was due to the begin of its attempt. */
  readonly waits: Distribution;
  /** Of attempts. */
  readonly durations: Distribution;
  /** From when a job was enqueued to its end. */
  readonly lives: Distribution;
  /** Jobs per claim; a count. */
  readonly batches: Distribution;
  /** Of the segments between marks. */
  readonly marks: MarkTally | undefined;
}
