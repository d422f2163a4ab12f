import type { JobState, JobView } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { fakeJobQueue, type FakeJobQueue, never, rejectionOf } from '../support/fake-job-queue.js';
import { plainEntry } from '../support/fake-jobs.js';
import { stateOf } from '../support/fake-queue.js';
import { signal } from '../support/nest.js';

/** Claims up to `count` jobs, as a consumer would. */
function claim({ backend }: FakeJobQueue<unknown>, count = 1) {
  const { signal: aborted } = new AbortController();
  return backend.claim('emails', { limit: count, prefetch: 0, leaseMs: 30_000, waitMs: 0, signal: aborted });
}

/** Makes `count` jobs dead. */
async function bury(fake: FakeJobQueue<unknown>, count: number, maxDead = 10_000): Promise<void> {
  await fake.queue.enqueueMany(Array.from({ length: count }, (_, index) => index));
  const jobs = await claim(fake, count);
  const why = { kind: 'dead', cause: 'discarded', failures: 1, error: 'no such address', maxDead } as const;
  await fake.backend.settle(
    'emails',
    jobs.map((job) => Object.assign({ job }, why)),
  );
}

const idsOf = (jobs: readonly JobView[]): string[] => jobs.map(({ id }) => id);

describe('get()', () => {
  it('answers undefined for what is not stored', async () => {
    expect(await fakeJobQueue().queue.get('nobody')).toBeUndefined();
  });

  it('shows a payload that cannot be read as such, and does not throw', async () => {
    const { queue, backend } = fakeJobQueue({ format: 'json' });
    const job = { queue: 'emails', name: '', priority: 0, due: { inMs: 0 } };
    await backend.enqueue([{ ...job, id: 'a', payload: Buffer.from('{ no json') }]);
    const view = await queue.get('a');
    expect(view).toMatchObject({ id: 'a', payload: undefined });
    expect(view?.payloadError).toMatch(/^It is no json: /);
    expect((await queue.list({ state: 'ready' })).jobs).toHaveLength(1);
  });

  it('shows what it returned, how far it was, and its history', async () => {
    const fake = fakeJobQueue();
    const { queue, backend } = fake;
    await queue.enqueue(1, { id: 'a' });
    const bytes = (value: unknown) => queue.options.consumer.codec.encode(value)!;
    const [first] = await claim(fake);
    await backend.extend('emails', [{ job: first!, leaseMs: 30_000, progress: bytes({ done: 0.5 }) }]);
    expect(await queue.get('a')).toMatchObject({ state: 'active', progress: { done: 0.5 } });
    const attempt = { attempt: 1, startedAt: 1, endedAt: 2, outcome: 'failed', error: 'boom' } as const;
    await backend.settle('emails', [{ job: first!, kind: 'scheduled', delayMs: 0, failures: 1, attempt }]);
    const [second] = await claim(fake);
    await backend.settle('emails', [
      { job: second!, kind: 'completed', result: bytes('sent'), keepMs: 1_000 },
    ]);
    expect(await queue.get('a')).toMatchObject({
      state: 'completed',
      result: 'sent',
      history: [attempt],
      failures: 1,
      lastError: 'boom',
    });
  });

  it('rejects where the backend fails, or does not answer within callTimeout', async () => {
    const { queue, backend, clock } = fakeJobQueue({ callTimeout: '3s' });
    backend.hold = () => Promise.reject(new Error('gone'));
    expect(await rejectionOf(queue.get('a'))).toMatchObject({
      code: 'JOB_BACKEND_UNAVAILABLE',
      statusCode: 503,
    });
    backend.hold = never;
    const got = rejectionOf(queue.get('a'));
    await clock.advance('3s');
    expect((await got).message).toContain('within 3000 ms');
    expect(clock.pending).toBe(0);
  });
});

