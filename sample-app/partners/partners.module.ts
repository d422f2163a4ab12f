import { Module } from '@nestjs/common';
import { CarrierController } from './carrier.controller.js';
import { Partners } from './partners.service.js';
import { TrackingFeed } from './tracking-feed.service.js';
import { TrackingController } from './tracking.controller.js';

/** The systems of others, and stand-ins for them, so that this app runs alone. */
@Module({
  controllers: [CarrierController, TrackingController],
  providers: [Partners, TrackingFeed],
  exports: [Partners],
})
export class PartnersModule {}
