export { WorkerMetricsModule } from './worker-metrics.module.js';
export {
  jobMetricNames,
  taskMetricNames,
  type WorkerMetricsOptions,
  workerMetricNames,
} from './worker-metrics-options.js';