describe('list()', () => {
  it('goes through all jobs of a state, page by page', async () => {
    const { queue } = fakeJobQueue();
    await queue.enqueueMany(Array.from({ length: 25 }, (_, index) => index));
    await queue.enqueue('later', { delay: '1h' });
    const seen: unknown[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = await queue.list({ state: 'ready', limit: 10, cursor });
      seen.push(...page.jobs.map(({ payload }) => payload));
      cursor = page.cursor;
      pages++;
    } while (cursor !== undefined);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => index));
    expect(pages).toBe(3);
    expect((await queue.list({ state: 'scheduled' })).jobs).toMatchObject([{ payload: 'later' }]);
  });

  it('gives a hundred at a time where nothing is said', async () => {
    const { queue } = fakeJobQueue();
    await queue.enqueueMany(Array.from({ length: 101 }, (_, index) => index));
    expect((await queue.list({ state: 'ready' })).jobs).toHaveLength(100);
  });

  it.each<[string, object]>([
    ['state', { state: 'running' }],
    ['state', {}],
    ['limit', { state: 'dead', limit: 0 }],
    ['limit', { state: 'dead', limit: 1_001 }],
    ['page', { state: 'dead', page: 2 }],
  ])('refuses %s where it cannot be meant: %j', async (option, options) => {
    const { queue } = fakeJobQueue();
    expect(await rejectionOf(queue.list(options as never))).toMatchObject({ code: 'INVALID_OPTION', option });
  });

  it('passes on that a cursor is none', async () => {
    const { queue } = fakeJobQueue();
    const error = await rejectionOf(queue.list({ state: 'ready', cursor: 'made up' }));
    expect(error).toMatchObject({ code: 'JOB_CURSOR_INVALID' });
  });
});

describe('delete() and retry()', () => {
  it('answer for each job', async () => {
    const fake = fakeJobQueue();
    const { queue } = fake;
    await queue.enqueue(1, { id: 'running' });
    await claim(fake);
    await queue.enqueue(1, { id: 'ready' });
    await queue.enqueue(1, { id: 'later', delay: '1h' });
    expect(await queue.retry(['running', 'ready', 'later', 'nobody'])).toEqual([
      'active',
      'ready',
      'retried',
      'unknown',
    ]);
    expect(await queue.delete(['running', 'nobody', 'later'])).toEqual(['active', 'unknown', 'deleted']);
    expect(await queue.counts()).toMatchObject({ ready: 1, active: 0, scheduled: 0 });
  });

  it('take any number, in several calls', async () => {
    const { queue, backend } = fakeJobQueue();
    const stored = await queue.enqueueMany(Array.from({ length: 1_200 }, (_, index) => index));
    const answers = await queue.delete(stored.map(({ id }) => id));
    expect(answers).toEqual(Array.from({ length: 1_200 }, () => 'deleted'));
    expect(backend.calls.delete).toBe(3);
  });

  it.each(['a', undefined, [1], { a: 1 }])('refuse %j for ids', async (ids) => {
    const { queue } = fakeJobQueue();
    for (const call of [queue.delete(ids as never), queue.retry(ids as never)]) {
      expect(await rejectionOf(call)).toMatchObject({ code: 'INVALID_OPTION', option: 'ids' });
    }
  });
});

