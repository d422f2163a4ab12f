import type { CancelTimer } from '../../clock/index.js';
import type { JobBackendHost } from '../../jobs/index.js';
import type { BullMqStore } from './bullmq-store.js';
import { isPast } from './job-record.js';

/** How often some are looked at. Nobody is told of them meanwhile. */
const lookMs = 60_000;
/** So many of a queue, each time, and more while there are some to be removed: what is left comes next time. */
const most = 1_000;

/** Removes jobs that have ended and are not kept any longer: BullMQ keeps all of a queue for the same time. */
export class PastJobs {
  readonly #store: BullMqStore;
  readonly #host: JobBackendHost;
  /** Where to go on in each queue. */
  readonly #from = new Map<string, string | undefined>();
  #cancelTimer: CancelTimer | undefined;
  #closed = false;

  constructor(store: BullMqStore, host: JobBackendHost) {
    this.#store = store;
    this.#host = host;
  }

  /** From now on it looks at this queue, too. */
  lookAt(queue: string): void {
    if (this.#from.has(queue)) return;
    this.#from.set(queue, undefined);
    this.#lookLater();
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #lookLater(): void {
    if (!this.#closed) this.#cancelTimer ??= this.#host.setTimer(() => void this.#look(), lookMs);
  }

  async #look(): Promise<void> {
    this.#cancelTimer = undefined;
    // What cannot be removed now can be next time.
    for (const queue of this.#from.keys()) await this.#lookThrough(queue).catch(() => {});
    this.#lookLater();
  }

  async #lookThrough(queue: string): Promise<void> {
    for (let found = 1; found > 0 && !this.#closed;) {
      const { ids, next } = await this.#store.page(queue, 'completed', this.#from.get(queue), most);
      this.#from.set(queue, next);
      const now = Date.now();
      const records = await this.#store.read(queue, ids);
      const past = records.flatMap((record) => (record && isPast(record, now) ? [record.id] : []));
      const removed = past.length === 0 ? 0 : await this.#store.removeEnded(queue, past);
      found = next === undefined ? 0 : removed;
    }
  }
}
