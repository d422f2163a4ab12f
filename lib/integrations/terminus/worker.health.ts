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
}

type Result<Key extends string> = HealthIndicatorResult<Key>;

/**
 * Health of the workers for `@nestjs/terminus`. A worker is down when it never started (`unknown`), was given up
 * on (`error`, unless its `onExhausted` is `'ignore'`), or did not end when it was told to (`stuck`). Every other
 * status is up, a worker that waits for its restart included.
 */
@Injectable()
export class WorkerHealthIndicator {
  constructor(
    private readonly health: HealthIndicatorService,
    @Inject(POOL) private readonly pool: Pool,
  ) {}

  /** Down when a worker is down, and before the pool has started. */
  isHealthy<const Key extends string>(key: Key): Result<Key> {
    return this.#check(key, (pool, children) => pool !== 'idle' && !children.some(isDown));
  }

  /** For a startup probe: up once the pool and every worker in it have been started. */
  startup<const Key extends string>(key: Key): Result<Key> {
    return this.#check(
      key,
      (pool, children) => pool !== 'idle' && children.every(({ status }) => status !== 'unknown'),
    );
  }

  /** For a readiness probe: as `isHealthy`, and down as soon as draining begins. */
  readiness<const Key extends string>(key: Key): Result<Key> {
    return this.#check(key, (pool, children) => pool === 'started' && !children.some(isDown));
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
    const detail: WorkersHealth = {
      pool,
      workers: Object.fromEntries(children.map(({ name, status }) => [name, status])),
    };
    const session = this.health.check(key);
    return isUp(pool, children) ? session.up({ ...detail }) : session.down({ ...detail });
  }
}

function isDown({ status, ignorable }: Child): boolean {
  return status === 'unknown' || status === 'stuck' || (status === 'error' && !ignorable);
}
