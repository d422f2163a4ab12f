import type { Counter, Gauge, Summary } from 'prom-client';
import type { ChildKind, WorkEvent } from '../../events/index.js';
import { Distribution, MarkTally } from '../../execution/index.js';
import type { Child, Pool } from '../../pool/index.js';
import { type DistributionMetric, isDistributionMetric } from './distribution-metric.js';
import { onCollect } from './on-collect.js';
import { type Fold, leaveGauge, tellGauge } from './shared-gauge.js';

type Labels = Readonly<Record<string, string>>;

export type Values = readonly (readonly [labels: Labels, value: number])[];

interface Named {
  readonly name: string;
}

/** What a counter tells of a queue: a value for each of its series, which only grows. */
export interface Count<Queue extends Named> {
  readonly counter: Counter;
  readonly of: (queue: Queue) => Values;
}

/** What a gauge tells of a queue. `fold`: what the values of several apps in one process make together. */
export interface Level<Queue extends Named> {
  readonly gauge: Gauge;
  readonly of: (queue: Queue) => Values;
  readonly fold: Fold;
}

/**
 * Hands what queues have counted to the metrics, when these are read. A queue counts in plain numbers: its
 * work costs no more for being measured than a few additions.
 */
export class QueueMeter {
  readonly #pool: Pool;
  /** What each series of the counters was told last. */
  readonly #told = new Map<Counter, Map<string, number>>();
  readonly #off: (() => void)[] = [];

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** The children of that kind that there are now. */
  children(kind: ChildKind): Child[] {
    return [...this.#pool.children()].filter((child) => child.kind === kind);
  }

  /** Calls `measure` with each child of that kind, those that come later too. */
  each(kind: ChildKind, measure: (child: Child) => void): void {
    this.children(kind).forEach(measure);
    this.#off.push(
      this.#pool.events.on((event) => {
        if (event.type !== 'registered' || event.kind !== kind) return;
        const child = this.#pool.child(kind, event.name);
        if (child !== undefined) measure(child);
      }),
    );
  }

  /** What is to be added to for `metric` to tell of it. */
  distribution(metric: DistributionMetric, labels: Labels): Distribution {
    const distribution = new Distribution(metric.bounds);
    this.#off.push(metric.add(labels, distribution));
    return distribution;
  }

  /** The same for the marks of a queue; `undefined` where `metric` is a summary, see `observeMarks()`. */
  marks(metric: DistributionMetric | Summary, queue: string): MarkTally | undefined {
    if (!isDistributionMetric(metric)) return undefined;
    return new MarkTally((series) => this.distribution(metric, { queue, ...series }));
  }

  /** A summary needs every single mark. */
  observeMarks(metric: DistributionMetric | Summary, kind: ChildKind): void {
    if (isDistributionMetric(metric)) return;
    const observe = (event: WorkEvent): void => {
      if (event.type !== 'marked' || event.kind !== kind) return;
      const { name: queue, scope, action, outcome } = event;
      metric.observe({ queue, scope, action, outcome }, event.durationMs / 1000);
    };
    this.#off.push(this.#pool.unitEvents.on(observe, ['marked']));
  }

  /** Tells the counters of all queues whenever they are read, and a last time at the end. */
  count<Queue extends Named>(queues: () => Iterable<Queue>, counts: readonly Count<Queue>[]): void {
    for (const count of counts) {
      const tell = (): void => this.#count(queues(), count);
      const off = onCollect(count.counter, tell);
      this.#off.push(tell, off);
    }
  }

  /** Tells the gauges of all queues whenever they are read. */
  level<Queue extends Named>(queues: () => Iterable<Queue>, levels: readonly Level<Queue>[]): void {
    for (const { gauge, of, fold } of levels) {
      const off = onCollect(gauge, () => {
        for (const queue of queues()) {
          for (const [own, value] of of(queue))
            tellGauge(gauge, { queue: queue.name, ...own }, this, value, fold);
        }
      });
      // What does not only grow is over with the app; another one in this process may go on.
      this.#off.push(off, () => leaveGauge(gauge, this, fold));
    }
  }

  close(): void {
    this.#off.splice(0).forEach((off) => off());
  }

  // Every series is there from the first reading on: a rate over a counter that appears with its first error misses
  // that error.
  #count<Queue extends Named>(queues: Iterable<Queue>, { counter, of }: Count<Queue>): void {
    let told = this.#told.get(counter);
    if (told === undefined) this.#told.set(counter, (told = new Map()));
    for (const queue of queues) {
      for (const [own, value] of of(queue)) {
        const labels = { queue: queue.name, ...own };
        const key = JSON.stringify(labels);
        counter.inc(labels, value - (told.get(key) ?? 0));
        told.set(key, value);
      }
    }
  }
}

/** A metric with one series for each queue. */
export function one(value: number): Values {
  return [[{}, value]];
}
