import { ConfigurableModuleBuilder, Module } from '@nestjs/common';
import { PoolModule } from '../../pool/index.js';
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

const metrics = metricProviders(optionsToken, [...workerMetricDefinitions, ...taskMetricDefinitions]);

/**
 * Prometheus metrics of all workers and task queues. Import it plain, or once with `register(options)` or `registerAsync()`.
 * `PrometheusModule.register({ global: true })` serves them, and its `customMetricPrefix` and `defaultLabels`
 * apply. Each metric can be injected with `@InjectMetric(name)` where this module is imported.
 */
@Module({
  imports: [PoolModule],
  providers: [...metrics, WorkerMetricsService, TaskMetricsService],
  exports: metrics,
})
export class WorkerMetricsModule extends ConfigurableModuleClass {}
