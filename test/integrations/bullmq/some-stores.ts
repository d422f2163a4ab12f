import {
  type BackendFactory,
  type ConnectionOptions,
  createPostgresBackend,
  createRedisBackend,
  type Processor,
  Queue,
  QueueEvents,
  type RedisQueueBackend,
  runMigrations,
  Worker,
  type WorkerOptions,
} from 'bullmq';
import type { Redis } from 'ioredis';
import { BullMqJobBackend, type BullMqJobBackendOptions } from 'nestjs-worker/bullmq';
import type { Pool } from 'pg';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { PostgresServer } from '../../support/postgres.js';
import { RedisServer } from '../../support/redis.js';

export const kinds = ['redis', 'postgres'] as const;
export type Kind = (typeof kinds)[number];

/** BullMQ's types are those of Redis where nothing is said; for these tests all stores are alike. */
type Factory = BackendFactory<RedisQueueBackend>;

let names = 0;
/** One that no other test has. */
export const newQueueName = (): string => `mail-${process.pid}-${++names}`;

/** A real store, as BullMQ itself uses it and as we do. What is made is closed when its test is over. */
export abstract class SomeStore {
  abstract readonly kind: Kind;
  abstract readonly url: string;
  /** What BullMQ itself is given to find it. */
  protected abstract readonly connection: ConnectionOptions;
  protected abstract readonly factory: Factory;

  /** Not opened. */
  abstract backend(options?: BullMqJobBackendOptions): BullMqJobBackend;
  /** Behind everybody's back. */
  abstract setLock(queue: string, id: string, lock: string | undefined): Promise<void>;
  abstract lockOf(queue: string, id: string): Promise<string | undefined>;
  /** Has the store fail whatever is to be done with a job that is held, until what is answered is called. */
  abstract breakJob(queue: string, id: string): Promise<() => Promise<unknown>>;

  /** A plain producer. */
  queue(name: string): Queue {
    return this.#closing(new Queue(name, { connection: this.connection }, this.factory));
  }

  /** A plain worker. */
  worker(name: string, processor: Processor, options: Partial<WorkerOptions> = {}): Worker {
    const all = { connection: this.connection, ...options };
    return this.#closing(new Worker(name, processor, all, this.factory));
  }

  events(name: string): QueueEvents {
    return this.#closing(new QueueEvents(name, { connection: this.connection }, this.factory));
  }

  #closing<One extends { close(): Promise<unknown>; on(event: 'error', listener: () => void): unknown }>(
    one: One,
  ): One {
    // An error without a listener would end the test.
    one.on('error', () => {});
    onTestFinished(async () => void (await one.close()));
    return one;
  }
}

class SomeRedis extends SomeStore {
  readonly kind = 'redis';
  readonly #server: RedisServer;
  protected readonly factory: Factory = createRedisBackend;
  readonly client: Redis;

  constructor(server: RedisServer) {
    super();
    this.#server = server;
    this.client = server.client();
  }

  get url(): string {
    return this.#server.url;
  }

  protected get connection(): ConnectionOptions {
    return { host: '127.0.0.1', port: this.#server.port };
  }

  backend(options: BullMqJobBackendOptions = {}): BullMqJobBackend {
    return new BullMqJobBackend({ redis: this.url, ...options });
  }

  async setLock(queue: string, id: string, lock: string | undefined): Promise<void> {
    const key = `bull:${queue}:${id}:lock`;
    await (lock === undefined ? this.client.del(key) : this.client.set(key, lock, 'PX', 60_000));
  }

  async lockOf(queue: string, id: string): Promise<string | undefined> {
    return (await this.client.get(`bull:${queue}:${id}:lock`)) ?? undefined;
  }

  async breakJob(queue: string, id: string): Promise<() => Promise<unknown>> {
    const key = `bull:${queue}:${id}:lock`;
    await this.client.del(key);
    await this.client.hset(key, 'of', 'another type');
    return () => this.client.del(key);
  }

  async stop(): Promise<void> {
    this.client.disconnect();
    await this.#server.stop();
  }
}

class SomePostgres extends SomeStore {
  readonly kind = 'postgres';
  readonly #server: PostgresServer;
  readonly pool: Pool;
  protected readonly factory = createPostgresBackend as unknown as Factory;

  constructor(server: PostgresServer) {
    super();
    this.#server = server;
    this.pool = server.pool();
  }

  get url(): string {
    return this.#server.url;
  }

  // The type is of connections to Redis.
  protected get connection(): ConnectionOptions {
    return this.url as unknown as ConnectionOptions;
  }

  async migrate(): Promise<void> {
    const client = await this.pool.connect();
    await runMigrations(client, 'bullmq');
    client.release();
  }

  backend(options: BullMqJobBackendOptions = {}): BullMqJobBackend {
    return new BullMqJobBackend({ postgres: this.url, ...options });
  }

  async setLock(queue: string, id: string, lock: string | undefined): Promise<void> {
    const until = lock === undefined ? null : Date.now() + 60_000;
    await this.pool.query(
      'update bullmq.job set lock_token = $3, locked_until_ms = $4 where queue = $1 and id = $2',
      [queue, id, lock ?? null, until],
    );
  }

  async lockOf(queue: string, id: string): Promise<string | undefined> {
    const { rows } = await this.pool.query<{ lock: string | null }>(
      'select lock_token as lock from bullmq.job where queue = $1 and id = $2',
      [queue, id],
    );
    return rows[0]?.lock ?? undefined;
  }

  async breakJob(queue: string, id: string): Promise<() => Promise<unknown>> {
    await this.pool.query(`
      create function bullmq.fail() returns trigger language plpgsql as $$ begin raise 'broken'; end $$;
      create trigger fail before update or delete on bullmq.job for each row
        when (old.queue = '${queue}' and old.id = '${id}') execute function bullmq.fail()`);
    return () => this.pool.query('drop function bullmq.fail cascade');
  }

  async stop(): Promise<void> {
    await this.pool.end();
    await this.#server.stop();
  }
}

/** Real servers for the tests of a file. */
export class SomeStores {
  #redis: SomeRedis | undefined;
  #postgres: SomePostgres | undefined;

  constructor(which: readonly Kind[] = kinds) {
    beforeAll(async () => {
      const startRedis = async (): Promise<void> => {
        this.#redis = new SomeRedis(await RedisServer.start());
      };
      const startPostgres = async (): Promise<void> => {
        this.#postgres = new SomePostgres(await PostgresServer.start());
        await this.#postgres.migrate();
      };
      await Promise.all(which.map((kind) => (kind === 'redis' ? startRedis() : startPostgres())));
    }, 240_000);
    afterAll(async () => {
      await Promise.all([this.#redis?.stop(), this.#postgres?.stop()]);
    });
  }

  get(kind: Kind): SomeStore {
    const store = kind === 'redis' ? this.#redis : this.#postgres;
    if (store === undefined) throw new Error(`There is no ${kind} in this file.`);
    return store;
  }

  get redis(): SomeRedis {
    return this.get('redis') as SomeRedis;
  }

  get postgres(): SomePostgres {
    return this.get('postgres') as SomePostgres;
  }
}
