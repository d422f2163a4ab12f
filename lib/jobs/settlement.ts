import { parseDuration } from '../clock/index.js';
import { isWorkError } from '../errors/index.js';
import { toErrorInfo } from '../events/index.js';
import type { Outcome } from '../execution/index.js';
import { type Backoff, delayAfter } from '../supervision/index.js';
import type { ClaimedJob, DeadCause, JobAttempt, Settlement } from './job-backend.js';
import type { SnoozeJob } from './control-flow.js';

/** How often and for how long a job is tried and kept, checked and complete. */
export interface JobPolicy {
  /** Attempts allowed, the first included; `Infinity` never gives up. */
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  readonly keepCompletedMs: number;
  readonly keepCancelledMs: number;
  readonly maxDead: number;
}

/** How an attempt at a job ended: as any attempt does, or put off, or called off by its handler. */
export type JobOutcome =
  | Outcome
  | { readonly kind: 'snoozed'; readonly delayMs: number }
  | { readonly kind: 'cancelled'; readonly reason: 'by-handler'; readonly error: unknown };

/** Reads control flow errors out of a failure. */
export function jobOutcome(outcome: Outcome): JobOutcome {
  if (outcome.kind !== 'failed') return outcome;
  const { error } = outcome;
  if (isWorkError(error, 'CANCEL')) return { kind: 'cancelled', reason: 'by-handler', error };
  if (!isWorkError(error, 'SNOOZE')) return outcome;
  const delayMs = parseDuration((error as unknown as SnoozeJob).duration);
  if (delayMs !== undefined && Number.isFinite(delayMs))
    return { kind: 'snoozed', delayMs: Math.max(0, delayMs) };
  return { kind: 'failed', error: new TypeError(`SnoozeJob takes a finite duration: ${error.message}`) };
}

/** When an attempt was made, by the clock of this process. */
export interface AttemptTimes {
  readonly startedAt: number;
  readonly endedAt: number;
}

/**
 * What an outcome means for a job: one pure function for all backends. One whose lease was lost is given back, should
 * nobody else have it yet; if somebody has, the backend hears that its holder is alive. `random` is a number from 0 up to 1.
 */
export function settlementFor(
  outcome: JobOutcome,
  job: ClaimedJob,
  policy: JobPolicy,
  times: AttemptTimes,
  random: number,
  result?: Uint8Array,
): Settlement {
  const made = (as: JobAttempt['outcome'], error?: string): JobAttempt => ({
    attempt: job.failures + 1,
    ...times,
    outcome: as,
    ...(error !== undefined && { error }),
  });
  switch (outcome.kind) {
    case 'succeeded':
      return { kind: 'completed', job, result, keepMs: policy.keepCompletedMs };
    case 'snoozed':
      return {
        kind: 'scheduled',
        job,
        delayMs: outcome.delayMs,
        failures: job.failures,
        attempt: made('snoozed'),
      };
    case 'cancelled': {
      const error = outcome.error === undefined ? undefined : textOf(outcome.error);
      const attempt = made('cancelled', error);
      return outcome.reason === 'by-handler'
        ? { kind: 'cancelled', job, keepMs: policy.keepCancelledMs, error, attempt }
        : { kind: 'released', job, attempt };
    }
    default: {
      const failures = job.failures + 1;
      const error = textOf(outcome.error);
      const attempt = made(outcome.kind, error);
      const cause = causeOf(outcome.error, failures >= policy.maxAttempts);
      if (cause !== undefined) {
        return { kind: 'dead', job, cause, failures, error, attempt, maxDead: policy.maxDead };
      }
      const delayMs = delayAfter(policy.backoff, failures, outcome.error, random);
      return { kind: 'scheduled', job, delayMs, failures, attempt };
    }
  }
}

/** So long is a job put off that is not to run just now; half of that at least, half as long again at most. */
const putOffMs = 1_000;

/** What becomes of a claimed job that has not begun and is to wait, with those behind it before it: no attempt was made. */
export function putOff(job: ClaimedJob, random: number): Settlement {
  return { kind: 'scheduled', job, delayMs: putOffMs * (0.5 + random), failures: job.failures };
}

function causeOf(error: unknown, exhausted: boolean): DeadCause | undefined {
  if (isWorkError(error, 'DISCARD')) return 'discarded';
  if (isWorkError(error, 'JOB_PAYLOAD_INVALID')) return 'invalid';
  if (isWorkError(error, 'JOB_EXPIRED')) return 'expired';
  return exhausted ? 'exhausted' : undefined;
}

/** Longer ones are cut: they are stored with the job. */
const longestError = 2_000;

/** An error as a text to be stored. Never throws. */
export function textOf(error: unknown): string {
  const { name, message, cause } = toErrorInfo(error);
  const own = name === 'Error' || name === 'NonError' ? message : `${name}: ${message}`;
  // Often the only word on why a fetch() failed.
  const text = cause === undefined ? own : `${own} (${cause.message})`;
  return text.length > longestError ? `${text.slice(0, longestError - 1)}…` : text;
}
