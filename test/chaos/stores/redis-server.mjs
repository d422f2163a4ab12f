// A redis-server that a scenario may kill, hold and start again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { loadTypescript } from '../../support/load-typescript.mjs';
import { makeFolder, own, removeFolder } from '../leftovers.mjs';

const { findDebianTool } = await loadTypescript(new URL('../../support/debian-tool.ts', import.meta.url));
const tool = { command: 'redis-server', package: 'redis-server', variable: 'REDIS_SERVER' };

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

export class RedisServer {
  name = 'Redis';
  isOwn = true;
  host = '127.0.0.1';
  port = 0;
  stalledBy = 'CLIENT PAUSE';
  #folder;
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

  url(host, port) {
    return `redis://${host}:${port}`;
  }

  async start() {
    this.port ||= await freePort();
    this.#folder ??= makeFolder('chaos-redis');
    const { path, env } = await findDebianTool(tool);
    const options = {
      port: this.port,
      bind: this.host,
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

  async shutdown() {
    // Not by a connection that would say it again to the next server.
    const client = this.#connect({ retryStrategy: null });
    client.shutdown('NOSAVE').catch(() => {});
    await this.#ended();
    client.disconnect();
  }

  hold(held) {
    this.#process.kill(held ? 'SIGSTOP' : 'SIGCONT');
  }

  async stall(ms) {
    await this.direct.call('CLIENT', 'PAUSE', String(ms), 'ALL');
    await sleep(ms);
  }

  async now() {
    const [seconds, micros] = await this.direct.time();
    return Number(seconds) * 1e3 + Number(micros) / 1e3;
  }

  async stop() {
    this.#direct?.disconnect();
    if (this.#process !== undefined) await this.kill();
    if (this.#folder !== undefined) removeFolder(this.#folder);
  }

  #connect(options) {
    return new Redis({ host: this.host, port: this.port, ...options }).on('error', () => {});
  }

  async #ended() {
    const { exitCode, signalCode } = this.#process;
    if (exitCode === null && signalCode === null) await once(this.#process, 'exit');
  }
}

/** All keys, each once. */
export async function keysOf(client) {
  const keys = new Set();
  let cursor = '0';
  do {
    const [next, some] = await client.scan(cursor, 'COUNT', 1_000);
    some.forEach((key) => keys.add(key));
    cursor = next;
  } while (cursor !== '0');
  return [...keys];
}

/** Key, type and how much is in it. */
export async function describeKey(client, key) {
  const type = await client.type(key);
  const count = {
    hash: () => client.hlen(key),
    // A member at minus infinity is none: it keeps the set from being made anew all the time.
    zset: () => client.zcount(key, '(-inf', '+inf'),
    set: () => client.scard(key),
    list: () => client.llen(key),
    stream: () => client.xlen(key),
    string: () => client.strlen(key),
  }[type];
  return { key, type, size: (await count?.()) ?? 0 };
}
