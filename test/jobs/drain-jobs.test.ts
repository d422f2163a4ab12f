import { getEventListeners } from 'node:events';
import {
  drainJobs,
  type DrainedQueue,
  type DrainJobsOptions,
  InvalidOptionError,
  isWorkError,
  type JobBackend,
  type ListOptions,
  MemoryJobBackend,
  type StoredJob,
} from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { jsonCodec, msgpackCodec } from '../../lib/jobs/payload-codec.js';
import { heapUsed } from '../support/heap.js';
import { around, queue, TwoStores } from './drain-jobs-backends.js';

const hourMs = 3_600_000;
const nothingLeft: DrainedQueue['left'] = {
  active: 0,
  duplicate: 0,
  unreadable: 0,
  refused: 0,
  undeleted: 0,
  late: 0,
  dead: 0,
};

/** Drains the one queue, without waiting for anything. */
async function drain(stores: TwoStores, options: Partial<DrainJobsOptions> = {}): Promise<DrainedQueue> {
  const { from, to, clock } = stores;
  const drained = await drainJobs({ from, to, queues: [queue], wait: 0, clock, ...options });
  expect(drained.map((one) => one.queue)).toEqual([queue]);
  return drained[0]!;
}

describe('drainJobs()', () => {
  it('moves what waits, with all that the contract tells of it', async () => {
    const stores = new TwoStores();
    const { from, to, clock } = stores;
    const plain = await stores.add();
    const full = await stores.add({
      name: 'welcome',
      priority: 7,
      headers: { traceparent: '00-1' },
      limitKey: 'tenant-1',
      unique: { key: 'user-1', ttlMs: 1_000 },
      due: { at: clock.now() + 400 * 24 * hourMs },
    });
    const empty = await stores.add({ payload: undefined });
    const past = await stores.add({ due: { at: clock.now() - hourMs } });
    const before = await from.get(queue, [plain, full, empty, past]);
    await clock.advance('5m');
    const createdAt = clock.now();

    expect(await drain(stores)).toEqual({
      queue,
      moved: 4,
      alreadyThere: 0,
      left: nothingLeft,
      leftJobs: [],
    });

    const after = await to.get(queue, [plain, full, empty, past]);
    expect(after).toEqual(before.map((job) => Object.assign(job!, { createdAt })));
    expect(after.map((job) => job!.state)).toEqual(['ready', 'scheduled', 'ready', 'ready']);
    expect(await stores.counts()).toMatchObject({ paused: true, ready: 0, scheduled: 0 });
    expect(await stores.counts(to)).toMatchObject({ paused: false, ready: 3, scheduled: 1 });
    // In the order in which the source would have handed them out.
    expect((await stores.claim(to)).id).toBe(past);
  });

  it('holds a unique key for as long as the job lives', async () => {
    const stores = new TwoStores();
    const id = await stores.add({ unique: { key: 'user-1', ttlMs: 1_000 } });
    await drain(stores);
    await stores.clock.advance('1h');

    const another = { id: 'another', queue, name: '', payload: undefined, due: { inMs: 0 }, priority: 0 };
    const unique = { key: 'user-1' };
    expect(await stores.to.enqueue([{ ...another, unique }])).toEqual([{ kind: 'duplicate', id }]);
    await stores.complete(await stores.claim(stores.to), stores.to);
    expect(await stores.to.enqueue([{ ...another, unique }])).toEqual([{ kind: 'enqueued', id: 'another' }]);
  });

  it('gives a job that has failed all its attempts', async () => {
    const stores = new TwoStores();
    const id = await stores.add();
    const job = await stores.claim();
    const attempt = { attempt: 1, startedAt: 1, endedAt: 2, outcome: 'failed', error: 'boom' } as const;
    await stores.from.settle(queue, [{ kind: 'scheduled', job, delayMs: 1_000, failures: 1, attempt }]);
    const { dueAt } = await stores.stored(id, stores.from);

    expect(await drain(stores)).toMatchObject({ moved: 1 });
    expect(await stores.stored(id)).toMatchObject({ state: 'scheduled', dueAt, failures: 0, history: [] });
  });

  it('keeps to the queues that it is given', async () => {
    const stores = new TwoStores();
    const { from, to, clock } = stores;
    const kept = await stores.add({ queue: 'kept' });
    const text = await stores.add({ queue: 'texts' });
    const mail = await stores.add();

    const drained = await drainJobs({ from, to, queues: ['texts', queue, 'texts', 'none'], wait: 0, clock });

    expect(drained.map((one) => [one.queue, one.moved])).toEqual([
      ['texts', 1],
      [queue, 1],
      ['none', 0],
    ]);
    expect((await to.get('texts', [text]))[0]).toMatchObject({ queue: 'texts' });
    expect((await to.get(queue, [mail]))[0]).toBeDefined();
    const [counts] = await from.counts(['kept'], { dueWithinMs: 0 });
    expect(counts).toMatchObject({ paused: false, ready: 1 });
    expect((await to.get('kept', [kept]))[0]).toBeUndefined();
  });

  it('leaves dead jobs where they are, unless they are asked for', async () => {
    const stores = new TwoStores();
    const ended = await stores.add();
    await stores.complete(await stores.claim(), stores.from, hourMs);
    await stores.add();
    const dead = await stores.kill();
    const waiting = await stores.add();

    expect(await drain(stores)).toMatchObject({ moved: 1, left: { ...nothingLeft, dead: 1 } });
    expect(await stores.idsAt(stores.from, 'dead', 'completed')).toEqual([ended, dead]);
    expect(await stores.idsAt(stores.to)).toEqual([waiting]);

    await stores.clock.advance('1h');
    expect(await drain(stores, { dead: true })).toMatchObject({ moved: 1, left: nothingLeft });
    expect(await stores.stored(dead)).toMatchObject({
      state: 'ready',
      dueAt: stores.clock.now(),
      failures: 0,
      payload: msgpackCodec.encode(2),
    });
    expect(await stores.counts()).toMatchObject({ dead: 0 });

    await stores.add({ payload: Uint8Array.of(0xc1) });
    await stores.from.pause(queue, false);
    await stores.kill();
    expect(await drain(stores, { dead: true, toFormat: 'json' })).toMatchObject({
      moved: 0,
      left: { ...nothingLeft, unreadable: 1 },
    });
  });

  it('reports after each page, and opens and closes both', async () => {
    const stores = new TwoStores();
    await stores.addMany(5);
    const calls: string[] = [];
    const watched = (name: string, backend: JobBackend): JobBackend =>
      around(backend, {
        open: (run) => (calls.push(`open ${name}`), run()),
        close: (run) => (calls.push(`close ${name}`), run()),
      });
    const told: number[] = [];
    const onProgress = ({ moved }: DrainedQueue): number => told.push(moved);

    await drain(stores, {
      from: watched('from', stores.from),
      to: watched('to', stores.to),
      pageSize: 2,
      onProgress,
    });

    expect(told).toEqual([2, 4, 5]);
    expect(calls).toEqual(['open from', 'open to', 'close from', 'close to']);
  });

  it('passes on what a backend warns of', async () => {
    const stores = new TwoStores();
    const to = around(stores.to, {
      open: (run, [host]) => {
        host.warn('jobs may be evicted');
        return run();
      },
    });
    const warnings: string[] = [];
    await drain(stores, { to, onWarning: (message) => warnings.push(message) });
    expect(warnings).toEqual(['jobs may be evicted']);
  });
});

