import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { InjectMetric } from '@willsoto/nestjs-prometheus';
import type { Counter, Gauge, Histogram, Summary } from 'prom-client';
import type { WorkEvent } from '../../events/index.js';
import { type Pool, POOL } from '../../pool/index.js';
import { workerMetricNames as names } from './worker-metrics-options.js';

/** Writes what happens to workers into the metrics. */
@Injectable()
export class WorkerMetricsService implements OnModuleInit, OnApplicationShutdown {
  /** Ids of the attempts that are under way: an execution can also end while it waits for one. */
  readonly #running = new Set<string>();
  #off: (() => void) | undefined;

  constructor(
    @Inject(POOL) private readonly pool: Pool,
    @InjectMetric(names.executions) private readonly executions: Counter,
    @InjectMetric(names.running) private readonly running: Gauge,
    @InjectMetric(names.attemptDuration) private readonly attemptDuration: Histogram,
    @InjectMetric(names.nextRestart) private readonly nextRestart: Gauge,
    @InjectMetric(names.lastSuccess) private readonly lastSuccess: Gauge,
    @InjectMetric(names.markDuration) private readonly markDuration: Histogram | Summary,
  ) {}

  onModuleInit(): void {
    for (const { kind, name } of this.pool.children()) if (kind === 'worker') this.#announce(name);
    this.#off = this.pool.events.on((event) => {
      if (event.kind === 'worker') this.#count(event);
    });
  }

  onApplicationShutdown(): void {
    this.#off?.();
  }

  /** Every series exists from the start: a rate over a counter that appears with its first error misses that error. */
  #announce(worker: string): void {
    for (const status of ['started', 'restarted', 'success', 'error', 'cancelled'])
      this.executions.inc({ worker, status }, 0);
    this.running.inc({ worker }, 0);
    this.nextRestart.inc({ worker }, 0);
    this.lastSuccess.inc({ worker }, 0);
  }

  #count(event: WorkEvent): void {
    const worker = event.name;
    switch (event.type) {
      case 'registered':
        return this.#announce(worker);
      case 'started':
        this.#running.add(event.executionId);
        this.running.inc({ worker });
        this.executions.inc({ worker, status: 'started' });
        if (event.restart) {
          this.executions.inc({ worker, status: 'restarted' });
          this.nextRestart.set({ worker }, 0);
        }
        return;
      case 'succeeded':
        this.lastSuccess.set({ worker }, event.time / 1000);
        return this.#ended(event, 'success');
      case 'failed':
        return this.#ended(event, 'error');
      case 'cancelled':
        this.nextRestart.set({ worker }, 0);
        return this.#ended(event, 'cancelled');
      case 'backoff':
        return this.nextRestart.set({ worker }, (event.time + event.delayMs) / 1000);
      case 'marked':
        return this.markDuration.observe(
          { worker, action: event.action, outcome: event.outcome },
          event.durationMs / 1000,
        );
    }
  }

  #ended(event: WorkEvent & { durationMs: number }, status: 'success' | 'error' | 'cancelled'): void {
    if (!this.#running.delete(event.executionId)) return;
    const worker = event.name;
    this.running.dec({ worker });
    this.executions.inc({ worker, status });
    this.attemptDuration.observe({ worker }, event.durationMs / 1000);
  }
}
