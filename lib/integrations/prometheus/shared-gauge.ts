import type { Gauge } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

interface Series {
  readonly labels: Labels;
  readonly shares: Map<object, number>;
}

// Of a gauge that several apps of one process share, each knows its own part only. On globalThis: they may have
// different copies of this package.
const key = Symbol.for('nestjs-worker:shared-gauges:v1');
const shared = globalThis as { [key]?: WeakMap<Gauge, Map<string, Series>> };
const gauges = (shared[key] ??= new WeakMap());

/** What the parts of several apps that share a gauge make together. */
export type Fold = (values: readonly number[]) => number;

export const sum: Fold = (values) => values.reduce((total, value) => total + value, 0);
export const largest: Fold = (values) => Math.max(0, ...values);
export const smallest: Fold = (values) => Math.min(...values);

/** Sets the part of `owner`, and the gauge to what all parts make. */
export function tellGauge(gauge: Gauge, labels: Labels, owner: object, value: number, fold: Fold): void {
  const { shares } = seriesOf(gauge, labels);
  shares.set(owner, value);
  gauge.set(labels, fold([...shares.values()]));
}

/** Takes the parts of `owner` out of the gauge. */
export function leaveGauge(gauge: Gauge, owner: object, fold: Fold): void {
  for (const { labels, shares } of gauges.get(gauge)?.values() ?? []) {
    if (shares.delete(owner)) gauge.set(labels, fold([...shares.values()]));
  }
}

/** The same, and a series that nobody is left to tell of is gone. */
export function dropGauge(gauge: Gauge, owner: object, fold: Fold): void {
  for (const { labels, shares } of gauges.get(gauge)?.values() ?? []) {
    if (!shares.delete(owner)) continue;
    if (shares.size === 0) gauge.remove(labels);
    else gauge.set(labels, fold([...shares.values()]));
  }
}

function seriesOf(gauge: Gauge, labels: Labels): Series {
  let all = gauges.get(gauge);
  if (all === undefined) gauges.set(gauge, (all = new Map()));
  const name = JSON.stringify(labels);
  let series = all.get(name);
  if (series === undefined) all.set(name, (series = { labels, shares: new Map() }));
  return series;
}
