import { Controller, HttpCode, Post } from '@nestjs/common';
import { Notifications } from './notifications.service.js';

/** For a subscriber who wants to see whether notifications reach him. */
@Controller('notifications/ping')
export class PingController {
  constructor(private readonly notifications: Notifications) {}

  /** The answer does not wait for the ping. Where the queue takes no more, it is a 503. */
  @Post()
  @HttpCode(202)
  ping(): { readonly key: string } {
    return { key: this.notifications.send({ event: 'ping' }) };
  }
}
