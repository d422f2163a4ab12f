import type { JobBackendHost } from 'nestjs-worker';
import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { RedisServer } from '../../support/redis.js';

const soon = { timeout: 10_000, interval: 5 };
const closed = 'the connection was closed';
let server: RedisServer;

beforeAll(async () => {
  server = await RedisServer.start();
}, 240_000);

afterAll(async () => {
  await server?.stop();
});

it('says why Redis cannot be reached, to whoever watches and to whoever calls', async () => {
  const told: (string | undefined)[] = [];
  const host: JobBackendHost = {
    onRevoked: () => {},
    onConnection: (error) => void told.push(error?.message),
    warn: () => {},
    setTimer: () => () => {},
  };
  const backend = new BullMqJobBackend({ redis: server.url });
  await backend.open(host);
  onTestFinished(() => backend.close());
  const refused = `connect ECONNREFUSED 127.0.0.1:${server.port}`;
  told.length = 0;

  await server.kill();
  await expect.poll(() => told.filter((message) => message === refused).length, soon).toBeGreaterThan(3);
  // What is told last stays.
  expect(new Set(told.slice(told.indexOf(refused)))).toEqual(new Set([refused]));

  const job = { id: 'a', queue: 'q', name: '', payload: undefined, due: { inMs: 0 }, priority: 0 };
  const { signal } = new AbortController();
  const calls = [
    () => backend.enqueue([job]),
    () => backend.enqueue([job, { ...job, id: 'b' }]),
    () => backend.claim('q', { limit: 1, prefetch: 0, leaseMs: 1_000, waitMs: 0, signal }),
    () => backend.get('q', ['a']),
    () => backend.counts(['q'], { dueWithinMs: 0 }),
    () => backend.pause('q', true),
  ];
  const errors = await Promise.all(
    calls.map((call) =>
      call().then(
        () => undefined,
        (error: Error) => error,
      ),
    ),
  );
  for (const error of errors) {
    expect(error?.message).toBe(`Redis cannot be reached (${refused})`);
    expect(error?.cause).toMatchObject({ name: 'MaxRetriesPerRequestError' });
  }

  await server.begin();
  await expect.poll(() => told.at(-1), soon).toBeUndefined();
  expect(await backend.enqueue([job])).toEqual([{ kind: 'enqueued', id: 'a' }]);
  // What was wrong before has nothing to do with it.
  told.length = 0;
  const client = server.client();
  onTestFinished(() => client.disconnect());
  await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await expect.poll(() => told, soon).toEqual([closed, undefined]);
});

it('leaves an error alone that Redis has answered with', async () => {
  const backend = new BullMqJobBackend({ redis: server.url });
  await backend.open({
    onRevoked: () => {},
    onConnection: () => {},
    warn: () => {},
    setTimer: () => () => {},
  });
  onTestFinished(() => backend.close());
  const client = server.client();
  onTestFinished(() => client.disconnect());
  await client.set('bull:wrong:meta', 'a text');
  const counted = backend.counts(['wrong'], { dueWithinMs: 0 });
  await expect(counted).rejects.toThrow(/^WRONGTYPE/u);
});
