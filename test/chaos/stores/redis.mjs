// What RedisJobBackend has in Redis.
import { namespace, queueName } from '../names.mjs';
import { describeKey, keysOf, RedisServer } from './redis-server.mjs';
import { Store } from './store.mjs';

const prefix = `${namespace}:job:`;
const ofMany = new Set(['zset', 'set', 'list', 'stream']);

class RedisContents {
  #server;

  constructor(server) {
    this.#server = server;
  }

  waiting() {
    return this.#server.direct.zcard(`${namespace}:queue:${queueName}`);
  }

  async ids() {
    const keys = await keysOf(this.#server.direct);
    return keys.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
  }

  /** One number or the throughput of a queue may stay; what has a member per job, or a name per key, may not. */
  async left(ids) {
    const { direct } = this.#server;
    const left = await Promise.all((await keysOf(direct)).map((key) => describeKey(direct, key)));
    const ofJob = (key) => key.startsWith(prefix) || key.split(':').some((part) => ids.has(part));
    return left
      .filter(({ key, type, size }) => ofJob(key) || (ofMany.has(type) && size > 0) || key.includes('key-'))
      .map(({ key, type, size }) => `${key} (${type}, ${size})`);
  }
}

export function makeStore(options) {
  const server = new RedisServer(options);
  return new Store(server, new RedisContents(server));
}
