import { Inject, Injectable } from '@nestjs/common';
import { type Pool, POOL, type StopReport } from '../pool/index.js';
import { WorkerPool } from './worker-pool.js';

/**
 * The workers of this app: what they are, how they stand, and the commands to start, stop and restart them.
 * Starting after bootstrap and stopping on shutdown need no call. `stop()` without a name stops the workers and
 * nothing else: it is no shutdown, health stays as it is, and `start()` starts them again.
 */
@Injectable()
export class WorkerPoolService extends WorkerPool {
  /** @internal Nest makes it. */
  constructor(@Inject(POOL) pool: Pool) {
    super(pool);
  }

  /** @internal The app's pool is the app's: only the workers in it are ours to start and stop. */
  protected override startAll(): void {
    this.workers().forEach((worker) => this.pool.startChild(worker));
  }

  /** @internal */
  protected override stopAll(timeoutMs?: number): Promise<StopReport> {
    return this.pool.stopOnly(this.workers(), timeoutMs);
  }
}
