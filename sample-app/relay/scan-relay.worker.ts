import { Logger } from '@nestjs/common';
import { InjectMetric } from '@willsoto/nestjs-prometheus';
import { type RunnableWorker, Worker, type WorkerContext } from 'nestjs-worker';
import { Counter } from 'prom-client';
import { Partners } from '../partners/partners.service.js';
import { Outbox } from '../scans/outbox.service.js';
import type { Scan } from '../scans/scan.js';

const batchSize = 200;

/** Passes what is in the outbox on to the tracking service, where customers look for their parcels. */
// Deferred: until the app listens, there is nobody who could stand in for the tracking service.
@Worker({ name: 'scan-relay', deferredStart: '1s', stallTimeout: '30s' })
export class ScanRelayWorker implements RunnableWorker {
  private readonly logger = new Logger(ScanRelayWorker.name);

  constructor(
    private readonly outbox: Outbox,
    private readonly partners: Partners,
    @InjectMetric('parcel_scans_relayed_total') private readonly relayed: Counter,
  ) {}

  async run(ctx: WorkerContext): Promise<void> {
    while (!ctx.signal.aborted) {
      await this.#relayAll(ctx);
      ctx.heartbeat();
      // Told to stop: the loop ends, and what was ingested until then still goes out.
      await ctx.sleep('250ms').catch(() => {});
    }
    await this.#relayAll(ctx);
  }

  async #relayAll(ctx: WorkerContext): Promise<void> {
    let count = 0;
    for (;;) {
      const batch = this.outbox.oldest(batchSize);
      if (batch.length === 0) break;
      if (count === 0) ctx.mark('wait');
      await this.#send(batch);
      // Only now: a batch that did not arrive is sent again by the next attempt.
      this.outbox.confirm(batch.length);
      this.relayed.inc(batch.length);
      count += batch.length;
      ctx.mark('send');
      ctx.heartbeat();
    }
    if (count > 0) this.logger.log(`Relayed ${count} scans`);
  }

  async #send(scans: readonly Scan[]): Promise<void> {
    const response = await fetch(this.partners.trackingUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(scans),
      // Not the signal of the attempt: a stop lets a batch that is under way arrive.
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) throw new Error(`The tracking service answered ${response.status}`);
  }
}
