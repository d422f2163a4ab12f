import { afterEach, describe, expect, it, vi } from 'vitest';
import { RedisClaims } from '../../../lib/integrations/redis/redis-claims.js';
import type { RedisScript } from '../../../lib/integrations/redis/redis-script.js';
import type { RedisScripts } from '../../../lib/integrations/redis/redis-scripts.js';
import { giveBackScript } from '../../../lib/integrations/redis/scripts/change.js';
import type { WakeSubscriber } from '../../../lib/integrations/redis/wake-subscriber.js';
import { signal } from '../../support/nest.js';
import { Dropper } from './dropper.js';
import { type Handle, queue, SomeRedis } from './some-redis.js';

const redis = new SomeRedis();
const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function throughDropper(): Promise<{ handle: Handle; dropper: Dropper }> {
  const dropper = await Dropper.before(redis.server.port);
  const handle = redis.closedHandle({ url: `redis://127.0.0.1:${dropper.port}` });
  open.push(handle.backend, dropper);
  await handle.open();
  // All scripts that are needed are then known.
  await handle.add({});
  const job = await handle.claimOne();
  await handle.backend.settle(queue, [{ kind: 'completed', job, keepMs: 0 }], {
    limit: 1,
    prefetch: 0,
    leaseMs: 1_000,
  });
  return { handle, dropper };
}

describe('a claim that takes several calls', () => {
  it('has what the first brought when the second fails, and gives back what nobody knows of', async () => {
    const { handle, dropper } = await throughDropper();
    await handle.add(...Array.from({ length: 600 }, () => ({})));
    dropper.dropNext(1);
    const first = await handle.claim({ limit: 600 });
    expect(first).toHaveLength(500);
    const rest = await eventually(() => handle.claim({ limit: 600 }));
    expect(rest).toHaveLength(100);
    expect([...first, ...rest].filter(({ deaths }) => deaths > 0)).toEqual([]);
  });

  it('after settling tells what was settled when that fails', async () => {
    const { handle, dropper } = await throughDropper();
    await handle.add(...Array.from({ length: 601 }, () => ({})));
    const job = await handle.claimOne();
    dropper.dropNext(1);
    const next = { limit: 600, prefetch: 0, leaseMs: 60_000 };
    const { accepted, claimed } = await handle.backend.settle(
      queue,
      [{ kind: 'completed', job, keepMs: 0 }],
      next,
    );
    expect(accepted).toEqual([true]);
    expect(claimed).toHaveLength(500);
  });

  it('has the readable ones when those that nobody can read cannot be put away', async () => {
    const { handle, dropper } = await throughDropper();
    const [bad, good] = await handle.add({}, {});
    await redis.client.hset(handle.keyOf('job', bad), 'msgpack', 'no job');
    dropper.dropNext(1);
    expect((await handle.claim({ limit: 2 })).map(({ id }) => id)).toEqual([good]);
    expect(handle.warnings).toEqual([]);
  });
});

describe('calls whose answers were lost', () => {
  it('are remembered when they are lost while others are given back', async () => {
    const ends: { readonly call: string; readonly reject: (error: Error) => void }[] = [];
    const givenBack: (readonly unknown[])[] = [];
    const held = signal();
    const scripts = {
      channelOf: () => 'channel',
      call: (script: RedisScript, _queue: string, args: readonly string[]) => {
        if (script === giveBackScript) {
          givenBack.push([...args]);
          return held.promise.then(() => [0]);
        }
        // The first two are lost; whoever comes later finds nothing.
        if (ends.length >= 2) return Promise.resolve([0, [-1, Buffer.from('0')]]);
        return new Promise((_resolve, reject) => ends.push({ call: args[3]!, reject }));
      },
    } as unknown as RedisScripts;
    const subscriber = { listen: () => Promise.resolve() } as unknown as WakeSubscriber;
    const claims = new RedisClaims(scripts, subscriber, redis.closedHandle().host, 1_000);
    const { signal: never } = new AbortController();
    const claim = () =>
      claims.claim(queue, { limit: 1, prefetch: 0, leaseMs: 1_000, waitMs: 0, signal: never });
    const lost = [claim(), claim()];
    await vi.waitUntil(() => ends.length === 2);
    ends[0]!.reject(new Error('lost'));
    await expect(lost[0]).rejects.toThrow('lost');
    const next = claim();
    await vi.waitUntil(() => givenBack.length === 1);
    ends[1]!.reject(new Error('lost as well'));
    await expect(lost[1]).rejects.toThrow('lost as well');
    held.resolve();
    await next;
    await claim();
    await claim();
    expect(givenBack).toEqual(ends.map(({ call }) => [call]));
  });
});

async function eventually<Item>(look: () => Promise<readonly Item[]>): Promise<readonly Item[]> {
  for (let tries = 0; tries < 50; tries++) {
    const found = await look().catch(() => []);
    if (found.length > 0) return found;
  }
  throw new Error('There is none.');
}
