import { randomUUID } from 'node:crypto';
import { runMigrations } from 'bullmq';
import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { describe, expect, it } from 'vitest';
import { freePort } from '../../support/redis.js';
import { OpenBackend } from './open-backend.js';
import { SomeStores } from './some-stores.js';

const stores = new SomeStores(['postgres']);
const soon = { timeout: 5_000, interval: 5 };
const newSchema = (): string => `s_${randomUUID().replaceAll('-', '')}`;

describe('a PostgreSQL that cannot be used', () => {
  it('is an error when it is opened, which says why', async () => {
    const nobody = `postgres://127.0.0.1:${await freePort()}/app`;
    await expect(OpenBackend.open(new BullMqJobBackend({ postgres: nobody }))).rejects.toThrow(
      /ECONNREFUSED 127\.0\.0\.1/,
    );
    const url = new URL(stores.postgres.url);
    url.pathname = 'no_such_database';
    await expect(OpenBackend.open(new BullMqJobBackend({ postgres: url.href }))).rejects.toThrow(
      /"no_such_database" does not exist/,
    );
  });
});

describe('the schema', () => {
  const migrated = async (schema: string): Promise<boolean> => {
    const { rows } = await stores.postgres.pool.query<{ found: boolean }>(
      `select exists (select from pg_tables where schemaname = $1 and tablename = 'job') as found`,
      [schema],
    );
    return rows[0]!.found;
  };

  it('is made when the backend is opened; jobs of another one are others', async () => {
    const schema = newSchema();
    const open = await OpenBackend.open(stores.postgres.backend({ schema }));
    expect(await migrated(schema)).toBe(true);
    const id = await open.add();
    const other = await OpenBackend.open(stores.postgres.backend(), { queue: open.queue });
    expect(await other.stored(id)).toBeUndefined();
    expect(await other.claim()).toEqual([]);
    expect((await open.claimOne()).id).toBe(id);
  });

  it('is left alone with migrate: false; where it is missing, the error names the option', async () => {
    const schema = newSchema();
    const backend = stores.postgres.backend({ schema, migrate: false });
    await expect(OpenBackend.open(backend)).rejects.toThrow(
      new RegExp(`schema "${schema}" is not initialized.* \`migrate: true\``),
    );
    expect(await migrated(schema)).toBe(false);
    // Somebody has done it since.
    const client = await stores.postgres.pool.connect();
    await runMigrations(client, schema);
    client.release();
    const open = await OpenBackend.open(backend);
    const id = await open.add();
    expect((await open.claimOne()).id).toBe(id);
  });
});

describe('a claim that waits', () => {
  const pids = async (): Promise<number[]> => {
    const { rows } = await stores.postgres.pool.query<{ pid: number }>(
      `select pid from pg_stat_activity where query like '%LISTEN bullmq_jobs%' and pid <> pg_backend_pid()`,
    );
    return rows.map(({ pid }) => pid);
  };

  it('is woken when a job comes due that was put off while it looked', async () => {
    const open = await OpenBackend.open(stores.postgres.backend({ pollInterval: '1m' }));
    // Some of these claims look before, and some after.
    for (let round = 0; round < 20; round++) {
      await open.add({ id: `round-${round}` });
      const job = await open.claimOne();
      const claim = open.claim({ waitMs: 60_000 });
      for (let turn = 0; turn < round; turn++) await new Promise(setImmediate);
      await open.backend.settle(open.queue, [{ kind: 'scheduled', job, delayMs: 15, failures: 0 }]);
      const [again] = await claim;
      expect(again).toMatchObject({ id: job.id });
      expect(again!.claimedAt - job.claimedAt).toBeLessThan(5_000);
      await open.complete(again!);
    }
  });

  it('is woken by a job that came while nothing was heard', async () => {
    const open = await OpenBackend.open(stores.postgres.backend({ pollInterval: '1m' }));
    const claim = open.claim({ waitMs: 60_000 });
    await expect.poll(pids, soon).toHaveLength(1);
    const [pid] = await pids();
    // As whoever has enqueued it would, but telling nobody.
    await stores.postgres.pool.query(
      `begin; insert into bullmq.job (queue, id, name, state, data, opts, added_at_ms, priority, seq)
       values ('${open.queue}', 'silent', 'n', 'waiting', '{}', '{}', ${Date.now()}, 0, 1);
       select pg_terminate_backend(${pid}); commit`,
    );
    expect(await claim).toMatchObject([{ id: 'silent' }]);
  });

  it('hears of jobs of others, and of its own queue only', async () => {
    const open = await OpenBackend.open(stores.postgres.backend({ pollInterval: '1m' }));
    const other = await OpenBackend.open(stores.postgres.backend({ pollInterval: '1m' }));
    let isOver = false;
    const claim = open.claim({ waitMs: 60_000 }).finally(() => (isOver = true));
    await expect.poll(pids, soon).toHaveLength(1);
    await other.add();
    await other.claimOne();
    expect(isOver).toBe(false);
    const { id } = await stores.postgres.queue(open.queue).add('n', {});
    expect(await claim).toMatchObject([{ id }]);
  });
});