describe('cancel()', () => {
  it('ends what has not ended, and answers for each', async () => {
    const fake = fakeJobQueue();
    const { queue, clock } = fake;
    await bury(fake, 1);
    const [buried] = (await queue.list({ state: 'dead' })).jobs;
    await queue.enqueue(1, { id: 'running', unique: { key: 'one' } });
    await claim(fake);
    await queue.enqueue(1, { id: 'ready' });
    await queue.enqueue(1, { id: 'later', delay: '1d' });
    const ids = ['running', 'ready', 'later', buried!.id, 'nobody', 'ready'];
    expect(await queue.cancel(ids)).toEqual([
      'active',
      'cancelled',
      'cancelled',
      'ended',
      'unknown',
      'ended',
    ]);
    expect(await queue.counts()).toMatchObject({ ready: 0, active: 0, scheduled: 0, dead: 1 });
    for (const id of ['running', 'ready', 'later']) {
      expect(await queue.get(id)).toMatchObject({
        state: 'cancelled',
        endedAt: clock.now(),
        lastError: 'Cancelled by a call of cancel().',
        history: id === 'running' ? [{ attempt: 1, outcome: 'cancelled' }] : [],
      });
    }
    expect(await queue.enqueue(1, { unique: { key: 'one' } })).toMatchObject({ status: 'enqueued' });
    expect(await queue.retry(['ready'])).toEqual(['ended']);
  });

  it('keeps them for an hour', async () => {
    const { queue, clock } = fakeJobQueue();
    await queue.enqueue(1, { id: 'a' });
    await queue.cancel(['a']);
    await clock.advance(3_599_999);
    expect(await queue.get('a')).toMatchObject({ state: 'cancelled' });
    await clock.advance(1);
    expect(await queue.get('a')).toBeUndefined();
  });

  it('keeps them for as long as a handler of the queue keeps what it cancels, where that is longer', async () => {
    const { queue, clock } = fakeJobQueue();
    for (const [name, keepCancelledMs] of [
      ['short', 0],
      ['long', 7_200_000],
    ] as const) {
      queue.handlers.set(name, { ...plainEntry, name, keepCancelledMs, handle: async () => {} });
    }
    await queue.enqueue(1, { id: 'a', name: 'short' });
    await queue.cancel(['a']);
    await clock.advance(7_199_999);
    expect(await queue.get('a')).toMatchObject({ state: 'cancelled' });
    await clock.advance(1);
    expect(await queue.get('a')).toBeUndefined();
  });

  it('tells whoever waits for the job', async () => {
    const { queue, clock } = fakeJobQueue();
    const { id } = await queue.enqueue(1);
    const finished = rejectionOf(queue.waitUntilFinished(id, { timeout: '1m' }));
    await clock.advance(10);
    await queue.cancel([id]);
    await clock.advance('1s');
    expect((await finished).message).toContain('was cancelled: Cancelled by a call of cancel()');
  });

  it('takes any number, in several calls', async () => {
    const { queue, backend } = fakeJobQueue();
    const stored = await queue.enqueueMany(Array.from({ length: 1_200 }, (_, index) => index));
    const answers = await queue.cancel(stored.map(({ id }) => id));
    expect(answers).toEqual(Array.from({ length: 1_200 }, () => 'cancelled'));
    expect(backend.calls.cancel).toBe(3);
    expect(await queue.cancel([])).toEqual([]);
  });

  it.each(['a', undefined, [1], { a: 1 }])('refuses %j for ids', async (ids) => {
    const { queue } = fakeJobQueue();
    const error = await rejectionOf(queue.cancel(ids as never));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'ids' });
    expect(error.message).toContain('cancel() of job queue "emails"');
  });

  it('rejects where the backend fails', async () => {
    const { queue, backend } = fakeJobQueue();
    backend.hold = (method) => (method === 'cancel' ? Promise.reject(new Error('gone')) : undefined);
    const error = await rejectionOf(queue.cancel(['a']));
    expect(error).toMatchObject({ code: 'JOB_BACKEND_UNAVAILABLE' });
    expect(error.message).toContain('a cancel of jobs');
  });
});

describe('stored()', () => {
  it('answers what the backend has of each, undecoded', async () => {
    const { queue, backend } = fakeJobQueue({ format: 'json' });
    await queue.enqueue({ to: 'a' }, { id: 'a' });
    const [a, nobody, again, ...more] = await queue.stored(['a', 'nobody', 'a']);
    expect(a).toEqual((await backend.get('emails', ['a']))[0]);
    expect(Buffer.from(a!.payload!).toString()).toBe('{"to":"a"}');
    expect([nobody, again?.id, more]).toEqual([undefined, 'a', []]);
  });

  it('asks for any number, in several calls, in order', async () => {
    const { queue, backend } = fakeJobQueue();
    const ids = (await queue.enqueueMany(Array.from({ length: 1_100 }, (_, at) => at))).map(({ id }) => id);
    expect((await queue.stored(ids)).map((job) => job?.id)).toEqual(ids);
    expect(backend.calls.get).toBe(3);
  });

  it('refuses what are no ids, and rejects where the backend fails', async () => {
    const { queue, backend } = fakeJobQueue();
    expect(await rejectionOf(queue.stored('a' as never))).toMatchObject({ option: 'ids' });
    backend.hold = () => Promise.reject(new Error('gone'));
    const error = await rejectionOf(queue.stored(['a']));
    expect(error).toMatchObject({ code: 'JOB_BACKEND_UNAVAILABLE' });
    expect(error.message).toContain('a look at jobs');
  });
});

