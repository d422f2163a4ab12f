import { copyFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { settings } from '../settings.js';

const shipped = fileURLToPath(new URL('../data/scans-2026-11-20.jsonl', import.meta.url));

/** Drops the file that comes with this app into the inbox, as a depot would, so that there is something to do. */
@Injectable()
export class ShippedScans implements OnApplicationBootstrap {
  async onApplicationBootstrap(): Promise<void> {
    await copyFile(shipped, join(settings.inbox, basename(shipped)));
  }
}