describe('a drain and jobs that are being run', () => {
  it('waits for them, and moves what comes back', async () => {
    const stores = new TwoStores();
    const waiting = await stores.add({ due: { inMs: 1 } });
    const [back, done] = await stores.addMany(2);
    const first = await stores.claim();
    const second = await stores.claim();
    const told: number[] = [];
    const draining = drain(stores, {
      wait: '1m',
      onProgress: ({ left }) => told.push(left.active),
    });

    // What waits is moved at once.
    await stores.clock.advance('10s');
    expect(await stores.idsAt(stores.to)).toEqual([waiting]);
    await stores.from.settle(queue, [{ kind: 'scheduled', job: first, delayMs: hourMs, failures: 1 }]);
    await stores.clock.advance('1s');
    await stores.complete(second);
    await stores.clock.advance('1s');

    expect(await draining).toMatchObject({ moved: 2, left: nothingLeft });
    expect([first.id, second.id]).toEqual([back, done]);
    expect(await stores.idsAt(stores.to, 'scheduled')).toEqual([back]);
    expect(told).toContain(2);
    expect(told.at(-1)).toBe(0);
    expect(stores.clock.pending).toBe(0);
  });

  it('moves one whose lease is over', async () => {
    const stores = new TwoStores();
    const id = await stores.add();
    const lost = await stores.claim(stores.from, 5_000);
    const draining = drain(stores, { wait: '1m' });
    await stores.clock.advance('6s');

    expect(await draining).toMatchObject({ moved: 1, left: nothingLeft });
    expect(await stores.stored(id)).toMatchObject({ state: 'ready' });
    // Whoever had it cannot end it any more.
    const { accepted } = await stores.from.settle(queue, [{ kind: 'completed', job: lost, keepMs: 0 }]);
    expect(accepted).toEqual([false]);
  });

  it('leaves one that does not end in time', async () => {
    const stores = new TwoStores();
    const id = await stores.add();
    await stores.claim();
    const draining = drain(stores, { wait: '20s' });
    await stores.clock.advance('20s');

    expect(await draining).toMatchObject({ moved: 0, left: { ...nothingLeft, active: 1 } });
    expect(await stores.idsAt(stores.from, 'active')).toEqual([id]);
    expect(stores.clock.pending).toBe(0);
  });

  it('waits for 30 seconds where nothing is said', async () => {
    const stores = new TwoStores();
    const { from, to, clock } = stores;
    await stores.add();
    await stores.claim();
    let ended = false;
    const draining = drainJobs({ from, to, queues: [queue], clock }).finally(() => (ended = true));
    await clock.advance(29_999);
    expect(ended).toBe(false);
    await clock.advance(1);
    expect((await draining)[0]!.left.active).toBe(1);
  });
});

