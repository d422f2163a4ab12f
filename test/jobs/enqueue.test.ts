import type { EnqueuedJob, EnqueueError } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { fakeJobQueue, never, rejectionOf } from '../support/fake-job-queue.js';
import { signal } from '../support/nest.js';

const uuidV7 = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

const manyAtOnce = (count: number, enqueue: (index: number) => Promise<EnqueuedJob>) =>
  Promise.all(Array.from({ length: count }, (_, index) => enqueue(index)));

describe('enqueue()', () => {
  it('stores a job, and answers its id', async () => {
    const { queue, clock } = fakeJobQueue();
    const { id, status } = await queue.enqueue({ to: 'a@example.com' });
    expect(status).toBe('enqueued');
    expect(id).toMatch(uuidV7);
    expect(await queue.get(id)).toMatchObject({
      id,
      queue: 'emails',
      name: '',
      state: 'ready',
      payload: { to: 'a@example.com' },
      priority: 0,
      createdAt: clock.now(),
      dueAt: clock.now(),
      failures: 0,
    });
  });

  it('makes ids that grow, also within a millisecond, so that the order is kept', async () => {
    const { queue } = fakeJobQueue();
    const ids = (await manyAtOnce(1_000, (index) => queue.enqueue(index))).map(({ id }) => id);
    expect(new Set(ids).size).toBe(1_000);
    expect(ids.toSorted()).toEqual(ids);
  });

  it('carries all that it is told', async () => {
    const { queue, clock } = fakeJobQueue();
    await queue.enqueue(1, {
      id: 'order:42.A_b-c',
      name: 'welcome',
      delay: '10s',
      priority: -5,
      unique: { key: 'welcome:42', ttl: '1h' },
      limitKey: 'tenant-7',
      headers: { traceparent: '00-1' },
    });
    expect(await queue.get('order:42.A_b-c')).toMatchObject({
      name: 'welcome',
      state: 'scheduled',
      dueAt: clock.now() + 10_000,
      priority: -5,
      uniqueKey: 'welcome:42',
      limitKey: 'tenant-7',
      headers: { traceparent: '00-1' },
    });
  });

  it('takes a time of day instead of a delay', async () => {
    const { queue, clock } = fakeJobQueue();
    const { id } = await queue.enqueue(1, { notBefore: new Date(clock.now() + 90_000) });
    expect(await queue.get(id)).toMatchObject({ state: 'scheduled', dueAt: clock.now() + 90_000 });
  });

  it.each([
    ['an empty one', ''],
    ['a slash', 'a/b'],
    ['a space', 'a b'],
    ['braces', '{a}'],
    ['a line break at its end', 'a\n'],
    ['an umlaut', 'ä'],
    ['201 characters', 'x'.repeat(201)],
    ['a number', 7],
  ])('refuses an id with %s, and stores nothing', async (_what, id) => {
    const { queue, backend } = fakeJobQueue();
    const error = await rejectionOf(queue.enqueue(1, { id: id as string }));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'id' });
    expect(backend.batches).toEqual([]);
  });

  it('takes an id of 200 characters', async () => {
    const { queue } = fakeJobQueue();
    expect(await queue.enqueue(1, { id: 'x'.repeat(200) })).toMatchObject({ status: 'enqueued' });
  });

  it.each<[string, string, object]>([
    ['a name that is empty', 'name', { name: '' }],
    ['a name that is no text', 'name', { name: 5 }],
    ['a delay that is none', 'delay', { delay: 'soon' }],
    ['a negative delay', 'delay', { delay: -1 }],
    ['an endless delay', 'delay', { delay: Infinity }],
    ['a time that is none', 'notBefore', { notBefore: new Date(Number.NaN) }],
    ['a time as a number', 'notBefore', { notBefore: 5 }],
    ['a delay beside a time', 'delay', { notBefore: new Date(), delay: 1 }],
    ['a broken priority', 'priority', { priority: 0.5 }],
    ['a priority that is too high', 'priority', { priority: 101 }],
    ['a unique key by itself', 'unique', { unique: 'welcome' }],
    ['no unique key', 'unique.key', { unique: { ttl: '1h' } }],
    ['an empty unique key', 'unique.key', { unique: { key: '' } }],
    ['a unique key that holds for no time', 'unique.ttl', { unique: { key: 'a', ttl: 0 } }],
    ['something else about a unique key', 'unique.window', { unique: { key: 'a', window: 5 } }],
    ['an empty limitKey', 'limitKey', { limitKey: '' }],
    ['a header that is no text', 'headers', { headers: { attempt: 1 } }],
    ['headers in a list', 'headers', { headers: ['a'] }],
    ['no time at all', 'timeout', { timeout: 0 }],
    ['a name with half a character', 'name', { name: 'a\ud800' }],
    ['a limitKey with half a character', 'limitKey', { limitKey: '\udc00' }],
    ['a unique key with half a character', 'unique.key', { unique: { key: 'a\ud83db' } }],
    ['a header with half a character', 'headers', { headers: { tenant: '\ud800' } }],
    ['the name of a header with half a character', 'headers', { headers: { '\ud800': 'x' } }],
    ['a delay whose end no Date can hold', 'delay', { delay: 8.64e15 }],
    [
      'a unique key that holds for longer than can be counted',
      'unique.ttl',
      { unique: { key: 'a', ttl: 1e21 } },
    ],
    ['an option that there is not', 'attempts', { attempts: 3 }],
    ['no object', 'options', 'tomorrow' as never],
  ])('refuses %s', async (_what, option, options) => {
    const { queue, backend } = fakeJobQueue();
    const error = await rejectionOf(queue.enqueue(1, options));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option });
    expect(error.message).toContain('a job of queue "emails"');
    expect(backend.batches).toEqual([]);
  });

  it('takes all characters that are whole, and the longest times', async () => {
    const { queue } = fakeJobQueue();
    const name = 'w\u{1f44b}\u0000ü';
    const options = {
      name,
      limitKey: name,
      unique: { key: name, ttl: 2 ** 53 - 1 },
      headers: { [name]: name },
    };
    const { id } = await queue.enqueue(1, { ...options, delay: 4.32e15 });
    expect(await queue.get(id)).toMatchObject({
      name,
      limitKey: name,
      uniqueKey: name,
      headers: { [name]: name },
    });
  });

  it('refuses a priority where the backend has none', async () => {
    const { queue, backend } = fakeJobQueue();
    Object.assign(backend.capabilities, { priority: false });
    const error = await rejectionOf(queue.enqueue(1, { priority: 1 }));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'priority' });
    expect(await queue.enqueue(1, { priority: 0 })).toMatchObject({ status: 'enqueued' });
  });

  it('stores an id once', async () => {
    const { queue } = fakeJobQueue();
    await queue.enqueue('first', { id: 'a' });
    expect(await queue.enqueue('second', { id: 'a' })).toEqual({ id: 'a', status: 'exists' });
    expect(await queue.get('a')).toMatchObject({ payload: 'first' });
  });

  it('answers a duplicate with the id of the job that holds the key', async () => {
    const { queue } = fakeJobQueue();
    const first = await queue.enqueue(1, { unique: { key: 'welcome:42' } });
    expect(await queue.enqueue(2, { unique: { key: 'welcome:42' } })).toEqual({
      id: first.id,
      status: 'duplicate',
    });
    expect(await queue.counts()).toMatchObject({ ready: 1 });
  });

  it('counts what became of jobs', async () => {
    const { queue, backend } = fakeJobQueue();
    await queue.enqueue(1, { id: 'a' });
    await queue.enqueue(1, { id: 'a' });
    backend.hold = () => Promise.reject(new Error('gone'));
    await rejectionOf(queue.enqueue(1));
    expect(queue.tally).toEqual({ enqueued: 1, duplicates: 1, failed: 1 });
  });
});

