import type { IQueueBackend } from 'bullmq';
import type { JobBackendHost } from '../../jobs/index.js';
import type { JobSignal } from './bullmq-store.js';

/** A connection that cannot be waited on is tried again after so long. */
const retryMs = 500;

interface Connection {
  readonly calls: IQueueBackend;
  readonly close: () => void;
}

/** Waits at BullMQ's marker, on a connection of its own: Redis answers nothing else on it meanwhile. */
export class RedisSignal implements JobSignal {
  readonly #connect: () => Connection;
  readonly #setTimer: JobBackendHost['setTimer'];
  #connection: Connection | undefined;
  #closed = false;
  #endPause: () => void = () => {};

  constructor(connect: () => Connection, setTimer: JobBackendHost['setTimer']) {
    this.#connect = connect;
    this.#setTimer = setTimer;
  }

  async wait(ms: number): Promise<boolean> {
    if (this.#closed) return false;
    this.#connection ??= this.#connect();
    try {
      return (await this.#connection.calls.waitForJob(Math.max(ms, 1) / 1_000)) !== null;
    } catch {
      // What is wrong with Redis is told by the other connection. This one may be of no use any more.
      this.#connection?.close();
      this.#connection = undefined;
      await this.#pause();
      return false;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#endPause();
    this.#connection?.close();
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
