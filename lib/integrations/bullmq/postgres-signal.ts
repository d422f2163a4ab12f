import { type PostgresConnection, PostgresQueueBackend } from 'bullmq';
import type { JobBackendHost } from '../../jobs/index.js';
import type { JobSignal } from './bullmq-store.js';

/** A connection that cannot be waited on is tried again after so long. */
const retryMs = 500;

/** Waits for BullMQ's notifications, on the one connection that the store has for these. */
export class PostgresSignal implements JobSignal {
  readonly #connection: PostgresConnection;
  readonly #calls: PostgresQueueBackend;
  readonly #setTimer: JobBackendHost['setTimer'];
  #closed = false;
  #endPause: () => void = () => {};

  constructor(connection: PostgresConnection, queue: string, setTimer: JobBackendHost['setTimer']) {
    this.#connection = connection;
    this.#setTimer = setTimer;
    // As the owner, which is never closed: only that one listens again after the connection was lost.
    this.#calls = new PostgresQueueBackend(connection, queue, { connection: {} }, true);
    this.#calls.on('error', () => {});
  }

  async wait(ms: number): Promise<boolean> {
    if (this.#closed) return false;
    try {
      const client = await this.#connection.getListenClient();
      // One for each queue that is waited at.
      (client as unknown as { setMaxListeners?: (count: number) => void }).setMaxListeners?.(0);
      const until = performance.now() + ms;
      const marker = await this.#calls.waitForJob(Math.max(ms, 1) / 1_000);
      // It says nothing where it ends before its time, since a delayed job is due or the connection was lost.
      return marker !== null || performance.now() < until;
    } catch {
      await this.#pause();
      return false;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#endPause();
    await this.#calls.disconnectBlocking();
  }

  #pause(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const cancelTimer = this.#setTimer(resolve, retryMs);
      this.#endPause = () => {
        cancelTimer();
        resolve();
      };
    });
  }
}
