import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { InjectMetric } from '@willsoto/nestjs-prometheus';
import type { Gauge } from 'prom-client';
import { jobRegistryOf } from '../../jobs/index.js';
import { type Pool, POOL } from '../../pool/index.js';
import { BackendMeter } from './backend-meter.js';
import { jobMetricNames as names } from './worker-metrics-options.js';

/** Hands to the metrics how the job queues of the app stand, in all processes together. */
@Injectable()
export class JobBackendMetricsService implements OnModuleInit, OnApplicationShutdown {
  readonly #meter: BackendMeter;

  constructor(
    @Inject(POOL) private readonly pool: Pool,
    @InjectMetric(names.backendUp) private readonly backendUp: Gauge,
    @InjectMetric(names.ready) ready: Gauge,
    @InjectMetric(names.scheduled) scheduled: Gauge,
    @InjectMetric(names.active) active: Gauge,
    @InjectMetric(names.dead) dead: Gauge,
    @InjectMetric(names.oldestReadyAge) oldestReadyAge: Gauge,
    @InjectMetric(names.paused) paused: Gauge,
  ) {
    const levels = [
      { gauge: ready, of: (counts) => counts.ready },
      { gauge: scheduled, of: (counts) => counts.scheduled },
      { gauge: active, of: (counts) => counts.active },
      { gauge: dead, of: (counts) => counts.dead },
      { gauge: oldestReadyAge, of: (counts) => counts.oldestReadyAgeMs / 1_000 },
      { gauge: paused, of: (counts) => Number(counts.paused) },
    ] satisfies ConstructorParameters<typeof BackendMeter>[2];
    this.#meter = new BackendMeter(pool, jobRegistryOf(pool), levels, backendUp);
  }

  onModuleInit(): void {
    // The module may be imported both with options and plain: what both write to is written to once.
    if (this.pool.claim(this.backendUp)) this.#meter.open();
  }

  onApplicationShutdown(): void {
    this.#meter.close();
  }
}
