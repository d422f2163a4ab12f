export { RedisJobBackend } from './redis-job-backend.js';
export type { RedisClient, RedisJobBackendOptions } from './redis-options.js';
