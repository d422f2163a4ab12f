export { WorkerHealthIndicator, type WorkerHealthOptions, type WorkersHealth } from './worker.health.js';
export { WorkerHealthModule } from './worker-health.module.js';
