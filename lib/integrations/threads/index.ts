export { createThreads, inThread, type InThread, type InThreadOptions, type Threads } from './in-thread.js';
export { type ThreadTransfer } from './thread-pool.js';
export { type ThreadsOptions } from './threads-options.js';
