import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { vi } from 'vitest';

/** What a request to it has said. */
export interface Delivery<Body> {
  readonly key: string | undefined;
  readonly body: Body;
}

interface Held<Body> {
  readonly delivery: Delivery<Body>;
  answer(status: number): void;
}

/** Somebody whom tasks and jobs call with JSON, and who answers when he is told to. */
export class HeldServer<Body> {
  /** What he has taken, by answering 204. */
  readonly taken: Delivery<Body>[] = [];
  /** What he has refused, by answering anything else. */
  readonly refused: Delivery<Body>[] = [];
  readonly #server = createServer((request, response) => void this.#hold(request, response));
  readonly #held: Held<Body>[] = [];
  #holding = true;

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Until so many wait for an answer. */
  async holds(count: number): Promise<void> {
    await vi.waitUntil(() => this.#held.length >= count, { timeout: 10_000, interval: 20 });
  }

  /** Answers the one that has waited longest. */
  answer(status = 204): Delivery<Body> {
    const held = this.#held.shift();
    if (held === undefined) throw new Error('Nobody waits for an answer');
    held.answer(status);
    return held.delivery;
  }

  /** Takes what it held back, and holds nothing back any more. */
  release(): void {
    this.#holding = false;
    for (const held of this.#held.splice(0)) held.answer(204);
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #hold(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const key = request.headers['idempotency-key']?.toString();
    const delivery = { key, body: (await json(request)) as Body };
    const answer = (status: number): void => {
      (status === 204 ? this.taken : this.refused).push(delivery);
      response.writeHead(status).end();
    };
    if (this.#holding) this.#held.push({ delivery, answer });
    else answer(204);
  }
}
