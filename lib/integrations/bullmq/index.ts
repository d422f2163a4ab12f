export { BullMqJobBackend } from './bullmq-job-backend.js';
export type { BullMqJobBackendOptions } from './bullmq-options.js';
