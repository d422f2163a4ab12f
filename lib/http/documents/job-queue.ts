import { type Static, Type } from '@sinclair/typebox';
import type { JobConsumerSnapshot, JobQueue, QueueCounts } from '../../jobs/index.js';
import { EventDocument, eventDocument } from './event.js';
import {
  count,
  document,
  ErrorDocument,
  errorDocument,
  nullable,
  oneOf,
  seconds,
  secondsOf,
  time,
  timeOf,
} from './parts.js';
import { RunningDocument, runningDocument } from './running.js';
import { statuses } from './worker.js';

const levels = {
  ready: count('Jobs that are due and held by nobody'),
  active: count('Jobs that are held under a lease'),
  scheduled: count('Jobs that are due later. What Go programs hold is among these'),
  dead: count('Jobs that were given up on and are kept'),
  oldest_ready_age_seconds: seconds('How long the ready job that has waited longest has been due; 0: none'),
};

/** How a queue stands at its backend, all processes together. */
export const LevelsDocument = document('QueueLevels', levels);
export type LevelsDocument = Static<typeof LevelsDocument>;

export const MinuteDocument = document('Minute', {
  at: time('When the minute began'),
  completed: count('Jobs that completed'),
  failed: count('Attempts that failed'),
});
export type MinuteDocument = Static<typeof MinuteDocument>;

const ConsumerDocument = document('JobConsumer', {
  status: oneOf(statuses),
  degraded: Type.Boolean({ description: 'The backend cannot be reached' }),
  concurrency: count('Jobs that may run at a time in this process'),
  running: count('Attempts that are under way in this process'),
  at_hand: count('Jobs that this process has claimed and not begun'),
  stuck: count('Of those that run: told to end, and did not'),
  leases_lost: count('Jobs that another process may have got while this one ran them'),
  last_error: nullable(ErrorDocument),
});

const summary = {
  name: Type.String(),
  paused: nullable(Type.Boolean(), 'null: the backend does not answer'),
  levels: nullable(LevelsDocument, 'All processes together; null: the backend does not answer'),
  minute: nullable(MinuteDocument, 'The current minute, or the last one in which a job ended'),
  consumer: nullable(ConsumerDocument, 'What runs its jobs in this process; null: nothing does'),
};

/** A job queue, as lists show it. */
export const JobQueueSummary = document('JobQueueSummary', summary);
export type JobQueueSummary = Static<typeof JobQueueSummary>;

/** How a queue stood at one moment. */
export const SampleDocument = document('QueueSample', { at: time('When it stood so'), ...levels });
export type SampleDocument = Static<typeof SampleDocument>;

/** A job queue, whole. */
export const JobQueueDocument = document('JobQueue', {
  ...summary,
  handlers: Type.Array(Type.String(), {
    description: 'Names of the jobs that this process runs; empty text: those without a name',
  }),
  throughput: Type.Array(MinuteDocument, { description: 'The last 60 minutes, those without any left out' }),
  samples: Type.Array(SampleDocument, { description: 'The last ten minutes, a sample every five seconds' }),
  jobs: Type.Array(RunningDocument, {
    description: 'Those that run here, the longest first; at most 100',
  }),
  events: Type.Array(EventDocument, { description: 'The latest of the consumer itself, oldest first' }),
});
export type JobQueueDocument = Static<typeof JobQueueDocument>;

/** What is known of a queue at one moment. */
export interface QueueView {
  readonly queue: JobQueue;
  /** `undefined`: the backend does not answer. */
  readonly counts: QueueCounts | undefined;
}

export function levelsOf(counts: QueueCounts): LevelsDocument {
  const { ready, active, scheduled, dead, oldestReadyAgeMs } = counts;
  return { ready, active, scheduled, dead, oldest_ready_age_seconds: secondsOf(oldestReadyAgeMs) };
}

export function jobQueueSummary({ queue, counts }: QueueView, withStack = false): JobQueueSummary {
  const minute = counts?.throughput.at(-1);
  return {
    name: queue.name,
    paused: counts?.paused ?? null,
    levels: counts === undefined ? null : levelsOf(counts),
    minute: minute === undefined ? null : minuteOf(minute),
    consumer: consumerOf(queue.consumer?.snapshot(), withStack),
  };
}

export function jobQueueDocument(
  view: QueueView,
  samples: readonly SampleDocument[],
  withStacks: boolean,
): JobQueueDocument {
  const { queue, counts } = view;
  const snapshot = queue.consumer?.snapshot();
  return {
    ...jobQueueSummary(view, withStacks),
    handlers: [...queue.handlers.keys()],
    throughput: (counts?.throughput ?? []).map(minuteOf),
    samples: [...samples],
    jobs: (snapshot?.jobs ?? []).map(runningDocument),
    events: (snapshot?.events ?? []).map((event) => eventDocument(event, withStacks)),
  };
}

function minuteOf({ at, completed, failed }: QueueCounts['throughput'][number]): MinuteDocument {
  return { at: timeOf(at), completed, failed };
}

function consumerOf(
  snapshot: JobConsumerSnapshot | undefined,
  withStack: boolean,
): JobQueueSummary['consumer'] {
  if (snapshot === undefined) return null;
  const { status, degraded, concurrency, running, stuck } = snapshot;
  return {
    status,
    degraded,
    concurrency,
    running,
    at_hand: snapshot.atHand,
    stuck,
    leases_lost: snapshot.leasesLost,
    last_error: errorDocument(snapshot.lastError, withStack),
  };
}
