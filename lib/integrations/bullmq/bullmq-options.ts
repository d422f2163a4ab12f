// BullMQ's own types of what its drivers take: nobody needs both drivers.
import type { PgPoolConfig, RedisOptions } from 'bullmq';
import type { Duration } from '../../clock/index.js';
import { OptionReader } from '../../execution/index.js';

/** A client of ioredis, or a Cluster of it: of whichever copy. */
export interface RedisClient {
  connect(): Promise<unknown>;
  duplicate(...args: never[]): RedisClient;
}

/** Where BullMQ keeps its jobs, and how it is used. Give `redis` or `postgres`. */
export interface BullMqJobBackendOptions {
  /**
   * Redis 6.2 or newer, or Valkey: `redis://…`, options of ioredis (without `keyPrefix`: `prefix` is what keys begin
   * with), or a client of your own, whose `duplicate()` says how to connect, and which itself is left alone.
   */
  readonly redis?: string | RedisOptions | RedisClient | undefined;
  /** PostgreSQL 15 or newer: `postgres://…`, or options of a pool of pg. */
  readonly postgres?: string | PgPoolConfig | undefined;
  /** On Redis: what all keys begin with; BullMQ's option of that name. Default `'bull'`, as in BullMQ. */
  readonly prefix?: string | undefined;
  /** On PostgreSQL: the schema that BullMQ has its tables in. Default `'bullmq'`, as in BullMQ. */
  readonly schema?: string | undefined;
  /**
   * On PostgreSQL: whether to make the schema, and bring it up to date, when the backend is opened. False where that is
   * done apart, with BullMQ's `runMigrations()`. Default `true`.
   */
  readonly migrate?: boolean | undefined;
  /**
   * Whether `priority` of a job counts. All jobs of ours are then among BullMQ's prioritized ones, which it hands out
   * after all others. Default `false`.
   */
  readonly priorities?: boolean | undefined;
  /** How long an announcement that was missed may hold up a job. Default `'5s'`. */
  readonly pollInterval?: Duration | undefined;
  /** How long the store may take to answer. Default `'5s'`. */
  readonly commandTimeout?: Duration | undefined;
}

/** How to connect to Redis. */
export type RedisTarget =
  | { readonly client: RedisClient }
  | { readonly url: string | undefined; readonly options: RedisOptions };

/** Options of the backend, checked and complete. */
export interface ResolvedBullMqOptions {
  readonly at:
    | { readonly kind: 'redis'; readonly target: RedisTarget; readonly prefix: string }
    | {
        readonly kind: 'postgres';
        readonly pool: PgPoolConfig;
        readonly schema: string;
        readonly migrate: boolean;
      };
  readonly priorities: boolean;
  readonly pollIntervalMs: number;
  readonly commandTimeoutMs: number;
}

const owner = 'BullMqJobBackend';
const optionNames: readonly (keyof BullMqJobBackendOptions)[] = [
  'redis',
  'postgres',
  'prefix',
  'schema',
  'migrate',
  'priorities',
  'pollInterval',
  'commandTimeout',
];

/** Checks the options of the backend and completes them. Throws `InvalidOptionError`. */
export function resolveBullMqOptions(options: BullMqJobBackendOptions): ResolvedBullMqOptions {
  const reader = new OptionReader(owner, options, optionNames);
  return {
    at: readStore(reader),
    priorities: reader.flag('priorities', false),
    pollIntervalMs: reader.duration('pollInterval', 5_000, { min: 10 }),
    commandTimeoutMs: reader.duration('commandTimeout', 5_000, { min: 10 }),
  };
}

function readStore(reader: OptionReader): ResolvedBullMqOptions['at'] {
  const redis = reader.get('redis');
  const postgres = reader.get('postgres');
  if ((redis === undefined) === (postgres === undefined)) {
    const option = redis === undefined ? 'redis' : 'postgres';
    const cure = 'Give either redis or postgres, as in { redis: "redis://localhost:6379" }.';
    return reader.refuse(
      option,
      redis === undefined ? 'one of redis and postgres' : 'nothing beside redis',
      cure,
    );
  }
  const unfit = redis === undefined ? (['prefix'] as const) : (['schema', 'migrate'] as const);
  for (const option of unfit) {
    if (reader.get(option) === undefined) continue;
    const store = redis === undefined ? 'PostgreSQL' : 'Redis';
    reader.refuse(option, `nothing on ${store}, which has no such thing`, 'Remove it.');
  }
  if (redis !== undefined)
    return { kind: 'redis', target: readRedis(reader), prefix: readText(reader, 'prefix', 'bull') };
  return {
    kind: 'postgres',
    pool: readPostgres(reader),
    schema: readText(reader, 'schema', 'bullmq'),
    migrate: reader.flag('migrate', true),
  };
}

function readRedis(reader: OptionReader): RedisTarget {
  const given = reader.get('redis');
  if (typeof given === 'string') {
    if (/^rediss?:\/\/./u.test(given)) return { url: given, options: {} };
  } else if (typeof given === 'object' && given !== null) {
    // By its shape: it may be of another copy of ioredis.
    const client = given as Partial<RedisClient> & { readonly options?: RedisOptions };
    const isClient = typeof client.duplicate === 'function';
    const options = isClient ? client.options : (given as RedisOptions);
    if (options?.keyPrefix !== undefined && options.keyPrefix !== '') {
      return reader.refuse('redis', 'one without keyPrefix', 'Leave keyPrefix out, and give prefix here.');
    }
    return isClient ? { client: given as RedisClient } : { url: undefined, options: given };
  }
  return reader.refuse(
    'redis',
    'redis://…, rediss://…, options of ioredis, or a client of it',
    "Write for example 'redis://localhost:6379'.",
  );
}

function readPostgres(reader: OptionReader): PgPoolConfig {
  const given = reader.get('postgres');
  if (typeof given === 'string' && /^postgres(?:ql)?:\/\/./u.test(given)) return { connectionString: given };
  if (
    typeof given === 'object' &&
    given !== null &&
    typeof (given as { query?: unknown }).query !== 'function'
  ) {
    return given as PgPoolConfig;
  }
  return reader.refuse(
    'postgres',
    'postgres://…, or options of a pool of pg (a pool itself has no place for the schema)',
    "Write for example 'postgres://localhost/app'.",
  );
}

function readText(reader: OptionReader, option: 'prefix' | 'schema', fallback: string): string {
  const given = reader.get(option) ?? fallback;
  const isGood =
    typeof given === 'string' && (option === 'prefix' ? given !== '' : /^[A-Za-z_][\w$]{0,62}$/u.test(given));
  if (isGood) return given;
  const accepted = option === 'prefix' ? 'a text that is not empty' : 'a name of letters, digits and _';
  return reader.refuse(option, accepted, `Leave it out for '${fallback}'.`);
}
