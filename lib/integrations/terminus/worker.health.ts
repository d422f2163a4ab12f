import { Inject, Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import type { ExecutionStatus } from '../../execution/index.js';
import { type Child, type Pool, POOL, type PoolStatus } from '../../pool/index.js';

/** The detail of each of the checks. */
export interface WorkersHealth {
  /** How the pool stands: `idle` before the start, `draining` during shutdown. */
  readonly pool: PoolStatus;
  /** Status of each worker by its name. */
  readonly workers: Readonly<Record<string, ExecutionStatus>>;
  /** Status of each task queue by its name, where there are any: `degraded` while it works but does not keep up. */
  readonly taskQueues?: Readonly<Record<string, ExecutionStatus | 'degraded'>>;
}

/** How strict a check is. */
export interface WorkerHealthOptions {
  /** What a queue that does not keep up means for the whole: it is up (default), or down. */
  readonly degraded?: 'up' | 'down';
}

type Result<Key extends string> = HealthIndicatorResult<Key>;

/**
 * Health of the workers and task queues for `@nestjs/terminus`. A worker is down when it never started (`unknown`), was given up
 * on (`error`, unless its `onExhausted` is `'ignore'`), or did not end when it was told to (`stuck`). Every other
 * status is up, a worker that waits for its restart included. A task queue is down before it has started and while a
 * task of it is `stuck`; it is degraded once tasks have waited for a place without a break for its `degradedAfter`.
 */
@Injectable()
export class WorkerHealthIndicator {
  constructor(
    private readonly health: HealthIndicatorService,
    @Inject(POOL) private readonly pool: Pool,
  ) {}

  /** Down when a worker is down, and before the pool has started. */
  isHealthy<const Key extends string>(key: Key, options?: WorkerHealthOptions): Result<Key> {
    return this.#check(key, (pool, children) => pool !== 'idle' && !children.some(downBy(options)));
  }

  /** For a startup probe: up once the pool and every worker in it have been started. */
  startup<const Key extends string>(key: Key): Result<Key> {
    return this.#check(
      key,
      (pool, children) => pool !== 'idle' && children.every(({ status }) => status !== 'unknown'),
    );
  }

  /** For a readiness probe: as `isHealthy`, and down as soon as draining begins. */
  readiness<const Key extends string>(key: Key, options?: WorkerHealthOptions): Result<Key> {
    return this.#check(key, (pool, children) => pool === 'started' && !children.some(downBy(options)));
  }

  /** For a liveness probe: down when a worker is stuck, which only a new process can mend. */
  liveness<const Key extends string>(key: Key): Result<Key> {
    return this.#check(key, (_pool, children) => children.every(({ status }) => status !== 'stuck'));
  }

  // Looks at the children themselves: a snapshot would copy the history of each for every probe.
  #check<const Key extends string>(
    key: Key,
    isUp: (pool: PoolStatus, children: readonly Child[]) => boolean,
  ): Result<Key> {
    const { status: pool } = this.pool;
    const children = [...this.pool.children()];
    const queues = children.filter(({ kind }) => kind === 'task-queue');
    const workers = children.filter(({ kind }) => kind === 'worker');
    const detail: WorkersHealth = {
      pool,
      workers: Object.fromEntries(workers.map(({ name, status }) => [name, status])),
      ...(queues.length > 0 && { taskQueues: Object.fromEntries(queues.map(shownOf)) }),
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
