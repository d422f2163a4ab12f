import type { Redis } from 'ioredis';
import { reconnectDelay } from './redis-clients.js';
import { endOf } from './redis-connection.js';

export interface WakeSubscriberHost {
  /** Makes a connection; `undefined` where none can be made just now. */
  connect(): Redis | undefined;
  onMessage(channel: string, message: string): void;
  /** It listens again: what was said meanwhile was not heard. */
  onUp(): void;
}

/**
 * The connection for announcements: one for all queues, made when it is first wanted. It makes itself anew whenever it
 * is lost, and asks for a sign of life now and then, since a connection that only listens would not notice.
 */
export class WakeSubscriber {
  readonly #host: WakeSubscriberHost;
  readonly #timeoutMs: number;
  readonly #channels = new Set<string>();
  readonly #heard = new Set<string>();
  #client: Redis | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #closed = false;
  #onChange: (() => void)[] = [];

  constructor(host: WakeSubscriberHost, timeoutMs: number) {
    this.#host = host;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Begins to listen. Resolves once it does, or at once where that has failed: it is then tried again and again, without
   * being asked.
   */
  listen(channel: string): Promise<void> {
    if (this.#closed || this.#heard.has(channel)) return Promise.resolve();
    const changed =
      this.#failures > 0 ? Promise.resolve() : new Promise<void>((resolve) => this.#onChange.push(resolve));
    if (!this.#channels.has(channel)) {
      this.#channels.add(channel);
      if (this.#client === undefined && this.#timer === undefined) this.#connect();
      else if (this.#client?.status === 'ready') void this.#subscribe(this.#client, [channel]);
    }
    return changed;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const client = this.#client;
    this.#client = undefined;
    this.#changed();
    if (client !== undefined) await endOf(client);
  }

  #connect(): void {
    const client = this.#host.connect();
    if (client === undefined) return this.#connectLater();
    this.#client = client;
    client.on('error', () => {});
    client.on('message', (channel: string, message: string) => this.#host.onMessage(channel, message));
    client.once('close', () => this.#lost(client));
    this.#inTime(client.connect()).then(
      () => this.#subscribe(client, [...this.#channels]),
      () => this.#lost(client),
    );
  }

  async #subscribe(client: Redis, channels: readonly string[]): Promise<void> {
    try {
      await this.#inTime(client.subscribe(...channels));
    } catch {
      return this.#lost(client);
    }
    if (this.#client !== client) return;
    this.#failures = 0;
    for (const channel of channels) this.#heard.add(channel);
    // Asked for while these were.
    const missing = [...this.#channels].filter((channel) => !this.#heard.has(channel));
    if (missing.length > 0) return this.#subscribe(client, missing);
    this.#changed();
    this.#host.onUp();
    this.#checkLater(client);
  }

  #checkLater(client: Redis): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#inTime(client.ping()).then(
        () => {
          if (this.#client === client) this.#checkLater(client);
        },
        () => this.#lost(client),
      );
    }, this.#timeoutMs);
  }

  #lost(client: Redis): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#heard.clear();
    void endOf(client);
    this.#changed();
    this.#connectLater();
  }

  #connectLater(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#connect();
      },
      reconnectDelay(++this.#failures),
    );
  }

  #changed(): void {
    this.#onChange.splice(0).forEach((resolve) => resolve());
  }

  /** Rejects where it has not answered in time. */
  #inTime(answer: Promise<unknown>): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer')), this.#timeoutMs);
      answer.then(
        () => {
          clearTimeout(timer);
          resolve();
        },
        (error: Error) => {
          clearTimeout(timer);
          reject(error);
        },
      );
    });
  }
}
