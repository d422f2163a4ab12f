import { on } from 'node:events';
import { watch } from 'node:fs';
import { mkdir, open, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { settings } from '../settings.js';

/** A file that has not changed for so long is complete. */
const settledAfterMs = 250;
const lookEveryMs = 1_000;

/** The folder that depots drop files of scans into: `*.jsonl`, one scan a line. */
@Injectable()
export class Inbox implements OnModuleInit {
  async onModuleInit(): Promise<void> {
    await mkdir(join(settings.inbox, 'done'), { recursive: true });
  }

  /** Tells what is there to read: at once, whenever the folder changes, and every second. Ends by the signal. */
  async *arrivals(signal: AbortSignal): AsyncGenerator<readonly string[]> {
    const watcher = watch(settings.inbox);
    // Some file systems tell of no change, and none tells that a file has been complete for a while.
    const looks = setInterval(() => watcher.emit('change'), lookEveryMs);
    try {
      // Watching begins before the first look, so that nothing falls between the two.
      const changes = on(watcher, 'change', { signal });
      yield this.#settledFiles();
      for await (const _ of changes) yield this.#settledFiles();
    } finally {
      clearInterval(looks);
      watcher.close();
    }
  }

  async *lines(file: string): AsyncGenerator<string> {
    const handle = await open(join(settings.inbox, file));
    try {
      yield* handle.readLines();
    } finally {
      await handle.close();
    }
  }

  async moveToDone(file: string): Promise<void> {
    await rename(join(settings.inbox, file), join(settings.inbox, 'done', file));
  }

  async #settledFiles(): Promise<readonly string[]> {
    const names = (await readdir(settings.inbox)).filter((name) => name.endsWith('.jsonl')).toSorted();
    const changedAt = await Promise.all(
      names.map(async (name) => (await stat(join(settings.inbox, name))).mtimeMs),
    );
    return names.filter((_, index) => Date.now() - (changedAt[index] ?? 0) >= settledAfterMs);
  }
}
