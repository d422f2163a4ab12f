import { beforeEach, describe, expect, it } from 'vitest';
import { OpenBackend } from './open-backend.js';
import { kinds, type SomeStore, SomeStores } from './some-stores.js';

const stores = new SomeStores();
const soon = { timeout: 8_000, interval: 10 };

describe.each(kinds)('jobs by their ids, on %s', (kind) => {
  let store: SomeStore;
  let open: OpenBackend;

  beforeEach(async () => {
    store = stores.get(kind);
    open = await OpenBackend.open(store.backend(), { manual: true });
  });

  it('are none where BullMQ has something else by that name', async () => {
    const queue = store.queue(open.queue);
    await queue.add('n', {});
    await queue.add('n', {}, { delay: 60_000 });
    await queue.addBulk([{ name: 'n', data: {}, opts: { deduplication: { id: 'k' }, priority: 1 } }]);
    await queue.upsertJobScheduler('tick', { every: 60_000 });
    await open.claim();
    await queue.setGlobalConcurrency(5);
    const names = ['', 'wait', 'meta', 'events', 'marker', 'id', 'delayed', 'prioritized', 'active', 'pc'];
    const keys = ['1:lock', 'de:k', 'repeat', 'repeat:tick', 'stalled', 'limiter'];
    const ids = [...names, ...keys];
    expect(await open.backend.get(open.queue, ids)).toEqual(ids.map(() => undefined));
    expect(await open.backend.delete(open.queue, ids)).toEqual(ids.map(() => 'unknown'));
    expect(await open.backend.cancel(open.queue, ids, { keepMs: 60_000 })).toEqual(ids.map(() => 'unknown'));
    expect(await open.backend.retry(open.queue, ids)).toEqual(ids.map(() => 'unknown'));
    expect(await queue.getGlobalConcurrency()).toBe(5);
    expect(await queue.getJobScheduler('tick')).toMatchObject({ every: 60_000 });
  });

  it('are ours, also where they are called as BullMQ calls something else', async () => {
    const ids = ['wait', 'meta', '1', 'a:b', 'repeat:tick:5', '~', '1:lock'];
    for (const id of ids) await open.add({ id });
    expect((await open.backend.get(open.queue, ids)).map((job) => job?.id)).toEqual(ids);
    const claimed = await open.claim({ limit: 10 });
    expect(claimed.map(({ id }) => id)).toEqual(ids);
    for (const job of claimed) expect(await open.complete(job)).toBe(true);
  });

  it('may be two of the same: each is settled, and watched, by itself', async () => {
    const queue = store.queue(open.queue);
    const { id } = await queue.add('theirs', {});
    await open.add({ id: id! });
    const jobs = await open.claim({ limit: 2 });
    expect(jobs.map((job) => [job.id, job.name])).toEqual([
      [id, 'theirs'],
      [id, ''],
    ]);
    await store.setLock(open.queue, id!, 'somebody else');
    const looked = (): readonly string[] => {
      open.passTimers();
      return open.revoked;
    };
    await expect.poll(looked, soon).toEqual([id]);
    expect(
      await open.backend.extend(
        open.queue,
        jobs.map((job) => ({ job, leaseMs: 60_000 })),
      ),
    ).toEqual([false, true]);
    expect(await Promise.all(jobs.map((job) => open.complete(job)))).toEqual([false, true]);
  });
});
