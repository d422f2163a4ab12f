import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { InjectMetric } from '@willsoto/nestjs-prometheus';
import type { Counter, Gauge, Summary } from 'prom-client';
import type { WorkEvent } from '../../events/index.js';
import { Distribution, MarkTally } from '../../execution/index.js';
import { type Pool, POOL } from '../../pool/index.js';
import { attemptEnds, type TaskQueueChild, taskEnds } from '../../tasks/index.js';
import { type DistributionMetric, isDistributionMetric } from './distribution-metric.js';
import { onCollect } from './on-collect.js';
import { type Fold, largest, leaveGauge, sum, tellGauge } from './shared-gauge.js';
import { taskMetricNames as names } from './worker-metrics-options.js';

type Labels = Record<string, string>;

type Values = readonly (readonly [labels: Labels, value: number])[];

/** What a counter tells of a queue: a value for each of its series, which only grows. */
interface Count {
  readonly counter: Counter;
  readonly of: (queue: TaskQueueChild) => Values;
}

/** What a gauge tells of a queue. `fold`: what the values of several apps in one process make together. */
interface Level {
  readonly gauge: Gauge;
  readonly of: (queue: TaskQueueChild) => Values;
  readonly fold: Fold;
}

/**
 * Hands what task queues have counted to the metrics, when these are read. A queue counts in plain numbers: a task
 * costs no more for being measured than a few additions.
 */
@Injectable()
export class TaskMetricsService implements OnModuleInit, OnApplicationShutdown {
  /** What each series of the counters was told last. */
  readonly #told = new Map<Counter, Map<string, number>>();
  readonly #off: (() => void)[] = [];

  constructor(
    @Inject(POOL) private readonly pool: Pool,
    @InjectMetric(names.enqueued) private readonly enqueued: Counter,
    @InjectMetric(names.attempts) private readonly attempts: Counter,
    @InjectMetric(names.completed) private readonly completed: Counter,
    @InjectMetric(names.running) private readonly running: Gauge,
    @InjectMetric(names.stuck) private readonly stuck: Gauge,
    @InjectMetric(names.queued) private readonly queued: Gauge,
    @InjectMetric(names.concurrency) private readonly concurrency: Gauge,
    @InjectMetric(names.oldestDueAge) private readonly oldestDueAge: Gauge,
    @InjectMetric(names.wait) private readonly wait: DistributionMetric,
    @InjectMetric(names.duration) private readonly duration: DistributionMetric,
    @InjectMetric(names.completionAttempts) private readonly completionAttempts: DistributionMetric,
    @InjectMetric(names.markDuration) private readonly markDuration: DistributionMetric | Summary,
  ) {}

  onModuleInit(): void {
    // The module may be imported both with options and plain: what both write to is written to once.
    if (!this.pool.claim(this.enqueued)) return;
    this.#queues().forEach((queue) => this.#measure(queue));
    this.#off.push(
      this.pool.events.on((event) => {
        if (event.type !== 'registered' || event.kind !== 'task-queue') return;
        this.#measure(this.pool.child('task-queue', event.name) as TaskQueueChild);
      }),
      ...(isDistributionMetric(this.markDuration) ? [] : [this.#observeMarks(this.markDuration)]),
      ...this.#counts().map((count) => onCollect(count.counter, () => this.#count(count))),
      ...this.#levels().map((level) => onCollect(level.gauge, () => this.#level(level))),
    );
  }

  onApplicationShutdown(): void {
    this.#counts().forEach((count) => this.#count(count));
    this.#off.forEach((off) => off());
    // What does not only grow is over with the app; another one in this process may go on.
    for (const { gauge, fold } of this.#levels()) leaveGauge(gauge, this, fold);
  }

  #counts(): Count[] {
    return [
      { counter: this.enqueued, of: ({ runner }) => one(runner.ends.tally.enqueued) },
      {
        counter: this.attempts,
        of: ({ runner }) => attemptEnds.map((outcome) => [{ outcome }, runner.ends.tally.attempts[outcome]]),
      },
      {
        counter: this.completed,
        of: ({ runner }) => taskEnds.map((outcome) => [{ outcome }, runner.ends.tally.completed[outcome]]),
      },
    ];
  }

  #levels(): Level[] {
    return [
      { gauge: this.running, of: ({ runner }) => one(runner.running), fold: sum },
      { gauge: this.stuck, of: ({ runner }) => one(runner.stuck), fold: sum },
      {
        gauge: this.queued,
        of: ({ runner: { backlog } }) => [
          [{ state: 'ready' }, backlog.ready],
          [{ state: 'delayed' }, backlog.delayed],
          [{ state: 'waiting' }, backlog.waiting],
        ],
        fold: sum,
      },
      { gauge: this.concurrency, of: ({ runner }) => one(runner.concurrency), fold: sum },
      { gauge: this.oldestDueAge, of: ({ runner }) => one(runner.oldestDueMs / 1_000), fold: largest },
    ];
  }

  #queues(): TaskQueueChild[] {
    return [...this.pool.children()].filter((child) => child.kind === 'task-queue') as TaskQueueChild[];
  }

  #measure({ name: queue, runner }: TaskQueueChild): void {
    const measured = {
      waits: new Distribution(this.wait.bounds),
      durations: new Distribution(this.duration.bounds),
      attempts: new Distribution(this.completionAttempts.bounds),
      marks: this.#marksOf(queue),
    };
    const { tally } = runner.ends;
    // Beside those of a second registry.
    tally.measured = [...tally.measured, measured];
    this.#off.push(
      this.wait.add({ queue }, measured.waits),
      this.duration.add({ queue }, measured.durations),
      this.completionAttempts.add({ queue }, measured.attempts),
    );
  }

  #marksOf(queue: string): MarkTally | undefined {
    const { markDuration } = this;
    if (!isDistributionMetric(markDuration)) return undefined;
    return new MarkTally((series) => {
      const distribution = new Distribution(markDuration.bounds);
      this.#off.push(markDuration.add({ queue, ...series }, distribution));
      return distribution;
    });
  }

  /** A summary needs every single one. */
  #observeMarks(summary: Summary): () => void {
    const observe = (event: WorkEvent): void => {
      if (event.type !== 'marked' || event.kind !== 'task-queue') return;
      const { name: queue, scope, action, outcome } = event;
      summary.observe({ queue, scope, action, outcome }, event.durationMs / 1000);
    };
    return this.pool.unitEvents.on(observe, ['marked']);
  }

  // Every series is there from the first reading on: a rate over a counter that appears with its first error misses
  // that error.
  #count({ counter, of }: Count): void {
    let told = this.#told.get(counter);
    if (told === undefined) this.#told.set(counter, (told = new Map()));
    for (const queue of this.#queues()) {
      for (const [own, value] of of(queue)) {
        const labels = { queue: queue.name, ...own };
        const key = JSON.stringify(labels);
        counter.inc(labels, value - (told.get(key) ?? 0));
        told.set(key, value);
      }
    }
  }

  #level({ gauge, of, fold }: Level): void {
    for (const queue of this.#queues()) {
      for (const [own, value] of of(queue)) {
        tellGauge(gauge, { queue: queue.name, ...own }, this, value, fold);
      }
    }
  }
}

/** A metric with one series for each queue. */
function one(value: number): [[Labels, number]] {
  return [[{}, value]];
}
