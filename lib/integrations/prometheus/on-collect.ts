import type { Metric } from 'prom-client';

type Collect = () => void | Promise<void>;

const collectors = new WeakMap<Metric, Set<Collect>>();

/**
 * Calls `collect` whenever `metric` is read. A metric has room for one such function; this lets several apps
 * that share it have theirs. The reading waits for what `collect` answers. Answers a function that ends it.
 */
export function onCollect(metric: Metric, collect: Collect): () => void {
  let all = collectors.get(metric);
  if (all === undefined) {
    const set = new Set<Collect>();
    collectors.set(metric, (all = set));
    // prom-client calls it before it reads the values; a metric that was made elsewhere may have one already.
    const previous = (metric as { collect?: () => unknown }).collect?.bind(metric);
    Object.assign(metric, {
      collect: async () => {
        await previous?.();
        await Promise.all([...set].map(async (one) => one()));
      },
    });
  }
  const own: Collect = () => collect();
  all.add(own);
  return () => void all.delete(own);
}
