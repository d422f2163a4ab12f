import { Logger } from '@nestjs/common';
import { InjectMetric } from '@willsoto/nestjs-prometheus';
import { type RunnableWorker, Worker, type WorkerContext } from 'nestjs-worker';
import { Counter } from 'prom-client';
import { Notifications } from '../notifications/notifications.service.js';
import { Outbox } from '../scans/outbox.service.js';
import { parseScan, type Scan } from '../scans/scan.js';
import { Inbox } from './inbox.service.js';

/** Reads each file that lands in the inbox, puts its scans into the outbox, and has the subscriber told of it. */
@Worker({ name: 'scan-ingest', stallTimeout: '30s' })
export class ScanIngestWorker implements RunnableWorker {
  private readonly logger = new Logger(ScanIngestWorker.name);

  constructor(
    private readonly inbox: Inbox,
    private readonly outbox: Outbox,
    private readonly notifications: Notifications,
    @InjectMetric('parcel_scan_lines_total') private readonly lines: Counter<'result'>,
  ) {}

  async run(ctx: WorkerContext): Promise<void> {
    for await (const files of this.inbox.arrivals(ctx.signal)) {
      for (const file of files) await this.#ingest(file, ctx);
      ctx.heartbeat();
    }
  }

  async #ingest(file: string, ctx: WorkerContext): Promise<void> {
    ctx.mark('wait');
    const scans: Scan[] = [];
    let refused = 0;
    for await (const line of this.inbox.lines(file)) {
      const scan = parseScan(line);
      if (scan === undefined) refused++;
      else scans.push(scan);
      ctx.heartbeat();
    }
    ctx.mark('read');
    // A file is taken whole or not at all. After a stop nothing goes into the outbox any more, since the relay
    // empties it for the last time; the file stays in the inbox for the next start.
    ctx.signal.throwIfAborted();
    this.outbox.add(scans);
    await this.inbox.moveToDone(file);
    ctx.mark('store');
    this.lines.inc({ result: 'ingested' }, scans.length);
    this.lines.inc({ result: 'refused' }, refused);
    this.logger.log(`Ingested ${file}: ${scans.length} scans, ${refused} lines refused`);
    this.notifications.send({ event: 'file-ingested', file, scans: scans.length, refused });
  }
}