describe('jobs that are enqueued at one moment', () => {
  it('go to the backend in one call, in order, and each is answered for itself', async () => {
    const { queue, backend } = fakeJobQueue();
    const answers = await manyAtOnce(100, (index) => queue.enqueue(index, { id: `job-${index % 99}` }));
    expect(backend.batches).toHaveLength(1);
    expect(backend.batches[0]!.slice(0, 3)).toEqual(['job-0', 'job-1', 'job-2']);
    expect(answers.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 99 }, () => 'enqueued'),
      'exists',
    ]);
    expect(answers[99]).toEqual({ id: 'job-0', status: 'exists' });
  });

  it('go together again when each is enqueued upon the answer of another', async () => {
    const { queue, backend } = fakeJobQueue();
    const oneAfterTheOther = async (): Promise<void> => {
      for (let round = 0; round < 10; round++) await queue.enqueue(round);
    };
    await Promise.all(Array.from({ length: 50 }, oneAfterTheOther));
    expect(backend.batches.map((batch) => batch.length)).toEqual(Array.from({ length: 10 }, () => 50));
  });

  it('do not wait for one another when one is refused', async () => {
    const { queue, backend } = fakeJobQueue();
    const [refused, stored] = await Promise.allSettled([
      queue.enqueue(1, { id: ' ' }),
      queue.enqueue(2, { id: 'b' }),
    ]);
    expect(refused.status).toBe('rejected');
    expect(stored).toMatchObject({ status: 'fulfilled', value: { id: 'b', status: 'enqueued' } });
    expect(backend.batches).toEqual([['b']]);
  });

  it('are 500 in a call at most', async () => {
    const { queue, backend } = fakeJobQueue();
    await manyAtOnce(1_200, (index) => queue.enqueue(index));
    expect(backend.batches.map((batch) => batch.length)).toEqual([500, 500, 200]);
  });

  it('wait for a call to end once four are under way, and then go together', async () => {
    const { queue, backend, clock } = fakeJobQueue();
    const held = signal();
    backend.hold = () => held.promise;
    const all: Promise<unknown>[] = [];
    for (let moment = 0; moment < 10; moment++) {
      all.push(queue.enqueue(moment), queue.enqueue(moment));
      await clock.settle();
    }
    expect(backend.batches.map((batch) => batch.length)).toEqual([2, 2, 2, 2]);
    held.resolve();
    await Promise.all(all);
    expect(backend.batches.map((batch) => batch.length)).toEqual([2, 2, 2, 2, 12]);
    expect(backend.mostUnderWay).toBe(4);
    expect(clock.pending).toBe(0);
  });

  it('are found in the order in which they were enqueued', async () => {
    const { queue } = fakeJobQueue();
    await manyAtOnce(1_200, (index) => queue.enqueue(index));
    const { jobs } = await queue.list({ state: 'ready', limit: 1_000 });
    expect(jobs.map(({ payload }) => payload)).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
  });
});

