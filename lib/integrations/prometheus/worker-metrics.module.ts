import { ConfigurableModuleBuilder, Module } from '@nestjs/common';
import { PoolModule } from '../../pool/index.js';
import { JobBackendMetricsService } from './job-backend-metrics.service.js';
import { jobMetricDefinitions } from './job-metric-definitions.js';
import { JobMetricsService } from './job-metrics.service.js';
import { metricProviders } from './metric-providers.js';
import { taskMetricDefinitions } from './task-metric-definitions.js';
import { TaskMetricsService } from './task-metrics.service.js';
import { workerMetricDefinitions } from './worker-metric-definitions.js';
import { WorkerMetricsService } from './worker-metrics.service.js';
import type { WorkerMetricsOptions } from './worker-metrics-options.js';

const optionsToken = Symbol.for('nestjs-worker:worker-metrics-options');

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<WorkerMetricsOptions>({
  optionsInjectionToken: optionsToken,
}).build();

const definitions = [...workerMetricDefinitions, ...taskMetricDefinitions, ...jobMetricDefinitions];
const metrics = metricProviders(optionsToken, definitions);

/**
 * Prometheus metrics of all workers, task queues and job queues. Import it plain, or once with
 * `register(options)` or `registerAsync()`.
 *
 * How the job queues stand is asked of their backend once per reading, for 2 s at most. The gauges that tell
 * of it are the same in every process that has the queue: use `max by (queue)`. While the backend does not
 * answer they are missing, and `job_backend_up` is 0.
 *
 * `PrometheusModule.register({ global: true })` serves them, and its `customMetricPrefix` and `defaultLabels`
 * apply. Each metric can be injected with `@InjectMetric(name)` where this module is imported.
 */
@Module({
  imports: [PoolModule],
  providers: [
    ...metrics,
    WorkerMetricsService,
    TaskMetricsService,
    JobMetricsService,
    JobBackendMetricsService,
  ],
  exports: metrics,
})
export class WorkerMetricsModule extends ConfigurableModuleClass {}
