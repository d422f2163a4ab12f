import { beforeEach, describe, expect, it } from 'vitest';
import { OpenBackend } from './open-backend.js';
import { kinds, type SomeStore, SomeStores } from './some-stores.js';

const stores = new SomeStores();
const soon = { timeout: 5_000, interval: 5 };

describe.each(kinds)('jobs that are held, on %s', (kind) => {
  let store: SomeStore;
  let open: OpenBackend;

  beforeEach(async () => {
    store = stores.get(kind);
    open = await OpenBackend.open(store.backend(), { manual: true });
  });

  /** What was told by the time that so many looks have been made. */
  async function toldAfter(looks: number): Promise<readonly string[]> {
    for (let look = 0; look < looks; look++) {
      open.passTimers();
      // Answered after the look is.
      await open.stored('nobody');
    }
    return open.revoked;
  }

  const told = (): Promise<readonly string[]> => toldAfter(1);

  it('are looked at: whose lock is another one is told, once, and others are not', async () => {
    const [taken, kept] = [await open.add(), await open.add()];
    const jobs = await open.claim({ limit: 2 });
    expect(jobs.map(({ id }) => id).toSorted()).toEqual([taken, kept]);
    await store.setLock(open.queue, taken, 'somebody else');
    await expect.poll(told, soon).toEqual([taken]);
    expect(await toldAfter(5)).toEqual([taken]);
    const held = jobs.find(({ id }) => id === taken)!;
    expect(await open.extend(held)).toEqual([false]);
    expect(await open.complete(held)).toBe(false);
    expect(await store.lockOf(open.queue, taken)).toBe('somebody else');
    expect(await open.complete(jobs.find(({ id }) => id === kept)!)).toBe(true);
  });

  it('are not looked at once they are settled, and with the last one the looking ends', async () => {
    await open.add();
    const job = await open.claimOne();
    expect(open.timersWithin(1_000)).toBe(1);
    expect(await open.complete(job)).toBe(true);
    await expect.poll(async () => (await told(), open.timersWithin(1_000)), soon).toBe(0);
    expect(open.revoked).toEqual([]);
  });

  it('are told of as gone where they were removed', async () => {
    const id = await open.add();
    const job = await open.claimOne();
    const queue = store.queue(open.queue);
    await queue.pause();
    await queue.obliterate({ force: true });
    await expect.poll(told, soon).toEqual([id]);
    expect(await open.extend(job)).toEqual([false]);
    expect(await open.complete(job)).toBe(false);
    expect(await open.stored(id)).toBeUndefined();
  });

  it('may have lost their locks by hand: they are locked again, where it is known by what, and watched on', async () => {
    const id = await open.add();
    const job = await open.claimOne();
    const lock = await store.lockOf(open.queue, id);
    await store.setLock(open.queue, id, undefined);
    await expect.poll(told, soon).toEqual([id]);
    // PostgreSQL has locks in the same row as what they are locked by.
    expect(await open.extend(job)).toEqual([kind === 'redis']);
    if (kind === 'postgres') return;
    expect(await store.lockOf(open.queue, id)).toBe(lock);
    await store.setLock(open.queue, id, 'somebody else');
    await expect.poll(told, soon).toEqual([id, id]);
    expect(await open.extend(job)).toEqual([false]);
  });

  it('are others for each handle: what one claims after the other is not lost to it', async () => {
    const id = await open.add();
    const first = await open.claimOne({ leaseMs: 1 });
    const other = await OpenBackend.open(store.backend(), { queue: open.queue });
    await expect.poll(async () => (await open.stored(id))?.state, soon).toBe('ready');
    const second = await other.claimOne({ waitMs: 5_000 });
    expect(second).toMatchObject({ id, deaths: 1 });
    await expect.poll(told, soon).toEqual([id]);
    expect(await open.extend(first)).toEqual([false]);
    expect(await open.complete(first)).toBe(false);
    expect(other.revoked).toEqual([]);
    // Its holder was heard of: that was no death.
    expect(await open.stored(id)).toMatchObject({
      state: 'active',
      deaths: 0,
      history: [{ outcome: 'lost' }],
    });
    expect(await other.complete(second)).toBe(true);
  });
});
