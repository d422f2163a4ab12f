import { FlowProducer, type Job as BullJob } from 'bullmq';
import { CancelJob, DiscardJob, type Job, type JobContext, SnoozeJob } from 'nestjs-worker';
import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { kinds, newQueueName, SomeStores, type SomeStore } from '../../integrations/bullmq/some-stores.js';
import { bootBullApp, heldHandler } from './bullmq-app.js';

const stores = new SomeStores();
const soon = { timeout: 8_000, interval: 10 };

describe.each(kinds)('jobs of a plain BullMQ producer, on %s', (kind) => {
  let store: SomeStore;

  beforeEach(() => {
    store = stores.get(kind);
  });

  it('are run by the handlers of their names, with what they carry', async () => {
    const seen: unknown[] = [];
    const note = (by: string) => (job: Job, ctx: JobContext) => {
      const { id, name, payload, attempt, headers, lastError } = job;
      seen.push({ by, id, name, payload, attempt, headers, lastError, maxAttempts: ctx.maxAttempts });
    };
    const { name } = await bootBullApp(store, {
      handlers: [[note('Welcome'), { name: 'welcome', maxAttempts: 3 }], [note('Rest')]],
    });
    const queue = store.queue(name);
    const counted = await queue.add('welcome', { to: 'a@example.com', tags: ['é', null, 1.5] });
    const custom = await queue.add('other', 'just a text', { jobId: 'custom_1' });
    await expect.poll(() => seen.length, soon).toBe(2);
    expect(counted.id).toMatch(/^\d+$/);
    expect(custom.id).toBe('custom_1');
    const fresh = { attempt: 1, headers: {}, lastError: undefined };
    const welcome = { by: 'Welcome', id: counted.id, name: 'welcome', maxAttempts: 3, ...fresh };
    const other = { by: 'Rest', id: 'custom_1', name: 'other', maxAttempts: 10, ...fresh };
    expect(seen).toHaveLength(2);
    expect(seen).toContainEqual({ ...welcome, payload: { to: 'a@example.com', tags: ['é', null, 1.5] } });
    expect(seen).toContainEqual({ ...other, payload: 'just a text' });
  });

  it('come in bulk, in order, and are gone where neither side keeps them', async () => {
    const seen: unknown[] = [];
    const { name, jobs } = await bootBullApp(store, {
      concurrency: 1,
      handlers: [[({ payload }) => void seen.push(payload)]],
    });
    const queue = store.queue(name);
    await queue.addBulk(Array.from({ length: 50 }, (_, at) => ({ name: 'n', data: { at } })));
    await expect.poll(() => seen.length, soon).toBe(50);
    expect(seen).toEqual(Array.from({ length: 50 }, (_, at) => ({ at })));
    await expect
      .poll(() => queue.getJobCounts(), soon)
      .toMatchObject({ active: 0, waiting: 0, completed: 0, failed: 0, delayed: 0 });
    expect((await jobs.counts()).throughput.reduce((sum, { completed }) => sum + completed, 0)).toBe(50);
  });

  it('stay where the producer has said so, though our handler keeps none', async () => {
    const { name } = await bootBullApp(store, { handlers: [[() => 'done']] });
    const queue = store.queue(name);
    const job = await queue.add('n', {}, { removeOnComplete: false });
    await expect.poll(() => job.getState(), soon).toBe('completed');
  });

  it('are not run before their time', async () => {
    const ran: number[] = [];
    const { name, jobs } = await bootBullApp(store, { handlers: [[() => void ran.push(Date.now())]] });
    const queue = store.queue(name);
    const job = await queue.add('n', {}, { delay: 400 });
    expect(await job.getState()).toBe('delayed');
    expect(await jobs.get(job.id!)).toMatchObject({ state: 'scheduled', dueAt: job.timestamp + 400 });
    expect(await jobs.counts()).toMatchObject({ scheduled: 1, ready: 0, dueWithin: 1 });
    await expect.poll(() => ran.length, soon).toBe(1);
    expect(ran[0]! - job.timestamp).toBeGreaterThanOrEqual(400);
    expect(ran[0]! - job.timestamp).toBeLessThan(1_400);
  });

  it('go on coming of a job scheduler, whatever becomes of each, and end where it ends', async () => {
    const seen: Job[] = [];
    const fail = (job: Job): void => {
      seen.push(job);
      if (seen.length === 2) throw new Error('not this one');
    };
    const { name, jobs } = await bootBullApp(store, {
      handlers: [[fail, { name: 'tick', maxAttempts: 1 }]],
    });
    const queue = store.queue(name);
    const template = { name: 'tick', data: { a: 'é' }, opts: { removeOnComplete: 2 } };
    await queue.upsertJobScheduler('each-100ms', { every: 100, limit: 5 }, template);
    await expect.poll(() => seen.length, soon).toBe(5);
    expect(seen.map(({ payload, name: of }) => [payload, of])).toEqual(
      Array.from({ length: 5 }, () => [{ a: 'é' }, 'tick']),
    );
    expect(new Set(seen.map(({ id }) => id)).size).toBe(5);
    await expect.poll(() => jobs.counts(), soon).toMatchObject({ active: 0, scheduled: 0, dead: 1 });
    expect(await queue.getJobCounts('completed', 'delayed')).toEqual({ completed: 2, delayed: 0 });
  });

  it('come of a job scheduler no more once it is removed', async () => {
    let seen = 0;
    const { name, jobs } = await bootBullApp(store, { handlers: [[() => void seen++]] });
    const queue = store.queue(name);
    await queue.upsertJobScheduler('s', { every: 50 }, { name: 'tick' });
    await expect.poll(() => seen, soon).toBeGreaterThan(2);
    expect(await queue.removeJobScheduler('s')).toBe(true);
    await expect.poll(() => jobs.counts(), soon).toMatchObject({ active: 0, scheduled: 0, ready: 0 });
    const next = await queue.upsertJobScheduler('s', { every: 1e9, offset: 1e9 - 1 }, { name: 'tick' });
    await expect(jobs.delete([next.id!])).rejects.toThrow('belongs to a job scheduler');
  });

  it('have in BullMQ what our handler returned', async () => {
    const { name, jobs } = await bootBullApp(store, {
      handlers: [[({ payload }) => ({ got: payload }), { keepCompleted: '1h' }]],
    });
    const queue = store.queue(name);
    const { id } = await queue.add('n', { a: 1 });
    await expect.poll(async () => (await queue.getJob(id!))?.getState(), soon).toBe('completed');
    const job = (await queue.getJob(id!)) as BullJob;
    expect(job.returnvalue).toEqual({ got: { a: 1 } });
    expect(job.data).toEqual({ a: 1 });
    expect(job.attemptsMade).toBe(1);
    expect(job.failedReason).toBeFalsy();
    expect(job.stacktrace).toEqual([]);
    expect(job.processedOn).toBeGreaterThanOrEqual(job.timestamp);
    expect(job.finishedOn).toBeGreaterThanOrEqual(job.processedOn!);
    expect(job.processedBy).toContain(String(process.pid));
    expect(await queue.getJobCounts()).toMatchObject({ completed: 1, active: 0, waiting: 0, failed: 0 });
    expect(await jobs.get(id!)).toMatchObject({
      state: 'completed',
      result: { got: { a: 1 } },
      failures: 0,
      history: [],
    });
  });

  it('are tried again by our policy, and not by theirs; BullMQ has what went wrong', async () => {
    const attempts: number[] = [];
    const handle = ({ attempt, lastError }: Job): never => {
      attempts.push(attempt);
      throw new RangeError(`no ${attempt}, after ${lastError}`);
    };
    const { name, jobs } = await bootBullApp(store, {
      handlers: [[handle, { maxAttempts: 3, backoff: { initial: 20, factor: 1, jitter: 0 } }]],
    });
    const queue = store.queue(name);
    const { id } = await queue.add('n', {}, { attempts: 1, removeOnFail: true });
    await expect.poll(async () => (await queue.getJob(id!))?.getState(), soon).toBe('failed');
    const job = (await queue.getJob(id!)) as BullJob;
    const second = 'RangeError: no 2, after RangeError: no 1, after undefined';
    expect(attempts).toEqual([1, 2, 3]);
    expect(job.attemptsMade).toBe(3);
    expect(job.failedReason).toBe(`RangeError: no 3, after ${second}`);
    expect(job.stacktrace).toHaveLength(3);
    expect(job.stacktrace?.[1]).toContain(second);
    expect(await queue.getJobCounts()).toMatchObject({ failed: 1, active: 0, waiting: 0, delayed: 0 });
    expect(await jobs.get(id!)).toMatchObject({ state: 'dead', cause: 'exhausted', failures: 3 });
    expect((await jobs.get(id!))!.history.map(({ outcome }) => outcome)).toEqual(Array(3).fill('failed'));
  });

  it('are delayed in BullMQ between two attempts', async () => {
    const fail = (): never => {
      throw new Error('boom');
    };
    const { name } = await bootBullApp(store, { handlers: [[fail, { backoff: { initial: '1h' } }]] });
    const queue = store.queue(name);
    const { id } = await queue.add('n', {});
    await expect.poll(async () => (await queue.getJob(id!))?.getState(), soon).toBe('delayed');
    const job = (await queue.getJob(id!)) as BullJob;
    expect(job).toMatchObject({ attemptsMade: 1, failedReason: 'boom', stacktrace: ['boom'] });
    // Whoever promotes it by BullMQ has our handler try again.
    await job.promote();
    await expect.poll(async () => (await queue.getJob(id!))?.attemptsMade, soon).toBe(2);
  });

  it('are waited for by their producer, who has our result or our error', async () => {
    const held = heldHandler();
    const fail = (): never => {
      throw new DiscardJob('not this one');
    };
    const { name } = await bootBullApp(store, {
      handlers: [
        [held.handle, { name: 'good', keepCompleted: '1h' }],
        [fail, { name: 'bad' }],
      ],
    });
    const queue = store.queue(name);
    const events = store.events(name);
    await events.waitUntilReady();
    const good = await queue.add('good', {});
    const result = good.waitUntilFinished(events, 8_000);
    await held.began;
    held.end({ rows: 5 });
    expect(await result).toEqual({ rows: 5 });
    const bad = await queue.add('bad', {});
    await expect(bad.waitUntilFinished(events, 8_000)).rejects.toThrow('not this one');
    // Also where it has ended before anybody waits.
    expect(await good.waitUntilFinished(events, 8_000)).toEqual({ rows: 5 });
    await expect(bad.waitUntilFinished(events, 8_000)).rejects.toThrow('not this one');
  });

  it('are waited for without a result where none is kept', async () => {
    const held = heldHandler();
    const { name } = await bootBullApp(store, { handlers: [[held.handle]] });
    const queue = store.queue(name);
    const events = store.events(name);
    await events.waitUntilReady();
    const job = await queue.add('n', {});
    const result = job.waitUntilFinished(events, 8_000);
    await held.began;
    held.end({ rows: 5 });
    expect(await result).toBeNull();
    expect(await queue.getJob(job.id!)).toBeUndefined();
  });

  it('are put off, discarded, called off and refused as ours are', async () => {
    const handle = ({ name: of }: Job, { attempt }: JobContext): void => {
      if (of === 'snoozes') throw new SnoozeJob('1h');
      if (of === 'discards') throw new DiscardJob('no use');
      if (of === 'cancels') throw new CancelJob('not wanted');
      throw new Error(`ran in attempt ${attempt}`);
    };
    const { name, jobs } = await bootBullApp(store, {
      handlers: [
        [handle, { keepCancelled: '1h' }],
        [handle, { name: 'checked', schema: z.object({ to: z.string() }) }],
      ],
    });
    const queue = store.queue(name);
    const add = async (of: string): Promise<string> => (await queue.add(of, { to: 5 })).id!;
    const ids = await Promise.all(['snoozes', 'discards', 'cancels', 'checked'].map(add));
    const states = (): Promise<unknown[]> => Promise.all(ids.map((id) => queue.getJobState(id)));
    await expect.poll(states, soon).toEqual(['delayed', 'failed', 'completed', 'failed']);
    const [snoozed, discarded, cancelled, refused] = await Promise.all(ids.map((id) => jobs.get(id)));
    expect(snoozed).toMatchObject({ state: 'scheduled', failures: 0, history: [{ outcome: 'snoozed' }] });
    expect((await queue.getJob(ids[0]!))?.attemptsMade).toBe(0);
    expect(discarded).toMatchObject({ state: 'dead', cause: 'discarded' });
    expect(cancelled).toMatchObject({ state: 'cancelled', lastError: expect.stringContaining('not wanted') });
    expect(refused).toMatchObject({ state: 'dead', cause: 'invalid' });
    expect((await queue.getJob(ids[3]!))?.failedReason).toMatch(/^InvalidPayloadError: .*\(to: /);
  });

  it('hold a deduplication id, which is a unique key of ours, until they have ended', async () => {
    const held = heldHandler();
    const { name, jobs } = await bootBullApp(store, { handlers: [[held.handle]] });
    const queue = store.queue(name);
    const { id } = await queue.add('n', { first: true }, { deduplication: { id: 'daily' } });
    await held.began;
    expect((await queue.add('n', {}, { deduplication: { id: 'daily' } })).id).toBe(id);
    expect(await jobs.enqueue({}, { unique: { key: 'daily' } })).toEqual({ id, status: 'duplicate' });
    expect(await jobs.get(id!)).toMatchObject({ uniqueKey: 'daily', state: 'active' });
    held.end();
    await expect.poll(() => queue.getDeduplicationJobId('daily'), soon).toBeNull();
    expect((await jobs.enqueue({}, { unique: { key: 'daily' } })).status).toBe('enqueued');
  });

  it('are dropped by BullMQ where the deduplication id is held by a job of ours', async () => {
    const { name, jobs } = await bootBullApp(store);
    const { id } = await jobs.enqueue({}, { unique: { key: 'daily' } });
    const queue = store.queue(name);
    expect((await queue.add('n', {}, { deduplication: { id: 'daily' } })).id).toBe(id);
    expect(await jobs.counts()).toMatchObject({ ready: 1 });
  });

  it('show in BullMQ how far our handler is', async () => {
    const held = heldHandler();
    const { name } = await bootBullApp(store, {
      lease: '1s',
      handlers: [
        [
          (job, ctx) => {
            ctx.progress({ done: 40 });
            return held.handle(job, ctx);
          },
        ],
      ],
    });
    const queue = store.queue(name);
    const { id } = await queue.add('n', {});
    await expect.poll(async () => (await queue.getJob(id!))?.progress, soon).toEqual({ done: 40 });
    held.end();
  });

  it('may have ids that ours have, too', async () => {
    const { name, jobs } = await bootBullApp(store);
    const queue = store.queue(name);
    const { id } = await queue.add('theirs', { of: 'them' });
    expect(await jobs.get(id!)).toMatchObject({ id, name: 'theirs', payload: { of: 'them' } });
    expect(await jobs.enqueue({ of: 'us' }, { id: id! })).toEqual({ id, status: 'enqueued' });
    expect(await jobs.get(id!)).toMatchObject({ id, name: '', payload: { of: 'us' } });
    expect((await queue.getJob(id!))?.data).toEqual({ of: 'them' });
    expect(await jobs.delete([id!])).toEqual(['deleted']);
    expect(await jobs.get(id!)).toMatchObject({ payload: { of: 'them' } });
    expect(await jobs.delete([id!])).toEqual(['deleted']);
    expect(await queue.getJob(id!)).toBeUndefined();
  });

  it('are held back by a pause, of either side', async () => {
    const ran: unknown[] = [];
    const { name, jobs } = await bootBullApp(store, {
      handlers: [[({ payload }) => void ran.push(payload)]],
    });
    const queue = store.queue(name);
    await queue.pause();
    expect((await jobs.counts()).paused).toBe(true);
    await queue.add('n', 1);
    expect(await jobs.counts()).toMatchObject({ ready: 1, paused: true });
    await jobs.resume();
    await expect.poll(() => ran, soon).toEqual([1]);
    await jobs.pause();
    expect(await queue.isPaused()).toBe(true);
    await queue.add('n', 2);
    expect(ran).toEqual([1]);
    await queue.resume();
    await expect.poll(() => ran, soon).toEqual([1, 2]);
  });

  it('of a flow: the parent has the results of its children', async () => {
    const name = newQueueName();
    const values: unknown[] = [];
    const queue = store.queue(name);
    const parent = async ({ id }: Job): Promise<void> => {
      values.push(Object.values((await (await queue.getJob(id))?.getChildrenValues()) ?? {}));
    };
    await bootBullApp(store, {
      name,
      handlers: [
        [({ payload }) => payload, { name: 'child', keepCompleted: '1h' }],
        [parent, { name: 'parent' }],
      ],
    });
    const flow = new FlowProducer(queue.opts, () => queue.getBackend());
    const children = [1, 2].map((data) => ({ name: 'child', queueName: name, data }));
    await flow.add({ name: 'parent', queueName: name, data: {}, children });
    await expect.poll(() => values, soon).toHaveLength(1);
    expect(new Set(values[0] as unknown[])).toEqual(new Set([1, 2]));
  });
});
