import { Module } from '@nestjs/common';
import { makeCounterProvider } from '@willsoto/nestjs-prometheus';
import { PartnersModule } from '../partners/partners.module.js';
import { ScansModule } from '../scans/scans.module.js';
import { ScanRelay } from './scan-relay.handler.js';

@Module({
  imports: [ScansModule, PartnersModule],
  providers: [
    ScanRelay,
    makeCounterProvider({
      name: 'parcel_scans_relayed_total',
      help: 'Scans that the tracking service has taken',
    }),
  ],
})
export class RelayModule {}
