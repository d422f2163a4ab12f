import {
  drainJobs,
  type DrainedQueue,
  type DrainJobsOptions,
  type JobBackend,
  type StoredJob,
} from 'nestjs-worker';
import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { RedisJobBackend } from 'nestjs-worker/redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobBackendHost, NewJob } from '../../../lib/jobs/index.js';
import { jsonCodec, msgpackCodec, type PayloadCodec } from '../../../lib/jobs/payload-codec.js';
import { PostgresServer } from '../../support/postgres.js';
import { RedisServer } from '../../support/redis.js';

/** Plain data, encoded as each backend does it. */
const mails = 'emails';
/** Dates and bytes, which only MessagePack keeps: the queue has that format everywhere. */
const reports = 'reports';
const laterAt = Date.now() + 400 * 24 * 3_600_000;

let redis: RedisServer;
let postgres: PostgresServer;

beforeAll(async () => {
  [redis, postgres] = await Promise.all([RedisServer.start(), PostgresServer.start()]);
}, 240_000);

afterAll(async () => {
  await Promise.all([redis?.stop(), postgres?.stop()]);
});

const stores = {
  redis: () => new RedisJobBackend({ url: redis.url, namespace: 'test' }),
  bullmq: () => new BullMqJobBackend({ redis: redis.url, priorities: true }),
  postgres: () => new BullMqJobBackend({ postgres: postgres.url, priorities: true }),
};
type Store = keyof typeof stores;

