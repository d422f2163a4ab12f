import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { vi } from 'vitest';

/** Stands in for the tracking service that the sample app relays to; it answers when it is told to. */
export class TrackingService {
  /** What it has taken: the scans of the batches that it has answered. */
  readonly taken: unknown[] = [];
  readonly #server = createServer((request, response) => void this.#take(request, response));
  readonly #held: (() => void)[] = [];
  #holding = true;

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Until the app waits for an answer. */
  async holdsOne(): Promise<void> {
    await vi.waitUntil(() => this.#held.length > 0, { timeout: 10_000, interval: 20 });
  }

  /** Answers what it held back, and holds nothing back any more. */
  release(): void {
    this.#holding = false;
    for (const answer of this.#held.splice(0)) answer();
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const scans = (await json(request)) as unknown[];
    if (this.#holding) await new Promise<void>((resolve) => this.#held.push(resolve));
    this.taken.push(...scans);
    response.writeHead(204).end();
  }
}
