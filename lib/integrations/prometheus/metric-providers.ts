import type { FactoryProvider, InjectionToken } from '@nestjs/common';
import { makeCounterProvider, type PrometheusOptions } from '@willsoto/nestjs-prometheus';
import {
  Counter,
  Gauge,
  Histogram,
  type Metric,
  type MetricConfiguration,
  register,
  Summary,
} from 'prom-client';
import {
  defaultAttemptBuckets,
  defaultMarkBuckets,
  type WorkerMetricsOptions,
  workerMetricNames as names,
} from './worker-metrics-options.js';

type Base = MetricConfiguration<string>;

interface Definition {
  readonly name: string;
  readonly help: string;
  readonly labelNames: string[];
  readonly make: (base: Base, options: WorkerMetricsOptions) => Metric;
}

const definitions: readonly Definition[] = [
  {
    name: names.executions,
    help: 'Attempts of workers, by how they began (started, restarted) and ended (success, error, cancelled)',
    labelNames: ['worker', 'status'],
    make: (base) => new Counter(base),
  },
  {
    name: names.running,
    help: 'Attempts of the worker that are under way: 1 or 0 in each process',
    labelNames: ['worker'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.attemptDuration,
    help: 'How long attempts of workers lasted',
    labelNames: ['worker'],
    make: (base, { attemptBuckets }) =>
      new Histogram({ ...base, buckets: [...(attemptBuckets ?? defaultAttemptBuckets)] }),
  },
  {
    name: names.nextRestart,
    help: 'When the worker is due to restart; 0 while it does not wait for that',
    labelNames: ['worker'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.lastSuccess,
    help: 'When an attempt of the worker last succeeded; 0 if none has',
    labelNames: ['worker'],
    make: (base) => new Gauge(base),
  },
  {
    name: names.markDuration,
    help: 'Time between the marks inside attempts of workers',
    labelNames: ['worker', 'action', 'outcome'],
    make: (base, { marks, markBuckets }) =>
      marks === 'summary'
        ? new Summary({ ...base, percentiles: [0.5, 0.9, 0.99] })
        : new Histogram({ ...base, buckets: [...(markBuckets ?? defaultMarkBuckets)] }),
  },
];

/** One provider per metric, under the token that `@InjectMetric(name)` asks for. */
export function metricProviders(optionsToken: InjectionToken): FactoryProvider<Metric>[] {
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
