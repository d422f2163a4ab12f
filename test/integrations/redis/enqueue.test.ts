import { describe, expect, it } from 'vitest';
import { queue, SomeRedis } from './some-redis.js';

const redis = new SomeRedis();

// Past the checks of enqueue(), which refuses these.
describe('a batch with a job that cannot be stored', () => {
  it.each([
    ['limitKey', { limitKey: 'a\ud800' }],
    ['name', { name: '\udc00' }],
    ['header and a name', { name: '\ud800', headers: { a: '\ud800' } }],
    ['unique key', { unique: { key: '\ud800', ttlMs: undefined } }],
    ['time for which its key is unique', { unique: { key: 'k', ttlMs: 1e21 } }],
  ])('stores none, for its %s: another call stores the others', async (_, bad) => {
    const handle = await redis.handle();
    const unique = { key: 'u', ttlMs: undefined };
    const good = [handle.job({ id: 'plain' }), handle.job({ id: 'more', name: 'n', unique })];
    await expect(handle.backend.enqueue([...good, handle.job(bad)])).rejects.toThrow(Error);
    expect(await redis.client.keys(`${handle.namespace}:*`)).toEqual([]);
    expect(await handle.backend.enqueue(good)).toEqual([
      { kind: 'enqueued', id: 'plain' },
      { kind: 'enqueued', id: 'more' },
    ]);
    expect((await handle.claim({ limit: 5 })).map(({ id }) => id)).toEqual(['more', 'plain']);
  });

  it('leaves those alone that were stored before', async () => {
    const handle = await redis.handle();
    const unique = { key: 'u', ttlMs: undefined };
    const [id] = await handle.add({ unique });
    const again = handle.job({ id: id!, unique });
    const failing = handle.backend.enqueue([again, handle.job({ unique }), handle.job({ name: '\ud800' })]);
    await expect(failing).rejects.toThrow(Error);
    expect(await handle.backend.enqueue([handle.job({ unique })])).toEqual([{ kind: 'duplicate', id }]);
    expect((await handle.claimOne()).id).toBe(id);
  });

  it('stores none where Redis has something else by the name of the queue', async () => {
    const handle = await redis.handle();
    await redis.client.set(handle.keyOf('queue'), 'something else');
    await expect(handle.add({}, { name: 'n' })).rejects.toThrow(/WRONGTYPE/);
    await redis.client.del(handle.keyOf('queue'));
    expect(await redis.client.keys(`${handle.namespace}:*`)).toEqual([]);
    expect(await handle.backend.counts([queue], { dueWithinMs: 0 })).toMatchObject([{ ready: 0 }]);
  });
});
