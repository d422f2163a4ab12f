import { Inject, Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import type { ExecutionStatus } from '../../execution/index.js';
import { jobRegistryOf } from '../../jobs/index.js';
import { type Child, type Pool, POOL, type PoolStatus } from '../../pool/index.js';

/** The detail of each of the checks. */
export interface WorkersHealth {
  /** How the pool stands: `idle` before the start, `draining` during shutdown. */
  readonly pool: PoolStatus;
  /** Status of each worker by its name. */
  readonly workers: Readonly<Record<string, ExecutionStatus>>;
  /** Status of each task queue by its name, where there are any: `degraded` while it works but does not keep up. */
  readonly taskQueues?: Readonly<Record<string, ExecutionStatus | 'degraded'>>;
  /**
   * Status of each job consumer by the name of its queue, where there are any: `degraded` while the backend
   * cannot be reached. Queues that this process only enqueues into are not among them.
   */
  readonly jobQueues?: Readonly<Record<string, ExecutionStatus | 'degraded'>>;
  /** How the backend of the job queues stands, where there is one: `down` once it could not be reached for 10 s. */
  readonly jobBackend?: 'up' | 'degraded' | 'down';
}

/** How strict a check is. */
export interface WorkerHealthOptions {
  /**
   * What it means for the whole that a task queue does not keep up, or that a job consumer has just lost its
   * backend: it is up (default), or down.
   */
  readonly degraded?: 'up' | 'down';
}

type Result<Key extends string> = HealthIndicatorResult<Key>;

/**
 * Health of the workers, task queues and job consumers for `@nestjs/terminus`.
 *
 * - A worker is down when it never started (`unknown`), was given up on (`error`, unless its `onExhausted` is
 *   `'ignore'`), or did not end when it was told to (`stuck`). Every other status is up, a worker that waits
 *   for its restart included.
 * - A task queue is down before it has started and while a task of it is `stuck`; it is degraded once tasks
 *   have waited for a place without a break for its `degradedAfter`.
 * - A job consumer is down before it has started, while a job of it is `stuck`, and in `error`: its backend
 *   could not be reached for `callTimeout`, or jobs have waited for `notConsumingAfter` while it had free
 *   slots. It is degraded as soon as its backend cannot be reached.
 * - The backend of job queues, also of a process that only enqueues, is down once it could not be reached for 10 s.
 */
@Injectable()
export class WorkerHealthIndicator {
  constructor(
    private readonly health: HealthIndicatorService,
    @Inject(POOL) private readonly pool: Pool,
  ) {}

  /** Down when any of them is down, and before the pool has started. */
  isHealthy<const Key extends string>(key: Key, options?: WorkerHealthOptions): Result<Key> {
    return this.#check(key, (pool, children) => pool !== 'idle' && this.#works(children, options));
  }

  /** For a startup probe: up once the pool and everything in it have been started. */
  startup<const Key extends string>(key: Key): Result<Key> {
    return this.#check(
      key,
      (pool, children) => pool !== 'idle' && children.every(({ status }) => status !== 'unknown'),
    );
  }

  /** For a readiness probe: as `isHealthy`, and down as soon as draining begins. */
  readiness<const Key extends string>(key: Key, options?: WorkerHealthOptions): Result<Key> {
    return this.#check(key, (pool, children) => pool === 'started' && this.#works(children, options));
  }

  /** For a liveness probe: down when a worker, task or job is stuck, which only a new process can mend. */
  liveness<const Key extends string>(key: Key): Result<Key> {
    return this.#check(key, (_pool, children) => children.every(({ status }) => status !== 'stuck'));
  }

  get #jobBackend(): WorkersHealth['jobBackend'] {
    return jobRegistryOf(this.pool).connection?.status;
  }

  #works(children: readonly Child[], options?: WorkerHealthOptions): boolean {
    const jobBackend = this.#jobBackend;
    if (jobBackend === 'down' || (jobBackend === 'degraded' && options?.degraded === 'down')) return false;
    return !children.some(downBy(options));
  }

  // Looks at the children themselves: a snapshot would copy the history of each for every probe.
  #check<const Key extends string>(
    key: Key,
    isUp: (pool: PoolStatus, children: readonly Child[]) => boolean,
  ): Result<Key> {
    const { status: pool } = this.pool;
    const children = [...this.pool.children()];
    const workers = children.filter(({ kind }) => kind === 'worker');
    const taskQueues = children.filter(({ kind }) => kind === 'task-queue');
    const jobQueues = children.filter(({ kind }) => kind === 'job-consumer');
    const jobBackend = this.#jobBackend;
    const detail: WorkersHealth = {
      pool,
      workers: Object.fromEntries(workers.map(({ name, status }) => [name, status])),
      ...(taskQueues.length > 0 && { taskQueues: Object.fromEntries(taskQueues.map(shownOf)) }),
      ...(jobQueues.length > 0 && { jobQueues: Object.fromEntries(jobQueues.map(shownOf)) }),
      ...(jobBackend && { jobBackend }),
    };
    const session = this.health.check(key);
    return isUp(pool, children) ? session.up({ ...detail }) : session.down({ ...detail });
  }
}

function downBy({ degraded = 'up' }: WorkerHealthOptions = {}): (child: Child) => boolean {
  return (child) => isDown(child) || (degraded === 'down' && child.degraded === true);
}

function isDown({ status, ignorable }: Child): boolean {
  return status === 'unknown' || status === 'stuck' || (status === 'error' && !ignorable);
}

function shownOf({ name, status, degraded }: Child): [name: string, shown: ExecutionStatus | 'degraded'] {
  return [name, status === 'running' && degraded === true ? 'degraded' : status];
}
