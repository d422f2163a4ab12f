import { decode, encode } from '@msgpack/msgpack';
import type { Redis } from 'ioredis';

/** Go's struct, as its MessagePack reader sees it. */
export interface GoStruct {
  id: string;
  created_at: Date;
  updated_at: Date;
  enqueued_at: Date;
  payload: Uint8Array | null;
  retries: number;
  last_error: string;
}

/**
 * What a program of gocraft/work v2 does in Redis: the same commands in the same order, with times in whole seconds. Its
 * own clock decides; it knows neither tokens nor leases.
 */
export class GoWorker {
  readonly #client: Redis;
  readonly #namespace: string;
  readonly #queue: string;

  constructor(client: Redis, namespace: string, queue: string) {
    this.#client = client;
    this.#namespace = namespace;
    this.#queue = queue;
  }

  async enqueue(job: Partial<GoStruct> & { readonly id: string }, seconds = secondsNow()): Promise<void> {
    const at = new Date(seconds * 1_000);
    const times = { created_at: at, updated_at: at, enqueued_at: at };
    const fields: GoStruct = { ...times, payload: null, retries: 0, last_error: '', ...job };
    const { id, created_at, updated_at, enqueued_at, payload, retries, last_error } = fields;
    const bytes = encode({ id, created_at, updated_at, enqueued_at, payload, retries, last_error });
    await this.write(id, Buffer.from(bytes), seconds);
  }

  async write(id: string, bytes: Buffer, seconds: number): Promise<void> {
    await this.#client.hset(this.#jobKey(id), 'msgpack', bytes);
    await this.#client.zadd(this.#queueKey, seconds, this.#jobKey(id));
  }

  /** Claims up to so many jobs for `invisibleSec`. */
  async dequeue(count: number, invisibleSec: number, seconds = secondsNow()): Promise<GoStruct[]> {
    const keys = await this.#client.zrangebyscore(this.#queueKey, '-inf', seconds, 'LIMIT', 0, count);
    const jobs: GoStruct[] = [];
    for (const key of keys) {
      const bytes = await this.#client.hgetBuffer(key, 'msgpack');
      if (bytes === null) {
        await this.#client.zrem(this.#queueKey, key);
        continue;
      }
      await this.#client.zadd(this.#queueKey, 'XX', seconds + invisibleSec, key);
      jobs.push(decode(new Uint8Array(bytes)) as GoStruct);
    }
    return jobs;
  }

  async ack(id: string): Promise<void> {
    await this.#client.del(this.#jobKey(id));
    await this.#client.zrem(this.#queueKey, this.#jobKey(id));
  }

  get #queueKey(): string {
    return `${this.#namespace}:queue:${this.#queue}`;
  }

  #jobKey(id: string): string {
    return `${this.#namespace}:job:${id}`;
  }
}

export const secondsNow = (): number => Math.floor(Date.now() / 1_000);
