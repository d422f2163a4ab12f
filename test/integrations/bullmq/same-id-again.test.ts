import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { OpenBackend } from './open-backend.js';
import { kinds, SomeStores } from './some-stores.js';

const stores = new SomeStores();

describe.each(kinds)('a job with the id of one that was deleted while somebody held it, on %s', (kind) => {
  /** Whoever held the first, and whoever lost the second. */
  async function heldAndLost() {
    const open = await OpenBackend.open(stores.get(kind).backend());
    await open.add({ id: 'x' });
    const first = await open.claimOne();
    expect(await open.backend.delete(open.queue, ['x'])).toEqual(['active']);
    await open.add({ id: 'x' });
    const second = await open.claimOne({ leaseMs: 20 });
    await delay(30);
    return { open, first, second };
  }

  it('is not ended by whoever held that one, also once it was put back', async () => {
    const { open, first, second } = await heldAndLost();
    expect(await open.complete(first)).toBe(false);
    await open.backend.pause(open.queue, true);
    expect(await open.claim()).toEqual([]);
    expect(await open.complete(first)).toBe(false);
    expect(await open.extend(first)).toEqual([false]);
    expect(await open.stored('x')).toMatchObject({ state: 'ready' });
    expect(await open.complete(second)).toBe(true);
    expect(await open.stored('x')).toBeUndefined();
  });

  it('has died, though whoever held that one is alive', async () => {
    const { open, first, second } = await heldAndLost();
    const third = await open.claimOne();
    expect(third).toMatchObject({ deaths: 1, history: [{ outcome: 'died' }] });
    expect(await open.extend(first)).toEqual([false]);
    expect(await open.stored('x')).toMatchObject({ deaths: 1, history: [{ outcome: 'died' }] });
    expect(await open.extend(second)).toEqual([false]);
    expect(await open.stored('x')).toMatchObject({ deaths: 0, history: [{ outcome: 'lost' }] });
  });

  it('has a key again only where it has a right to it', async () => {
    const open = await OpenBackend.open(stores.get(kind).backend());
    const unique = { key: 'k' };
    const add = (id: string, fields: object) => ({
      id,
      queue: open.queue,
      name: '',
      payload: undefined,
      due: { inMs: 0 },
      priority: 0,
      ...fields,
    });
    await open.add({ id: 'x' });
    const both = [add('x', { unique }), add('y', { unique })];
    const exists = { kind: 'exists', id: 'x' };
    expect(await open.backend.enqueue(both)).toEqual([exists, { kind: 'enqueued', id: 'y' }]);
    const again = [add('x', { unique }), add('z', { unique })];
    expect(await open.backend.enqueue(again)).toEqual([exists, { kind: 'duplicate', id: 'y' }]);
    await open.complete(await open.claimOne());
    await open.complete(await open.claimOne(), 60_000);
    expect(await open.stored('y')).toMatchObject({ state: 'completed' });
    // One that has ended has no right to its key any more.
    const third = [add('y', { unique }), add('z', { unique })];
    expect(await open.backend.enqueue(third)).toEqual([
      { kind: 'exists', id: 'y' },
      { kind: 'enqueued', id: 'z' },
    ]);
  });
});
