import { describe, expect, it, onTestFinished } from 'vitest';
import { EndedCounts } from '../../../lib/integrations/bullmq/ended-counts.js';
import { RedisStore } from '../../../lib/integrations/bullmq/redis-store.js';
import type { JobBackendHost } from '../../../lib/jobs/index.js';
import { OpenBackend } from './open-backend.js';
import { kinds, newQueueName, SomeStores } from './some-stores.js';

const stores = new SomeStores();
const soon = { timeout: 5_000, interval: 5 };
const minute = 60_000;
const start = 'nestjs-worker:ended:';
const bucket = (at: number): string => JSON.stringify([[at, 1, 0]]);

describe.each(kinds)('what other processes have counted, on %s', (kind) => {
  it('is forgotten where they have ended nothing for an hour, though nobody asks for counts', async () => {
    const open = await OpenBackend.open(stores.get(kind).backend(), { manual: true });
    const settings = stores.get(kind).queue(open.queue).getBackend();
    const now = Date.now();
    await settings.setQueueMeta({
      [`${start}gone`]: bucket(now - 61 * minute),
      [`${start}there`]: bucket(now - 50 * minute),
      'nestjs-worker:other': bucket(0),
    });
    await open.add();
    await open.complete(await open.claimOne());
    const kept = async (): Promise<string[]> =>
      Object.keys(await settings.getQueueMeta()).filter((field) => field.startsWith('nestjs-worker:'));
    expect(await kept()).toContain(`${start}gone`);
    open.passTimers();
    await expect.poll(kept, soon).not.toContain(`${start}gone`);
    expect(await kept()).toHaveLength(3);
    expect(await kept()).toEqual(expect.arrayContaining([`${start}there`, 'nestjs-worker:other']));
  });
});

it('looks for what others have left once an hour, and not while nothing ends', async () => {
  let timers = 0;
  const host: JobBackendHost = {
    onRevoked: () => {},
    onConnection: () => {},
    warn: () => {},
    setTimer: () => {
      timers++;
      return () => timers--;
    },
  };
  const target = { url: stores.redis.url, options: {} };
  const store = new RedisStore({ target, prefix: 'bull', commandTimeoutMs: 5_000 }, host);
  onTestFinished(() => store.close());
  await store.open();
  const queue = newQueueName();
  const meta = `bull:${queue}:meta`;
  const { client } = stores.redis;
  const ended = new EndedCounts(store, host, 'own');
  const began = Date.now();
  /** One job ends so much later, and that is told; whether what was left is gone then. */
  const forgets = async (afterMs: number): Promise<boolean> => {
    await client.hset(meta, `${start}gone`, bucket(0));
    ended.count(queue, 'completed', began + afterMs);
    await ended.close();
    expect(timers).toBe(0);
    return (await client.hexists(meta, `${start}gone`)) === 0;
  };
  expect(await forgets(0)).toBe(true);
  expect(await forgets(30 * minute)).toBe(false);
  expect(await forgets(59 * minute)).toBe(false);
  expect(await forgets(60 * minute)).toBe(true);
  expect(await forgets(61 * minute)).toBe(false);
});
