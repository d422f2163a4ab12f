import { Redis } from 'ioredis';
import { setTimeout as delay } from 'node:timers/promises';
import { RedisJobBackend } from 'nestjs-worker/redis';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { BlackHole } from '../../support/black-hole.js';
import { freePort, RedisServer } from '../../support/redis.js';
import { Dropper } from './dropper.js';
import { Handle, queue, SomeRedis } from './some-redis.js';

const redis = new SomeRedis('--appendonly', 'yes', '--appendfsync', 'always');
const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

async function throughHole(commandTimeout = 300) {
  const hole = await BlackHole.before(redis.server.port);
  const handle = redis.closedHandle({ url: hole.url, commandTimeout, pollInterval: '50ms' });
  open.push(handle.backend, hole);
  await handle.open();
  return { hole, handle };
}

async function timed<Result>(run: Promise<Result>): Promise<{ ms: number; result: Result | Error }> {
  const since = performance.now();
  const result = await run.catch((error: unknown) => error as Error);
  return { ms: performance.now() - since, result };
}

describe('open()', () => {
  it('says that Redis is not there, and may be tried again', async () => {
    const port = await freePort();
    const handle = new Handle({ url: `redis://127.0.0.1:${port}`, namespace: 'x' });
    await expect(handle.open()).rejects.toThrow(/Redis cannot be reached \(.*ECONNREFUSED/);
    await expect(handle.open()).rejects.toThrow(/ECONNREFUSED/);
    await expect(handle.add({})).rejects.toThrow(/not open/);
    await handle.backend.close();
  });

  it('says that Redis does not answer, in time', async () => {
    const hole = await BlackHole.before(redis.server.port);
    hole.open();
    open.push(hole);
    const handle = redis.closedHandle({ url: hole.url, commandTimeout: 200 });
    const { ms, result } = await timed(handle.open());
    expect(result).toBeInstanceOf(Error);
    expect((result as Error).message).toMatch(/Redis cannot be reached/);
    expect(ms).toBeLessThan(1_000);
  });

  it('says that the password is wrong', async () => {
    const locked = await RedisServer.start('--requirepass', 'secret');
    open.push({ close: () => locked.stop() });
    const handle = new Handle({ url: locked.url, namespace: 'x' });
    await expect(handle.open()).rejects.toThrow(/NOAUTH/);
    const right = new Handle({ url: locked.url, options: { password: 'secret' }, namespace: 'x' });
    await right.open();
    await right.backend.close();
  });

  it('warns where Redis may remove jobs by itself, and only there', async () => {
    const evicting = await RedisServer.start('--maxmemory-policy', 'allkeys-lru');
    open.push({ close: () => evicting.stop() });
    const handle = await new Handle({ url: evicting.url, namespace: 'x' }).open();
    open.unshift(handle.backend);
    expect(handle.warnings).toEqual([expect.stringMatching(/maxmemory-policy "allkeys-lru".*"noeviction"/)]);
    expect((await redis.handle()).warnings).toEqual([]);
  });

  it('asks nothing of who may not ask', async () => {
    await redis.client.call('ACL', 'SETUSER', 'plain', 'on', '>pw', '~*', '&*', '+@all', '-info', '-config');
    const url = `redis://plain:pw@127.0.0.1:${redis.server.port}`;
    const handle = await redis.handle({ url, options: { enableReadyCheck: false } });
    expect(handle.warnings).toEqual([]);
    expect(await handle.add({})).toHaveLength(1);
  });

  it('refuses a node of a Cluster that is given as one Redis', async () => {
    const alone = await RedisServer.start('--cluster-enabled', 'yes');
    open.push({ close: () => alone.stop() });
    const handle = new Handle({ url: alone.url, namespace: 'x' });
    await expect(handle.open()).rejects.toThrow(/a node of a Cluster.*give nodes/);
  });
});

describe('a client of the user', () => {
  it('says how to connect, and is left alone', async () => {
    const client = new Redis(redis.server.port, '127.0.0.1', { lazyConnect: true });
    const handle = await redis.handle({ client });
    const [id] = await handle.add({});
    expect((await handle.claimOne()).id).toBe(id);
    await handle.backend.close();
    expect(client.status).toBe('wait');
    expect(['ready', 'close', 'error'].map((event) => client.listenerCount(event))).toEqual([0, 0, 0]);
    await client.connect();
    const again = await redis.handle({ client });
    await again.backend.close();
    expect(await client.ping()).toBe('PONG');
    await client.quit();
  });

  it('may be set to send again what was lost: no claim is run twice', async () => {
    const dropper = await Dropper.before(redis.server.port);
    const client = new Redis(dropper.port, '127.0.0.1', { lazyConnect: true });
    expect(client.options.autoResendUnfulfilledCommands).toBe(true);
    const handle = await redis.handle({ client });
    open.push(handle.backend, dropper);
    // Its scripts are then known.
    await handle.claim();
    const ids = await handle.add({}, {});
    dropper.dropNext();
    await expect(handle.claim()).rejects.toThrow(/the connection to Redis was lost/);
    await vi.waitUntil(() => handle.connection.at(-1) === undefined && handle.connection.length > 1);
    expect(await redis.client.zcount(handle.keyOf('active'), 0, '+inf')).toBe(1);
    const jobs = await handle.claim({ limit: 2 });
    expect(jobs.map(({ id, deaths }) => [id, deaths])).toEqual(ids.map((id) => [id, 0]));
  });
});

describe('Redis is started again', () => {
  it('in the middle: what waits goes on, nothing is lost, and whoever watches is told', async () => {
    const handle = await redis.handle({ pollInterval: '50ms', commandTimeout: 2_000 });
    const [held, waits] = await handle.add({}, { due: { inMs: 60_000 } });
    const job = await handle.claimOne();
    const claim = handle.claim({ waitMs: 20_000 }).catch((error: unknown) => error as Error);
    await delay(50);
    await redis.server.kill();
    await expect(handle.counts()).rejects.toThrow(/the connection to Redis was lost|cannot be reached/);
    await redis.server.begin();
    await claim;
    expect(await handle.stored(waits!)).toMatchObject({ state: 'scheduled' });
    expect(await handle.stored(held!)).toMatchObject({ state: 'active' });
    expect(await handle.complete(job)).toEqual([true]);
    const next = handle.claim({ waitMs: 5_000 });
    const [id] = await handle.add({});
    expect((await next)[0]?.id).toBe(id);
    expect(handle.connection[0]).toMatch(/lost/);
    expect(handle.connection.at(-1)).toBeUndefined();
  });

  it('gives back what a call has claimed whose answer was lost', async () => {
    const { hole, handle } = await throughHole();
    const [id] = await handle.add({});
    await handle.claim();
    await handle.backend.delete(queue, [id!]);
    const [other] = await handle.add({});
    // The call arrives, and its answer does not.
    hole.swallowAnswers();
    await expect(handle.claim()).rejects.toThrow(/did not answer within 300 ms/);
    hole.shut();
    expect(await redis.client.zcount(handle.keyOf('active'), 0, '+inf')).toBe(1);
    const [job] = await vi.waitUntil(
      async () => {
        const jobs = await handle.claim().catch(() => []);
        return jobs.length > 0 && jobs;
      },
      { timeout: 10_000, interval: 50 },
    );
    expect(job).toMatchObject({ id: other, deaths: 0, history: [] });
  });
});

describe('a connection that goes dead without a word', () => {
  it('is noticed: calls end within their limits, and go through again without a restart', async () => {
    const { hole, handle } = await throughHole();
    await handle.add({});
    const connections = hole.connections;
    hole.open();
    const failed = await Promise.all([
      timed(handle.add({})),
      timed(handle.claim()),
      timed(handle.counts()),
      timed(handle.backend.settle(queue, [], { limit: 1, prefetch: 0, leaseMs: 1_000 })),
    ]);
    for (const { ms, result } of failed) {
      expect(result).toBeInstanceOf(Error);
      expect(ms).toBeLessThan(1_500);
    }
    hole.shut();
    const [job] = await vi.waitUntil(
      async () => {
        const jobs = await handle.claim().catch(() => []);
        return jobs.length > 0 && jobs;
      },
      { timeout: 10_000, interval: 50 },
    );
    expect(await handle.complete(job!)).toEqual([true]);
    expect(hole.connections).toBeGreaterThan(connections);
    expect(handle.connection.at(-1)).toBeUndefined();
  });

  it('is noticed where it only listens; until then jobs are found by looking', async () => {
    const { hole, handle } = await throughHole();
    const other = await redis.handle();
    const first = handle.claim({ waitMs: 10_000 });
    await vi.waitUntil(() => hole.connections >= 2);
    await delay(50);
    hole.open('listening');
    const [found] = await other.add({});
    expect((await first)[0]?.id).toBe(found);
    hole.shut();
    const connections = hole.connections;
    await vi.waitUntil(() => hole.connections > connections, { timeout: 5_000 });
    const channel = handle.keyOf('wake');
    const heard = async (): Promise<number> => Number((await redis.client.pubsub('NUMSUB', channel))[1]);
    await vi.waitUntil(async () => (await heard()) >= 2, { timeout: 5_000, interval: 20 });
  });

  it('ends a close in time', async () => {
    const { hole, handle } = await throughHole(5_000);
    const claim = handle.claim({ waitMs: 10_000 });
    await delay(50);
    hole.open();
    const { ms } = await timed(handle.backend.close());
    expect(ms).toBeLessThan(3_000);
    await claim.catch(() => []);
  });
});

describe('Redis that stands still', () => {
  it('hands back what a call brings that was given up', async () => {
    const handle = await redis.handle({ commandTimeout: '1s', pollInterval: '50ms' });
    const [id] = await handle.add({});
    await handle.claim({ limit: 0, prefetch: 0 }).catch(() => []);
    redis.server.hold(true);
    const failed = handle.claim();
    await expect(failed).rejects.toThrow(/did not answer/);
    redis.server.hold(false);
    const [job] = await vi.waitUntil(
      async () => {
        const jobs = await handle.claim().catch(() => []);
        return jobs.length > 0 && jobs;
      },
      { timeout: 10_000, interval: 20 },
    );
    expect(job).toMatchObject({ id, deaths: 0 });
  });
});

describe('scripts', () => {
  it('are told to Redis again when it has forgotten them', async () => {
    const handle = await redis.handle();
    await handle.add({});
    await redis.client.script('FLUSH');
    await handle.add({});
    const jobs = await handle.claim({ limit: 5 });
    await redis.client.script('FLUSH');
    expect(await handle.complete(...jobs)).toEqual([true, true]);
    await redis.client.script('FLUSH');
    expect(await handle.counts()).toMatchObject({ ready: 0, active: 0 });
  });
});

describe('announcements', () => {
  it('that are not ours are ignored', async () => {
    const handle = await redis.handle({ pollInterval: '1m' });
    const waits = handle.claim({ waitMs: 10_000 });
    const channel = handle.keyOf('wake');
    await vi.waitUntil(async () => Number((await redis.client.pubsub('NUMSUB', channel))[1]) > 0);
    for (const message of ['hello', '{"a":1}', '[1]', '["a",null]', 'null', '7', '["gone"]']) {
      await redis.client.publish(channel, message);
    }
    const [id] = await handle.add({});
    expect((await waits)[0]?.id).toBe(id);
    expect(handle.revoked).toEqual(['gone']);
  });

  it('are listened to by who waits or holds jobs, and by nobody else', async () => {
    const hole = await BlackHole.before(redis.server.port);
    const handle = redis.closedHandle({ url: hole.url });
    open.push(handle.backend, hole);
    await handle.open();
    expect(await handle.claim({ waitMs: 0 })).toEqual([]);
    expect(hole.connections).toBe(1);
    const [id] = await handle.add({});
    expect((await handle.claim({ waitMs: 0 })).map((job) => job.id)).toEqual([id]);
    await (await redis.handle()).backend.delete(queue, [id!]);
    await vi.waitUntil(() => handle.revoked.length > 0);
    expect(handle.revoked).toEqual([id]);
  });
});

describe('close()', () => {
  it('ends an open() that is under way, which rejects, and leaves no connection', async () => {
    const hole = await BlackHole.before(redis.server.port);
    open.push(hole);
    const handle = redis.closedHandle({ url: hole.url });
    for (const isUnderWay of [() => true, () => hole.connections > 0]) {
      const opened = timed(handle.open());
      await vi.waitUntil(isUnderWay, { interval: 1 });
      await handle.backend.close();
      const { result } = await opened;
      expect(result).toBeInstanceOf(Error);
      expect((result as Error).message).toMatch(/connection to Redis is closed/);
      await expect(handle.counts()).rejects.toThrow(/not open/);
    }
    await vi.waitUntil(async () => !String(await redis.client.client('LIST')).includes('name=nestjs-worker'));
    await handle.open();
    expect(await handle.counts()).toMatchObject({ ready: 0 });
  });

  it('hands back what a claim brings that is under way', async () => {
    const handle = await redis.handle();
    const other = await redis.handle();
    await handle.claim();
    const [id] = await handle.add({});
    redis.server.hold(true);
    const claim = handle.claim();
    const closed = handle.backend.close();
    await delay(50);
    redis.server.hold(false);
    await closed;
    expect(await claim).toEqual([]);
    expect(await other.stored(id!)).toMatchObject({ state: 'ready', deaths: 0 });
  });

  it('leaves no connection behind', async () => {
    const namesBefore = String(await redis.client.client('LIST')).match(/name=nestjs-worker/g)?.length ?? 0;
    const handle = await redis.handle();
    const claim = handle.claim({ waitMs: 10_000 });
    await delay(50);
    expect(String(await redis.client.client('LIST')).match(/name=nestjs-worker/g)?.length).toBe(
      namesBefore + 2,
    );
    await handle.backend.close();
    expect(await claim).toEqual([]);
    await vi.waitUntil(
      async () =>
        (String(await redis.client.client('LIST')).match(/name=nestjs-worker/g)?.length ?? 0) === namesBefore,
    );
    await expect(
      new RedisJobBackend({ url: redis.server.url }).counts([queue], { dueWithinMs: 0 }),
    ).rejects.toThrow(/not open/);
  });
});
