import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import type { Scan } from '../scans/scan.js';
import { settings } from '../settings.js';

/**
 * A file with each scan once, however often it is sent, also before a restart. It is closed on shutdown, after the last
 * job that writes to it has ended.
 */
@Injectable()
export class TrackingFeed implements OnModuleInit, OnModuleDestroy {
  private readonly logger = new Logger(TrackingFeed.name);
  /** By key: resolved once the scan is in the file. */
  readonly #taken = new Map<string, Promise<void>>();
  #file: FileHandle | undefined;
  #written = 0;

  async onModuleInit(): Promise<void> {
    await mkdir(dirname(settings.trackingFeed), { recursive: true });
    this.#file = await open(settings.trackingFeed, 'a+');
    for await (const line of this.#file.readLines({ autoClose: false, start: 0 })) {
      const { key } = JSON.parse(line) as { readonly key: string };
      this.#taken.set(key, Promise.resolve());
    }
  }

  take(key: string, scan: Scan): Promise<void> {
    let taken = this.#taken.get(key);
    if (taken === undefined) {
      taken = this.#append(key, scan);
      this.#taken.set(key, taken);
      taken.catch(() => this.#taken.delete(key));
    }
    return taken;
  }

  async #append(key: string, scan: Scan): Promise<void> {
    if (this.#file === undefined) throw new Error('The tracking feed is closed');
    await this.#file.appendFile(`${JSON.stringify({ key, ...scan })}\n`);
    this.#written++;
  }

  async onModuleDestroy(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    this.logger.log(`Closed ${settings.trackingFeed}: ${this.#written} scans appended`);
  }
}
