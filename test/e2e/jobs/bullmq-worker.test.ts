import { type Job as BullJob, UnrecoverableError, type Worker } from 'bullmq';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { kinds, newQueueName, type SomeStore, SomeStores } from '../../integrations/bullmq/some-stores.js';
import { signal } from '../../support/nest.js';
import { bootBullApp } from './bullmq-app.js';

const stores = new SomeStores();
const soon = { timeout: 8_000, interval: 10 };

describe.each(kinds)('a plain BullMQ worker, on %s', (kind) => {
  let store: SomeStore;

  beforeEach(() => {
    store = stores.get(kind);
  });

  it('takes jobs of ours, with what they carry', async () => {
    const { name, jobs } = await bootBullApp(store);
    const welcome = await jobs.enqueue(
      { to: 'a@example.com', n: [1, null] },
      { name: 'welcome', id: 'own:1' },
    );
    const rest = await jobs.enqueue('a text');
    const seen: unknown[] = [];
    store.worker(name, async ({ id, name: of, data, attemptsMade }) => {
      seen.push({ id, of, data, attemptsMade });
    });
    await expect.poll(() => seen.length, soon).toBe(2);
    expect(seen).toEqual([
      // BullMQ's own ids have no colon.
      { id: '~own%3A1', of: 'welcome', data: { to: 'a@example.com', n: [1, null] }, attemptsMade: 0 },
      { id: rest.id, of: '__default__', data: 'a text', attemptsMade: 0 },
    ]);
    await expect.poll(() => jobs.get(welcome.id), soon).toMatchObject({ id: 'own:1', state: 'completed' });
  });

  it('takes many that were enqueued at once, in order', async () => {
    const { name, jobs } = await bootBullApp(store);
    const payloads = Array.from({ length: 60 }, (_, at) => ({ at }));
    const enqueued = await jobs.enqueueMany(payloads);
    expect(new Set(enqueued.map(({ status }) => status))).toEqual(new Set(['enqueued']));
    const seen: unknown[] = [];
    store.worker(name, async ({ data }) => void seen.push(data));
    await expect.poll(() => seen.length, soon).toBe(60);
    expect(seen).toEqual(payloads);
  });

  it('completes them: we have its result', async () => {
    const { name, jobs } = await bootBullApp(store);
    store.worker(name, async ({ data }: BullJob<number[]>) => ({ sum: data.reduce((a, b) => a + b) }));
    const { id } = await jobs.enqueue([1, 2, 3]);
    expect(await jobs.waitUntilFinished(id, { timeout: '8s' })).toEqual({ sum: 6 });
    expect(await jobs.get(id)).toMatchObject({
      state: 'completed',
      payload: [1, 2, 3],
      result: { sum: 6 },
      failures: 0,
      deaths: 0,
      history: [],
    });
    expect((await jobs.list({ state: 'completed' })).jobs.map((job) => job.id)).toEqual([id]);
    expect(await jobs.counts()).toMatchObject({ ready: 0, active: 0, scheduled: 0, dead: 0 });
    expect(await jobs.cancel([id])).toEqual(['ended']);
    expect(await jobs.delete([id])).toEqual(['deleted']);
    expect(await jobs.get(id)).toBeUndefined();
  });

  it('shows us how far it is, and under which lease', async () => {
    const end = signal();
    const { name, jobs } = await bootBullApp(store);
    const work = async (job: BullJob): Promise<void> => {
      await job.updateProgress({ done: 40 });
      await end.promise;
    };
    store.worker(name, work, { lockDuration: 20_000 });
    const { id } = await jobs.enqueue({});
    await expect.poll(() => jobs.get(id), soon).toMatchObject({ state: 'active', progress: { done: 40 } });
    const { leaseEndsAt = 0 } = (await jobs.get(id))!;
    expect(leaseEndsAt - Date.now()).toBeGreaterThan(10_000);
    expect(leaseEndsAt - Date.now()).toBeLessThanOrEqual(20_000);
    expect(await jobs.counts()).toMatchObject({ active: 1, ready: 0 });
    expect(await jobs.retry([id])).toEqual(['active']);
    end.resolve();
    await expect.poll(() => jobs.get(id), soon).toMatchObject({ state: 'completed' });
  });

  it('fails them: they are dead, and retry() brings them to it again, with all attempts before them', async () => {
    const { name, jobs } = await bootBullApp(store);
    const seen: number[] = [];
    let isBroken = true;
    store.worker(name, async ({ attemptsMade }) => {
      seen.push(attemptsMade);
      if (isBroken) throw new UnrecoverableError('no route');
      return 'done';
    });
    const { id } = await jobs.enqueue({ to: 'x' });
    await expect
      .poll(() => jobs.get(id), soon)
      .toMatchObject({ state: 'dead', cause: 'exhausted', failures: 1, lastError: 'no route' });
    expect(await jobs.counts()).toMatchObject({ dead: 1 });
    expect((await jobs.list({ state: 'dead' })).jobs).toMatchObject([{ id, payload: { to: 'x' } }]);
    isBroken = false;
    expect(await jobs.retry([id])).toEqual(['retried']);
    expect(await jobs.waitUntilFinished(id, { timeout: '8s' })).toBe('done');
    expect(seen).toEqual([0, 0]);
    expect(await jobs.counts()).toMatchObject({ dead: 0 });
  });

  it('fails them: retry() brings them to our handler, which knows what went wrong', async () => {
    const name = newQueueName();
    const { jobs } = await bootBullApp(store, { name });
    const worker = store.worker(name, async () => {
      throw new Error('no route');
    });
    const { id } = await jobs.enqueue({ to: 'x' });
    await expect.poll(() => jobs.get(id), soon).toMatchObject({ state: 'dead' });
    await worker.close();
    const seen: unknown[] = [];
    await bootBullApp(store, {
      name,
      handlers: [[({ payload, attempt, lastError }) => void seen.push({ payload, attempt, lastError })]],
    });
    expect(await jobs.redrive()).toBe(1);
    await expect
      .poll(() => seen, soon)
      .toEqual([{ payload: { to: 'x' }, attempt: 1, lastError: 'no route' }]);
    await expect.poll(() => jobs.get(id), soon).toBeUndefined();
  });

  it('has them when they are due, and not before', async () => {
    const { name, jobs } = await bootBullApp(store);
    const at = signal<number>();
    store.worker(name, async () => at.resolve(Date.now()));
    const { id } = await jobs.enqueue({}, { delay: 400 });
    const { createdAt, dueAt, state } = (await jobs.get(id))!;
    expect([state, dueAt - createdAt]).toEqual(['scheduled', 400]);
    expect((await at.promise) - dueAt).toBeGreaterThanOrEqual(0);
    await expect.poll(() => jobs.get(id), soon).toMatchObject({ state: 'completed' });
  });

  it('has at once one that we retry before its time', async () => {
    const { name, jobs } = await bootBullApp(store);
    store.worker(name, async () => 'early');
    const { id } = await jobs.enqueue({}, { delay: '1h' });
    expect(await jobs.retry([id])).toEqual(['retried']);
    expect(await jobs.waitUntilFinished(id, { timeout: '8s' })).toBe('early');
  });

  it.each([undefined, '1h'] as const)('frees their unique keys, where these are held for %s', async (ttl) => {
    const { name, jobs } = await bootBullApp(store);
    const end = signal();
    store.worker(name, async () => end.promise);
    const unique = { key: 'daily', ttl };
    const { id } = await jobs.enqueue({}, { unique });
    expect(await jobs.enqueue({}, { unique })).toEqual({ id, status: 'duplicate' });
    end.resolve();
    await expect.poll(() => jobs.get(id), soon).toMatchObject({ state: 'completed' });
    // Of a key for a time, BullMQ's own worker knows nothing but the time.
    const status = ttl === undefined ? 'enqueued' : 'duplicate';
    expect((await jobs.enqueue({}, { unique })).status).toBe(status);
  });

  it('has no job that we have cancelled or deleted', async () => {
    const { name, jobs } = await bootBullApp(store);
    const ids = (await jobs.enqueueMany([1, 2, 3, 4])).map(({ id }) => id);
    expect(await jobs.cancel([ids[0]!])).toEqual(['cancelled']);
    expect(await jobs.delete([ids[1]!])).toEqual(['deleted']);
    const seen: unknown[] = [];
    store.worker(name, async ({ data }) => void seen.push(data));
    await expect.poll(() => seen, soon).toEqual([3, 4]);
    expect(await jobs.get(ids[0]!)).toMatchObject({ state: 'cancelled' });
  });

  it('loses one that is deleted while it runs, and cannot complete it', async () => {
    const { name, jobs } = await bootBullApp(store);
    const began = signal();
    const end = signal();
    const worker = store.worker(name, async () => {
      began.resolve();
      await end.promise;
    });
    const error = new Promise<Error>((resolve) => worker.once('error', resolve));
    const { id } = await jobs.enqueue({});
    await began.promise;
    expect(await jobs.delete([id])).toEqual(['active']);
    end.resolve();
    expect((await error).message).toMatch(/Missing key|missing job/i);
    expect(await jobs.get(id)).toBeUndefined();
  });

  it('that stops in the middle: our handler takes over, and counts a death', async () => {
    const name = newQueueName();
    const { jobs } = await bootBullApp(store, { name });
    const began = signal();
    const worker = store.worker(
      name,
      async () => {
        began.resolve();
        await new Promise(() => {});
      },
      { lockDuration: 500, lockRenewTime: 100_000, skipStalledCheck: true },
    );
    const { id } = await jobs.enqueue({ to: 'x' });
    await began.promise;
    await worker.close(true);
    const deaths: unknown[] = [];
    await bootBullApp(store, {
      name,
      handlers: [[async ({ id: of }) => void deaths.push((await jobs.get(of))?.history)]],
    });
    await expect
      .poll(() => deaths, soon)
      .toEqual([[expect.objectContaining({ attempt: 1, outcome: 'died' })]]);
    await expect.poll(() => jobs.get(id), soon).toBeUndefined();
  });

  it('takes over what our process has left behind', async () => {
    const name = newQueueName();
    const backend = store.backend();
    onTestFinished(() => backend.close());
    const setTimer = (callback: () => void, delayMs: number): (() => void) => {
      const timer = setTimeout(callback, delayMs);
      return () => clearTimeout(timer);
    };
    await backend.open({ onRevoked() {}, onConnection() {}, warn() {}, setTimer });
    const { jobs } = await bootBullApp(store, { name });
    const { id } = await jobs.enqueue({ to: 'x' });
    const { signal: never } = new AbortController();
    const claim = { limit: 1, prefetch: 0, leaseMs: 300, waitMs: 0, signal: never };
    const [left] = await backend.claim(name, claim);
    const seen: unknown[] = [];
    store.worker(name, async ({ data, stalledCounter }) => seen.push({ data, stalledCounter }), {
      stalledInterval: 100,
    });
    await expect.poll(() => seen, soon).toEqual([{ data: { to: 'x' }, stalledCounter: 1 }]);
    await expect.poll(() => jobs.get(id), soon).toMatchObject({ state: 'completed' });
    expect((await backend.settle(name, [{ kind: 'completed', job: left!, keepMs: 0 }])).accepted).toEqual([
      false,
    ]);
    expect(await jobs.get(id)).toMatchObject({ state: 'completed', deaths: 0 });
  });

  it('and our handler, on one queue: each job once', async () => {
    const name = newQueueName();
    const ours: number[] = [];
    const theirs: number[] = [];
    const both = signal();
    // Neither may have them all before the other has begun.
    const meet = async (mine: number[], at: number): Promise<void> => {
      mine.push(at);
      if (ours.length > 0 && theirs.length > 0) both.resolve();
      await both.promise;
    };
    const { jobs } = await bootBullApp(store, {
      name,
      concurrency: 5,
      handlers: [[({ payload }) => meet(ours, payload as number)]],
    });
    const worker: Worker = store.worker(name, ({ data }: BullJob<number>) => meet(theirs, data), {
      concurrency: 5,
      removeOnComplete: { count: 0 },
    });
    await worker.waitUntilReady();
    const queue = store.queue(name);
    const all = Array.from({ length: 200 }, (_, at) => at);
    await jobs.enqueueMany(all.slice(0, 100));
    await queue.addBulk(all.slice(100).map((data) => ({ name: 'n', data })));
    await expect.poll(() => ours.length + theirs.length, soon).toBe(200);
    await expect.poll(() => queue.getJobCounts(), soon).toMatchObject({ waiting: 0, active: 0, failed: 0 });
    expect([...ours, ...theirs].toSorted((a, b) => a - b)).toEqual(all);
    expect(await jobs.counts()).toMatchObject({ ready: 0, active: 0, scheduled: 0, dead: 0 });
  });
});
