import type { Metric } from 'prom-client';

const collectors = new WeakMap<Metric, Set<() => void>>();

/**
 * Calls `collect` whenever `metric` is read. A metric has room for one such function; this lets several apps that
 * share it have theirs. Answers a function that ends it.
 */
export function onCollect(metric: Metric, collect: () => void): () => void {
  let all = collectors.get(metric);
  if (all === undefined) {
    const set = new Set<() => void>();
    collectors.set(metric, (all = set));
    // prom-client calls it before it reads the values; a metric that was made elsewhere may have one already.
    const previous = (metric as { collect?: () => unknown }).collect?.bind(metric);
    Object.assign(metric, {
      collect: async () => {
        await previous?.();
        set.forEach((one) => one());
      },
    });
  }
  const own = (): void => collect();
  all.add(own);
  return () => void all.delete(own);
}
