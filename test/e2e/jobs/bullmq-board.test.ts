import { beforeEach, describe, expect, it } from 'vitest';
import { kinds, newQueueName, type SomeStore, SomeStores } from '../../integrations/bullmq/some-stores.js';
import { signal } from '../../support/nest.js';
import { BullBoard } from './bull-board.js';
import { bootBullApp, heldHandler } from './bullmq-app.js';

const stores = new SomeStores();
const soon = { timeout: 8_000, interval: 10 };
const boom = (): never => {
  throw new RangeError('boom');
};

describe.each(kinds)('Bull Board, on %s', (kind) => {
  let store: SomeStore;

  beforeEach(() => {
    store = stores.get(kind);
  });

  it('shows our queues: how many jobs are in which state, and which', async () => {
    const held = heldHandler();
    const { name, jobs } = await bootBullApp(store, {
      concurrency: 1,
      handlers: [
        [held.handle, { name: 'held' }],
        [() => ({ sent: true }), { name: 'good', keepCompleted: '1h' }],
        [boom, { name: 'bad', maxAttempts: 1 }],
      ],
    });
    const board = new BullBoard(store.queue(name));
    const done = await jobs.enqueue({ to: 'a' }, { name: 'good' });
    const dead = await jobs.enqueue({ to: 'b' }, { name: 'bad' });
    await expect.poll(async () => (await jobs.counts()).dead, soon).toBe(1);
    const active = await jobs.enqueue({ to: 'c' }, { name: 'held' });
    await held.began;
    const waiting = [await jobs.enqueue({ to: 'd' }, { name: 'good' }), await jobs.enqueue({ to: 'e' })];
    const later = await jobs.enqueue({ to: 'f' }, { delay: '1h' });
    const shown = await board.queue(name);
    expect(shown.counts).toMatchObject({ active: 1, waiting: 2, delayed: 1, completed: 1, failed: 1 });
    expect(shown).toMatchObject({ isPaused: false, readOnlyMode: false, allowRetries: true });
    const idsAt = async (state: string): Promise<unknown[]> =>
      (await board.queue(name, state)).jobs.map(({ id }) => id);
    expect(await idsAt('active')).toEqual([active.id]);
    expect(new Set(await idsAt('waiting'))).toEqual(new Set(waiting.map(({ id }) => id)));
    expect(await idsAt('delayed')).toEqual([later.id]);
    expect(await idsAt('completed')).toEqual([done.id]);
    expect(await idsAt('failed')).toEqual([dead.id]);
    held.end();
  });

  it('shows a job: its data, its result, when it ran', async () => {
    const { name, jobs } = await bootBullApp(store, {
      handlers: [[({ payload }) => ({ got: payload }), { keepCompleted: '1h', name: 'good' }]],
    });
    const board = new BullBoard(store.queue(name));
    const payload = { to: 'ä@example.com', nested: { list: [1, 'two', null] } };
    const { id } = await jobs.enqueue(payload, { name: 'good', headers: { tenant: 'acme' } });
    await expect.poll(() => jobs.get(id), soon).toMatchObject({ state: 'completed' });
    const { timestamp, processedOn, finishedOn, ...shown } = await board.job(name, id);
    expect(shown).toMatchObject({
      id,
      name: 'good',
      status: 'completed',
      data: payload,
      returnValue: { got: payload },
      attempts: 1,
      isFailed: false,
      stacktrace: [],
    });
    expect(shown.processedBy).toContain(String(process.pid));
    expect(processedOn).toBeGreaterThanOrEqual(timestamp);
    expect(finishedOn).toBeGreaterThanOrEqual(processedOn!);
  });

  it('shows how far a job is, and a delay', async () => {
    const end = signal();
    const { name, jobs } = await bootBullApp(store, {
      lease: '1s',
      handlers: [
        [
          async (_, ctx) => {
            ctx.progress(42);
            await end.promise;
          },
        ],
      ],
    });
    const board = new BullBoard(store.queue(name));
    const running = await jobs.enqueue({});
    await expect
      .poll(() => board.job(name, running.id), soon)
      .toMatchObject({ status: 'active', progress: 42 });
    const later = await jobs.enqueue({}, { delay: '1h' });
    expect(await board.job(name, later.id)).toMatchObject({ status: 'delayed', delay: 3_600_000 });
    end.resolve();
  });

  it('shows what went wrong; from there a dead job comes back to our handler', async () => {
    let isBroken = true;
    const seen: unknown[] = [];
    const { name, jobs } = await bootBullApp(store, {
      handlers: [
        [
          ({ payload, lastError }) => {
            seen.push({ payload, lastError });
            if (isBroken) boom();
            return 'mended';
          },
          { maxAttempts: 2, backoff: { initial: 10, jitter: 0 }, keepCompleted: '1h' },
        ],
      ],
    });
    const board = new BullBoard(store.queue(name));
    const { id } = await jobs.enqueue({ to: 'a' });
    await expect.poll(() => jobs.get(id), soon).toMatchObject({ state: 'dead' });
    expect(await board.job(name, id)).toMatchObject({
      status: 'failed',
      failedReason: 'RangeError: boom',
      stacktrace: ['RangeError: boom', 'RangeError: boom'],
      attempts: 2,
      isFailed: true,
    });
    isBroken = false;
    expect((await board.put(`${name}/${id}/retry`)).status).toBe(204);
    expect(await jobs.waitUntilFinished(id, { timeout: '8s' })).toBe('mended');
    expect(seen).toEqual([
      { payload: { to: 'a' }, lastError: undefined },
      { payload: { to: 'a' }, lastError: 'RangeError: boom' },
      { payload: { to: 'a' }, lastError: 'RangeError: boom' },
    ]);
    expect((await board.put(`${name}/${id}/retry`)).status).toBe(204);
    await expect.poll(() => seen.length, soon).toBe(4);
  });

  it('retries all that are dead', async () => {
    let isBroken = true;
    let done = 0;
    const { name, jobs } = await bootBullApp(store, {
      handlers: [[() => (isBroken ? boom() : done++), { maxAttempts: 1 }]],
    });
    const board = new BullBoard(store.queue(name));
    await jobs.enqueueMany([1, 2, 3]);
    await expect.poll(async () => (await jobs.counts()).dead, soon).toBe(3);
    isBroken = false;
    expect(await board.put(`${name}/retry/failed`)).toEqual({
      status: 200,
      body: { retried: 3, skipped: 0 },
    });
    await expect.poll(() => done, soon).toBe(3);
    await expect.poll(() => jobs.counts(), soon).toMatchObject({ dead: 0, ready: 0, active: 0 });
  });

  it('brings back one that was quarantined', async () => {
    const name = newQueueName();
    const ran: unknown[] = [];
    const { jobs } = await bootBullApp(store, { name });
    const { id } = await jobs.enqueue({});
    const backend = store.backend();
    const setTimer = (callback: () => void, delayMs: number): (() => void) => {
      const timer = setTimeout(callback, delayMs);
      return () => clearTimeout(timer);
    };
    await backend.open({ onRevoked() {}, onConnection() {}, warn() {}, setTimer });
    const { signal: never } = new AbortController();
    const claim = { limit: 1, prefetch: 0, leaseMs: 20, waitMs: 5_000, signal: never };
    // Three processes die of it.
    for (let deaths = 0; deaths < 3; deaths++) {
      expect(await backend.claim(name, claim)).toMatchObject([{ id, deaths }]);
    }
    await backend.close();
    await bootBullApp(store, { name, handlers: [[() => void ran.push('ran')]] });
    await expect.poll(() => jobs.get(id), soon).toMatchObject({ state: 'dead', cause: 'quarantined' });
    const board = new BullBoard(store.queue(name));
    expect(await board.job(name, id)).toMatchObject({ status: 'failed' });
    expect(ran).toEqual([]);
    expect((await board.put(`${name}/${id}/retry`)).status).toBe(204);
    await expect.poll(() => ran, soon).toEqual(['ran']);
  });

  it('removes a job, and promotes one', async () => {
    const ran: unknown[] = [];
    const { name, jobs } = await bootBullApp(store, { handlers: [[({ id }) => void ran.push(id)]] });
    const board = new BullBoard(store.queue(name));
    const [one, two] = await jobs.enqueueMany([1, 2], { delay: '1h' });
    expect((await board.put(`${name}/${one!.id}/clean`)).status).toBe(204);
    expect(await jobs.get(one!.id)).toBeUndefined();
    expect((await board.put(`${name}/${two!.id}/promote`)).status).toBe(204);
    await expect.poll(() => ran, soon).toEqual([two!.id]);
  });

  it('does not remove what runs', async () => {
    const held = heldHandler();
    const { name, jobs } = await bootBullApp(store, { handlers: [[held.handle]] });
    const board = new BullBoard(store.queue(name));
    const { id } = await jobs.enqueue({});
    await held.began;
    expect((await board.put(`${name}/${id}/clean`)).status).toBe(409);
    expect(await jobs.get(id)).toMatchObject({ state: 'active' });
    held.end();
    await expect.poll(() => jobs.get(id), soon).toBeUndefined();
  });

  it('pauses a queue and lets it go on, and adds a job', async () => {
    const ran: unknown[] = [];
    const { name, jobs } = await bootBullApp(store, {
      handlers: [[({ name: of, payload }) => void ran.push({ of, payload })]],
    });
    const board = new BullBoard(store.queue(name));
    expect((await board.put(`${name}/pause`)).status).toBe(200);
    expect((await jobs.counts()).paused).toBe(true);
    expect((await board.queue(name)).isPaused).toBe(true);
    const job = { name: 'by hand', data: { a: 1 }, options: {} };
    expect((await board.post(`${name}/add`, job)).status).toBe(200);
    // On PostgreSQL BullMQ calls them paused, which is no state that Bull Board has of it.
    expect((await board.queue(name)).counts).toMatchObject({ waiting: kind === 'redis' ? 1 : 0 });
    expect(await jobs.counts()).toMatchObject({ ready: 1 });
    expect(ran).toEqual([]);
    expect((await board.put(`${name}/resume`)).status).toBe(200);
    await expect.poll(() => ran, soon).toEqual([{ of: 'by hand', payload: { a: 1 } }]);
    await jobs.pause();
    expect((await board.queue(name)).isPaused).toBe(true);
  });

  it('is not in the way of what is said of our jobs beside BullMQ', async () => {
    const { name, jobs } = await bootBullApp(store);
    const board = new BullBoard(store.queue(name));
    const { id } = await jobs.enqueue(
      { a: 1 },
      { headers: { tenant: 'acme' }, unique: { key: 'k', ttl: '1h' } },
    );
    expect((await board.patch(`${name}/${id}/update-data`, { jobData: { a: 2 } })).status).toBe(200);
    expect(await jobs.get(id)).toMatchObject({
      headers: { tenant: 'acme' },
      uniqueKey: 'k',
      payload: { a: 2 },
    });
  });

  // On PostgreSQL BullMQ knows workers by the name of their connection, and ours is one for all queues.
  it(`knows the store, and ${kind === 'redis' ? '' : 'not '}that somebody works`, async () => {
    const { name } = await bootBullApp(store, { handlers: [[() => {}]] });
    const board = new BullBoard(store.queue(name));
    const { status, body } = await board.get('/api/redis/stats');
    expect([status, body['backend']]).toEqual([200, kind]);
    await expect.poll(async () => (await board.queue(name)).hasWorkers, soon).toBe(kind === 'redis');
  });
});
