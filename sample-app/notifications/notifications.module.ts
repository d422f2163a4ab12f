import { Module } from '@nestjs/common';
import { TaskQueueModule } from 'nestjs-worker';
import { PartnersModule } from '../partners/partners.module.js';
import { Notifications } from './notifications.service.js';
import { PingController } from './ping.controller.js';

@Module({
  imports: [
    PartnersModule,
    TaskQueueModule.register({
      name: 'notifications',
      concurrency: 2,
      maxAttempts: 10,
      backoff: { initial: '200ms', max: '10s' },
      timeout: '5s',
    }),
  ],
  controllers: [PingController],
  providers: [Notifications],
  exports: [Notifications],
})
export class NotificationsModule {}
