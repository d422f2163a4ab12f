import { type Static, Type } from '@sinclair/typebox';
import type { WorkerExecution, WorkerRegistration } from '../../workers/index.js';
import { EventDocument, eventDocument } from './event.js';
import {
  count,
  document,
  ErrorDocument,
  errorDocument,
  limit,
  limitOf,
  maybeTime,
  maybeTimeOf,
  nullable,
  oneOf,
  seconds,
  secondsOf,
} from './parts.js';

export const statuses = [
  'unknown',
  'deferred',
  'running',
  'backoff',
  'stalled',
  'stuck',
  'stopping',
  'success',
  'error',
  'cancelled',
  'disabled',
] as const;

const summary = {
  name: Type.String(),
  status: oneOf(statuses),
  attempt: count('Number of the current attempt: one more for each consecutive failure; 0 before the first'),
  max_attempts: limit('Consecutive failed attempts allowed'),
  started_at: maybeTime('When the current or last attempt began'),
  ended_at: maybeTime('When the last attempt ended'),
  next_attempt_at: maybeTime('When it is restarted'),
  restarts: count('Restarts since it was last started'),
  restarts_in_window: count('Restarts within the window of its restart limit, or the last hour'),
  ignorable: Type.Boolean({ description: 'Whether giving up on it leaves health alone' }),
  last_error: nullable(ErrorDocument),
};

/** A worker, as lists show it. */
export const WorkerSummary = document('WorkerSummary', summary);
export type WorkerSummary = Static<typeof WorkerSummary>;

/** A worker, whole. */
export const WorkerDocument = document('Worker', {
  ...summary,
  execution_id: Type.String({ description: 'Of the current or last attempt' }),
  origin: Type.String({ description: 'Who declared it' }),
  deferred_start_seconds: seconds('How long its start is deferred'),
  stop_reason: nullable(Type.String(), 'Why it was told to stop'),
  events: Type.Array(EventDocument, { description: 'The latest, oldest first' }),
  events_dropped: count('Older events that are no longer kept'),
});
export type WorkerDocument = Static<typeof WorkerDocument>;

export function workerSummary(execution: WorkerExecution, withStack = false): WorkerSummary {
  const { name, status, attempt, restarts, restartsInWindow, ignorable } = execution;
  return {
    name,
    status,
    attempt,
    max_attempts: limitOf(execution.maxAttempts),
    started_at: maybeTimeOf(execution.startedAt),
    ended_at: maybeTimeOf(execution.endedAt),
    next_attempt_at: maybeTimeOf(execution.nextAttemptAt),
    restarts,
    restarts_in_window: restartsInWindow,
    ignorable,
    last_error: errorDocument(execution.lastError, withStack),
  };
}

export function workerDocument(
  execution: WorkerExecution,
  { origin }: WorkerRegistration,
  withStacks: boolean,
): WorkerDocument {
  return {
    ...workerSummary(execution, withStacks),
    execution_id: execution.id,
    origin,
    deferred_start_seconds: secondsOf(execution.deferredStart),
    stop_reason: execution.stopReason ?? null,
    events: execution.events.map((event) => eventDocument(event, withStacks)),
    events_dropped: execution.eventsDropped,
  };
}
