import type { MetricObjectWithValues, MetricValueWithName, Registry } from 'prom-client';
import { Distribution } from '../../execution/index.js';

type Labels = Readonly<Record<string, string>>;

interface Series {
  readonly labels: Labels;
  /** Those that are still added to. */
  readonly live: Set<Distribution>;
  /** Everything that was counted by those that are not. */
  readonly past: Distribution;
}

/** What a distribution metric is made of. */
export interface DistributionMetricOptions {
  readonly name: string;
  readonly help: string;
  /** Upper bounds of the buckets, ascending. */
  readonly bounds: readonly number[];
  readonly registry: Registry;
}

/**
 * A histogram that is counted elsewhere and read here: what prom-client needs of a metric, without the third of a
 * microsecond that its own histogram takes for each observation.
 */
export class DistributionMetric {
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly name: string;
  readonly help: string;
  readonly bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  constructor({ name, help, bounds, registry }: DistributionMetricOptions) {
    this.name = name;
    this.help = help;
    this.bounds = bounds;
    // A registry asks of a metric what is below, and nothing else.
    registry.registerMetric(this as unknown as Parameters<Registry['registerMetric']>[0]);
  }

  /** Reads `distribution` from now on; answers a function that keeps what it has counted and reads it no more. */
  add(labels: Labels, distribution: Distribution): () => void {
    const key = JSON.stringify(labels);
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { labels, live: new Set(), past: new Distribution(this.bounds) };
      this.#series.set(key, series);
    }
    const { live, past } = series;
    live.add(distribution);
    return () => {
      if (live.delete(distribution)) merge(past, distribution);
    };
  }

  /** @internal prom-client reads it by this. */
  async get(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    const { name, help, type, aggregator } = this;
    const values = [...this.#series.values()].flatMap((series) => this.#valuesOf(series));
    return { name, help, type, aggregator, values } as never;
  }

  /** @internal prom-client empties it by this. */
  reset(): void {
    for (const { live, past } of this.#series.values()) {
      for (const distribution of [past, ...live]) {
        distribution.counts.fill(0);
        distribution.sum = 0;
      }
    }
  }

  #valuesOf({ labels, live, past }: Series): MetricValueWithName<string>[] {
    const all = new Distribution(this.bounds);
    for (const distribution of [past, ...live]) merge(all, distribution);
    let count = 0;
    const buckets = [...this.bounds, '+Inf'].map((le, index) => {
      count += all.counts[index]!;
      return { metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: all.sum },
      { metricName: `${this.name}_count`, labels, value: count },
    ];
  }
}

function merge(into: Distribution, from: Distribution): void {
  from.counts.forEach((count, index) => {
    into.counts[index]! += count;
  });
  into.sum += from.sum;
}

// Not by class: in an app with two copies of this package, the metric may be of the other.
export function isDistributionMetric(metric: object): metric is DistributionMetric {
  return 'bounds' in metric && 'add' in metric;
}
