import { type Metric, Summary } from 'prom-client';
import { DistributionMetric } from './distribution-metric.js';
import type { MetricBase } from './metric-providers.js';
import { defaultMarkBuckets, type WorkerMetricsOptions } from './worker-metrics-options.js';

export function distribution(
  { name, help, registers }: MetricBase,
  bounds: readonly number[],
): DistributionMetric {
  return new DistributionMetric({ name, help, bounds: [...bounds], registry: registers[0] });
}

/** Marks, as the options want them. */
export function makeMarks(
  base: MetricBase,
  { marks, markBuckets }: WorkerMetricsOptions,
): Metric | DistributionMetric {
  return marks === 'summary'
    ? new Summary({ ...base, percentiles: [0.5, 0.9, 0.99] })
    : distribution(base, markBuckets ?? defaultMarkBuckets);
}
