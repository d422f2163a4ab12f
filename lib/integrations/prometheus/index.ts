export { WorkerMetricsModule } from './worker-metrics.module.js';
export { taskMetricNames, type WorkerMetricsOptions, workerMetricNames } from './worker-metrics-options.js';
