import { Module } from '@nestjs/common';
import { PartnersModule } from '../partners/partners.module.js';
import { CarrierStatusWorker } from './carrier-status.worker.js';

@Module({ imports: [PartnersModule], providers: [CarrierStatusWorker] })
export class CarrierModule {}
