import { Logger } from '@nestjs/common';
import { type RunnableWorker, Worker, type WorkerContext } from 'nestjs-worker';
import type { CarrierStatus } from '../partners/carrier.controller.js';
import { Partners } from '../partners/partners.service.js';

/**
 * Asks the carrier every second which depots are late. The carrier is not reliable, and nothing here deals with
 * that: an attempt that fails ends, and the next one follows by `backoff`.
 */
@Worker({
  name: 'carrier-status',
  deferredStart: '1s',
  backoff: { initial: '250ms', factor: 2, max: '10s' },
  // Some good answers, and the delays begin small again.
  resetAfter: '1.5s',
  stallTimeout: '15s',
})
export class CarrierStatusWorker implements RunnableWorker {
  private readonly logger = new Logger(CarrierStatusWorker.name);
  #delayed = '';

  constructor(private readonly partners: Partners) {}

  async run(ctx: WorkerContext): Promise<void> {
    for (;;) {
      const response = await fetch(this.partners.carrierUrl, { signal: ctx.signal });
      if (!response.ok) throw new Error(`The carrier answered ${response.status}`);
      this.#note((await response.json()) as CarrierStatus);
      ctx.mark('poll');
      ctx.heartbeat();
      await ctx.sleep('1s');
    }
  }

  #note({ delayedDepots }: CarrierStatus): void {
    const delayed = delayedDepots.join(', ');
    if (delayed !== this.#delayed) this.logger.log(`The carrier is late in ${delayed}`);
    this.#delayed = delayed;
  }
}