describe('redrive()', () => {
  it('retries all that is dead', async () => {
    const fake = fakeJobQueue();
    await bury(fake, 1_200);
    expect(await fake.queue.counts()).toMatchObject({ dead: 1_200, ready: 0 });
    expect(await fake.queue.redrive()).toBe(1_200);
    expect(await fake.queue.counts()).toMatchObject({ dead: 0, ready: 1_200 });
    expect(await fake.queue.redrive()).toBe(0);
  });

  it('retries no more than it is told', async () => {
    const fake = fakeJobQueue();
    await bury(fake, 20);
    expect(await fake.queue.redrive({ limit: 5 })).toBe(5);
    expect(await fake.queue.counts()).toMatchObject({ dead: 15, ready: 5 });
    expect(await fake.queue.redrive({ limit: 0 })).toBe(0);
  });

  it('ends, although what it retries dies again at once', async () => {
    const fake = fakeJobQueue();
    const { queue, backend } = fake;
    await bury(fake, 700);
    const retry = backend.retry.bind(backend);
    backend.retry = async (name, ids) => {
      const answers = await retry(name, ids);
      const jobs = await claim(fake, ids.length);
      await backend.settle(
        name,
        jobs.map((job) => ({
          job,
          kind: 'dead',
          cause: 'exhausted',
          failures: 1,
          error: 'again',
          maxDead: 10_000,
        })),
      );
      return answers;
    };
    expect(await queue.redrive()).toBe(700);
    expect(await queue.counts()).toMatchObject({ dead: 700 });
  });

  it('passes by what cannot be retried', async () => {
    const fake = fakeJobQueue();
    await bury(fake, 600);
    const { backend } = fake;
    const stubborn = new Set(idsOf((await fake.queue.list({ state: 'dead', limit: 550 })).jobs));
    const retry = backend.retry.bind(backend);
    backend.retry = async (name, ids) => {
      const answers = await retry(
        name,
        ids.filter((id) => !stubborn.has(id)),
      );
      const left = [...answers];
      return ids.map((id) => (stubborn.has(id) ? 'unknown' : left.shift()!));
    };
    expect(await fake.queue.redrive()).toBe(50);
  });

  it.each([-1, 1.5, '5'])('refuses the limit %j', async (limit) => {
    const { queue } = fakeJobQueue();
    expect(await rejectionOf(queue.redrive({ limit: limit as never }))).toMatchObject({ option: 'limit' });
  });
});

describe('pause(), resume() and drain()', () => {
  it('hold the jobs back, and let them go', async () => {
    const fake = fakeJobQueue();
    await fake.queue.enqueue(1);
    await fake.queue.pause();
    expect(await fake.queue.counts()).toMatchObject({ paused: true, ready: 1 });
    expect(await claim(fake)).toEqual([]);
    await fake.queue.resume();
    expect(await fake.queue.counts()).toMatchObject({ paused: false });
    expect(await claim(fake)).toHaveLength(1);
  });

  it('delete what is ready or scheduled, and nothing else', async () => {
    const fake = fakeJobQueue();
    const { queue } = fake;
    await bury(fake, 3);
    await queue.enqueue('running');
    await claim(fake);
    await queue.enqueueMany(Array.from({ length: 700 }, (_, index) => index));
    await queue.enqueueMany(
      Array.from({ length: 600 }, (_, index) => index),
      { delay: '1h' },
    );
    expect(await queue.drain()).toBe(1_300);
    expect(await queue.counts()).toMatchObject({ ready: 0, scheduled: 0, active: 1, dead: 3 });
    expect(await queue.drain()).toBe(0);
  });
});

describe('counts()', () => {
  it('say how the queue stands', async () => {
    const fake = fakeJobQueue();
    const { queue, clock } = fake;
    await queue.enqueue(1);
    await queue.enqueue(1, { delay: '30s' });
    await queue.enqueue(1, { delay: '5m' });
    await clock.advance('10s');
    expect(await queue.counts()).toMatchObject({
      queue: 'emails',
      ready: 1,
      scheduled: 2,
      active: 0,
      dead: 0,
      dueWithin: 1,
      oldestReadyAgeMs: 10_000,
    });
    expect(await queue.counts({ dueWithin: '10m' })).toMatchObject({ dueWithin: 2 });
    expect(await queue.counts({ dueWithin: 0 })).toMatchObject({ dueWithin: 0 });
    expect(await rejectionOf(queue.counts({ dueWithin: 'soon' as never }))).toMatchObject({
      option: 'dueWithin',
    });
  });
});

