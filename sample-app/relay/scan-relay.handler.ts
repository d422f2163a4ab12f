import { Logger } from '@nestjs/common';
import { InjectMetric } from '@willsoto/nestjs-prometheus';
import {
  DiscardJob,
  type Job,
  type JobContext,
  JobHandler,
  type RunnableJob,
  SnoozeJob,
} from 'nestjs-worker';
import { Counter } from 'prom-client';
import { Partners } from '../partners/partners.service.js';
import { Scan } from '../scans/scan.js';

/** Passes each scan on to the tracking service, where customers look for their parcels. */
@JobHandler('scans', {
  schema: Scan,
  concurrency: 20,
  timeout: '10s',
  maxAttempts: 20,
  backoff: { initial: '500ms', factor: 2, max: '1m' },
})
export class ScanRelay implements RunnableJob<Scan> {
  private readonly logger = new Logger(ScanRelay.name);

  constructor(
    private readonly partners: Partners,
    @InjectMetric('parcel_scans_relayed_total') private readonly relayed: Counter,
  ) {}

  async handle(job: Job<Scan>, ctx: JobContext): Promise<void> {
    // Until this app listens, there is nobody who could stand in for the tracking service.
    if (!this.partners.reachable) throw new SnoozeJob('200ms');
    const response = await fetch(this.partners.trackingUrl, {
      method: 'POST',
      // A job may run twice, as when an answer gets lost. By the key the tracking service knows what it has.
      headers: { 'content-type': 'application/json', 'idempotency-key': job.id },
      body: JSON.stringify(job.payload),
      signal: ctx.signal,
    });
    ctx.mark('answer');
    const answer = `The tracking service answered ${response.status}`;
    // It would not take it the next time either.
    if (response.status === 400) throw new DiscardJob(answer);
    if (!response.ok) throw new Error(answer);
    this.relayed.inc();
    if (job.attempt > 1) this.logger.log(`Relayed at attempt ${job.attempt}; before: ${job.lastError}`);
  }
}
