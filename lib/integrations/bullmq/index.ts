export { BullMqJobBackend } from './bullmq-job-backend.js';
export type { BullMqJobBackendOptions, RedisClient } from './bullmq-options.js';
