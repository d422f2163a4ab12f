// A way to a server that can be blocked, as a firewall or a lost route does it: nothing is refused, nothing is closed,
// nothing arrives.
import { connect, createServer } from 'node:net';
import { once } from 'node:events';

export class Proxy {
  #server;
  #target;
  #pairs = new Set();
  #blocked = false;

  host = '127.0.0.1';

  /** `target`: the host and port that it leads to. */
  constructor(target) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  get port() {
    return this.#server.address().port;
  }

  async open() {
    this.#server.listen(0, this.host);
    await once(this.#server, 'listening');
  }

  block() {
    this.#blocked = true;
  }

  /** What was sent meanwhile arrives now, late. */
  heal() {
    this.#blocked = false;
    for (const pair of this.#pairs) pair.forward();
  }

  /** New connections get through; those of before stay dead for good, and neither end is told. */
  healForNew() {
    this.#blocked = false;
    for (const pair of this.#pairs) pair.dead = true;
  }

  async close() {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client) {
    const server = connect(this.#target.port, this.#target.host);
    const held = [];
    const pair = {
      client,
      server,
      dead: false,
      forward() {
        for (const deliver of held.splice(0)) deliver();
      },
    };
    this.#pairs.add(pair);
    const pass = (deliver) => {
      if (pair.dead) return;
      if (this.#blocked) held.push(deliver);
      else deliver();
    };
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      from.on('data', (chunk) => pass(() => to.write(chunk)));
      from.on('end', () => pass(() => to.end()));
      from.on('error', () => pass(() => to.destroy()));
    }
  }
}
