import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import {
  BadRequestException,
  Body,
  Controller,
  Headers,
  HttpCode,
  Post,
  Req,
  ServiceUnavailableException,
} from '@nestjs/common';
import type { Notification } from '../notifications/notification.js';
import { NotificationLedger } from './notification-ledger.service.js';

/**
 * Stands in for a subscriber: slow, every third call fails, and every fifth one is taken while the answer gets lost,
 * so that it comes again. Neither is left to chance.
 */
@Controller('partners/subscriber')
export class SubscriberController {
  #calls = 0;

  constructor(private readonly ledger: NotificationLedger) {}

  @Post()
  @HttpCode(204)
  async take(
    @Headers('idempotency-key') key: string | undefined,
    @Body() notification: Notification,
    @Req() request: Pick<IncomingMessage, 'socket'>,
  ): Promise<void> {
    if (key === undefined) throw new BadRequestException('Without an Idempotency-Key');
    const call = ++this.#calls;
    await delay(200);
    if (call % 3 === 1) throw new ServiceUnavailableException();
    await this.ledger.enter(key, notification);
    if (call % 5 === 2) request.socket.destroy();
  }
}