describe('a backend that fails', () => {
  it('makes enqueue() reject with the id, which can be used again', async () => {
    const { queue, backend } = fakeJobQueue();
    backend.hold = () => Promise.reject(new Error('ECONNRESET'));
    const error = (await rejectionOf(queue.enqueue({ to: 'a' }))) as EnqueueError;
    expect(error).toMatchObject({ name: 'EnqueueError', code: 'JOB_ENQUEUE_FAILED', statusCode: 503 });
    expect(error.stored).toBe(0);
    expect(error.message).toContain('ECONNRESET');
    expect(error.message).not.toContain('..');
    backend.hold = undefined;
    expect(await queue.enqueue({ to: 'a' }, { id: error.id })).toEqual({ id: error.id, status: 'enqueued' });
  });

  it('tells each job of a call its own id', async () => {
    const { queue, backend } = fakeJobQueue();
    backend.hold = () => Promise.reject(new Error('gone'));
    const ends = await Promise.allSettled(['a', 'b', 'c'].map((id) => queue.enqueue(1, { id })));
    expect(ends.map((end) => (end.status === 'rejected' ? (end.reason as EnqueueError).ids : []))).toEqual([
      ['a'],
      ['b'],
      ['c'],
    ]);
  });

  it('that answers for fewer jobs than it was given is not believed', async () => {
    const { queue, backend } = fakeJobQueue();
    backend.hold = () => {
      backend.enqueue = () => Promise.resolve([]);
      return undefined;
    };
    await queue.enqueue(1);
    const error = await rejectionOf(queue.enqueue(1));
    expect(error).toMatchObject({ code: 'JOB_ENQUEUE_FAILED' });
    expect(error.message).toContain('0 answers for 1 job');
  });

  it('that never answers is given up on after enqueueTimeout', async () => {
    const { queue, backend, clock } = fakeJobQueue();
    backend.hold = never;
    const enqueued = rejectionOf(queue.enqueue(1, { id: 'a' }));
    await clock.advance('4999ms');
    expect(clock.pending).toBe(1);
    await clock.advance('1ms');
    expect(await enqueued).toMatchObject({ code: 'JOB_ENQUEUE_FAILED', ids: ['a'] });
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['of the queue', { enqueueTimeout: '1s' } as const, {}],
    ['of the call', {}, { timeout: '1s' } as const],
  ])('is given up on after a timeout %s', async (_whose, queueOptions, options) => {
    const { queue, backend, clock } = fakeJobQueue(queueOptions);
    backend.hold = never;
    const enqueued = rejectionOf(queue.enqueue(1, options));
    await clock.advance('1s');
    expect((await enqueued).message).toContain('1000 ms');
  });

  it('is given up on in time also by jobs that wait for their turn', async () => {
    const { queue, backend, clock } = fakeJobQueue();
    backend.hold = never;
    const ends: Promise<Error>[] = [];
    for (let moment = 0; moment < 6; moment++) {
      ends.push(rejectionOf(queue.enqueue(moment)));
      await clock.settle();
    }
    expect(backend.batches).toHaveLength(4);
    await clock.advance('5s');
    for (const end of ends) expect(await end).toMatchObject({ code: 'JOB_ENQUEUE_FAILED' });
    expect(clock.pending).toBe(0);
  });

  it('does not take the time of a job away that comes later', async () => {
    const { queue, backend, clock } = fakeJobQueue();
    const held = signal();
    backend.hold = () => held.promise;
    const first: Promise<Error>[] = [];
    for (let moment = 0; moment < 5; moment++) {
      first.push(rejectionOf(queue.enqueue(moment)));
      await clock.settle();
    }
    await clock.advance('4s');
    const late = queue.enqueue('late');
    await clock.advance('1s');
    await Promise.all(first);
    held.resolve();
    expect(await late).toMatchObject({ status: 'enqueued' });
  });

  it('that cannot be opened is tried again: enqueue() waits for it', async () => {
    let opens = 0;
    const { queue, clock } = fakeJobQueue({}, {}, (method) =>
      method === 'open' && ++opens < 4 ? Promise.reject(new Error('ECONNREFUSED')) : undefined,
    );
    const enqueued = queue.enqueue(1);
    await clock.advance('4s');
    expect(await enqueued).toMatchObject({ status: 'enqueued' });
    expect(opens).toBe(4);
  });

  it('that can never be opened is waited for no longer than enqueueTimeout', async () => {
    const { queue, clock, registry } = fakeJobQueue({}, {}, (method) =>
      method === 'open' ? Promise.reject(new Error('ECONNREFUSED')) : undefined,
    );
    const enqueued = rejectionOf(queue.enqueue(1));
    await clock.advance('5s');
    const error = await enqueued;
    expect(error).toMatchObject({ code: 'JOB_ENQUEUE_FAILED' });
    expect(error.message).toContain('ECONNREFUSED');
    await registry.close();
    expect(clock.pending).toBe(0);
  });
});

