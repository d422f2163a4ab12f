import { historyLimit, type JobAttempt } from '../../jobs/index.js';
import {
  dueAtOf,
  failuresOf,
  forgivenAtOf,
  type JobRecord,
  lastErrorOf,
  type OwnState,
  yetToBeMade,
} from './job-record.js';
import { storableText } from './storable-text.js';

/** As many failures as this are shown in BullMQ's own field. */
const shownFailures = 10;

/** What is to be written of a job after an attempt. */
export function stateAfter(
  record: JobRecord,
  after: {
    readonly failures: number;
    readonly made: number;
    readonly attempt?: JobAttempt | undefined;
    readonly dueAt?: number;
  },
): OwnState {
  const { attempt, failures, made, dueAt = dueAtOf(record) } = after;
  const attempts = record.state?.attempts ?? [];
  const isFailure = attempt?.outcome === 'failed' || attempt?.outcome === 'timed-out';
  const lastError = (isFailure ? attempt.error : undefined) ?? lastErrorOf(record);
  const forgivenAt = forgivenAtOf(record);
  const state: OwnState = {
    failures,
    made,
    dueAt,
    attempts: attempt === undefined ? attempts : [...attempts, attempt].slice(-historyLimit),
    ...(lastError !== undefined && { lastError }),
    ...(forgivenAt !== undefined && { forgivenAt }),
  };
  if (attempt === undefined) return state;
  const before = stateAfter(record, { failures: failuresOf(record), made: record.made });
  return yetToBeMade(state, before, record.claims);
}

/** BullMQ's own fields for what went wrong, which its tools show. */
export function shownFields({ attempts, lastError }: OwnState): Record<string, string> {
  const errors = attempts.map(({ error }) => error).filter((error) => error !== undefined);
  return {
    failedReason: storableText(lastError ?? ''),
    stacktrace: JSON.stringify(errors.slice(-shownFailures).map(storableText)),
  };
}
