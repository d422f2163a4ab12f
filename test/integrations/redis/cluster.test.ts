import { Cluster, Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { ClaimedJob } from '../../../lib/jobs/index.js';
import { freePort, RedisCluster } from '../../support/redis.js';
import { Dropper } from './dropper.js';
import { Handle, queue } from './some-redis.js';

let cluster: RedisCluster;
const handles: Handle[] = [];

beforeAll(async () => {
  cluster = await RedisCluster.start();
}, 60_000);
afterEach(async () => {
  for (const { backend } of handles.splice(0)) await backend.close();
});
afterAll(() => cluster?.stop());

async function open(namespace: string): Promise<Handle> {
  const handle = new Handle({ nodes: cluster.addresses, namespace, pollInterval: '1m' });
  handles.push(handle);
  return handle.open();
}

describe('a Cluster that is given by its nodes', () => {
  // Each tag is on another node: the announcements of one reach those who listen at another.
  it.each(['{a}', '{b}', '{c}', '{shop}'])(
    'has the jobs of %s, and wakes who waits for them',
    async (namespace) => {
      const handle = await open(namespace);
      const other = await open(namespace);
      const waits = other.claim({ waitMs: 10_000 });
      await vi.waitUntil(async () => (await listeners(namespace)) > 0, { timeout: 5_000 });
      const [id] = await handle.add({ unique: { key: 'k' }, limitKey: 'l', name: 'n' });
      const [job] = await waits;
      expect(job).toMatchObject({ id, name: 'n', uniqueKey: 'k', limitKey: 'l' });
      expect(await other.complete(job!)).toEqual([true]);
      expect(handle.warnings).toEqual([]);
    },
  );

  it('W11: each script declares one key, and all that it touches are on its node', async () => {
    const handle = await open('a{w11}b');
    const scripts: string[][] = [];
    const clients = cluster.nodes.map((node) => node.client());
    const monitors = await Promise.all(clients.map((client) => client.monitor()));
    for (const monitor of monitors) {
      monitor.on('monitor', (_: string, args: string[], source: string) => {
        if (source !== 'lua' && /^eval/i.test(args[0]!)) scripts.push(args);
      });
    }
    const limits = { concurrency: 10, perKey: 1, rate: { limit: 100, periodMs: 1_000 } };
    const { backend } = handle;
    const more = { unique: { key: 'k', ttlMs: 60_000 }, limitKey: 'l', name: 'n', headers: { a: 'b' } };
    const [first] = await handle.add(more, { limitKey: 'l' }, {}, {});
    const jobs = await handle.claim({ limit: 3, limits });
    expect(jobs).toHaveLength(3);
    expect(
      await backend.extend(queue, [{ job: jobs[0]!, leaseMs: 60_000, progress: Buffer.from('p') }]),
    ).toEqual([true]);
    const dead = {
      kind: 'dead',
      cause: 'exhausted',
      failures: 1,
      error: 'no',
      maxDead: 5,
      job: jobs[0]!,
    } as const;
    expect(
      (await backend.settle(queue, [dead], { limit: 1, prefetch: 0, leaseMs: 1_000, limits })).accepted,
    ).toEqual([true]);
    expect(await backend.retry(queue, [first!])).toEqual(['retried']);
    expect(await backend.delete(queue, [first!])).toEqual(['deleted']);
    await backend.pause(queue, true);
    for (const state of ['ready', 'scheduled', 'active', 'dead', 'completed', 'cancelled'] as const) {
      await backend.list(queue, { state, cursor: undefined, limit: 10 });
    }
    expect(await handle.counts()).toMatchObject({ paused: true, dead: 0 });

    await vi.waitUntil(() => scripts.length >= 14);
    monitors.forEach((monitor) => monitor.disconnect());
    expect(scripts.map(([, , count, key]) => [count, key])).toEqual(
      scripts.map(() => ['1', handle.keyOf('queue')]),
    );
    const keys = await Promise.all(clients.map((client) => client.keys('*{w11}*')));
    clients.forEach((client) => client.disconnect());
    expect(keys.filter((some) => some.length > 0)).toHaveLength(1);
    expect(keys.flat().filter((key) => !key.startsWith('a{w11}b:'))).toEqual([]);
  });

  it('renews leases from a thread', async () => {
    const handle = await open('{leases}');
    const lost: string[] = [];
    const onLost = (jobs: readonly ClaimedJob[]): void => void lost.push(...jobs.map(({ id }) => id));
    const keeper = handle.backend.keepLeases!({ queue, leaseMs: 600, blockedLimitMs: 60_000, onLost });
    await handle.add({}, {});
    const [kept, deleted] = await handle.claim({ limit: 2, leaseMs: 1_500 });
    keeper.hold([kept!, deleted!], 0);
    await handle.backend.delete(queue, [deleted!.id]);
    await vi.waitUntil(() => lost.length > 0, { timeout: 10_000 });
    expect(lost).toEqual([deleted!.id]);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
    expect(await handle.claim()).toEqual([]);
    expect(await handle.complete(kept!)).toEqual([true]);
    await keeper.close();
  });

  it('says that it is not there', async () => {
    const port = await freePort();
    const nodes = [{ host: '127.0.0.1', port }];
    const handle = new Handle({ nodes, namespace: '{x}', commandTimeout: 500 });
    await expect(handle.open()).rejects.toThrow(/Redis cannot be reached/);
  });
});

describe('a Cluster of ioredis', () => {
  it('may be set to send again what was lost: no claim is run twice', async () => {
    const droppers = await Promise.all(cluster.nodes.map(({ port }) => Dropper.before(port)));
    const natMap = Object.fromEntries(
      cluster.nodes.map(({ port }, index) => [
        `127.0.0.1:${port}`,
        { host: '127.0.0.1', port: droppers[index]!.port },
      ]),
    );
    const client = new Cluster(cluster.addresses, { natMap, lazyConnect: true });
    const handle = new Handle({ client, namespace: '{twice}' });
    handles.push(handle);
    onTestFinished(async () => {
      await handle.backend.close();
      await Promise.all(droppers.map((dropper) => dropper.close()));
    });
    await handle.open();
    await handle.claim();
    const ids = await handle.add({}, {});
    const asked = (): number => droppers.reduce((sum, dropper) => sum + dropper.asked, 0);
    const before = asked();
    droppers.forEach((dropper) => dropper.dropNext());
    await expect(handle.claim()).rejects.toThrow(/the connection to Redis was lost/);
    expect(asked()).toBe(before + 1);
    const jobs = await vi.waitUntil(async () => {
      const found = await handle.claim({ limit: 2 }).catch(() => []);
      return found.length > 0 && found;
    });
    expect(jobs.map(({ id, deaths }) => [id, deaths])).toEqual(ids.map((id) => [id, 0]));
    expect(client.status).toBe('wait');
  });
});

/** On whatever node they listen. */
async function listeners(namespace: string): Promise<number> {
  const counts = await Promise.all(
    cluster.nodes.map(async (node) => {
      const client = new Redis(node.port, '127.0.0.1');
      const [, count] = await client.pubsub('NUMSUB', `${namespace}:wake:${queue}`);
      client.disconnect();
      return Number(count);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