describe('a drain that is cut off', () => {
  /** Every call to either side, until the one that is lost: before it is done, or after it. */
  async function lostAt(stores: TwoStores, lost: number, isDone: boolean): Promise<'ended' | 'lost'> {
    let calls = 0;
    let isLost = false;
    const lose = async <Answer>(run: () => Promise<Answer>): Promise<Answer> => {
      if (isLost) throw new Error('connection lost');
      if (calls++ !== lost) return run();
      isLost = true;
      if (isDone) await run();
      throw new Error('connection lost');
    };
    const calledOff = { enqueue: lose, delete: lose, list: lose, counts: lose, pause: lose, get: lose };
    const from = around(stores.from, calledOff);
    const to = around(stores.to, calledOff);
    try {
      await drain(stores, { from, to, pageSize: 2 });
      return 'ended';
    } catch (error) {
      expect(isWorkError(error, 'JOB_BACKEND_UNAVAILABLE')).toBe(true);
      return 'lost';
    }
  }

  it.each([false, true])('ends the same when it is run again (call done: %s)', async (isDone) => {
    let lost = 0;
    for (let end: 'ended' | 'lost' = 'lost'; end === 'lost'; lost++) {
      const stores = new TwoStores();
      const ids = await stores.addMany(5);
      ids.push(await stores.add({ due: { inMs: hourMs }, unique: { key: 'user-1' } }));
      end = await lostAt(stores, lost, isDone);
      // Another one may be lost on the way, too.
      await lostAt(stores, Math.floor(lost / 2), isDone);

      const { left } = await drain(stores);
      expect({ lost, left }).toEqual({ lost, left: nothingLeft });
      expect(await stores.idsAt(stores.to)).toEqual(ids);
      expect(await stores.idsAt(stores.from)).toEqual([]);
    }
    // So many calls were lost in turn.
    expect(lost).toBeGreaterThan(15);
  });

  it('counts what was stored, but not deleted', async () => {
    const stores = new TwoStores();
    const ids = await stores.addMany(2);
    // It is compared as it is.
    ids.push(await stores.add({ payload: Uint8Array.of(0xc1) }));
    let isLost = false;
    const lost = (): Promise<never> => Promise.reject(new Error('connection lost'));
    const from = around(stores.from, {
      delete: () => ((isLost = true), lost()),
      counts: (run) => (isLost ? lost() : run()),
    });
    await expect(drain(stores, { from })).rejects.toThrow(
      'The job backend "memory" could not be reached: connection lost.',
    );
    // One of them has been run there since, and is kept.
    await stores.complete(await stores.claim(stores.to), stores.to, hourMs);

    expect(await drain(stores)).toMatchObject({ moved: 0, alreadyThere: 3, left: nothingLeft });
    expect(await stores.idsAt(stores.to, 'ready', 'completed')).toEqual(ids);
    expect(await stores.idsAt(stores.from)).toEqual([]);
  });

  it('ends between two pages when it is told to', async () => {
    const stores = new TwoStores();
    const ids = await stores.addMany(6);
    const stop = new AbortController();
    const reason = new Error('enough');
    const stopped = drain(stores, {
      signal: stop.signal,
      pageSize: 2,
      onProgress: () => stop.abort(reason),
    });
    await expect(stopped).rejects.toBe(reason);
    expect(await stores.idsAt(stores.from)).toEqual(ids.slice(2));
    expect(await stores.idsAt(stores.to)).toEqual(ids.slice(0, 2));

    expect(await drain(stores)).toMatchObject({ moved: 4, alreadyThere: 0 });
    await expect(drain(stores, { signal: stop.signal })).rejects.toBe(reason);
  });

  it.each<[when: string, opened: readonly string[]]>([
    ['open from', ['from']],
    ['open to', ['from', 'to']],
    ['look at to', ['from', 'to']],
  ])('pauses nothing any more where it is told to end as it begins: %s', async (when, opened) => {
    const stores = new TwoStores();
    await stores.add();
    const stop = new AbortController();
    const reason = new Error('enough');
    const calls: string[] = [];
    const at = (now: string): void => {
      if (now === when) stop.abort(reason);
    };
    const watched = (name: string, backend: JobBackend): JobBackend =>
      around(backend, {
        open: (run) => (calls.push(name), at(`open ${name}`), run()),
        counts: (run) => (at(`look at ${name}`), run()),
        pause: (run) => (calls.push('pause'), run()),
        close: (run) => (calls.push(`close ${name}`), run()),
      });
    const [from, to] = [watched('from', stores.from), watched('to', stores.to)];

    await expect(drain(stores, { from, to, signal: stop.signal })).rejects.toBe(reason);

    expect(calls).toEqual([...opened, ...opened.map((name) => `close ${name}`)]);
    expect(await stores.counts()).toMatchObject({ paused: false, ready: 1 });
  });

  it('ends while it waits when it is told to', async () => {
    const stores = new TwoStores();
    await stores.add();
    await stores.claim(stores.from, 2 * hourMs);
    const stop = new AbortController();
    const reason = new Error('enough');
    const ended = drain(stores, { wait: Infinity, signal: stop.signal }).catch((error: unknown) => error);
    await stores.clock.advance('1h');
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1);
    stop.abort(reason);
    expect(await ended).toBe(reason);
    expect(stores.clock.pending).toBe(0);
  });

  it('closes what it has opened where the other side does not open', async () => {
    const stores = new TwoStores();
    const calls: string[] = [];
    const from = around(stores.from, { close: (run) => (calls.push('from'), run()) });
    const to = around(stores.to, {
      open: () => Promise.reject(new Error('ECONNREFUSED')),
      close: () => (calls.push('to'), Promise.reject(new Error('was not open'))),
    });
    await expect(drain(stores, { from, to })).rejects.toThrow(
      'The job backend "memory" could not be opened: ECONNREFUSED.',
    );
    expect(calls).toEqual(['from', 'to']);
    expect(await stores.counts()).toMatchObject({ paused: false });
  });
});

