import { Module } from '@nestjs/common';
import { CarrierController } from './carrier.controller.js';
import { NotificationLedger } from './notification-ledger.service.js';
import { Partners } from './partners.service.js';
import { SubscriberController } from './subscriber.controller.js';
import { TrackingFeed } from './tracking-feed.service.js';
import { TrackingController } from './tracking.controller.js';

/** The systems of others, and stand-ins for them, so that this app runs alone. */
@Module({
  controllers: [CarrierController, SubscriberController, TrackingController],
  providers: [NotificationLedger, Partners, TrackingFeed],
  exports: [Partners],
})
export class PartnersModule {}