describe('waitUntilFinished()', () => {
  const complete = async (fake: FakeJobQueue<unknown>, value: unknown, keepMs = 60_000): Promise<void> => {
    const [job] = await claim(fake);
    const result = fake.queue.options.consumer.codec.encode(value);
    await fake.backend.settle('emails', [{ job: job!, kind: 'completed', result, keepMs }]);
  };

  it('answers what the handler returned', async () => {
    const fake = fakeJobQueue();
    const { queue, clock } = fake;
    const { id } = await queue.enqueue(1);
    const finished = queue.waitUntilFinished<{ sent: boolean }>(id, { timeout: '1m' });
    await clock.advance('10s');
    expect(await stateOf(finished)).toBe('pending');
    await complete(fake, { sent: true });
    await clock.advance('1s');
    expect(await finished).toEqual({ sent: true });
    expect(clock.pending).toBe(0);
  });

  it('answers at once where it has completed already', async () => {
    const fake = fakeJobQueue();
    const { id } = await fake.queue.enqueue(1);
    await complete(fake, undefined);
    expect(await fake.queue.waitUntilFinished(id, { timeout: '1m' })).toBeUndefined();
    expect(fake.clock.pending).toBe(0);
  });

  it('looks often at first, and then less and less often', async () => {
    const { queue, backend, clock } = fakeJobQueue();
    const { id } = await queue.enqueue(1);
    const finished = rejectionOf(queue.waitUntilFinished(id, { timeout: '10s' }));
    const looks: number[] = [];
    for (let ms = 0; ms < 4_000; ms += 10) {
      const before = backend.calls.get ?? 0;
      await clock.advance(10);
      if ((backend.calls.get ?? 0) > before) looks.push(ms);
    }
    const gaps = looks.slice(1).map((at, index) => at - looks[index]!);
    expect(gaps[0]).toBeLessThanOrEqual(60);
    expect(gaps.at(-1)).toBeGreaterThan(500);
    expect(gaps.at(-1)).toBeLessThanOrEqual(1_000);
    expect(gaps).toEqual(gaps.toSorted((a, b) => a - b));
    await clock.advance('10s');
    expect((await finished).message).toContain('did not complete within 10 s');
    expect(clock.pending).toBe(0);
  });

  it('looks at the jobs of all who wait in one call', async () => {
    const { queue, backend, clock } = fakeJobQueue();
    const stored = await queue.enqueueMany(Array.from({ length: 300 }, (_, index) => index));
    const all = stored.map(({ id }) => rejectionOf(queue.waitUntilFinished(id, { timeout: '1s' })));
    await clock.settle();
    expect(backend.calls.get).toBe(1);
    await clock.advance('1s');
    await Promise.all(all);
    expect(backend.calls.get).toBeLessThan(10);
    const after = backend.calls.get;
    await clock.advance('1h');
    expect(backend.calls.get).toBe(after);
    expect(clock.pending).toBe(0);
  });

  it('lets several wait for one job', async () => {
    const fake = fakeJobQueue();
    const { id } = await fake.queue.enqueue(1);
    const waits = [1, 2, 3].map(() => fake.queue.waitUntilFinished(id, { timeout: '1m' }));
    await complete(fake, 'done');
    await fake.clock.advance('1s');
    expect(await Promise.all(waits)).toEqual(['done', 'done', 'done']);
  });

  it('looks at more than 500 jobs in several calls', async () => {
    const fake = fakeJobQueue();
    const { queue, clock, backend } = fake;
    const stored = await queue.enqueueMany(Array.from({ length: 700 }, (_, index) => index));
    const all = Promise.all(stored.map(({ id }) => queue.waitUntilFinished(id, { timeout: '1m' })));
    const jobs = await claim(fake, 700);
    const result = queue.options.consumer.codec.encode('done');
    await backend.settle(
      'emails',
      jobs.map((job) => ({ job, kind: 'completed', result, keepMs: 60_000 })),
    );
    await clock.advance('1s');
    expect(await all).toHaveLength(700);
    expect(clock.pending).toBe(0);
  });

  it.each<[string, RegExp, (fake: FakeJobQueue<unknown>, id: string) => Promise<unknown>]>([
    ['is deleted', /is not known/, ({ queue }, id) => queue.delete([id])],
    ['completes without being kept', /is not known.*keepCompleted/, (fake) => complete(fake, 1, 0)],
    [
      'dies',
      /is dead \(exhausted\): boom/,
      async (fake) => {
        const [job] = await claim(fake);
        const why = { cause: 'exhausted', failures: 1, error: 'boom', maxDead: 5 } as const;
        await fake.backend.settle('emails', [{ job: job!, kind: 'dead', ...why }]);
      },
    ],
    [
      'is cancelled',
      /was cancelled: the user has left/,
      async (fake) => {
        const [job] = await claim(fake);
        const why = { keepMs: 60_000, error: 'the user has left' } as const;
        await fake.backend.settle('emails', [{ job: job!, kind: 'cancelled', ...why }]);
      },
    ],
  ])('rejects where the job %s', async (_what, message, act) => {
    const fake = fakeJobQueue();
    const { id } = await fake.queue.enqueue(1);
    const finished = rejectionOf(fake.queue.waitUntilFinished(id, { timeout: '1m' }));
    await fake.clock.advance(10);
    await act(fake, id);
    await fake.clock.advance('1s');
    const error = await finished;
    expect(error).toMatchObject({ name: 'JobNotCompletedError', code: 'JOB_NOT_COMPLETED' });
    expect(error.message).toMatch(message);
    expect(fake.clock.pending).toBe(0);
  });

  it('rejects for a job that nobody knows', async () => {
    const { queue, clock } = fakeJobQueue();
    expect((await rejectionOf(queue.waitUntilFinished('nobody', { timeout: '1m' }))).message).toContain(
      'is not known',
    );
    expect(clock.pending).toBe(0);
  });

  it('rejects with its result where that cannot be read', async () => {
    const fake = fakeJobQueue({ format: 'json' });
    const { id } = await fake.queue.enqueue(1);
    const [job] = await claim(fake);
    const result = Buffer.from('{ no json');
    await fake.backend.settle('emails', [{ job: job!, kind: 'completed', result, keepMs: 1_000 }]);
    const error = await rejectionOf(fake.queue.waitUntilFinished(id, { timeout: '1m' }));
    expect(error.message).toContain('its result cannot be read');
  });

  it('ends with a signal, and leaves the job alone', async () => {
    const { queue, clock } = fakeJobQueue();
    const { id } = await queue.enqueue(1);
    const controller = new AbortController();
    const { signal: aborts } = controller;
    const finished = rejectionOf(queue.waitUntilFinished(id, { timeout: Infinity, signal: aborts }));
    await clock.advance('10s');
    const reason = new Error('the request is over');
    controller.abort(reason);
    expect(await finished).toBe(reason);
    expect(await rejectionOf(queue.waitUntilFinished(id, { timeout: '1s', signal: aborts }))).toBe(reason);
    await clock.settle();
    expect(clock.pending).toBe(0);
    expect(await queue.get(id)).toMatchObject({ state: 'ready' });
  });

  it('outlasts a backend that cannot be reached for a while', async () => {
    const fake = fakeJobQueue();
    const { queue, backend, clock } = fake;
    const { id } = await queue.enqueue(1);
    const finished = queue.waitUntilFinished(id, { timeout: '1m' });
    backend.hold = () => Promise.reject(new Error('gone'));
    await clock.advance('10s');
    backend.hold = undefined;
    await complete(fake, 'done');
    await clock.advance('1s');
    expect(await finished).toBe('done');
  });

  it('says so where it cannot be reached until the time is over', async () => {
    const { queue, backend, clock } = fakeJobQueue();
    const { id } = await queue.enqueue(1);
    backend.hold = () => Promise.reject(new Error('gone'));
    const finished = rejectionOf(queue.waitUntilFinished(id, { timeout: '5s' }));
    await clock.advance('5s');
    expect(await finished).toMatchObject({ cause: { code: 'JOB_BACKEND_UNAVAILABLE' } });
  });

  it('ends with the app', async () => {
    const { queue, registry, clock, backend } = fakeJobQueue();
    const { id } = await queue.enqueue(1);
    const held = signal();
    backend.hold = (method) => (method === 'get' ? held.promise : undefined);
    const finished = rejectionOf(queue.waitUntilFinished(id, { timeout: '1m' }));
    await clock.settle();
    await registry.close();
    expect((await finished).message).toContain('the app has shut down');
    expect(await rejectionOf(queue.waitUntilFinished(id, { timeout: '1m' }))).toMatchObject({
      code: 'JOB_NOT_COMPLETED',
    });
    held.resolve();
    await clock.settle();
    expect(clock.pending).toBe(0);
  });

  it.each([undefined, 'soon', -1])('refuses the timeout %j', async (timeout) => {
    const { queue } = fakeJobQueue();
    const error = await rejectionOf(queue.waitUntilFinished('a', { timeout: timeout as never }));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'timeout' });
  });
});

describe('a state', () => {
  it.each<JobState>(['scheduled', 'ready', 'active', 'completed', 'cancelled', 'dead'])(
    'can be listed: %s',
    async (state) => {
      expect(await fakeJobQueue().queue.list({ state })).toEqual({ jobs: [], cursor: undefined });
    },
  );
});
