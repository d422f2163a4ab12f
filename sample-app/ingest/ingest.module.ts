import { Module } from '@nestjs/common';
import { makeCounterProvider } from '@willsoto/nestjs-prometheus';
import { NotificationsModule } from '../notifications/notifications.module.js';
import { ScansModule } from '../scans/scans.module.js';
import { Inbox } from './inbox.service.js';
import { ScanIngestWorker } from './scan-ingest.worker.js';
import { ShippedScans } from './shipped-scans.service.js';

@Module({
  imports: [NotificationsModule, ScansModule],
  providers: [
    Inbox,
    ShippedScans,
    ScanIngestWorker,
    makeCounterProvider({
      name: 'parcel_scan_lines_total',
      help: 'Lines read from the files of depots, by what became of them (ingested, refused)',
      labelNames: ['result'],
    }),
  ],
})
export class IngestModule {}
