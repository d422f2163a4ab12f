import { Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { getJobQueueToken, type JobQueue, JobsModule } from 'nestjs-worker';
import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import type { Pool, PoolClient } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PostgresServer } from '../../support/postgres.js';

let server: PostgresServer;
let pool: Pool;
let queue: JobQueue<{ order: number }>;
let close: () => Promise<void>;
let client: PoolClient;
let names = 0;

beforeAll(async () => {
  server = await PostgresServer.start();
  pool = server.pool();
  await pool.query('create table orders (id integer primary key)');
}, 240_000);

afterAll(async () => {
  await pool?.end();
  await server?.stop();
});

beforeEach(async () => {
  const name = `orders-${++names}`;
  const jobs = [
    JobsModule.forRoot({ backend: new BullMqJobBackend({ postgres: server.url }) }),
    JobsModule.registerQueue({ name }),
  ];
  @Module({ imports: jobs })
  class App {}
  const app = await Test.createTestingModule({ imports: [App] }).compile();
  await app.init();
  queue = app.get(getJobQueueToken(name));
  close = () => app.close();
  client = await pool.connect();
  await client.query('begin');
});

afterEach(async () => {
  await client.query('rollback');
  client.release();
  await close();
});

describe('a job that is enqueued in a transaction', () => {
  it('is there with what else the transaction did, once that is committed, and not before', async () => {
    await client.query('insert into orders values (1)');
    const { id, status } = await queue.enqueue({ order: 1 }, { transaction: client });
    expect(status).toBe('enqueued');
    expect(await queue.get(id)).toBeUndefined();
    expect((await queue.counts()).ready).toBe(0);
    await client.query('commit');
    expect((await queue.get(id))?.payload).toEqual({ order: 1 });
  });

  it('never was where the transaction is rolled back, and its id and key are free', async () => {
    const options = { id: 'order:2', unique: { key: 'order 2' } };
    await queue.enqueue({ order: 2 }, { ...options, transaction: client });
    await client.query('rollback');
    expect(await queue.get('order:2')).toBeUndefined();
    expect((await queue.enqueue({ order: 2 }, options)).status).toBe('enqueued');
  });

  it('says what is stored already, and by whom a key is held', async () => {
    await queue.enqueue({ order: 3 }, { id: 'order-3', unique: { key: 'three' } });
    const again = await queue.enqueue({ order: 3 }, { id: 'order-3', transaction: client });
    expect(again).toEqual({ id: 'order-3', status: 'exists' });
    const other = await queue.enqueue({ order: 4 }, { unique: { key: 'three' }, transaction: client });
    expect(other).toEqual({ id: 'order-3', status: 'duplicate' });
  });

  it('may be many, for later, and beside other statements of the same client', async () => {
    const path = async (): Promise<unknown> =>
      (await client.query<{ search_path: string }>('show search_path')).rows[0]?.search_path;
    const before = await path();
    const many = queue.enqueueMany(
      Array.from({ length: 1_200 }, (_, order) => ({ order })),
      { delay: '1h', transaction: client },
    );
    const one = queue.enqueue({ order: -1 }, { transaction: client });
    const [stored, last] = await Promise.all([many, one]);
    expect(stored.every(({ status }) => status === 'enqueued')).toBe(true);
    expect(last.status).toBe('enqueued');
    expect(await path()).toBe(before);
    await client.query('insert into orders values (5)');
    await client.query('commit');
    const { scheduled, ready } = await queue.counts();
    expect([scheduled, ready]).toEqual([1_200, 1]);
  });

  it('fails with the transaction, and alone', async () => {
    await client.query('insert into nowhere values (1)').catch(() => {});
    const failing = queue.enqueue({ order: 6 }, { transaction: client });
    const fine = queue.enqueue({ order: 7 });
    await expect(failing).rejects.toMatchObject({ code: 'JOB_ENQUEUE_FAILED' });
    await expect(failing).rejects.toThrow(/current transaction is aborted/u);
    expect((await fine).status).toBe('enqueued');
  });

  it.each(['as it is', 'with the search_path of BullMQ'])(
    'is refused of a client that has begun none, and of a pool, %s',
    async (how) => {
      const options = how === 'as it is' ? '' : '-c search_path="bullmq"';
      const others = server.pool({ options });
      const other = await others.connect();
      try {
        for (const transaction of [other, others]) {
          const refused = queue.enqueue({ order: 9 }, { id: 'order-9', transaction });
          await expect(refused).rejects.toMatchObject({ cause: { code: 'INVALID_OPTION' } });
          await expect(refused).rejects.toThrow(
            /"transaction".*a client of pg that has begun one.*query\('begin'\)/u,
          );
        }
        expect(await queue.get('order-9')).toBeUndefined();
        await other.query('begin');
        expect(await queue.enqueue({ order: 9 }, { transaction: other })).toMatchObject({
          status: 'enqueued',
        });
        await other.query('rollback');
      } finally {
        other.release();
        await others.end();
      }
    },
  );

  it('is refused of what is no transaction', async () => {
    await expect(queue.enqueue({ order: 8 }, { transaction: {} })).rejects.toThrow(/client of pg/u);
    const transaction = 'begin' as unknown as object;
    await expect(queue.enqueue({ order: 8 }, { transaction })).rejects.toThrow(/"transaction"/u);
  });
});
