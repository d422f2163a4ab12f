export { WorkerMetricsModule } from './worker-metrics.module.js';
export { type WorkerMetricsOptions, workerMetricNames } from './worker-metrics-options.js';