const host: JobBackendHost = {
  onRevoked: () => {},
  onConnection: () => {},
  warn: () => {},
  setTimer: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Does something with a backend as an app would. */
async function at<Result>(store: Store, act: (backend: JobBackend) => Promise<Result>): Promise<Result> {
  const backend = stores[store]();
  try {
    await backend.open(host);
    return await act(backend);
  } finally {
    await backend.close();
  }
}

function drain(
  from: Store,
  to: Store,
  options: Partial<DrainJobsOptions> = {},
): Promise<readonly DrainedQueue[]> {
  return drainJobs({ from: stores[from](), to: stores[to](), queues: [mails], wait: 0, ...options });
}

const drainReports = (from: Store, to: Store): Promise<readonly DrainedQueue[]> =>
  drain(from, to, { queues: [reports], fromFormat: 'msgpack', toFormat: 'msgpack' });

const codecOf = (store: Store): PayloadCodec => (store === 'redis' ? msgpackCodec : jsonCodec);

const newJob = (id: string, job: Partial<NewJob> = {}): NewJob => ({
  id,
  queue: mails,
  name: '',
  payload: undefined,
  due: { inMs: 0 },
  priority: 0,
  ...job,
});

const mailIds = Array.from({ length: 230 }, (_, at) => `mail-${String(at).padStart(3, '0')}`);
const mail = (id: string): object => ({ to: `${id}@example.com`, tags: ['a', 1.5, null, { ü: true }] });
const report = { at: new Date('2026-02-03T04:05:06Z'), pdf: Uint8Array.of(1, 2, 0, 255), name: '\u0000' };
const left = { active: 0, duplicate: 0, unreadable: 0, refused: 0, undeleted: 0, late: 0, dead: 0 };
const all = { alreadyThere: 0, left, leftJobs: [] };

/** What there is of a queue, by id. */
async function jobsAt(store: Store, queue: string): Promise<Map<string, StoredJob>> {
  return at(store, async (backend) => {
    const found = new Map<string, StoredJob>();
    for (const state of ['ready', 'scheduled'] as const) {
      let cursor: string | undefined;
      do {
        const page = await backend.list(queue, { state, limit: 100, cursor });
        for (const job of page.jobs) found.set(job.id, job);
        ({ cursor } = page);
      } while (cursor !== undefined);
    }
    return found;
  });
}

async function expectAllAt(store: Store): Promise<void> {
  const codec = codecOf(store);
  const found = await jobsAt(store, mails);
  expect([...found.keys()].toSorted()).toEqual([...mailIds, 'empty', 'full'].toSorted());
  for (const id of mailIds) expect(codec.decode(found.get(id)!.payload)).toEqual(mail(id));
  expect(found.get('empty')).toMatchObject({ payload: undefined, state: 'ready' });
  expect(found.get('full')).toMatchObject({
    name: 'welcome',
    state: 'scheduled',
    dueAt: laterAt,
    uniqueKey: 'user:1',
    limitKey: 'tenant-1',
    headers: { traceparent: '00-1', ü: '"' },
  });
  expect(codec.decode(found.get('full')!.payload)).toEqual(mail('full'));
  const kept = await jobsAt(store, reports);
  expect([...kept.keys()]).toEqual(['report']);
  expect(msgpackCodec.decode(kept.get('report')!.payload)).toEqual(report);
}

describe('from Redis to BullMQ, to PostgreSQL and back', () => {
  it('begins with jobs of all kinds in Redis', async () => {
    await at('redis', async (backend) => {
      await backend.enqueue([
        ...mailIds.map((id) => newJob(id, { payload: msgpackCodec.encode(mail(id)) })),
        newJob('empty'),
        newJob('full', {
          name: 'welcome',
          payload: msgpackCodec.encode(mail('full')),
          due: { at: laterAt },
          unique: { key: 'user:1', ttlMs: 3_600_000 },
          limitKey: 'tenant-1',
          headers: { traceparent: '00-1', ü: '"' },
        }),
        newJob('report', { queue: reports, payload: msgpackCodec.encode(report) }),
      ]);
    });
    await expectAllAt('redis');
  });

  it('goes from Redis to BullMQ on Redis', async () => {
    // A drain that is stopped on the way.
    const stop = new AbortController();
    const stopped = drain('redis', 'bullmq', { signal: stop.signal, onProgress: () => stop.abort() });
    await expect(stopped).rejects.toThrow(/abort/);
    expect((await jobsAt('bullmq', mails)).size).toBe(100);

    expect(await drain('redis', 'bullmq')).toEqual([{ ...all, queue: mails, moved: 132 }]);
    // What JSON cannot say is not lost on the way.
    expect(await drain('redis', 'bullmq', { queues: [reports] })).toMatchObject([
      { moved: 0, left: { unreadable: 1 }, leftJobs: [{ id: 'report' }] },
    ]);
    expect(await drainReports('redis', 'bullmq')).toEqual([{ ...all, queue: reports, moved: 1 }]);
    await expectAllAt('bullmq');
    expect((await jobsAt('redis', mails)).size).toBe(0);
  });

  it('goes from BullMQ on Redis to BullMQ on PostgreSQL, with priorities', async () => {
    const ranked = { queue: 'ranked', payload: jsonCodec.encode({ a: 1 }) };
    await at('bullmq', (backend) =>
      backend.enqueue([
        newJob('low', { ...ranked, priority: -5 }),
        newJob('high', { ...ranked, priority: 9 }),
        newJob('soon', { ...ranked, priority: 7, due: { at: laterAt } }),
      ]),
    );

    expect(await drain('bullmq', 'postgres', { queues: [mails, 'ranked'] })).toEqual([
      { ...all, queue: mails, moved: 232 },
      { ...all, queue: 'ranked', moved: 3 },
    ]);
    await drainReports('bullmq', 'postgres');

    await expectAllAt('postgres');
    const ranks = [...(await jobsAt('postgres', 'ranked'))].map(([id, job]) => `${id} ${job.priority}`);
    expect(ranks.toSorted()).toEqual(['high 9', 'low -5', 'soon 7']);
    expect((await jobsAt('bullmq', mails)).size).toBe(0);
  });

  it('moves what was being run as it comes back, and leaves what does not', async () => {
    const queue = 'running';
    const claiming = { limit: 1, prefetch: 0, leaseMs: 60_000, waitMs: 0 };
    const { signal } = new AbortController();
    await at('bullmq', async (backend) => {
      await backend.enqueue([newJob('back', { queue }), newJob('stays', { queue })]);
      const [back] = await backend.claim(queue, { ...claiming, signal });
      const [stays] = await backend.claim(queue, { ...claiming, signal });
      expect([back?.id, stays?.id]).toEqual(['back', 'stays']);
      let isBack = false;
      const [drained] = await drain('bullmq', 'postgres', {
        queues: [queue],
        wait: '1s',
        onProgress: ({ left }) => {
          if (left.active < 2 || isBack) return;
          isBack = true;
          void backend.settle(queue, [{ kind: 'scheduled', job: back!, delayMs: 60_000, failures: 1 }]);
        },
      });
      expect(drained).toMatchObject({ moved: 1, left: { active: 1, late: 0 } });
      // It may end there as if nothing had been.
      const { accepted } = await backend.settle(queue, [{ kind: 'completed', job: stays!, keepMs: 0 }]);
      expect(accepted).toEqual([true]);
    });
    const moved = await jobsAt('postgres', queue);
    expect([...moved.values()].map(({ id, state, failures }) => [id, state, failures])).toEqual([
      ['back', 'scheduled', 0],
    ]);
  });

  it('goes from PostgreSQL back to Redis, once the queues are resumed there', async () => {
    await expect(drain('postgres', 'redis')).rejects.toThrow(`in which queue "${mails}" is not paused`);
    const resumed = async (backend: JobBackend): Promise<void> => {
      for (const queue of [mails, reports]) await backend.pause(queue, false);
    };
    await at('redis', resumed);
    // Somebody has the key by now.
    const [holder] = await at('redis', (backend) =>
      backend.enqueue([newJob('holder', { unique: { key: 'user:1', ttlMs: 3_600_000 } })]),
    );
    expect(holder).toEqual({ kind: 'enqueued', id: 'holder' });

    expect(await drain('postgres', 'redis')).toMatchObject([
      {
        moved: 231,
        left: { duplicate: 1 },
        leftJobs: [{ id: 'full', reason: expect.stringMatching(/^job holder holds/) as string }],
      },
    ]);
    await at('redis', (backend) => backend.delete(mails, ['holder']));
    expect(await drain('postgres', 'redis')).toEqual([{ ...all, queue: mails, moved: 1 }]);
    await drainReports('postgres', 'redis');

    await expectAllAt('redis');
    expect((await jobsAt('postgres', mails)).size).toBe(0);
  });

  it.each(Object.keys(stores) as Store[])('knows that it is one store: %s', async (store) => {
    await at(store, (backend) => backend.pause('one', false));
    await at(store, (backend) => backend.enqueue([newJob('one', { queue: 'one' })]));
    await expect(drain(store, store, { queues: ['one'] })).rejects.toThrow(/another store than "from"/);
    const [counts] = await at(store, (backend) => backend.counts(['one'], { dueWithinMs: 0 }));
    expect(counts).toMatchObject({ paused: false, ready: 1 });
  });
});
