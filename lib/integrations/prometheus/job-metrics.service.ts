import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { InjectMetric } from '@willsoto/nestjs-prometheus';
import type { Counter, Gauge, Summary } from 'prom-client';
import { type JobConsumer, jobOutcomes, type JobQueue, jobRegistryOf } from '../../jobs/index.js';
import { type Pool, POOL } from '../../pool/index.js';
import type { DistributionMetric } from './distribution-metric.js';
import { type Count, type Level, one, QueueMeter } from './queue-meter.js';
import { sum } from './shared-gauge.js';
import { jobMetricNames as names } from './worker-metrics-options.js';

/** Hands what this process has done with jobs to the metrics, when these are read. */
@Injectable()
export class JobMetricsService implements OnModuleInit, OnApplicationShutdown {
  readonly #meter: QueueMeter;

  constructor(
    @Inject(POOL) private readonly pool: Pool,
    @InjectMetric(names.enqueued) private readonly enqueued: Counter,
    @InjectMetric(names.duplicates) private readonly duplicates: Counter,
    @InjectMetric(names.enqueueFailures) private readonly enqueueFailures: Counter,
    @InjectMetric(names.attempts) private readonly attempts: Counter,
    @InjectMetric(names.leasesLost) private readonly leasesLost: Counter,
    @InjectMetric(names.givenUp) private readonly givenUp: Counter,
    @InjectMetric(names.quarantined) private readonly quarantined: Counter,
    @InjectMetric(names.pushedOut) private readonly pushedOut: Counter,
    @InjectMetric(names.released) private readonly released: Counter,
    @InjectMetric(names.running) private readonly running: Gauge,
    @InjectMetric(names.stuck) private readonly stuck: Gauge,
    @InjectMetric(names.concurrency) private readonly concurrency: Gauge,
    @InjectMetric(names.wait) private readonly wait: DistributionMetric,
    @InjectMetric(names.duration) private readonly duration: DistributionMetric,
    @InjectMetric(names.lifeTime) private readonly lifeTime: DistributionMetric,
    @InjectMetric(names.claimSize) private readonly claimSize: DistributionMetric,
    @InjectMetric(names.markDuration) private readonly markDuration: DistributionMetric | Summary,
  ) {
    this.#meter = new QueueMeter(pool);
  }

  onModuleInit(): void {
    // The module may be imported both with options and plain: what both write to is written to once.
    if (!this.pool.claim(this.enqueued)) return;
    const meter = this.#meter;
    const registry = jobRegistryOf(this.pool);
    const consumers = (): JobConsumer[] => meter.children('job-consumer') as JobConsumer[];
    meter.each('job-consumer', (consumer) => this.#measure(consumer as JobConsumer));
    meter.observeMarks(this.markDuration, 'job-consumer');
    meter.count(() => registry.queues(), this.#countsOfQueues());
    meter.count(consumers, this.#countsOfConsumers());
    meter.level(consumers, this.#levels());
  }

  onApplicationShutdown(): void {
    this.#meter.close();
  }

  /** Also of those whose jobs other processes run. */
  #countsOfQueues(): Count<JobQueue>[] {
    return [
      { counter: this.enqueued, of: ({ tally }) => one(tally.enqueued) },
      { counter: this.duplicates, of: ({ tally }) => one(tally.duplicates) },
      { counter: this.enqueueFailures, of: ({ tally }) => one(tally.failed) },
    ];
  }

  #countsOfConsumers(): Count<JobConsumer>[] {
    return [
      {
        counter: this.attempts,
        of: ({ runner }) => jobOutcomes.map((outcome) => [{ outcome }, runner.tally.attempts[outcome]]),
      },
      { counter: this.leasesLost, of: ({ runner }) => one(runner.tally.leasesLost) },
      { counter: this.givenUp, of: ({ runner }) => one(runner.tally.dead) },
      { counter: this.quarantined, of: ({ runner }) => one(runner.tally.quarantined) },
      { counter: this.pushedOut, of: ({ runner }) => one(runner.tally.pushedOut) },
      { counter: this.released, of: ({ runner }) => one(runner.tally.released) },
    ];
  }

  #levels(): Level<JobConsumer>[] {
    return [
      { gauge: this.running, of: ({ runner }) => one(runner.running), fold: sum },
      { gauge: this.stuck, of: ({ runner }) => one(runner.stuck), fold: sum },
      { gauge: this.concurrency, of: (consumer) => one(consumer.runner.concurrency), fold: sum },
    ];
  }

  #measure({ name: queue, runner }: JobConsumer): void {
    const meter = this.#meter;
    const measured = {
      waits: meter.distribution(this.wait, { queue }),
      durations: meter.distribution(this.duration, { queue }),
      lives: meter.distribution(this.lifeTime, { queue }),
      batches: meter.distribution(this.claimSize, { queue }),
      marks: meter.marks(this.markDuration, queue),
    };
    const { tally } = runner;
    // Beside those of a second registry.
    tally.measured = [...tally.measured, measured];
  }
}
