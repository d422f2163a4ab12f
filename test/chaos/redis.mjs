// A redis-server that a scenario may kill, stop and start again; and a look at it that goes past the package.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Redis } from 'ioredis';
import { loadTypescript } from '../support/load-typescript.mjs';
import { uptime } from './ledger.mjs';
import { makeFolder, own, removeFolder } from './leftovers.mjs';
import { namespace, queueName } from './names.mjs';

const { findDebianTool } = await loadTypescript(new URL('../support/debian-tool.ts', import.meta.url));
const tool = { command: 'redis-server', package: 'redis-server', variable: 'REDIS_SERVER' };

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

export class RedisServer {
  port = 0;
  #folder = makeFolder('chaos-redis');
  #durable;
  #process;
  #direct;

  /** `durable`: every write is on the disk before it is answered. */
  constructor({ durable }) {
    this.#durable = durable;
  }

  /** For direct looks. */
  get direct() {
    return (this.#direct ??= this.#connect({ retryStrategy: () => 50, maxRetriesPerRequest: null }));
  }

  async start() {
    this.port ||= await freePort();
    const { path, env } = await findDebianTool(tool);
    const options = {
      port: this.port,
      bind: '127.0.0.1',
      dir: this.#folder,
      save: '',
      appendonly: this.#durable ? 'yes' : 'no',
      appendfsync: 'always',
      'maxmemory-policy': 'noeviction',
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const server = spawn(path, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    own(server);
    this.#process = server;
    await new Promise((resolve, reject) => {
      let text = '';
      server.stdout.on('data', (chunk) => {
        if (text === undefined) return;
        text += chunk;
        if (!text.includes('Ready to accept connections')) return;
        text = undefined;
        resolve();
      });
      server.once('error', reject);
      server.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${text}`)));
    });
  }

  async kill() {
    this.#process.kill('SIGKILL');
    await this.#ended();
  }

  /** As an operator does it. */
  async shutdown() {
    // Not by a connection that would say it again to the next server.
    const client = this.#connect({ retryStrategy: null });
    client.shutdown('NOSAVE').catch(() => {});
    await this.#ended();
    client.disconnect();
  }

  signal(name) {
    this.#process.kill(name);
  }

  /** All commands of all clients wait for so long. */
  async pause(ms) {
    await this.direct.call('CLIENT', 'PAUSE', String(ms), 'ALL');
  }

  async stop() {
    this.#direct?.disconnect();
    if (this.#process !== undefined) await this.kill();
    removeFolder(this.#folder);
  }

  /** Milliseconds since the epoch by the server's clock, less those of the machine's monotonic clock. */
  async clockOffset() {
    const offsets = [];
    for (let look = 0; look < 9; look++) {
      const before = uptime();
      const [seconds, micros] = await this.direct.time();
      offsets.push(Number(seconds) * 1e3 + Number(micros) / 1e3 - (before + uptime()) / 2);
    }
    return offsets.toSorted((a, b) => a - b)[4];
  }

  /** Jobs that are not at their end. */
  waiting() {
    return this.direct.zcard(`${namespace}:queue:${queueName}`);
  }

  async keys() {
    const keys = new Set();
    let cursor = '0';
    do {
      const [next, some] = await this.direct.scan(cursor, 'COUNT', 1_000);
      some.forEach((key) => keys.add(key));
      cursor = next;
    } while (cursor !== '0');
    return [...keys];
  }

  /** Key, type and how much is in it. */
  async describe(key) {
    const type = await this.direct.type(key);
    const count = {
      hash: () => this.direct.hlen(key),
      // A member at minus infinity is none: it keeps the set from being made anew all the time.
      zset: () => this.direct.zcount(key, '(-inf', '+inf'),
      set: () => this.direct.scard(key),
      list: () => this.direct.llen(key),
      stream: () => this.direct.xlen(key),
      string: () => this.direct.strlen(key),
    }[type];
    return { key, type, size: (await count?.()) ?? 0 };
  }

  #connect(options) {
    return new Redis({ host: '127.0.0.1', port: this.port, ...options }).on('error', () => {});
  }

  async #ended() {
    const { exitCode, signalCode } = this.#process;
    if (exitCode === null && signalCode === null) await once(this.#process, 'exit');
  }
}
