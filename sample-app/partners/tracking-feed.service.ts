import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import type { Scan } from '../scans/scan.js';
import { settings } from '../settings.js';

/** A file that scans are appended to. It is closed on shutdown, after the last worker that writes to it has ended. */
@Injectable()
export class TrackingFeed implements OnModuleInit, OnModuleDestroy {
  private readonly logger = new Logger(TrackingFeed.name);
  #file: FileHandle | undefined;
  #written = 0;

  async onModuleInit(): Promise<void> {
    await mkdir(dirname(settings.trackingFeed), { recursive: true });
    this.#file = await open(settings.trackingFeed, 'a');
  }

  async append(scans: readonly Scan[]): Promise<void> {
    if (this.#file === undefined) throw new Error('The tracking feed is closed');
    await this.#file.appendFile(scans.map((scan) => `${JSON.stringify(scan)}\n`).join(''));
    this.#written += scans.length;
  }

  async onModuleDestroy(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    this.logger.log(`Closed ${settings.trackingFeed}: ${this.#written} scans appended`);
  }
}
