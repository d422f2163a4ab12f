import type { ClaimLimits } from './job-backend.js';
import type { PayloadCodec } from './payload-codec.js';

/** Whether jobs may wait though slots are free. */
export function hasLimits({ limits }: ConsumerOptions): boolean {
  return Object.values(limits).some((limit) => limit !== undefined);
}

/** How the jobs of a queue are taken and held in this process, checked and complete. */
export interface ConsumerOptions {
  readonly queue: string;
  readonly codec: PayloadCodec;
  /** Jobs that run at once in this process. */
  readonly concurrency: number;
  /** Over all processes. */
  readonly limits: ClaimLimits;
  readonly leaseMs: number;
  /** How long the main loop may show no sign of life before its leases are no longer renewed. */
  readonly blockedLimitMs: number;
  /** A job that was running when its process died so often is not run again. */
  readonly quarantineAfter: number;
  /** How long a call to the backend may take. */
  readonly callTimeoutMs: number;
  /** How long jobs may wait while there are free slots, and nothing comes, before that counts as down. */
  readonly notConsumingAfterMs: number;
  /** Whether it takes jobs from the start on; if not, only `runOnce()` runs any. */
  readonly autoStart: boolean;
}
