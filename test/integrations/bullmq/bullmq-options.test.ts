import { Cluster, Redis } from 'ioredis';
import { JobsModule } from 'nestjs-worker';
import { BullMqJobBackend, type BullMqJobBackendOptions } from 'nestjs-worker/bullmq';
import { Pool } from 'pg';
import { describe, expect, it } from 'vitest';
import { resolveBullMqOptions } from '../../../lib/integrations/bullmq/bullmq-options.js';
import { bootError } from '../../support/nest.js';

const lazy = { lazyConnect: true } as const;
const redis = 'redis://127.0.0.1:6379';
const postgres = 'postgres://127.0.0.1/app';

describe('BullMqJobBackend', () => {
  it.each<[what: string, options: object, message: RegExp]>([
    [
      'an option that is not known',
      { redis, url: redis },
      /"url" of BullMqJobBackend.* options redis, postgres,/,
    ],
    ['no store', {}, /"redis".*accepted is one of redis and postgres.*redis: "redis:\/\/localhost:6379"/],
    ['two stores', { redis, postgres }, /"postgres".*nothing beside redis.*Give either redis or postgres/],
    [
      'what is no url of Redis',
      { redis: 'localhost:6379' },
      /"redis".*redis:\/\/….*'redis:\/\/localhost:6379'/,
    ],
    ['a url of Redis without anything', { redis: 'redis://' }, /"redis".*redis:\/\/…/],
    ['null for Redis', { redis: null }, /"redis".*options of ioredis, or a client of it/],
    ['keyPrefix', { redis: { keyPrefix: 'x:' } }, /"redis".*without keyPrefix.*give prefix here/],
    [
      'a client with a keyPrefix',
      { redis: new Redis({ ...lazy, keyPrefix: 'x' }) },
      /"redis".*without keyPrefix.*give prefix here/,
    ],
    [
      'what is no url of PostgreSQL',
      { postgres: 'localhost' },
      /"postgres".*postgres:\/\/….*'postgres:\/\/localhost/,
    ],
    ['a url of Redis for PostgreSQL', { postgres: redis }, /"postgres".*postgres:\/\/…/],
    ['a pool', { postgres: new Pool() }, /"postgres".*a pool itself has no place for the schema/],
    ['an empty prefix', { redis, prefix: '' }, /"prefix".*not empty.*Leave it out for 'bull'/],
    ['a prefix that is none', { redis, prefix: 5 }, /"prefix".*a text that is not empty/],
    ['a prefix on PostgreSQL', { postgres, prefix: 'bull' }, /"prefix".*nothing on PostgreSQL.*Remove it/],
    ['a schema on Redis', { redis, schema: 'x' }, /"schema".*nothing on Redis.*Remove it/],
    ['migrate on Redis', { redis, migrate: false }, /"migrate".*nothing on Redis.*Remove it/],
    [
      'a schema that is none',
      { postgres, schema: 'x; drop' },
      /"schema".*letters.*Leave it out for 'bullmq'/,
    ],
    ['a schema that is too long', { postgres, schema: 'x'.repeat(64) }, /"schema".*a name of letters/],
    ['migrate that is none', { postgres, migrate: 'yes' }, /"migrate".*true or false/],
    ['priorities that are none', { redis, priorities: 1 }, /"priorities".*true or false/],
    ['a pollInterval that is too short', { redis, pollInterval: 5 }, /"pollInterval".*10 ms or more/],
    [
      'a commandTimeout that is none',
      { redis, commandTimeout: 'soon' },
      /"commandTimeout".*number of milliseconds/,
    ],
  ])('refuses %s', (_, options, message) => {
    expect(() => new BullMqJobBackend(options as BullMqJobBackendOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) as string }),
    );
  });

  it('takes what its drivers take, and completes it', () => {
    const common = { priorities: false, pollIntervalMs: 5_000, commandTimeoutMs: 5_000 };
    const target = { url: redis, options: {} };
    expect(resolveBullMqOptions({ redis })).toEqual({
      at: { kind: 'redis', target, prefix: 'bull' },
      ...common,
    });
    const at = { kind: 'postgres', pool: { connectionString: postgres }, schema: 'bullmq', migrate: true };
    expect(resolveBullMqOptions({ postgres })).toEqual({ at, ...common });
    for (const given of ['rediss://x', { host: 'x' }, new Redis(lazy), new Cluster([{ host: 'x' }], lazy)]) {
      expect(resolveBullMqOptions({ redis: given }).at.kind).toBe('redis');
    }
    for (const given of ['postgresql://x', { host: 'x', max: 3 }]) {
      expect(resolveBullMqOptions({ postgres: given }).at.kind).toBe('postgres');
    }
  });

  it('says what it can do, and what its queues are unique within', () => {
    const onRedis = new BullMqJobBackend({ redis, prefix: '{shop}', priorities: true });
    expect(onRedis.capabilities).toMatchObject({
      name: 'bullmq',
      namespace: '{shop}',
      durable: true,
      shared: true,
      clock: 'client',
      order: 'arrival',
      format: 'json',
      priority: true,
      limits: { concurrency: false, perKey: false, rate: false },
      fencing: false,
      leaseThread: false,
    });
    const onPostgres = new BullMqJobBackend({ postgres, schema: 'jobs' });
    expect(onPostgres.capabilities).toMatchObject({
      name: 'bullmq-postgres',
      namespace: 'jobs',
      priority: false,
    });
  });
});

describe.each([{ redis }, { postgres }])('a queue on %o', (at) => {
  it.each<[limit: string, limits: object]>([
    ['concurrency', { concurrency: 5 }],
    ['perKey', { perKey: 1 }],
    ['rate', { rate: { limit: 1, period: '1s' } }],
  ])('that is to have limits.%s is an error at boot, that says what to do', async (limit, limits) => {
    const name = 'mail';
    const { code, message } = await bootError({
      imports: [
        JobsModule.forRoot({ backend: new BullMqJobBackend(at) }),
        JobsModule.registerQueue({ name, limits }),
      ],
    });
    expect(code).toBe('INVALID_OPTION');
    expect(message).toMatch(new RegExp(`"limits.${limit}" of job queue "mail"`));
    expect(message).toMatch(
      /the backend "bullmq(-postgres)?" cannot enforce it .*Remove it, or use a backend/,
    );
  });
});
