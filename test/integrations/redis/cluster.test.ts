import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ClaimedJob } from '../../../lib/jobs/index.js';
import { freePort, RedisCluster } from '../../support/redis.js';
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

  it('renews leases from a thread', async () => {
    const handle = await open('{leases}');
    const lost: string[] = [];
    const onLost = (jobs: readonly ClaimedJob[]): void => void lost.push(...jobs.map(({ id }) => id));
    const keeper = handle.backend.keepLeases!({ queue, leaseMs: 600, blockedLimitMs: 60_000, onLost });
    await handle.add({}, {});
    const [kept, deleted] = await handle.claim({ limit: 2, leaseMs: 1_500 });
    keeper.hold([kept!, deleted!]);
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
