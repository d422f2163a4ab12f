import { type Static, Type } from '@sinclair/typebox';
import type { TaskQueueSnapshot } from '../../tasks/index.js';
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
import { RunningDocument, runningDocument } from './running.js';
import { statuses } from './worker.js';

const summary = {
  name: Type.String(),
  status: oneOf(statuses),
  degraded: Type.Boolean({ description: 'It works, but does not keep up' }),
  paused: Type.Boolean(),
  concurrency: limit('Tasks that may run at a time'),
  max_queued: limit('Tasks that may wait'),
  running: count('Attempts that are under way'),
  queued: count('Tasks that are due and wait for their turn'),
  delayed: count('Tasks that wait for their time, or for their next attempt'),
  waiting: count('Tasks that wait for room in the queue'),
  stuck: count('Of those that run: told to end, and did not'),
  oldest_due_age_seconds: seconds('How long the task that has waited longest has been due; 0 where none is'),
  enqueued_total: count('Tasks accepted since the process began'),
  completed_total: Type.Record(Type.String(), Type.Integer(), { description: 'Tasks by how they ended' }),
  last_error: nullable(ErrorDocument),
};

/** A task queue, as lists show it. */
export const TaskQueueSummary = document('TaskQueueSummary', summary);
export type TaskQueueSummary = Static<typeof TaskQueueSummary>;

/** A task queue, whole. */
export const TaskQueueDocument = document('TaskQueue', {
  ...summary,
  started_at: maybeTime('When it was started'),
  stop_reason: nullable(Type.String(), 'Why it was told to stop'),
  tasks: Type.Array(RunningDocument, { description: 'Those that run, the longest first; at most 100' }),
  events: Type.Array(EventDocument, { description: 'The latest of the queue itself, oldest first' }),
});
export type TaskQueueDocument = Static<typeof TaskQueueDocument>;

export function taskQueueSummary(snapshot: TaskQueueSnapshot, withStack = false): TaskQueueSummary {
  const { name, status, degraded, paused, running, queued, delayed, waiting, stuck } = snapshot;
  return {
    name,
    status,
    degraded,
    paused,
    concurrency: limitOf(snapshot.concurrency),
    max_queued: limitOf(snapshot.maxQueued),
    running,
    queued,
    delayed,
    waiting,
    stuck,
    oldest_due_age_seconds: secondsOf(snapshot.oldestDueMs),
    enqueued_total: snapshot.enqueued,
    completed_total: { ...snapshot.completed },
    last_error: errorDocument(snapshot.lastError, withStack),
  };
}

export function taskQueueDocument(snapshot: TaskQueueSnapshot, withStacks: boolean): TaskQueueDocument {
  return {
    ...taskQueueSummary(snapshot, withStacks),
    started_at: maybeTimeOf(snapshot.startedAt),
    stop_reason: snapshot.stopReason ?? null,
    tasks: snapshot.tasks.map(runningDocument),
    events: snapshot.events.map((event) => eventDocument(event, withStacks)),
  };
}
