import type { IncomingMessage } from 'node:http';
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
import type { Scan } from '../scans/scan.js';
import { TrackingFeed } from './tracking-feed.service.js';

/**
 * Stands in for the tracking service. One call in 500 fails, and one in 700 is taken while the answer gets lost, so that
 * it comes again. Neither is left to chance.
 */
@Controller('partners/tracking')
export class TrackingController {
  #calls = 0;

  constructor(private readonly feed: TrackingFeed) {}

  @Post()
  @HttpCode(204)
  async take(
    @Headers('idempotency-key') key: string | undefined,
    @Body() scan: Scan,
    @Req() request: Pick<IncomingMessage, 'socket'>,
  ): Promise<void> {
    if (key === undefined) throw new BadRequestException('Without an Idempotency-Key');
    const call = ++this.#calls;
    if (call % 500 === 1) throw new ServiceUnavailableException();
    await this.feed.take(key, scan);
    if (call % 700 === 2) request.socket.destroy();
  }
}