describe('what a drain leaves', () => {
  it('leaves a job whose unique key is held at the target', async () => {
    const stores = new TwoStores();
    const holder = await stores.add({ unique: { key: 'user-1' } }, stores.to);
    const held = await stores.add({ unique: { key: 'user-1' } });
    const free = await stores.add({ unique: { key: 'user-2' } });

    expect(await drain(stores)).toMatchObject({
      moved: 1,
      left: { ...nothingLeft, duplicate: 1 },
      leftJobs: [{ id: held, why: 'duplicate', reason: `job ${holder} holds its unique key at the target` }],
    });
    expect(await stores.idsAt(stores.from)).toEqual([held]);

    await stores.complete(await stores.claim(stores.to), stores.to);
    expect(await drain(stores)).toMatchObject({ moved: 1, left: nothingLeft });
    expect(await stores.idsAt(stores.to)).toEqual([held, free]);
  });

  it('moves such a job without its key where that is asked for', async () => {
    const stores = new TwoStores();
    await stores.add({ unique: { key: 'user-1' } }, stores.to);
    const held = await stores.add({ unique: { key: 'user-1' }, limitKey: 'tenant-1' });

    expect(await drain(stores, { duplicates: true })).toMatchObject({ moved: 1, left: nothingLeft });
    expect(await stores.stored(held)).toMatchObject({ limitKey: 'tenant-1', uniqueKey: undefined });
  });

  it('leaves a payload that it cannot read, and one that would be another', async () => {
    const stores = new TwoStores();
    const payloads: readonly (readonly [unknown, Uint8Array])[] = [
      ['nonsense', Uint8Array.of(0xc1)],
      ['date', msgpackCodec.encode({ at: new Date() })!],
      ['bytes', msgpackCodec.encode(Uint8Array.of(1, 2))!],
      ['number', msgpackCodec.encode({ rate: Number.NaN })!],
      ['plain', msgpackCodec.encode({ to: 'ann', tags: [1, null, { a: 1.5 }] })!],
    ];
    for (const [id, payload] of payloads) await stores.add({ id: String(id), payload });
    const before = await stores.from.get(queue, ['nonsense', 'date', 'bytes', 'number']);

    const { moved, left, leftJobs } = await drain(stores, { toFormat: 'json' });

    expect({ moved, left }).toEqual({ moved: 1, left: { ...nothingLeft, unreadable: 4 } });
    const another =
      'its payload would be another one in json: give the queue the format msgpack at the target, too';
    expect(leftJobs.map(({ id, why, reason }) => [id, why, reason])).toEqual([
      ['bytes', 'unreadable', another],
      ['date', 'unreadable', another],
      [
        'nonsense',
        'unreadable',
        expect.stringMatching(/^its payload cannot be read as msgpack: ./) as string,
      ],
      ['number', 'unreadable', another],
    ]);
    expect(await stores.from.get(queue, ['nonsense', 'date', 'bytes', 'number'])).toEqual(before);
    const { payload } = await stores.stored('plain');
    expect(jsonCodec.decode(payload)).toEqual({ to: 'ann', tags: [1, null, { a: 1.5 }] });

    // As it says: in the same format all that is read by nobody on the way is moved as it is.
    expect(await drain(stores)).toMatchObject({ moved: 4, left: nothingLeft });
    expect((await stores.stored('date')).payload).toEqual(before[1]!.payload);
  });

  it('goes by the formats of the backends, and by codecs of users', async () => {
    const stores = new TwoStores();
    const id = await stores.add({ payload: new TextEncoder().encode('{"a":1}') });
    const from = around(stores.from, {}, { ...stores.from.capabilities, format: 'json' });
    expect(await drain(stores, { from })).toMatchObject({ moved: 1 });
    expect(msgpackCodec.decode((await stores.stored(id)).payload)).toEqual({ a: 1 });

    const secret = (bytes: Uint8Array | undefined): Uint8Array | undefined => bytes?.map((byte) => byte ^ 7);
    const sealed = {
      name: 'sealed',
      encode: (value: unknown) => secret(msgpackCodec.encode(value)),
      decode: (bytes: Uint8Array | undefined) => msgpackCodec.decode(secret(bytes)),
    };
    const another = await stores.add();
    await drain(stores, { toFormat: sealed });
    expect(sealed.decode((await stores.stored(another)).payload)).toBe(2);
  });

  it('leaves a record that its backend cannot read', async () => {
    const stores = new TwoStores();
    const id = await stores.add({ payload: undefined });
    const from = around(stores.from, {
      list: async (run) => {
        const { jobs, cursor } = await run();
        return {
          jobs: jobs.map((job) => Object.assign(job, { createdAt: 0, lastError: 'It is no job.' })),
          cursor,
        };
      },
    });
    expect(await drain(stores, { from })).toMatchObject({
      moved: 0,
      leftJobs: [{ id, why: 'unreadable', reason: 'its payload is not to be had: It is no job.' }],
    });
    expect(await stores.idsAt(stores.from)).toEqual([id]);
  });

  it('leaves a job that the target does not take, and moves those beside it', async () => {
    const stores = new TwoStores();
    const ids = await stores.addMany(5);
    const to = around(stores.to, {
      enqueue: (run, [jobs]) =>
        jobs.some(({ id }) => id === ids[2]) ? Promise.reject(new Error('it is too large')) : run(),
    });
    expect(await drain(stores, { to })).toMatchObject({
      moved: 4,
      left: { ...nothingLeft, refused: 1 },
      leftJobs: [{ id: ids[2], why: 'refused', reason: 'it is too large' }],
    });
    expect(await stores.idsAt(stores.from)).toEqual([ids[2]]);
    expect(await stores.idsAt(stores.to)).toEqual(ids.toSpliced(2, 1));
  });

  it('leaves a job whose id another one has', async () => {
    const stores = new TwoStores();
    const payload = msgpackCodec.encode('one');
    await stores.add({ id: 'elsewhere', queue: 'texts', payload }, stores.to);
    await stores.add({ id: 'payload', payload }, stores.to);
    await stores.add({ id: 'name', name: 'one', payload }, stores.to);
    await stores.add({ id: 'same', payload }, stores.to);
    await stores.add({ id: 'elsewhere', payload });
    await stores.add({ id: 'payload', payload: msgpackCodec.encode('another') });
    await stores.add({ id: 'name', name: 'another', payload });
    await stores.add({ id: 'same', payload });

    const { moved, alreadyThere, left, leftJobs } = await drain(stores);

    expect({ moved, alreadyThere }).toEqual({ moved: 0, alreadyThere: 1 });
    expect(left).toEqual({ ...nothingLeft, refused: 3 });
    expect(leftJobs.map(({ id, reason }) => [id, reason])).toEqual([
      ['elsewhere', 'a job of its id is in another queue there, or has ended there this moment'],
      ['name', 'another job has its id there'],
      ['payload', 'another job has its id there'],
    ]);
    expect(await stores.idsAt(stores.from)).toEqual(['elsewhere', 'name', 'payload']);
  });

  it('tells of a job that is at the target, but cannot be deleted', async () => {
    const stores = new TwoStores();
    const ids = await stores.addMany(3);
    const from = around(stores.from, {
      delete: (run, [, some]) =>
        some.includes(ids[1]!) ? Promise.reject(new Error('it belongs to a scheduler')) : run(),
    });
    expect(await drain(stores, { from })).toEqual({
      queue,
      moved: 2,
      alreadyThere: 0,
      left: { ...nothingLeft, undeleted: 1 },
      leftJobs: [{ id: ids[1], why: 'undeleted', reason: 'it belongs to a scheduler' }],
    });
    expect(await stores.idsAt(stores.from)).toEqual([ids[1]]);
    expect(await stores.idsAt(stores.to)).toEqual(ids);
  });

  it('tells where somebody still enqueues at the source, and does not go on for ever', async () => {
    const stores = new TwoStores();
    await stores.add();
    const counts = around(stores.from, {
      // Just as it has looked through everything.
      counts: async (run) => (await stores.add(), run()),
    });
    const { moved, left } = await drain(stores, { from: counts });
    expect(moved).toBeGreaterThan(1);
    expect(moved).toBeLessThan(20);
    expect(left.late).toBeGreaterThan(0);
    expect(await stores.counts()).toMatchObject({ ready: left.late });
  });

  it('names 100 jobs of those that it leaves, and counts all', async () => {
    const stores = new TwoStores();
    for (let at = 0; at < 250; at++) await stores.add({ payload: Uint8Array.of(0xc1) });
    await stores.addMany(250);
    const { moved, left, leftJobs } = await drain(stores, { toFormat: 'json' });
    expect({ moved, left }).toEqual({ moved: 250, left: { ...nothingLeft, unreadable: 250 } });
    expect(new Set(leftJobs.map(({ id }) => id)).size).toBe(100);
  });
});

