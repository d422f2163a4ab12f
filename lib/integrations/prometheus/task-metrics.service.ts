import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { InjectMetric } from '@willsoto/nestjs-prometheus';
import type { Counter, Gauge, Summary } from 'prom-client';
import type { WorkEvent } from '../../events/index.js';
import { Distribution, MarkTally } from '../../execution/index.js';
import { type Pool, POOL } from '../../pool/index.js';
import { attemptEnds, type TaskQueueChild, taskEnds } from '../../tasks/index.js';
import { type DistributionMetric, isDistributionMetric } from './distribution-metric.js';
import { onCollect } from './on-collect.js';
import { taskMetricNames as names } from './worker-metrics-options.js';

type Labels = Record<string, string>;

/** What a metric tells of a queue: a value for each of its series. */
interface Reading {
  readonly metric: Counter | Gauge;
  readonly of: (queue: TaskQueueChild) => readonly (readonly [labels: Labels, value: number])[];
}

/**
 * Hands what task queues have counted to the metrics, when these are read. A queue counts in plain numbers: a task
 * costs no more for being measured than a few additions.
 */
@Injectable()
export class TaskMetricsService implements OnModuleInit, OnApplicationShutdown {
  /** The series of each metric, with what they were told last. */
  readonly #told = new Map<Counter | Gauge, Map<string, { readonly labels: Labels; value: number }>>();
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
      ...this.#readings().map((reading) => onCollect(reading.metric, () => this.#read(reading))),
    );
  }

  onApplicationShutdown(): void {
    this.#readings().forEach((reading) => this.#read(reading));
    this.#off.forEach((off) => off());
    // What does not only grow is over with the app; another one in this process may go on.
    for (const gauge of [this.running, this.stuck, this.queued, this.concurrency, this.oldestDueAge]) {
      this.#told.get(gauge)?.forEach(({ labels }) => this.#tell(gauge, labels, 0));
    }
  }

  #readings(): Reading[] {
    return [
      { metric: this.enqueued, of: ({ runner }) => one(runner.ends.tally.enqueued) },
      {
        metric: this.attempts,
        of: ({ runner }) => attemptEnds.map((outcome) => [{ outcome }, runner.ends.tally.attempts[outcome]]),
      },
      {
        metric: this.completed,
        of: ({ runner }) => taskEnds.map((outcome) => [{ outcome }, runner.ends.tally.completed[outcome]]),
      },
      { metric: this.running, of: ({ runner }) => one(runner.running) },
      { metric: this.stuck, of: ({ runner }) => one(runner.stuck) },
      {
        metric: this.queued,
        of: ({ runner: { backlog } }) => [
          [{ state: 'ready' }, backlog.ready],
          [{ state: 'delayed' }, backlog.delayed],
          [{ state: 'waiting' }, backlog.waiting],
        ],
      },
      { metric: this.concurrency, of: ({ runner }) => one(runner.concurrency) },
      { metric: this.oldestDueAge, of: ({ runner }) => one(runner.oldestDueMs / 1_000) },
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
    runner.ends.tally.measured = measured;
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
  #read({ metric, of }: Reading): void {
    for (const queue of this.#queues()) {
      for (const [labels, value] of of(queue)) this.#tell(metric, { queue: queue.name, ...labels }, value);
    }
  }

  // As a change, not as a value: another app in this process may have a queue of the same name.
  #tell(metric: Counter | Gauge, labels: Labels, value: number): void {
    let series = this.#told.get(metric);
    if (series === undefined) this.#told.set(metric, (series = new Map()));
    const key = Object.values(labels).join('\n');
    const told = series.get(key)?.value ?? 0;
    series.set(key, { labels, value });
    const change = value === told ? 0 : value - told;
    if (Number.isFinite(change)) metric.inc(labels, change);
    else (metric as Gauge).set(labels, value);
  }
}

/** A metric with one series for each queue. */
function one(value: number): [[Labels, number]] {
  return [[{}, value]];
}
