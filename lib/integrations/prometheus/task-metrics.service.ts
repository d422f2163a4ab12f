import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { InjectMetric } from '@willsoto/nestjs-prometheus';
import type { Counter, Gauge, Summary } from 'prom-client';
import { type Pool, POOL } from '../../pool/index.js';
import { attemptEnds, type TaskQueueChild, taskEnds } from '../../tasks/index.js';
import type { DistributionMetric } from './distribution-metric.js';
import { type Count, type Level, one, QueueMeter } from './queue-meter.js';
import { largest, sum } from './shared-gauge.js';
import { taskMetricNames as names } from './worker-metrics-options.js';

/** Hands what task queues have counted to the metrics, when these are read. */
@Injectable()
export class TaskMetricsService implements OnModuleInit, OnApplicationShutdown {
  readonly #meter: QueueMeter;

  constructor(
    @Inject(POOL) private readonly pool: Pool,
    @InjectMetric(names.enqueued) private readonly enqueued: Counter,
    @InjectMetric(names.attempts) private readonly attempts: Counter,
    @InjectMetric(names.completed) private readonly completed: Counter,
    @InjectMetric(names.rejected) private readonly rejected: Counter,
    @InjectMetric(names.running) private readonly running: Gauge,
    @InjectMetric(names.stuck) private readonly stuck: Gauge,
    @InjectMetric(names.queued) private readonly queued: Gauge,
    @InjectMetric(names.concurrency) private readonly concurrency: Gauge,
    @InjectMetric(names.paused) private readonly paused: Gauge,
    @InjectMetric(names.oldestDueAge) private readonly oldestDueAge: Gauge,
    @InjectMetric(names.wait) private readonly wait: DistributionMetric,
    @InjectMetric(names.duration) private readonly duration: DistributionMetric,
    @InjectMetric(names.completionAttempts) private readonly completionAttempts: DistributionMetric,
    @InjectMetric(names.markDuration) private readonly markDuration: DistributionMetric | Summary,
  ) {
    this.#meter = new QueueMeter(pool);
  }

  onModuleInit(): void {
    // The module may be imported both with options and plain: what both write to is written to once.
    if (!this.pool.claim(this.enqueued)) return;
    const meter = this.#meter;
    const queues = (): TaskQueueChild[] => meter.children('task-queue') as TaskQueueChild[];
    meter.each('task-queue', (queue) => this.#measure(queue as TaskQueueChild));
    meter.observeMarks(this.markDuration, 'task-queue');
    meter.count(queues, this.#counts());
    meter.level(queues, this.#levels());
  }

  onApplicationShutdown(): void {
    this.#meter.close();
  }

  #counts(): Count<TaskQueueChild>[] {
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
      { counter: this.rejected, of: ({ runner }) => one(runner.ends.tally.rejected) },
    ];
  }

  #levels(): Level<TaskQueueChild>[] {
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
      { gauge: this.paused, of: ({ paused }) => one(Number(paused)), fold: largest },
      { gauge: this.oldestDueAge, of: ({ runner }) => one(runner.oldestDueMs / 1_000), fold: largest },
    ];
  }

  #measure({ name: queue, runner }: TaskQueueChild): void {
    const meter = this.#meter;
    const measured = {
      waits: meter.distribution(this.wait, { queue }),
      durations: meter.distribution(this.duration, { queue }),
      attempts: meter.distribution(this.completionAttempts, { queue }),
      marks: meter.marks(this.markDuration, queue),
    };
    const { tally } = runner.ends;
    // Beside those of a second registry.
    tally.measured = [...tally.measured, measured];
  }
}
