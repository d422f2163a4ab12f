import type { CancelTimer } from '../clock/index.js';
import type { ConsumerOptions } from './consumer-options.js';
import type { JobConnection } from './job-connection.js';

/**
 * Notices a consumer that is alive and takes nothing: slots are free, no job has come for a long time, and jobs wait at
 * the backend for just as long. Asks the backend only while nothing comes.
 */
export class ConsumptionWatch {
  readonly #connection: JobConnection;
  readonly #options: ConsumerOptions;
  /** Since when slots are free and nothing has come, by the monotonic clock; `undefined` while that is not so. */
  readonly #hungrySince: () => number | undefined;
  #cancelTimer: CancelTimer | undefined;
  #starving = false;

  constructor(connection: JobConnection, options: ConsumerOptions, hungrySince: () => number | undefined) {
    this.#connection = connection;
    this.#options = options;
    this.#hungrySince = hungrySince;
  }

  /** Whether jobs wait that should have come. */
  get starving(): boolean {
    return this.#starving && this.#hungryMs >= this.#options.notConsumingAfterMs;
  }

  open(): void {
    if (this.#cancelTimer === undefined) this.#lookLater();
  }

  close(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#starving = false;
  }

  get #hungryMs(): number {
    const since = this.#hungrySince();
    return since === undefined ? 0 : this.#connection.pool.clock.monotonic() - since;
  }

  #lookLater(): void {
    const { pool } = this.#connection;
    this.#cancelTimer = pool.inScope(() =>
      pool.clock.setTimer(() => void this.#look(), this.#options.notConsumingAfterMs / 4),
    );
  }

  async #look(): Promise<void> {
    this.#lookLater();
    const { queue, notConsumingAfterMs, callTimeoutMs } = this.#options;
    if (this.#hungryMs < notConsumingAfterMs) {
      this.#starving = false;
      return;
    }
    try {
      const [counts] = await this.#connection.call('how its queue stands', callTimeoutMs, (backend) =>
        backend.counts([queue], { dueWithinMs: 0 }),
      );
      if (this.#cancelTimer === undefined || counts === undefined) return;
      const { ready, oldestReadyAgeMs, paused } = counts;
      const starving = !paused && ready > 0 && oldestReadyAgeMs >= notConsumingAfterMs;
      if (starving && !this.#starving) {
        this.#connection.pool.say(
          'error',
          `Job consumer "${queue}" takes no jobs: ${ready} are ready, the oldest for ${Math.round(oldestReadyAgeMs / 1_000)} s, ` +
            'and it has free slots',
          { queue },
        );
      }
      this.#starving = starving;
    } catch {
      // That the backend cannot be reached is known.
    }
  }
}
