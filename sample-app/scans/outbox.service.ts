import { Injectable } from '@nestjs/common';
import type { Scan } from './scan.js';

/** What was ingested and is not passed on yet, oldest first. */
@Injectable()
export class Outbox {
  readonly #scans: Scan[] = [];

  add(scans: readonly Scan[]): void {
    for (const scan of scans) this.#scans.push(scan);
  }

  /** The oldest scans. They stay until they are confirmed. */
  oldest(count: number): readonly Scan[] {
    return this.#scans.slice(0, count);
  }

  /** The `count` oldest scans have arrived. */
  confirm(count: number): void {
    this.#scans.splice(0, count);
  }
}
