import { createHash } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { InjectMetric } from '@willsoto/nestjs-prometheus';
import { InjectJobQueue, JobQueue, type RunnableWorker, Worker, type WorkerContext } from 'nestjs-worker';
import { Counter } from 'prom-client';
import { Notifications } from '../notifications/notifications.service.js';
import { parseScan, type Scan } from '../scans/scan.js';
import { Inbox } from './inbox.service.js';

/** Reads each file that lands in the inbox, enqueues a job for each of its scans, and has the subscriber told of it. */
@Worker({ name: 'scan-ingest', stallTimeout: '30s' })
export class ScanIngestWorker implements RunnableWorker {
  private readonly logger = new Logger(ScanIngestWorker.name);

  constructor(
    private readonly inbox: Inbox,
    @InjectJobQueue('scans') private readonly queue: JobQueue<Scan>,
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
    const hash = createHash('sha256');
    let refused = 0;
    for await (const line of this.inbox.lines(file)) {
      hash.update(`${line}\n`);
      const scan = parseScan(line);
      if (scan === undefined) refused++;
      else scans.push(scan);
      ctx.heartbeat();
    }
    ctx.mark('read');
    // Always the same ids for the same file. Where a crash, or a stop, has it read again, nothing is stored twice.
    const content = hash.digest('hex').slice(0, 16);
    await this.queue.enqueueMany(scans, (_, index) => ({ id: `${content}:${index}` }));
    // Told to stop: with jobs in memory, those that have just been stored would be lost with the process.
    ctx.signal.throwIfAborted();
    await this.inbox.moveToDone(file);
    ctx.mark('store');
    this.lines.inc({ result: 'ingested' }, scans.length);
    this.lines.inc({ result: 'refused' }, refused);
    this.logger.log(`Ingested ${file}: ${scans.length} scans, ${refused} lines refused`);
    this.notifications.send({ event: 'file-ingested', file, scans: scans.length, refused });
  }
}
