import { encode } from '@msgpack/msgpack';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { GoWorker, secondsNow } from './go-worker.js';
import { queue, SomeRedis } from './some-redis.js';

const redis = new SomeRedis();

async function both() {
  const ours = await redis.handle({ pollInterval: '50ms' });
  return { ours, go: new GoWorker(redis.client, ours.namespace, queue) };
}

/** Jobs of Go are due in whole seconds. */
const aSecondAgo = (): number => secondsNow() - 1;

describe('jobs that Go programs write', () => {
  it('are run, in a queue that nobody has announced, though they wake nobody', async () => {
    const { ours, go } = await both();
    const waits = ours.claim({ waitMs: 5_000 });
    await delay(20);
    await go.enqueue({ id: 'g1', payload: Uint8Array.of(1, 2) }, aSecondAgo());
    const [job] = await waits;
    expect(job).toMatchObject({
      id: 'g1',
      name: '',
      failures: 0,
      lastError: undefined,
      deaths: 0,
      history: [],
    });
    expect(job?.payload).toEqual(Uint8Array.of(1, 2));
    expect(await ours.complete(job!)).toEqual([true]);
    expect(await redis.client.exists(ours.keyOf('job', 'g1'))).toBe(0);
    expect(await redis.client.zcard(ours.keyOf('queue'))).toBe(0);
  });

  it('are counted, listed and got as ours are', async () => {
    const { ours, go } = await both();
    await go.enqueue({ id: 'now', retries: 2, last_error: 'no' }, aSecondAgo());
    await go.enqueue({ id: 'later' }, secondsNow() + 600);
    expect(await ours.counts()).toMatchObject({ ready: 1, scheduled: 1, active: 0 });
    expect(await ours.stored('now')).toMatchObject({ state: 'ready', failures: 2, lastError: 'no' });
    const { jobs } = await ours.backend.list(queue, { state: 'scheduled', limit: 10 });
    expect(jobs.map(({ id }) => id)).toEqual(['later']);
  });

  it('are retried such that a Go program goes on with them', async () => {
    const { ours, go } = await both();
    await go.enqueue({ id: 'g1', payload: Uint8Array.of(9) }, aSecondAgo());
    const before = Date.now();
    const job = await ours.claimOne();
    expect(await ours.fail(job, 'no route', -5)).toEqual([true]);
    const [read] = await go.dequeue(1, 60, secondsNow() + 1);
    expect(read).toMatchObject({
      id: 'g1',
      retries: 1,
      last_error: 'no route',
      created_at: new Date(job.createdAt),
    });
    expect(read!.payload).toEqual(Uint8Array.of(9));
    expect(read!.updated_at.getTime()).toBeGreaterThanOrEqual(before - 1_000);
    expect(read!.enqueued_at.getTime()).toBeGreaterThanOrEqual(before - 1_000);
    const fields = await redis.client.hkeys(ours.keyOf('job', 'g1'));
    expect(fields).toContain('msgpack');
  });

  it('are those that the library of Go wrote, all of them', async () => {
    const { ours, go } = await both();
    const { jobs } = JSON.parse(
      readFileSync(new URL('./fixtures/gocraft-work-v2-jobs.json', import.meta.url), 'utf8'),
    ) as { jobs: { jobKey: string; hex: string }[] };
    const ids = jobs.map(({ jobKey }) => jobKey.split(':').at(-1)!);
    for (const [at, { hex }] of jobs.entries())
      await go.write(ids[at]!, Buffer.from(hex, 'hex'), aSecondAgo());
    const claimed = await ours.claim({ limit: 20 });
    expect(claimed.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(await Promise.all(claimed.map((job) => ours.fail(job)))).toEqual(ids.map(() => [true]));
    const read = await go.dequeue(20, 60, secondsNow() + 1);
    expect(read.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(Object.fromEntries(read.map(({ id, retries }) => [id, retries]))).toEqual(
      Object.fromEntries(ids.map((id) => [id, id === 'retried' ? 4 : 1])),
    );
  });
});

describe('jobs that we write', () => {
  it('are read by Go programs, and have but one field where there is nothing more to say', async () => {
    const { ours, go } = await both();
    const [id] = await ours.add({ payload: encode({ to: 'a@example.com' }) });
    expect(await redis.client.hkeys(ours.keyOf('job', id))).toEqual(['msgpack']);
    const [read] = await go.dequeue(5, 60, secondsNow() + 1);
    expect(read).toMatchObject({ id, retries: 0, last_error: '' });
    expect(read!.payload).toEqual(encode({ to: 'a@example.com' }));
    expect(Math.abs(read!.created_at.getTime() - Date.now())).toBeLessThan(5_000);
    expect(read!.enqueued_at).toEqual(read!.created_at);
    await go.ack(id!);
    expect(await ours.stored(id!)).toBeUndefined();
    expect(await ours.counts()).toMatchObject({ ready: 0, scheduled: 0, active: 0 });
  });

  it('are due by the millisecond, and not before', async () => {
    const { ours, go } = await both();
    const dueAt = Date.now() + 1_700;
    const [id] = await ours.add({ due: { at: dueAt } });
    const score = await redis.client.zscore(ours.keyOf('queue'), ours.keyOf('job', id));
    expect(Number(score)).toBe(dueAt / 1_000);
    expect(await go.dequeue(1, 60, Math.floor((dueAt - 1) / 1_000))).toEqual([]);
    const [job] = await ours.claim({ waitMs: 10_000 });
    expect(job!.claimedAt).toBeGreaterThanOrEqual(dueAt);
    expect(job!.claimedAt).toBeLessThan(dueAt + 500);
  });
});

describe('a queue that both work on', () => {
  it('gives no job to both while a lease lasts', async () => {
    const { ours, go } = await both();
    await ours.add({}, {}, {}, {});
    const mine = await ours.claim({ limit: 2 });
    const theirs = await go.dequeue(10, 60, secondsNow() + 1);
    expect(theirs).toHaveLength(2);
    expect(await ours.claim({ limit: 10 })).toEqual([]);
    expect([...mine, ...theirs].map(({ id }) => id).toSorted()).toHaveLength(4);
    expect(new Set([...mine, ...theirs].map(({ id }) => id)).size).toBe(4);
  });

  it.each(['settle', 'extend'] as const)(
    'refuses to %s what a Go program has claimed since, whose claim is left alone',
    async (call) => {
      const { ours, go } = await both();
      const [id] = await ours.add({});
      const job = await ours.claimOne({ leaseMs: 30 });
      // Its clock may be ahead of that of Redis, too: what counts is that it has set another score.
      expect(await go.dequeue(1, 600, secondsNow() + 2)).toHaveLength(1);
      const score = await redis.client.zscore(ours.keyOf('queue'), ours.keyOf('job', id));
      const answer =
        call === 'settle'
          ? await ours.complete(job)
          : await ours.backend.extend(queue, [{ job, leaseMs: 60_000 }]);
      expect(answer).toEqual([false]);
      expect(await redis.client.zscore(ours.keyOf('queue'), ours.keyOf('job', id))).toBe(score);
      expect(await ours.counts()).toMatchObject({ active: 0, scheduled: 1 });
      expect(await redis.client.hexists(ours.keyOf('claims'), ours.keyOf('job', id))).toBe(0);
      await go.ack(id!);
    },
  );

  it('takes over what a Go program left behind when it died', async () => {
    const { ours, go } = await both();
    const [id] = await ours.add({});
    await go.dequeue(1, 0, secondsNow() + 1);
    const claimed = await vi.waitUntil(async () => (await ours.claim())[0], { timeout: 5_000 });
    expect(claimed.id).toBe(id);
    expect(await ours.complete(claimed)).toEqual([true]);
  });

  it('goes on when a Go program ends what we hold', async () => {
    const { ours, go } = await both();
    const [id] = await ours.add({ unique: { key: 'k' } });
    const job = await ours.claimOne();
    await go.ack(id!);
    expect(await ours.stored(id!)).toBeUndefined();
    expect(await ours.backend.extend(queue, [{ job, leaseMs: 60_000 }])).toEqual([false]);
    expect(await ours.complete(job)).toEqual([false]);
    expect(await ours.counts()).toMatchObject({ ready: 0, scheduled: 0, active: 0 });
    // Its ack frees no key: the key is checked against the job.
    const [next] = await ours.add({ unique: { key: 'k' } });
    expect(await ours.stored(next!)).toMatchObject({ state: 'ready' });
  });

  it('has a job again that a Go program puts back after it has ended here', async () => {
    const { ours, go } = await both();
    const [id] = await ours.add({});
    const job = await ours.claimOne();
    await ours.backend.settle(queue, [{ kind: 'completed', job, keepMs: 60_000 }]);
    await go.enqueue({ id: id!, retries: 1, last_error: 'late' }, aSecondAgo());
    expect(await ours.stored(id!)).toMatchObject({ state: 'ready', failures: 1, endedAt: undefined });
    const again = await ours.claimOne();
    expect(again).toMatchObject({ id, failures: 1, endedAt: undefined });
    expect(await redis.client.ttl(ours.keyOf('job', id))).toBe(-1);
    expect((await ours.backend.list(queue, { state: 'completed', limit: 10 })).jobs).toEqual([]);
    expect(await ours.complete(again)).toEqual([true]);
  });

  it('is drained by both at once, each job by one', async () => {
    const { ours, go } = await both();
    await ours.add(...Array.from({ length: 100 }, () => ({})));
    for (let index = 0; index < 100; index++) await go.enqueue({ id: `g${index}` }, aSecondAgo());
    const seen: string[] = [];
    const runOurs = async (): Promise<void> => {
      for (
        let jobs = await ours.claim({ limit: 7 });
        jobs.length > 0;
        jobs = await ours.claim({ limit: 7 })
      ) {
        seen.push(...jobs.map(({ id }) => id));
        expect(await ours.complete(...jobs)).toEqual(jobs.map(() => true));
      }
    };
    const runGo = async (): Promise<void> => {
      // A program of Go does this in one script; here nothing may come between.
      for (let jobs = await claimAtOnce(); jobs.length > 0; jobs = await claimAtOnce()) {
        for (const id of jobs) {
          seen.push(id);
          await go.ack(id);
        }
      }
    };
    const claimAtOnce = async (): Promise<string[]> => {
      const keys = (await redis.client.eval(
        `local keys = redis.call('zrangebyscore', KEYS[1], '-inf', ARGV[1], 'limit', 0, 7)
         for _, key in ipairs(keys) do redis.call('zadd', KEYS[1], 'XX', ARGV[1] + 60, key) end
         return keys`,
        1,
        ours.keyOf('queue'),
        secondsNow() + 1,
      )) as string[];
      return keys.map((key) => key.slice(`${ours.namespace}:job:`.length));
    };
    await Promise.all([runOurs(), runGo()]);
    expect(seen).toHaveLength(200);
    expect(new Set(seen).size).toBe(200);
    expect(await redis.client.zcard(ours.keyOf('queue'))).toBe(0);
  });
});

describe('a job that is cancelled', () => {
  const keep = { keepMs: 60_000 };

  it('is in the queue no more, whoever has written it, so that no Go program sees it', async () => {
    const { ours, go } = await both();
    const [ready, held, later] = await ours.add(
      { due: { at: Date.now() - 5_000 } },
      { due: { at: Date.now() - 9_000 } },
      { due: { inMs: 60_000 } },
    );
    expect((await ours.claimOne()).id).toBe(held);
    await go.enqueue({ id: 'g1', retries: 2, last_error: 'no' }, aSecondAgo());
    const ids = [ready!, held!, later!, 'g1'];
    expect(await ours.backend.cancel(queue, ids, { ...keep, error: 'not wanted' })).toEqual([
      'cancelled',
      'active',
      'cancelled',
      'cancelled',
    ]);
    expect(await redis.client.zcard(ours.keyOf('queue'))).toBe(0);
    expect(await go.dequeue(10, 60, secondsNow() + 3_600)).toEqual([]);
    expect(await ours.stored('g1')).toMatchObject({
      state: 'cancelled',
      failures: 2,
      lastError: 'not wanted',
      history: [],
    });
    // What nobody needs any more: only the one that is held had more than its hash and its place.
    expect(await redis.client.zrangebyscore(ours.keyOf('active'), 0, '+inf')).toEqual([]);
    const ttls = await Promise.all(ids.map((id) => redis.client.pttl(ours.keyOf('job', id))));
    for (const ttl of ttls) {
      expect(ttl).toBeGreaterThan(0);
      expect(ttl).toBeLessThanOrEqual(60_000);
    }
  });

  it('leaves nothing behind where it is not to be kept', async () => {
    const { ours } = await both();
    const ids = await ours.add({}, { unique: { key: 'u' }, limitKey: 'k' }, { limitKey: 'k' });
    await ours.claim({ limit: 3, limits: { perKey: 1 } });
    await ours.backend.cancel(queue, ids, { keepMs: 0 });
    const keys = await redis.client.keys(`${ours.namespace}:*`);
    expect(keys.toSorted()).toEqual(['active', 'claims', 'state'].map((kind) => ours.keyOf(kind)));
  });

  it('is a living one again once a Go program that still had it puts it back', async () => {
    const { ours, go } = await both();
    await ours.add({ id: 'g1' });
    expect(await go.dequeue(1, 60, secondsNow() + 1)).toHaveLength(1);
    expect(await ours.backend.cancel(queue, ['g1'], { ...keep, error: 'not wanted' })).toEqual(['cancelled']);
    await go.enqueue({ id: 'g1', retries: 1, last_error: 'boom' }, aSecondAgo());
    expect(await ours.stored('g1')).toMatchObject({ state: 'ready', lastError: 'boom', endedAt: undefined });
    // It can be cancelled again, and is kept anew.
    expect(await ours.backend.cancel(queue, ['g1'], keep)).toEqual(['cancelled']);
    expect(await ours.stored('g1')).toMatchObject({ state: 'cancelled', lastError: 'boom' });
    await go.enqueue({ id: 'g1', retries: 2, last_error: 'again' }, aSecondAgo());
    const job = await ours.claimOne();
    expect(job).toMatchObject({ id: 'g1', failures: 2, lastError: 'again' });
    expect(await redis.client.pttl(ours.keyOf('job', 'g1'))).toBe(-1);
    expect(await ours.complete(job)).toEqual([true]);
    expect(await redis.client.zcard(ours.keyOf('cancelled'))).toBe(0);
  });

  it('that Go has ended is unknown, and so is one without its hash', async () => {
    const { ours, go } = await both();
    const [ended, broken] = await ours.add({}, {});
    await go.dequeue(2, 60, secondsNow() + 1);
    await go.ack(ended!);
    await redis.client.del(ours.keyOf('job', broken));
    expect(await ours.backend.cancel(queue, [ended!, broken!], keep)).toEqual(['unknown', 'unknown']);
    expect(await redis.client.exists(ours.keyOf('job', ended), ours.keyOf('job', broken))).toBe(0);
    expect(await redis.client.exists(ours.keyOf('cancelled'))).toBe(0);
  });
});

describe('what is broken', () => {
  it('W12: a job without its hash holds up no other, and is gone from the queue', async () => {
    const { ours } = await both();
    const ids = await ours.add(...Array.from({ length: 12 }, () => ({})));
    for (const id of ids.slice(0, 10)) await redis.client.del(ours.keyOf('job', id));
    expect((await ours.claim({ limit: 2 })).map(({ id }) => id)).toEqual(ids.slice(10));
    expect(await redis.client.zcard(ours.keyOf('queue'))).toBe(2);
  });

  it('a job that nobody can read is dead, said so, and holds up no other', async () => {
    const { ours, go } = await both();
    await go.write('bad', Buffer.from('no job'), aSecondAgo());
    await go.enqueue({ id: 'good' }, aSecondAgo());
    expect((await ours.claim({ limit: 2 })).map(({ id }) => id)).toEqual(['good']);
    expect(ours.warnings.join()).toMatch(/cannot be read: bad/);
    expect(await ours.stored('bad')).toMatchObject({ state: 'dead', cause: 'invalid' });
    expect(await redis.client.hget(ours.keyOf('job', 'bad'), 'msgpack')).toBe('no job');
    expect(await ours.backend.retry(queue, ['bad'])).toEqual(['retried']);
    expect(await ours.backend.delete(queue, ['bad'])).toEqual(['deleted']);
  });
});
