import type {
  JobQueueSummary,
  OverviewDocument,
  TaskQueueSummary,
  WorkerSummary,
} from '../../dashboard/documents.js';

/** Documents as the server sends them, of which a test says what matters to it. */
export function worker(name: string, rest: Partial<WorkerSummary> = {}): WorkerSummary {
  return {
    name,
    status: 'running',
    attempt: 1,
    max_attempts: null,
    started_at: '2026-01-02T03:04:05.000Z',
    ended_at: null,
    next_attempt_at: null,
    restarts: 0,
    restarts_in_window: 0,
    ignorable: false,
    last_error: null,
    ...rest,
  };
}

export function taskQueue(name: string, rest: Partial<TaskQueueSummary> = {}): TaskQueueSummary {
  return {
    name,
    status: 'running',
    degraded: false,
    paused: false,
    concurrency: 2,
    max_queued: null,
    running: 0,
    queued: 0,
    delayed: 0,
    waiting: 0,
    stuck: 0,
    oldest_due_age_seconds: 0,
    enqueued_total: 0,
    completed_total: {},
    last_error: null,
    ...rest,
  };
}

export const noJobs = { ready: 0, active: 0, scheduled: 0, dead: 0, oldest_ready_age_seconds: 0 };

export const consumer: NonNullable<JobQueueSummary['consumer']> = {
  status: 'running',
  degraded: false,
  concurrency: 10,
  running: 0,
  at_hand: 0,
  stuck: 0,
  leases_lost: 0,
  last_error: null,
};

export function jobQueue(name: string, rest: Partial<JobQueueSummary> = {}): JobQueueSummary {
  return { name, paused: false, levels: noJobs, minute: null, consumer, ...rest };
}

export function overview(rest: Partial<OverviewDocument> = {}): OverviewDocument {
  return {
    now: '2026-01-02T03:04:05.000Z',
    title: 'Background work',
    access: 'operator',
    pool: { status: 'started', draining: false, isolated_errors: 0 },
    backend: null,
    workers: [],
    task_queues: [],
    job_queues: [],
    ...rest,
  };
}
