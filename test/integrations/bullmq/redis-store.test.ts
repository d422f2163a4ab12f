import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { FlowProducer } from 'bullmq';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RedisStore } from '../../../lib/integrations/bullmq/redis-store.js';
import type { JobBackendHost } from '../../../lib/jobs/index.js';
import { freePort } from '../../support/redis.js';
import { OpenBackend } from './open-backend.js';
import { newQueueName, SomeStores } from './some-stores.js';

const stores = new SomeStores(['redis']);
const soon = { timeout: 5_000, interval: 5 };
const at = { limit: 1, prefetch: 0, leaseMs: 60_000 };

describe('a Redis that cannot be used', () => {
  it('is an error when it is opened, which says why', async () => {
    const port = await freePort();
    const open = OpenBackend.open(new BullMqJobBackend({ redis: `redis://127.0.0.1:${port}` }));
    await expect(open).rejects.toThrow(/Redis cannot be reached \(.*ECONNREFUSED 127\.0\.0\.1/);
  });

  it('may be there later: the same backend opens then', async () => {
    const { port } = new URL(stores.redis.url);
    const options = { host: '127.0.0.1', port: await freePort() };
    const backend = new BullMqJobBackend({ redis: options });
    await expect(OpenBackend.open(backend)).rejects.toThrow('ECONNREFUSED');
    options.port = Number(port);
    const open = await OpenBackend.open(backend);
    const id = await open.add();
    expect((await open.claimOne()).id).toBe(id);
  });
});

describe('a claim that waits', () => {
  /** How long it takes from what happens to the claim's answer. */
  async function wakes(priorities: boolean, happen: (open: OpenBackend) => Promise<() => Promise<unknown>>) {
    const open = await OpenBackend.open(stores.redis.backend({ priorities, pollInterval: '1m' }));
    const act = await happen(open);
    const claim = open.claim({ waitMs: 60_000 });
    // Until it blocks, and has found nothing.
    const isBlocked = async (): Promise<boolean> => {
      const clients = String(await stores.redis.client.client('LIST')).split('\n');
      const name = `bull:${Buffer.from(open.queue).toString('base64')}`;
      const one = clients.find((client) => client.includes(` name=${name} `));
      return one?.includes(' cmd=bzpopmin ') === true && (await stores.redis.client.exists(marker)) === 0;
    };
    const marker = `bull:${open.queue}:marker`;
    await expect.poll(isBlocked, soon).toBe(true);
    await act();
    expect(await claim).toHaveLength(1);
  }

  it.each([false, true])('is woken by one that is released, with priorities: %s', async (priorities) => {
    await wakes(priorities, async (open) => {
      await open.add({ priority: 3 });
      const job = await open.claimOne();
      return () => open.backend.settle(open.queue, [{ kind: 'released', job }]);
    });
  });

  it.each([false, true])('is woken by one whose lease is over, with priorities: %s', async (priorities) => {
    await wakes(priorities, async (open) => {
      await open.add({ priority: 3 });
      await open.claim({ leaseMs: 300 });
      return () => Promise.resolve();
    });
  });

  it('passes on what was announced to it when it is called off', async () => {
    const first = await OpenBackend.open(stores.redis.backend({ pollInterval: '1m' }));
    const { queue } = first;
    const second = await OpenBackend.open(stores.redis.backend({ pollInterval: '1m' }), { queue });
    for (let round = 0; round < 20; round++) {
      const called = new AbortController();
      const off = first.backend.claim(queue, { ...at, waitMs: 60_000, signal: called.signal });
      const waits = second.claim({ waitMs: 60_000 });
      const added = first.add({ id: `round-${round}` });
      called.abort();
      await added;
      const mine = await off;
      const [job] = mine.length > 0 ? mine : await waits;
      expect(job?.id).toBe(`round-${round}`);
      expect(await (mine.length > 0 ? first : second).complete(job!)).toBe(true);
      if (mine.length === 0) continue;
      await first.add({ id: `more-${round}` });
      expect(await second.complete((await waits)[0]!)).toBe(true);
    }
  });
});

describe('the connection that waits', () => {
  it('has the name by which BullMQ knows that somebody works', async () => {
    const open = await OpenBackend.open(stores.redis.backend());
    const queue = stores.redis.queue(open.queue);
    expect(await queue.getWorkersCount()).toBe(0);
    const called = new AbortController();
    const claim = open.backend.claim(open.queue, { ...at, waitMs: 60_000, signal: called.signal });
    await expect.poll(() => queue.getWorkersCount(), soon).toBe(1);
    called.abort();
    await claim;
  });

  it('is made anew where it was lost', async () => {
    const told: unknown[] = [];
    const host: JobBackendHost = {
      onRevoked: () => {},
      onConnection: (error) => void told.push(error),
      warn: () => {},
      setTimer: (callback) => {
        const timer = setTimeout(callback, 0);
        return () => clearTimeout(timer);
      },
    };
    const target = { url: stores.redis.url, options: {} };
    const store = new RedisStore({ target, prefix: 'bull', commandTimeoutMs: 5_000 }, host);
    const queue = newQueueName();
    const name = `bull:${Buffer.from(queue).toString('base64')}`;
    const idOf = async (): Promise<string | undefined> => {
      const clients = String(await stores.redis.client.client('LIST')).split('\n');
      return /id=(\d+)/.exec(clients.find((client) => client.includes(` name=${name} `)) ?? '')?.[1];
    };
    await store.open();
    const signal = store.signal(queue);
    const lost = signal.wait(60_000);
    await expect.poll(idOf, soon).toBeDefined();
    const id = await idOf();
    await stores.redis.client.client('KILL', 'ID', id!);
    expect(await lost).toBe(false);
    const again = signal.wait(60_000);
    await expect.poll(idOf, soon).not.toBe(id);
    await store.announce(queue);
    expect(await again).toBe(true);
    await signal.close();
    expect(await signal.wait(60_000)).toBe(false);
    await store.close();
  });
});

describe('deleting what waits', () => {
  /** What Redis spends on looking for one job, of the 500 that have waited longest of so many, in us. */
  async function searchFor(backlog: number): Promise<number> {
    const { queue, backend } = await OpenBackend.open(stores.redis.backend());
    const { client } = stores.redis;
    const jobs = Array.from({ length: backlog }, (_, index) => {
      const id = `job-${queue}-${index}`;
      return { id, queue, name: '', payload: undefined, due: { inMs: 0 }, priority: 0 };
    });
    await backend.enqueue(jobs);
    await client.config('RESETSTAT');
    const ids = jobs.slice(0, 500).map(({ id }) => id);
    expect(new Set(await backend.delete(queue, ids))).toEqual(new Set(['deleted']));
    const [, us = ''] =
      /cmdstat_lrem:calls=500,.*usec_per_call=([\d.]+)/u.exec(await client.info('commandstats')) ?? [];
    expect(await client.llen(`bull:${queue}:wait`)).toBe(backlog - 500);
    return Number(us);
  }

  it('costs no more with a backlog', async () => {
    const few = await searchFor(500);
    expect(few).toBeGreaterThan(0);
    // A search through all of them costs 40 times as much.
    expect((await searchFor(20_000)) / few).toBeLessThan(8);
  });

  it('leaves nothing of a job, frees its key, and tells whoever listens', async () => {
    const { queue, backend } = await OpenBackend.open(stores.redis.backend());
    const { client } = stores.redis;
    const job = { id: 'gone', queue, name: '', payload: undefined, due: { inMs: 0 }, priority: 0 };
    await backend.enqueue([{ ...job, unique: { key: 'k' } }]);
    await stores.redis.queue(queue).addJobLog(job.id, 'a line', 10);
    expect(await backend.delete(queue, ['gone', 'gone', 'other'])).toEqual(['deleted', 'unknown', 'unknown']);
    const left = await client.keys(`bull:${queue}:*`);
    const ours = left.map((key) => key.slice(`bull:${queue}:`.length));
    expect(ours.filter((key) => !['meta', 'events', 'marker', 'id'].includes(key))).toEqual([]);
    const events = await client.xrange(`bull:${queue}:events`, '-', '+');
    expect(events.at(-1)?.[1]).toEqual(['event', 'removed', 'jobId', 'gone', 'prev', 'wait']);
    expect(await backend.enqueue([{ ...job, unique: { key: 'k' } }])).toEqual([
      { kind: 'enqueued', id: 'gone' },
    ]);
  });

  it('leaves a child of a flow to BullMQ, whose parent goes on without it', async () => {
    const { queue, backend } = await OpenBackend.open(stores.redis.backend());
    const plain = stores.redis.queue(queue);
    const flow = new FlowProducer(plain.opts, () => plain.getBackend());
    onTestFinished(() => flow.close());
    const { children = [] } = await flow.add({
      name: 'p',
      queueName: queue,
      children: [{ name: 'c', queueName: queue, data: {}, opts: { jobId: 'child' } }],
    });
    expect(children).toHaveLength(1);
    expect(await backend.delete(queue, ['child'])).toEqual(['deleted']);
    expect(await plain.getJobCounts('waiting', 'waiting-children')).toEqual({
      waiting: 1,
      'waiting-children': 0,
    });
  });
});
