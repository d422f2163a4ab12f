export type { RunnableWorker, WorkerContext } from './runnable-worker.js';
export { WorkerExecution, type WorkerStatus } from './worker-execution.js';
export { type WorkerMiddleware, type WorkerOptions, type WorkerPoolOptions } from './worker-options.js';
export { type StopOptions, WorkerPool, type WorkerRegistration } from './worker-pool.js';
export { WorkerPoolService } from './worker-pool.service.js';
export { Worker, WORKER_METADATA } from './worker.decorator.js';
export { WorkerModule } from './worker.module.js';
export { WORKER_POOL_SERVICE } from './worker.tokens.js';
