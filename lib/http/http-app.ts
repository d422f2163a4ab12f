import { type JobQueue, type JobRegistry, type QueueCounts, jobRegistryOf } from '../jobs/index.js';
import type { Pool } from '../pool/index.js';
import type { TaskQueueChild, TaskQueueSnapshot } from '../tasks/index.js';
import { WorkerPool } from '../workers/index.js';
import { CommandLog } from './command-log.js';
import type { QueueView } from './documents/job-queue.js';
import {
  type Access,
  type BackendDocument,
  backendFor,
  type OverviewDocument,
  type PoolDocument,
} from './documents/overview.js';
import { jobQueueSummary } from './documents/job-queue.js';
import { taskQueueSummary } from './documents/task-queue.js';
import { workerSummary } from './documents/worker.js';
import type { ResolvedHttpOptions } from './http-options.js';
import { LiveFeed } from './live-feed.js';
import { Problem } from './problem.js';
import { QueueSamples } from './queue-samples.js';
import { timeOf } from './documents/parts.js';

/** A page and an autoscaler would rather be told that there is no answer than wait for it. */
const longestCountMs = 2_000;

/** The app, as the HTTP API sees it: reads snapshots, and passes commands on. */
export class HttpApp {
  readonly workers: WorkerPool;
  readonly jobs: JobRegistry;
  readonly commands: CommandLog;
  readonly samples: QueueSamples;
  readonly feed: LiveFeed;

  constructor(
    readonly pool: Pool,
    readonly options: ResolvedHttpOptions,
    /** The last part of the path that it is at. */
    readonly folder: string,
  ) {
    this.workers = new WorkerPool(pool);
    this.jobs = jobRegistryOf(pool);
    this.commands = new CommandLog(pool, options.onCommand);
    this.samples = new QueueSamples(pool, () => this.views());
    this.feed = new LiveFeed(this);
  }

  /** What requests of gocraft/work's contract have to call it. */
  get namespace(): string {
    return this.options.namespace ?? this.jobs.connection?.capabilities.namespace ?? 'work';
  }

  seesAll(access: Access): boolean {
    return access === 'operator' || this.options.showAllToViewers;
  }

  /** Throws `Problem`. */
  queue(name: string): JobQueue {
    const queue = this.jobs.queue(name);
    if (queue !== undefined) return queue;
    throw new Problem(404, 'QUEUE_NOT_FOUND', `No job queue is named ${JSON.stringify(name.slice(0, 200))}.`);
  }

  taskQueues(): TaskQueueSnapshot[] {
    return [...this.pool.children()]
      .filter((child): child is TaskQueueChild => child.kind === 'task-queue')
      .map((child) => child.snapshot());
  }

  /** Throws `Problem`. */
  taskQueue(name: string): TaskQueueSnapshot {
    const child = this.pool.child('task-queue', name);
    if (child !== undefined) return (child as TaskQueueChild).snapshot();
    throw new Problem(
      404,
      'TASK_QUEUE_NOT_FOUND',
      `No task queue is named ${JSON.stringify(name.slice(0, 200))}.`,
    );
  }

  /** How some queues stand. Rejects where the backend does not answer. */
  counts(queues: readonly JobQueue[], dueWithinMs = 0): Promise<readonly QueueCounts[]> {
    return this.jobs.counts(queues, { dueWithinMs, timeoutMs: longestCountMs });
  }

  /** All job queues, also where the backend does not answer. */
  async views(): Promise<readonly QueueView[]> {
    const queues = [...this.jobs.queues()];
    const counts = await this.counts(queues).catch(() => []);
    return queues.map((queue, index) => ({ queue, counts: counts[index] }));
  }

  async overview(access: Access): Promise<OverviewDocument> {
    const views = await this.views();
    return {
      now: timeOf(this.pool.clock.now()),
      title: this.options.title,
      access,
      pool: this.poolDocument(),
      backend: backendFor(access, this.backendDocument()),
      workers: this.workers.executions().map((execution) => workerSummary(execution)),
      task_queues: this.taskQueues().map((snapshot) => taskQueueSummary(snapshot)),
      job_queues: views.map((view) => jobQueueSummary(view)),
    };
  }

  poolDocument(): PoolDocument {
    const { status, draining, isolatedErrors } = this.pool;
    return { status, draining, isolated_errors: isolatedErrors };
  }

  backendDocument(): BackendDocument | null {
    const { connection } = this.jobs;
    if (connection === undefined) return null;
    const { name, durable, shared } = connection.capabilities;
    return { name, durable, shared, status: connection.status, error: connection.error?.message ?? null };
  }
}
