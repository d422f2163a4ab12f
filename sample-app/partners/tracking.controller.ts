import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import type { Scan } from '../scans/scan.js';
import { TrackingFeed } from './tracking-feed.service.js';

/** Stands in for the tracking service. */
@Controller('partners/tracking')
export class TrackingController {
  constructor(private readonly feed: TrackingFeed) {}

  @Post()
  @HttpCode(204)
  async take(@Body() scans: Scan[]): Promise<void> {
    await this.feed.append(scans);
  }
}
