import type { ClaimedJob, DeadCause, JobAttempt, Settlement } from '../../jobs/index.js';

type Of<Kind extends Settlement['kind']> = Extract<Settlement, { readonly kind: Kind }>;

/** An attempt at a claimed job. */
export function attemptAt(job: ClaimedJob, outcome: JobAttempt['outcome'], error?: string): JobAttempt {
  const { failures, claimedAt } = job;
  return {
    attempt: failures + 1,
    startedAt: claimedAt,
    endedAt: claimedAt + 1,
    outcome,
    ...(error !== undefined && { error }),
  };
}

export const completed = (job: ClaimedJob, keepMs = 0, result?: Uint8Array): Of<'completed'> => ({
  kind: 'completed',
  job,
  keepMs,
  result,
});

/** It failed, and is to be tried again. */
export const failed = (job: ClaimedJob, delayMs = 0, error = 'boom'): Of<'scheduled'> => ({
  kind: 'scheduled',
  job,
  delayMs,
  failures: job.failures + 1,
  attempt: attemptAt(job, 'failed', error),
});

export const snoozed = (job: ClaimedJob, delayMs: number): Of<'scheduled'> => ({
  kind: 'scheduled',
  job,
  delayMs,
  failures: job.failures,
  attempt: attemptAt(job, 'snoozed'),
});

/** It is to wait, and no attempt was made. */
export const putOff = (job: ClaimedJob, delayMs: number): Of<'scheduled'> => ({
  kind: 'scheduled',
  job,
  delayMs,
  failures: job.failures,
});

export const released = (job: ClaimedJob): Of<'released'> => ({ kind: 'released', job });

/** It failed, and is not to be tried again. */
export const dead = (
  job: ClaimedJob,
  {
    cause = 'exhausted',
    error = 'boom',
    maxDead = 1_000_000,
  }: { cause?: DeadCause; error?: string; maxDead?: number } = {},
): Of<'dead'> => ({
  kind: 'dead',
  job,
  cause,
  failures: job.failures + 1,
  error,
  attempt: attemptAt(job, 'failed', error),
  maxDead,
});

export const cancelled = (job: ClaimedJob, keepMs = 0, error = 'not wanted'): Of<'cancelled'> => ({
  kind: 'cancelled',
  job,
  keepMs,
  error,
  attempt: attemptAt(job, 'cancelled', error),
});

/** One of each kind. */
export const everyEnd = {
  completed: (job: ClaimedJob) => completed(job),
  scheduled: (job: ClaimedJob) => failed(job, 5_000),
  released: (job: ClaimedJob) => released(job),
  dead: (job: ClaimedJob) => dead(job),
  cancelled: (job: ClaimedJob) => cancelled(job),
};
