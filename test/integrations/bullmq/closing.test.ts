import { setImmediate as turn } from 'node:timers/promises';
import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import type { PoolClient } from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { RedisServer } from '../../support/redis.js';
import { OpenBackend } from './open-backend.js';
import { newQueueName, SomeStores } from './some-stores.js';

const stores = new SomeStores(['postgres']);
const soon = { timeout: 5_000, interval: 5 };
let redis: RedisServer;

beforeAll(async () => {
  redis = await RedisServer.start();
}, 240_000);

afterAll(async () => {
  await redis?.stop();
});

interface Answers {
  /** Until so many calls wait for an answer. */
  wanted(count: number): Promise<void>;
  come(): Promise<void>;
}

const kinds = {
  redis: {
    backend: (): BullMqJobBackend => new BullMqJobBackend({ redis: redis.url }),
    holdAnswers: async (): Promise<Answers> => {
      redis.hold(true);
      onTestFinished(() => redis.hold(false));
      return {
        // They are sent at once.
        wanted: () => turn(),
        come: async () => redis.hold(false),
      };
    },
  },
  postgres: {
    backend: (): BullMqJobBackend => stores.postgres.backend(),
    holdAnswers: async (): Promise<Answers> => {
      const client: PoolClient = await stores.postgres.pool.connect();
      onTestFinished(() => client.release(true));
      await client.query('begin; lock table bullmq.job, bullmq.meta in access exclusive mode');
      const waiting = async (): Promise<number> => {
        const { rows } = await client.query<{ count: number }>(
          `select count(distinct pid)::int as count from pg_locks where not granted
           and database = (select oid from pg_database where datname = current_database())`,
        );
        return rows[0]!.count;
      };
      return {
        wanted: async (count) => {
          await expect.poll(waiting, soon).toBe(count);
        },
        come: async () => void (await client.query('rollback')),
      };
    },
  },
};

describe.each(['redis', 'postgres'] as const)('close(), on %s', (kind) => {
  const { backend, holdAnswers } = kinds[kind];

  it.each(['closed', 'opened again'])(
    'gives back what a claim still gets, as if it had never been claimed, where it is %s',
    async (how) => {
      const queue = newQueueName();
      const first = await OpenBackend.open(backend(), { queue });
      const id = await first.add();
      // It has been used before, as one that runs for a while.
      expect(await first.claim({ limit: 0 })).toEqual([]);
      const answers = await holdAnswers();
      const claim = first.claim();
      await answers.wanted(1);
      const isClosed = how === 'closed' ? first.backend.close() : OpenBackend.open(first.backend, { queue });
      expect(await claim).toEqual([]);
      await answers.come();
      const again = (await isClosed) ?? (await OpenBackend.open(backend(), { queue }));
      const job = await again.claimOne();
      expect(job).toMatchObject({ id, deaths: 0, failures: 0, history: [] });
      expect(await again.complete(job)).toBe(true);
    },
  );

  it('lets calls that are under way end, for a moment', async () => {
    const open = await OpenBackend.open(backend());
    const answers = await holdAnswers();
    const stored = open.add();
    await answers.wanted(1);
    const closed = open.backend.close();
    await answers.come();
    const id = await stored;
    await closed;
    const again = await OpenBackend.open(backend(), { queue: open.queue });
    expect((await again.claimOne()).id).toBe(id);
  });

  it('ends calls that get no answer', async () => {
    const open = await OpenBackend.open(backend());
    await open.add();
    const job = await open.claimOne();
    const answers = await holdAnswers();
    const { queue, backend: one } = open;
    const calls = [
      open.add(),
      open.extend(job),
      open.complete(job),
      open.stored(job.id),
      one.list(queue, { state: 'ready', limit: 1 }),
      one.delete(queue, ['x']),
      one.cancel(queue, ['x'], { keepMs: 0 }),
      one.retry(queue, ['x']),
      one.counts([queue], { dueWithinMs: 0 }),
      one.pause(queue, true),
    ];
    let left = calls.length;
    const over = calls.map((call) =>
      call.then(
        () => 'answered',
        (error: Error) => {
          left--;
          return error.message;
        },
      ),
    );
    await answers.wanted(kind === 'redis' ? 0 : 10);
    const closed = one.close();
    await expect.poll(() => left, { timeout: 2_500, interval: 5 }).toBe(0);
    expect(new Set(await Promise.all(over))).toEqual(new Set(['the connection of BullMQ was closed']));
    await answers.come();
    await closed;
    await expect(open.add()).rejects.toThrow('is not open');
  });

  it('waits for no call that is over', async () => {
    const open = await OpenBackend.open(backend());
    await open.add();
    await expect(open.backend.list(open.queue, { state: 'dead', cursor: '[', limit: 1 })).rejects.toThrow(
      /cursor/u,
    );
    await open.claimOne();
    const since = performance.now();
    await open.backend.close();
    expect(performance.now() - since).toBeLessThan(900);
  });
});