describe('headers', () => {
  it('are added by whoever provides them, under those of the call', async () => {
    const { queue, registry } = fakeJobQueue();
    registry.headerProviders.push(
      () => ({ traceparent: 'theirs', tenant: 'acme' }),
      () => undefined,
    );
    await queue.enqueue(1, { id: 'a', headers: { traceparent: 'mine' } });
    await queue.enqueue(1, { id: 'b' });
    expect((await queue.get('a'))?.headers).toEqual({ traceparent: 'mine', tenant: 'acme' });
    expect((await queue.get('b'))?.headers).toEqual({ traceparent: 'theirs', tenant: 'acme' });
  });

  it('that cannot be provided leave the job alone', async () => {
    const { queue, registry, pool, logger } = fakeJobQueue();
    registry.headerProviders.push(() => {
      throw new Error('no context');
    });
    expect(await queue.enqueue(1)).toMatchObject({ status: 'enqueued' });
    expect(pool.snapshot().isolatedErrors).toBe(1);
    expect(logger.messages('error').join()).toContain('adding headers to a job');
  });
});

describe('what is around enqueueing', () => {
  it('is around each call, whatever the number of its jobs, and around their headers', async () => {
    const { queue, registry, backend } = fakeJobQueue({ schema: z.number() });
    const steps: unknown[] = [];
    for (const name of ['outer', 'inner']) {
      registry.aroundEnqueueing.push(async (call, run) => {
        steps.push([name, call]);
        try {
          return await run();
        } finally {
          steps.push(name);
        }
      });
    }
    registry.headerProviders.push(() => void steps.push('headers'));
    const around = (call: object, ...inside: string[]): unknown[] => {
      const both = ['outer', 'inner'].map((name) => [name, { queue: 'emails', name: undefined, ...call }]);
      return [...both, ...inside, 'inner', 'outer'];
    };
    await queue.enqueue(1, { name: 'welcome' });
    expect(steps.splice(0)).toEqual(around({ name: 'welcome', many: false }, 'headers'));
    await queue.enqueueMany([1, 2], { name: 'welcome' });
    expect(steps.splice(0)).toEqual(around({ name: 'welcome', many: true }, 'headers', 'headers'));
    expect(backend.batches.map((batch) => batch.length)).toEqual([1, 2]);
    expect(await rejectionOf(queue.enqueue('x'))).toMatchObject({ code: 'JOB_PAYLOAD_INVALID' });
    expect(steps.splice(0)).toEqual(around({ many: false }));
  });
});

describe('the shutdown', () => {
  it('waits for what is being enqueued, and refuses what comes later', async () => {
    const { queue, backend, registry, clock } = fakeJobQueue();
    const held = signal();
    backend.hold = (method) => (method === 'enqueue' ? held.promise : undefined);
    const enqueued = queue.enqueue(1);
    const closed = registry.close();
    await clock.settle();
    expect(backend.calls.close).toBeUndefined();
    held.resolve();
    expect(await enqueued).toMatchObject({ status: 'enqueued' });
    await closed;
    expect(backend.calls.close).toBe(1);
    expect(await rejectionOf(queue.enqueue(1))).toMatchObject({ code: 'JOB_ENQUEUE_FAILED' });
  });
});