describe('pages of a drain', () => {
  const listAll = async (backend: JobBackend, state: ListOptions['state']): Promise<readonly StoredJob[]> =>
    (await backend.list(queue, { state, limit: 100_000 })).jobs;

  /** Two in three of them can be moved. */
  async function someUnreadable(stores: TwoStores): Promise<void> {
    for (let at = 0; at < 90; at++) {
      await stores.add(at % 3 === 1 ? { payload: Uint8Array.of(0xc1) } : {});
    }
  }

  it('go by where a page ended, though jobs go and others stay', async () => {
    const stores = new TwoStores();
    await someUnreadable(stores);
    // The cursor is the last job of the page: where that is gone, the list begins anew.
    let listed = 0;
    const from = around(stores.from, {
      list: async (_, [, { state, cursor, limit }]) => {
        const all = await listAll(stores.from, state);
        const first = all.findIndex(({ id }) => id === cursor) + 1;
        const jobs = all.slice(first, first + limit);
        listed += jobs.length;
        return { jobs, cursor: first + jobs.length < all.length ? jobs.at(-1)!.id : undefined };
      },
    });
    expect(await drain(stores, { from, toFormat: 'json', pageSize: 7 })).toMatchObject({
      moved: 60,
      left: { ...nothingLeft, unreadable: 30 },
    });
    // Each of them once, and once more those that were left.
    expect(listed).toBe(90 + 30);
  });

  it('are gone through again where jobs were passed over', async () => {
    const stores = new TwoStores();
    await someUnreadable(stores);
    // The cursor is how many there were before: what goes moves up those behind it.
    const from = around(stores.from, {
      list: async (_, [, { state, cursor, limit }]) => {
        const all = await listAll(stores.from, state);
        const first = Number(cursor ?? 0);
        const end = first + limit;
        return { jobs: all.slice(first, end), cursor: end < all.length ? String(end) : undefined };
      },
    });
    expect(await drain(stores, { from, toFormat: 'json', pageSize: 7 })).toMatchObject({
      moved: 60,
      left: { ...nothingLeft, unreadable: 30 },
    });
  });

  it('are all that is held of 10,000 jobs', async () => {
    const many = 10_000;
    const pageSize = 100;
    const stores = new TwoStores();
    const text = 'x'.repeat(10_000);
    let stored = 0;
    let deleted = 0;
    let before = 0;
    let most = 0;
    const held = (): number => heapUsed() + process.memoryUsage().arrayBuffers;
    const jobAt = (at: number): StoredJob => ({
      id: `job-${at}`,
      queue,
      name: '',
      state: 'ready',
      payload: msgpackCodec.encode({ at, text }),
      priority: 0,
      createdAt: 1,
      dueAt: 1,
      failures: 0,
      deaths: 0,
      history: [],
    });
    // As many as there are, and none of them kept.
    const from = around(stores.from, {
      list: (run, [, { state, cursor }]) => {
        if (state !== 'ready' || deleted === many) return run();
        const first = Number(cursor ?? 0);
        const jobs = Array.from({ length: pageSize }, (__, at) => jobAt(first + at));
        return Promise.resolve({
          jobs,
          cursor: first + pageSize < many ? String(first + pageSize) : undefined,
        });
      },
      delete: async (_, [, ids]) => {
        deleted += ids.length;
        return [];
      },
    });
    const to = around(stores.to, {
      enqueue: async (_, [jobs]) => {
        stored += jobs.length;
        if (stored === 1_000) before = held();
        if (stored % 1_000 === 0) most = Math.max(most, held());
        return jobs.map(({ id }) => ({ kind: 'enqueued', id }));
      },
    });

    const { moved } = await drain(stores, { from, to, toFormat: 'json', pageSize });

    expect({ moved, stored, deleted }).toEqual({ moved: many, stored: many, deleted: many });
    // All of them are 100 MB.
    expect(most - before).toBeLessThan(5_000_000);
  });
});

