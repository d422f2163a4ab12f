import { type Static, Type } from '@sinclair/typebox';
import type { JobView } from '../../jobs/index.js';
import { count, document, maybeTime, maybeTimeOf, nullable, oneOf, time, timeOf, toldText } from './parts.js';
import { toJsonValue } from './json-value.js';

export const jobStates = ['scheduled', 'ready', 'active', 'completed', 'cancelled', 'dead'] as const;

const summary = {
  id: Type.String(),
  queue: Type.String(),
  name: Type.String({ description: 'Which handler is to run it; empty: the one without a name' }),
  state: oneOf(jobStates),
  priority: Type.Integer({ description: 'Higher runs first' }),
  created_at: time('When it was enqueued'),
  due_at: time('When it is or was due'),
  ended_at: maybeTime('When it ended'),
  failures: count('Attempts that have failed'),
  deaths: count('How often it was running when its process died'),
  cause: nullable(
    oneOf(['discarded', 'exhausted', 'quarantined', 'invalid', 'expired']),
    'Why it is dead; null: it is not',
  ),
  last_error: nullable(Type.String()),
};

/** A job, as lists show it: without what it carries. */
export const JobSummary = document('JobSummary', summary);
export type JobSummary = Static<typeof JobSummary>;

const AttemptDocument = document('JobAttempt', {
  attempt: count('1 for the first'),
  started_at: time('When it began'),
  ended_at: time('When it ended'),
  outcome: oneOf(['failed', 'timed-out', 'cancelled', 'snoozed', 'died', 'lost']),
  error: nullable(Type.String()),
});

/** A job, whole. */
export const JobDocument = document('Job', {
  ...summary,
  unique_key: nullable(Type.String()),
  limit_key: nullable(Type.String()),
  lease_ends_at: maybeTime('Of an active one'),
  history: Type.Array(AttemptDocument, {
    description: 'The latest attempts that did not complete it, oldest first; 20 at most',
  }),
  payload: Type.Unknown({
    description:
      'As JSON: bytes are { "$bytes": base64 }, what JSON has no form for is a text. null where there is none',
  }),
  payload_error: nullable(Type.String(), 'Why the payload cannot be read'),
  progress: Type.Unknown({ description: 'What its handler last said of how far it is' }),
  result: Type.Unknown({ description: 'What its handler returned' }),
  headers: Type.Record(Type.String(), Type.String()),
  hidden: Type.Array(oneOf(['payload', 'progress', 'result', 'headers']), {
    description: 'What the caller may not see, and is null or empty for that reason',
  }),
});
export type JobDocument = Static<typeof JobDocument>;

/** Jobs of one state, a page of them. */
export const JobPageDocument = document('JobPage', {
  jobs: Type.Array(JobSummary),
  cursor: nullable(
    Type.String(),
    'For the next page; null on the last. A page may be short and have a next one',
  ),
});

/** `whole`: with what may quote its payload. */
export function jobSummary(job: JobView, whole: boolean): JobSummary {
  const { id, queue, name, state, priority, failures, deaths } = job;
  return {
    id,
    queue,
    name,
    state,
    priority,
    created_at: timeOf(job.createdAt),
    due_at: timeOf(job.dueAt),
    ended_at: maybeTimeOf(job.endedAt),
    failures,
    deaths,
    cause: job.cause ?? null,
    last_error: toldText(job.lastError, whole),
  };
}

/** `whole`: with what it carries. */
export function jobDocument(job: JobView, whole: boolean): JobDocument {
  return {
    ...jobSummary(job, whole),
    unique_key: job.uniqueKey ?? null,
    limit_key: job.limitKey ?? null,
    lease_ends_at: maybeTimeOf(job.leaseEndsAt),
    history: job.history.map(({ attempt, startedAt, endedAt, outcome, error }) => ({
      attempt,
      started_at: timeOf(startedAt),
      ended_at: timeOf(endedAt),
      outcome,
      error: toldText(error, whole),
    })),
    payload: whole ? toJsonValue(job.payload) : null,
    payload_error: whole ? (job.payloadError ?? null) : null,
    progress: whole ? toJsonValue(job.progress) : null,
    result: whole ? toJsonValue(job.result) : null,
    headers: whole ? { ...job.headers } : {},
    hidden: whole ? [] : ['payload', 'progress', 'result', 'headers'],
  };
}
