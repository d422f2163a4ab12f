import { Inject, Injectable } from '@nestjs/common';
import { type Pool, POOL } from '../pool/index.js';
import { WorkerPool } from './worker-pool.js';

/**
 * The workers of this app: what they are, how they stand, and the commands to start, stop and restart them.
 * Starting after bootstrap and stopping on shutdown need no call.
 */
@Injectable()
export class WorkerPoolService extends WorkerPool {
  /** @internal Nest makes it. */
  constructor(@Inject(POOL) pool: Pool) {
    super(pool);
  }
}