describe('a dry run', () => {
  it('changes nothing, and tells what would become of the jobs', async () => {
    const stores = new TwoStores();
    const there = await stores.add();
    await stores.add({ id: there, payload: msgpackCodec.encode(1) }, stores.to);
    await stores.add({ payload: Uint8Array.of(0xc1) });
    await stores.add({ due: { inMs: hourMs } });
    const running = await stores.add({ due: { at: 0 } });
    await stores.claim();
    const before = await stores.idsAt(stores.from, 'ready', 'scheduled', 'active');

    expect(await drain(stores, { dryRun: true, toFormat: 'json', wait: '1h' })).toMatchObject({
      moved: 1,
      alreadyThere: 0,
      left: { ...nothingLeft, active: 1, unreadable: 1, refused: 1 },
    });
    expect(await drain(stores, { dryRun: true, wait: '1h' })).toMatchObject({
      moved: 2,
      alreadyThere: 1,
      left: { ...nothingLeft, active: 1 },
    });
    expect(await stores.idsAt(stores.from, 'ready', 'scheduled', 'active')).toEqual(before);
    expect(before).toContain(running);
    expect(await stores.counts()).toMatchObject({ paused: false });
    expect(await stores.idsAt(stores.to)).toEqual([there]);
  });
});

describe('a drain refuses', () => {
  it('one store on both sides, which goes on as it was', async () => {
    const stores = new TwoStores();
    const ids = await stores.addMany(3);
    await expect(drain(stores, { to: stores.from })).rejects.toThrow(
      `Option "to" of drainJobs() is 'memory', but accepted is another backend than "from".`,
    );
    // Two backends on one store.
    await expect(drain(stores, { to: around(stores.from, {}) })).rejects.toThrow(
      `accepted is another store than "from": pausing queue "${queue}" there paused it here.`,
    );
    expect(await stores.counts()).toMatchObject({ paused: false, ready: 3 });
    expect(await stores.idsAt(stores.from)).toEqual(ids);
  });

  it.each([false, true])(
    'a queue that is paused at the target, and has done nothing (dry run: %s)',
    async (dryRun) => {
      const stores = new TwoStores();
      await stores.add();
      await stores.to.pause(queue, true);
      await expect(drain(stores, { dryRun })).rejects.toThrow(
        `a backend in which queue "${queue}" is not paused. Resume`,
      );
      expect(await stores.counts()).toMatchObject({ paused: false, ready: 1 });
    },
  );

  const from = new MemoryJobBackend();
  const to = new MemoryJobBackend();
  const least: DrainJobsOptions = { from, to, queues: [queue] };
  it.each<[what: string, options: object, message: RegExp]>([
    ['no options', undefined as unknown as object, /^Option "options" of drainJobs\(\) is undefined/],
    ['a source that is none', { ...least, from: {} }, /^Option "from" .* accepted is a JobBackend\. Give/],
    ['a class', { ...least, to: MemoryJobBackend }, /^Option "to" .* accepted is a JobBackend\. Give/],
    ['no queues', { ...least, queues: [] }, /^Option "queues" .* is \[\], but accepted is one or more/],
    ['one name', { ...least, queues: queue }, /^Option "queues" .* is 'emails'/],
    ['an empty name', { ...least, queues: [' '] }, /^Option "queues"/],
    ['an unknown format', { ...least, fromFormat: 'xml' }, /^Option "fromFormat" .* 'msgpack', 'json', 'byt/],
    ['half a codec', { ...least, toFormat: { encode: () => {} } }, /^Option "toFormat"/],
    ['no duration', { ...least, wait: 'soon' }, /^Option "wait" .* is 'soon'/],
    ['no page size', { ...least, pageSize: 0 }, /^Option "pageSize"/],
    ['no flag', { ...least, dead: 'yes' }, /^Option "dead"/],
    ['no function', { ...least, onProgress: true }, /^Option "onProgress" .* accepted is a function/],
    [
      'a controller',
      { ...least, signal: new AbortController() },
      /^Option "signal" .* is an AbortSignal, with/,
    ],
    ['no signal', { ...least, signal: null }, /^Option "signal" .* is null/],
    ['half a clock', { ...least, clock: { now: () => 0 } }, /^Option "clock" .* a Clock, with now\(\), mono/],
    ['a time', { ...least, clock: Date.now() }, /^Option "clock"/],
    ['an unknown option', { ...least, queue }, /^Option "queue" .* one of the options from, to, queues/],
  ])('%s', async (_, options, message) => {
    const error: unknown = await drainJobs(options as DrainJobsOptions).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect((error as Error).message).toMatch(message);
  });
});
