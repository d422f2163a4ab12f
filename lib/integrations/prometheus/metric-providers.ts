import type { FactoryProvider, InjectionToken } from '@nestjs/common';
import { makeCounterProvider, type PrometheusOptions } from '@willsoto/nestjs-prometheus';
import { type Metric, type MetricConfiguration, register, type Registry } from 'prom-client';
import type { DistributionMetric } from './distribution-metric.js';
import type { WorkerMetricsOptions } from './worker-metrics-options.js';

/** A metric before it is made. */
export interface MetricDefinition {
  readonly name: string;
  readonly help: string;
  readonly labelNames: string[];
  readonly make: (base: MetricBase, options: WorkerMetricsOptions) => Metric | DistributionMetric;
}

export type MetricBase = MetricConfiguration<string> & { readonly registers: [Registry] };

/** One provider per metric, under the token that `@InjectMetric(name)` asks for. */
export function metricProviders(
  optionsToken: InjectionToken,
  definitions: readonly MetricDefinition[],
): FactoryProvider<Metric | DistributionMetric>[] {
  return definitions.map(({ name, help, labelNames, make }) => {
    // The library's own provider knows its token, and that of the options with the app's prefix.
    const { provide, inject = [] } = makeCounterProvider({ name, help }) as FactoryProvider;
    return {
      provide,
      inject: [{ token: optionsToken, optional: true }, ...inject],
      useFactory: (options: WorkerMetricsOptions = {}, app: Partial<PrometheusOptions> = {}) => {
        const registry = options.registry ?? register;
        const fullName = [app.customMetricPrefix, options.prefix, name].filter(Boolean).join('_');
        // A second app in the process, or the next one in a test run, shares the metric that is there.
        const existing = registry.getSingleMetric(fullName);
        return existing ?? make({ name: fullName, help, labelNames, registers: [registry] }, options);
      },
    };
  });
}
