import { setTimeout as delay } from 'node:timers/promises';
import type { JobBackendHost, NewJob } from 'nestjs-worker';
import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { RedisServer } from '../../support/redis.js';

let server: RedisServer;

beforeAll(async () => {
  server = await RedisServer.start();
}, 240_000);

afterAll(async () => {
  await server?.stop();
});

it('removes from the store what is not kept any longer, and nothing else', async () => {
  const client = server.client();
  const timers = new Map<() => void, number>();
  const host: JobBackendHost = {
    onRevoked: () => {},
    onConnection: () => {},
    warn: () => {},
    setTimer: (callback, delayMs) => {
      timers.set(callback, delayMs);
      return () => timers.delete(callback);
    },
  };
  const backend = new BullMqJobBackend({ redis: server.url });
  await backend.open(host);
  const jobs = ['short', 'long', 'cancelled'].map((id): NewJob => ({
    id,
    queue: 'q',
    name: '',
    payload: undefined,
    due: { inMs: 0 },
    priority: 0,
  }));
  await backend.enqueue(jobs);
  await backend.cancel('q', ['cancelled'], { keepMs: 20 });
  const signal = new AbortController().signal;
  const claimed = await backend.claim('q', { limit: 2, prefetch: 0, leaseMs: 10_000, waitMs: 0, signal });
  await backend.settle(
    'q',
    claimed.map((job) => ({ kind: 'completed', job, keepMs: job.id === 'short' ? 20 : 100_000 })),
  );
  // Made by a program that keeps what it does for good.
  await client.hset('bull:q:other', { name: 'x', data: '{}', opts: '{}', timestamp: 1, finishedOn: 1 });
  await client.zadd('bull:q:completed', '1', 'other');
  await delay(30);
  expect(await client.zcard('bull:q:completed')).toBe(4);
  for (const [look, ms] of timers) if (ms === 60_000) look();
  await vi.waitFor(async () => {
    expect(await client.zrange('bull:q:completed', '0', '-1')).toEqual(['other', 'long']);
  });
  expect(await client.exists('bull:q:short', 'bull:q:cancelled')).toBe(0);
  await backend.close();
  client.disconnect();
});

it('goes on within one look while there is more to be removed', async () => {
  const client = server.client();
  const looks: (() => void)[] = [];
  const backend = new BullMqJobBackend({ redis: server.url });
  await backend.open({
    onRevoked: () => {},
    onConnection: () => {},
    warn: () => {},
    setTimer: (callback, delayMs) => {
      if (delayMs === 60_000) looks.push(callback);
      return () => {};
    },
  });
  const ids = Array.from({ length: 2_500 }, (_, index) => `past-${index}`);
  const job = { queue: 'many', name: '', payload: undefined, due: { inMs: 0 }, priority: 0 } as const;
  await backend.enqueue(ids.map((id) => ({ ...job, id })));
  await backend.cancel('many', ids, { keepMs: 1 });
  expect(await client.zcard('bull:many:completed')).toBe(2_500);
  const { signal } = new AbortController();
  await backend.claim('many', { limit: 1, prefetch: 0, leaseMs: 1_000, waitMs: 0, signal });
  await delay(2);
  expect(looks).toHaveLength(1);
  looks[0]!();
  await vi.waitFor(async () => expect(await client.zcard('bull:many:completed')).toBe(0), 5_000);
  await backend.close();
  client.disconnect();
});
