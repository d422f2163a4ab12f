/** Fixed injection token of `WorkerPoolService`, the same in every copy of this package. */
export const WORKER_POOL_SERVICE: unique symbol = Symbol.for('nestjs-worker:worker-pool-service') as never;

/** Injection token of the options given to `WorkerModule`. */
export const WORKER_MODULE_OPTIONS: unique symbol = Symbol.for(
  'nestjs-worker:worker-module-options',
) as never;
