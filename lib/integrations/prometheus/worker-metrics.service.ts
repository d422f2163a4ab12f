import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { InjectMetric } from '@willsoto/nestjs-prometheus';
import type { Counter, Gauge, Summary } from 'prom-client';
import type { WorkEvent, WorkEventMap } from '../../events/index.js';
import { Distribution, MarkTally } from '../../execution/index.js';
import { type Child, type Pool, POOL } from '../../pool/index.js';
import { type DistributionMetric, isDistributionMetric } from './distribution-metric.js';
import { onCollect } from './on-collect.js';
import { largest, leaveGauge, tellGauge } from './shared-gauge.js';
import { workerMetricNames as names } from './worker-metrics-options.js';

const statuses = ['started', 'restarted', 'success', 'error', 'cancelled'] as const;

/** What has happened to a worker since its metrics were last read. */
class Tally {
  readonly executions = { started: 0, restarted: 0, success: 0, error: 0, cancelled: 0 };
  readonly durations: Distribution;
  runningChange = 0;
  nextRestart = 0;
  lastSuccess = 0;
  /** Whether it ran out of attempts or restarts since it was last started. */
  exhausted = false;
  /** The two times as they were last handed over. */
  readonly told = { nextRestart: 0, lastSuccess: 0 };
  /** Id of the attempt that is under way: an execution can also end while it waits for one. */
  running: string | undefined;

  constructor(buckets: readonly number[]) {
    this.durations = new Distribution(buckets);
  }
}

/**
 * Writes what happens to workers into the metrics. Counts in plain numbers and hands them over when the metrics
 * are read: a labelled prom-client counter costs a third of a microsecond each time it is touched.
 */
@Injectable()
export class WorkerMetricsService implements OnModuleInit, OnApplicationShutdown {
  readonly #tallies = new Map<string, Tally>();
  readonly #off: (() => void)[] = [];
  readonly #marks: MarkTally | undefined;

  constructor(
    @Inject(POOL) private readonly pool: Pool,
    @InjectMetric(names.executions) private readonly executions: Counter,
    @InjectMetric(names.running) private readonly running: Gauge,
    @InjectMetric(names.stuck) private readonly stuck: Gauge,
    @InjectMetric(names.givenUp) private readonly givenUp: Gauge,
    @InjectMetric(names.attemptDuration) private readonly attemptDuration: DistributionMetric,
    @InjectMetric(names.nextRestart) private readonly nextRestart: Gauge,
    @InjectMetric(names.lastSuccess) private readonly lastSuccess: Gauge,
    @InjectMetric(names.markDuration) private readonly markDuration: DistributionMetric | Summary,
  ) {
    if (isDistributionMetric(markDuration)) {
      this.#marks = new MarkTally(({ scope: worker, action, outcome }) => {
        const distribution = new Distribution(markDuration.bounds);
        this.#off.push(markDuration.add({ worker, action, outcome }, distribution));
        return distribution;
      });
    }
  }

  onModuleInit(): void {
    // The module may be imported both with options and plain: what both write to is written to once.
    if (!this.pool.claim(this.executions)) return;
    for (const { name } of this.#workers()) this.#tally(name);
    this.#off.push(
      this.pool.events.on((event) => {
        if (event.kind === 'worker') this.#note(event);
      }),
      onCollect(this.executions, () => this.#flushExecutions()),
      onCollect(this.running, () => this.#flushRunning()),
      onCollect(this.nextRestart, () => this.#flush(this.nextRestart, 'nextRestart')),
      onCollect(this.lastSuccess, () => this.#flush(this.lastSuccess, 'lastSuccess')),
    );
    this.#tellWhether(this.stuck, ({ status }) => status === 'stuck');
    // One that was stopped while it ended for its timeout is in error too, and was not given up on.
    this.#tellWhether(this.givenUp, ({ name, status }) => status === 'error' && this.#tally(name).exhausted);
  }

  onApplicationShutdown(): void {
    this.#flushExecutions();
    this.#flushRunning();
    this.#off.forEach((off) => off());
  }

  #workers(): Child[] {
    return [...this.pool.children()].filter(({ kind }) => kind === 'worker');
  }

  /** 1 for each worker of which `is` holds whenever the gauge is read, and 0 for each other one. */
  #tellWhether(gauge: Gauge, is: (worker: Child) => boolean): void {
    const tell = (): void => {
      for (const worker of this.#workers()) {
        tellGauge(gauge, { worker: worker.name }, this, Number(is(worker)), largest);
      }
    };
    // It is over with the app; another one in this process may go on.
    this.#off.push(onCollect(gauge, tell), () => leaveGauge(gauge, this, largest));
  }

  #tally(worker: string): Tally {
    let tally = this.#tallies.get(worker);
    if (tally === undefined) {
      this.#tallies.set(worker, (tally = new Tally(this.attemptDuration.bounds)));
      this.#off.push(this.attemptDuration.add({ worker }, tally.durations));
    }
    return tally;
  }

  #note(event: WorkEvent): void {
    const tally = this.#tally(event.name);
    switch (event.type) {
      case 'started':
        tally.running = event.executionId;
        tally.runningChange++;
        tally.executions.started++;
        if (event.restart) tally.executions.restarted++;
        tally.nextRestart = 0;
        tally.exhausted = false;
        return;
      case 'exhausted':
        tally.exhausted = true;
        return;
      case 'succeeded':
        tally.lastSuccess = event.time / 1000;
        return this.#ended(event, tally, 'success');
      case 'failed':
        return this.#ended(event, tally, 'error');
      case 'cancelled':
        tally.nextRestart = 0;
        return this.#ended(event, tally, 'cancelled');
      case 'backoff':
        tally.nextRestart = (event.time + event.delayMs) / 1000;
        return;
      case 'marked':
        return this.#marked(event);
    }
  }

  #marked({ name: worker, action, outcome, durationMs }: WorkEventMap['marked']): void {
    const { markDuration } = this;
    if (isDistributionMetric(markDuration)) this.#marks?.add(worker, action, outcome, durationMs);
    else markDuration.observe({ worker, action, outcome }, durationMs / 1_000);
  }

  #ended(
    event: WorkEvent & { durationMs: number },
    tally: Tally,
    status: 'success' | 'error' | 'cancelled',
  ): void {
    if (tally.running !== event.executionId) return;
    tally.running = undefined;
    tally.runningChange--;
    tally.executions[status]++;
    tally.durations.add(event.durationMs / 1000);
  }

  // Every series is there from the first reading on: a rate over a counter that appears with its first error
  // misses that error.
  #flushExecutions(): void {
    for (const [worker, { executions }] of this.#tallies) {
      for (const status of statuses) {
        this.executions.inc({ worker, status }, executions[status]);
        executions[status] = 0;
      }
    }
  }

  // As a change, not as a value: another app in this process may have a worker of the same name.
  #flushRunning(): void {
    for (const [worker, tally] of this.#tallies) {
      this.running.inc({ worker }, tally.runningChange);
      tally.runningChange = 0;
    }
  }

  // Only what this app knows: one that shares the registry may have a worker of the same name with more to tell.
  #flush(gauge: Gauge, value: 'nextRestart' | 'lastSuccess'): void {
    for (const [worker, tally] of this.#tallies) {
      const told = tally.told[value];
      if (tally[value] === told) gauge.inc({ worker }, 0);
      else gauge.set({ worker }, tally[value]);
      tally.told[value] = tally[value];
    }
  }
}
