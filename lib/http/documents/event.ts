import { type Static, Type } from '@sinclair/typebox';
import type { WorkEvent } from '../../events/index.js';
import {
  count,
  document,
  ErrorDocument,
  errorDocument,
  limit,
  limitOf,
  seconds,
  secondsOf,
  time,
  timeOf,
} from './parts.js';

/** A fact of the history of a worker or queue. */
export const EventDocument = document('WorkEvent', {
  type: Type.String({ description: 'started, failed, backoff, exhausted, …' }),
  time: time('When it happened'),
  execution_id: Type.String({ description: 'The attempt that it belongs to' }),
  attempt: Type.Optional(count('Number of the attempt that began, or is to come')),
  max_attempts: Type.Optional(limit('Attempts allowed')),
  delay_seconds: Type.Optional(seconds('How long until what comes next')),
  duration_seconds: Type.Optional(seconds('How long the attempt lasted')),
  reason: Type.Optional(Type.String({ description: 'Why it was told to end, or was given up on' })),
  error: Type.Optional(ErrorDocument),
});
export type EventDocument = Static<typeof EventDocument>;

export function eventDocument(event: WorkEvent, withStack: boolean): EventDocument {
  const { type, time: at, executionId } = event;
  const error = 'error' in event ? errorDocument(event.error, withStack) : null;
  const reason = reasonOf(event);
  return {
    type,
    time: timeOf(at),
    execution_id: executionId,
    ...('attempt' in event && { attempt: event.attempt }),
    ...('maxAttempts' in event && { max_attempts: limitOf(event.maxAttempts) }),
    ...('delayMs' in event && { delay_seconds: secondsOf(event.delayMs) }),
    ...('durationMs' in event && { duration_seconds: secondsOf(event.durationMs) }),
    ...(reason !== undefined && { reason }),
    ...(error !== null && { error }),
  };
}

function reasonOf(event: WorkEvent): string | undefined {
  if ('reason' in event) return event.reason;
  if ('because' in event) return event.because;
  return 'abortedFor' in event ? event.abortedFor : undefined;
}
