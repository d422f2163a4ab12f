import { FlowProducer } from 'bullmq';
import { drainJobs, type DrainedQueue, MemoryJobBackend } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { jsonCodec, msgpackCodec } from '../../../lib/jobs/payload-codec.js';
import { OpenBackend } from '../bullmq/open-backend.js';
import { kinds, newQueueName, type SomeStore, SomeStores } from '../bullmq/some-stores.js';

const stores = new SomeStores();

async function drain(from: SomeStore, to: MemoryJobBackend, queue: string): Promise<DrainedQueue> {
  const [drained] = await drainJobs({ from: from.backend(), to, queues: [queue], wait: 0 });
  return drained!;
}

const idsAt = async (backend: MemoryJobBackend, queue: string): Promise<readonly string[]> =>
  (await backend.list(queue, { state: 'ready', limit: 100 })).jobs.map(({ id }) => id).toSorted();

describe('jobs that BullMQ has counted', () => {
  it('get from all stores and queues to one target, though all of them have the id 1', async () => {
    const to = new MemoryJobBackend();
    const names = [newQueueName(), newQueueName()];
    let last = '';
    for (const name of names) {
      const ids: string[] = [];
      for (const kind of kinds) {
        const { id, timestamp } = await stores
          .get(kind)
          .queue(name)
          .add('welcome', { from: `${kind} ${name}` });
        expect(id).toBe('1');
        ids.push(`${kind === 'redis' ? 'bull' : 'bullmq'}-${name}-${timestamp}-1`);
        const drained = await drain(stores.get(kind), to, name);
        expect(drained).toMatchObject({ moved: 1, alreadyThere: 0, leftJobs: [] });
        expect(await stores.get(kind).queue(name).getJobCountByTypes('wait', 'delayed')).toBe(0);
      }
      expect(await idsAt(to, name)).toEqual(ids.toSorted());
      last = ids.at(-1)!;
    }
    const [job] = await to.get(names[1]!, [last]);
    expect([job?.name, msgpackCodec.decode(job?.payload)]).toEqual([
      'welcome',
      { from: `postgres ${names[1]}` },
    ]);
  });

  describe.each(kinds)('on %s', (kind) => {
    it('stay while a job of ours has the same id', async () => {
      const store = stores.get(kind);
      const { backend, queue } = await OpenBackend.open(store.backend());
      const plain = store.queue(queue);
      // For later, so that ours is claimed.
      const { id, timestamp } = await plain.add('welcome', 'counted', { delay: 3_600_000 });
      expect(id).toBe('1');
      const payload = jsonCodec.encode('ours');
      await backend.enqueue([{ id: '1', queue, name: '', payload, due: { inMs: 0 }, priority: 0 }]);
      const { signal } = new AbortController();
      const held = await backend.claim(queue, { limit: 1, prefetch: 0, leaseMs: 60_000, waitMs: 0, signal });
      expect(held.map((job) => [job.id, job.origin])).toEqual([['1', undefined]]);
      const to = new MemoryJobBackend();

      expect(await drain(store, to, queue)).toMatchObject({
        moved: 0,
        left: { active: 1, refused: 1 },
        leftJobs: [{ id: '1', reason: expect.stringContaining('has the same id') as string }],
      });
      expect((await plain.getJob('1'))?.data).toBe('counted');

      // It comes back: both wait, and both are moved.
      await backend.settle(queue, [{ kind: 'released', job: held[0]! }]);
      expect(await drain(store, to, queue)).toMatchObject({ moved: 2, left: { late: 0 }, leftJobs: [] });
      const stored = await to.get(queue, ['1', `${backend.capabilities.namespace}-${queue}-${timestamp}-1`]);
      expect(stored.map((job) => msgpackCodec.decode(job?.payload))).toEqual(['ours', 'counted']);
      expect(await plain.getJob('1')).toBeUndefined();
    });
  });
});

describe.each(kinds)('jobs that mean nothing elsewhere, on %s', (kind) => {
  it('stay: those of job schedulers', async () => {
    const store = stores.get(kind);
    const queue = store.queue(newQueueName());
    const next = await queue.upsertJobScheduler('nightly', { every: 3_600_000 });
    const to = new MemoryJobBackend();

    expect(await drain(store, to, queue.name)).toMatchObject({
      moved: 0,
      left: { refused: 1, undeleted: 0, late: 0 },
      leftJobs: [{ id: next.id, reason: expect.stringContaining('removeJobScheduler()') as string }],
    });
    expect(await idsAt(to, queue.name)).toEqual([]);
    expect(await queue.getJobSchedulersCount()).toBe(1);
  });

  it('stay: those of flows, parents and children', async () => {
    const store = stores.get(kind);
    const queue = store.queue(newQueueName());
    const flow = new FlowProducer(queue.opts, () => queue.getBackend());
    const children = [1, 2].map((data) => ({ name: 'child', queueName: queue.name, data }));
    await flow.add({ name: 'parent', queueName: queue.name, children });
    const to = new MemoryJobBackend();

    const { moved, left, leftJobs } = await drain(store, to, queue.name);

    expect({ moved, refused: left.refused, late: left.late }).toEqual({ moved: 0, refused: 3, late: 0 });
    for (const { reason } of leftJobs) expect(reason).toContain('let flows end before you drain');
    expect(await idsAt(to, queue.name)).toEqual([]);
  });
});
