// What BullMQ has in Redis.
import { namespace, queueName } from '../names.mjs';
import { describeKey, keysOf, RedisServer } from './redis-server.mjs';
import { Store } from './store.mjs';

const base = `${namespace}:${queueName}:`;
const lists = ['wait', 'paused', 'active'];
const sets = ['delayed', 'prioritized', 'waiting-children'];
/** What there is of a queue with no jobs, and how much of it there may be. BullMQ trims its events about there. */
const ofQueue = new Map([
  ['meta', Infinity],
  ['id', Infinity],
  ['stalled-check', Infinity],
  ['marker', 1],
  ['events', 11_000],
]);

class BullMqContents {
  #server;

  constructor(server) {
    this.#server = server;
  }

  async waiting() {
    const all = this.#server.direct.multi();
    for (const list of lists) all.llen(base + list);
    for (const set of sets) all.zcard(base + set);
    return (await all.exec()).reduce((sum, [, count]) => sum + count, 0);
  }

  /** Of a job the hash has its id in the key, and nothing behind it; ids begin with whose they are. */
  async ids() {
    const keys = await keysOf(this.#server.direct);
    const parts = keys.filter((key) => key.startsWith(base)).map((key) => key.slice(base.length));
    return parts.filter((part) => !part.includes(':') && part.startsWith('produce-'));
  }

  async left() {
    const { direct } = this.#server;
    const left = await Promise.all((await keysOf(direct)).map((key) => describeKey(direct, key)));
    return left
      .filter(({ key, size }) => !key.startsWith(base) || size > (ofQueue.get(key.slice(base.length)) ?? -1))
      .map(({ key, type, size }) => `${key} (${type}, ${size})`);
  }
}

export function makeStore(options) {
  const server = new RedisServer(options);
  return new Store(server, new BullMqContents(server));
}
