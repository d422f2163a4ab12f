import type { Registry } from 'prom-client';

/** Options of `WorkerMetricsModule`. */
export interface WorkerMetricsOptions {
  /** Put before each name, with an underscore: `myapp` makes `myapp_worker_running`. After the app's own prefix. */
  readonly prefix?: string;
  /** Where the metrics are registered. Default: prom-client's default registry, which PrometheusModule serves. */
  readonly registry?: Registry;
  /** How marks are kept. Default `'histogram'`; a summary has the quantiles 0.5, 0.9 and 0.99. */
  readonly marks?: 'histogram' | 'summary';
  /** Upper bounds of the buckets of attempt durations, in seconds. Default: 0.01 up to 86 400. */
  readonly attemptBuckets?: readonly number[];
  /** Upper bounds of the buckets of mark durations, in seconds. Default: 0.001 up to 60. */
  readonly markBuckets?: readonly number[];
  /** Upper bounds of the buckets of waits and attempts of tasks, in seconds. Default: 0.001 up to 600. */
  readonly taskBuckets?: readonly number[];
  /** Upper bounds of the buckets of waits and attempts of jobs, in seconds. Default: 0.001 up to 3 600. */
  readonly jobBuckets?: readonly number[];
  /**
   * Upper bounds of the buckets of the times from enqueueing to end of jobs, in seconds. Default: 0.01 up to
   * 604 800.
   */
  readonly jobLifeBuckets?: readonly number[];
}

/** Name of each metric of workers, without prefixes: what `@InjectMetric()` takes. */
export const workerMetricNames = {
  executions: 'worker_executions_total',
  running: 'worker_running',
  stuck: 'worker_stuck',
  givenUp: 'worker_given_up',
  attemptDuration: 'worker_attempt_duration_seconds',
  nextRestart: 'worker_next_restart_timestamp_seconds',
  lastSuccess: 'worker_last_success_timestamp_seconds',
  markDuration: 'worker_mark_duration_seconds',
} as const;

/** Name of each metric of task queues, without prefixes: what `@InjectMetric()` takes. */
export const taskMetricNames = {
  enqueued: 'task_enqueued_total',
  attempts: 'task_attempts_total',
  completed: 'task_completed_total',
  rejected: 'task_rejected_total',
  running: 'task_running',
  stuck: 'task_stuck',
  queued: 'task_queued',
  concurrency: 'task_concurrency',
  paused: 'task_paused',
  oldestDueAge: 'task_oldest_due_age_seconds',
  wait: 'task_wait_seconds',
  duration: 'task_duration_seconds',
  completionAttempts: 'task_completion_attempts',
  markDuration: 'task_mark_duration_seconds',
} as const;

/** Name of each metric of job queues, without prefixes: what `@InjectMetric()` takes. */
export const jobMetricNames = {
  enqueued: 'job_enqueued_total',
  duplicates: 'job_duplicates_total',
  enqueueFailures: 'job_enqueue_failures_total',
  attempts: 'job_attempts_total',
  leasesLost: 'job_leases_lost_total',
  givenUp: 'job_given_up_total',
  quarantined: 'job_quarantined_total',
  pushedOut: 'job_pushed_out_total',
  released: 'job_released_total',
  running: 'job_running',
  stuck: 'job_stuck',
  concurrency: 'job_concurrency',
  wait: 'job_wait_seconds',
  duration: 'job_duration_seconds',
  lifeTime: 'job_life_time_seconds',
  claimSize: 'job_claim_size',
  markDuration: 'job_mark_duration_seconds',
  ready: 'job_ready',
  scheduled: 'job_scheduled',
  active: 'job_active',
  dead: 'job_dead',
  oldestReadyAge: 'job_oldest_ready_age_seconds',
  paused: 'job_paused',
  backendUp: 'job_backend_up',
} as const;

// An attempt may be a job of milliseconds or a loop of days.
export const defaultAttemptBuckets = [0.01, 0.1, 0.5, 1, 5, 30, 60, 300, 1_800, 3_600, 21_600, 86_400];
export const defaultMarkBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];
export const defaultTaskBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 600];
export const defaultCompletionBuckets = [1, 2, 3, 5, 8, 13, 21];
export const defaultJobBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 600, 3_600];
export const defaultJobLifeBuckets = [0.01, 0.1, 1, 10, 60, 600, 3_600, 21_600, 86_400, 604_800];
export const defaultClaimBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500];
