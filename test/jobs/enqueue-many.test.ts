import type { EnqueueError } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { fakeJobQueue, rejectionOf } from '../support/fake-job-queue.js';

function* numbers(count: number, onTaken: (index: number) => void = () => {}): Generator<number> {
  for (let index = 0; index < count; index++) {
    onTaken(index);
    yield index;
  }
}

async function* slowly<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe('enqueueMany()', () => {
  it.each([
    ['a list', upTo(1_234)],
    ['a generator', numbers(1_234)],
    ['an asynchronous generator', slowly(upTo(1_234))],
    ['a set', new Set(upTo(1_234))],
  ])('stores what %s gives, in order, and answers for each', async (_what, payloads) => {
    const { queue, backend } = fakeJobQueue<number>();
    const answers = await queue.enqueueMany(payloads);
    expect(answers).toHaveLength(1_234);
    expect(answers.every(({ status }) => status === 'enqueued')).toBe(true);
    expect(backend.batches.map((batch) => batch.length)).toEqual([500, 500, 234]);
    expect(backend.batches.flat()).toEqual(answers.map(({ id }) => id));
    const { jobs } = await queue.list({ state: 'ready', limit: 1_000 });
    expect(jobs.map(({ payload }) => payload)).toEqual(upTo(1_000));
  });

  it('stores nothing of nothing', async () => {
    const { queue, backend } = fakeJobQueue();
    expect(await queue.enqueueMany([])).toEqual([]);
    expect(backend.batches).toEqual([]);
  });

  it('takes 10^5 in one call, of which a few are in memory at a time', async () => {
    const { queue, backend } = fakeJobQueue<number>();
    let mostAhead = 0;
    let turns = 0;
    const counting = setInterval(() => turns++, 0);
    // Each call takes a turn of the event loop, as a real one does.
    backend.hold = () => new Promise((resolve) => setImmediate(resolve));
    const answers = await queue.enqueueMany(
      numbers(100_000, (index) => {
        mostAhead = Math.max(mostAhead, index - queue.tally.enqueued);
      }),
    );
    clearInterval(counting);
    expect(answers).toHaveLength(100_000);
    expect(await queue.counts()).toMatchObject({ ready: 100_000 });
    expect(backend.mostJobsUnderWay).toBeLessThanOrEqual(2_000);
    expect(mostAhead).toBeLessThanOrEqual(2_500);
    expect(turns).toBeGreaterThan(10);
  });

  it('gives the event loop its turn also where the backend answers at once', async () => {
    const { queue } = fakeJobQueue<number>();
    let turns = 0;
    const counting = setInterval(() => turns++, 0);
    await queue.enqueueMany(upTo(20_000));
    clearInterval(counting);
    expect(turns).toBeGreaterThan(3);
  });

  it('takes options for all', async () => {
    const { queue, clock } = fakeJobQueue();
    const [first] = await queue.enqueueMany(['a', 'b'], { delay: '1m', name: 'welcome', priority: 3 });
    expect(await queue.get(first!.id)).toMatchObject({
      name: 'welcome',
      priority: 3,
      dueAt: clock.now() + 60_000,
    });
  });

  it('takes options for each, of payload and place', async () => {
    const { queue } = fakeJobQueue<string>();
    const answers = await queue.enqueueMany(['x', 'y', 'x'], (payload, index) => ({
      id: `${payload}-${index}`,
      unique: { key: payload },
    }));
    expect(answers).toEqual([
      { id: 'x-0', status: 'enqueued' },
      { id: 'y-1', status: 'enqueued' },
      { id: 'x-0', status: 'duplicate' },
    ]);
  });

  it('can be repeated with the same ids', async () => {
    const { queue } = fakeJobQueue<number>();
    const ids = (payload: number) => ({ id: `n-${payload}` });
    await queue.enqueueMany(upTo(700), ids);
    const again = await queue.enqueueMany(upTo(701), ids);
    expect(again.filter(({ status }) => status === 'exists')).toHaveLength(700);
    expect(again.at(-1)).toEqual({ id: 'n-700', status: 'enqueued' });
  });

  it.each<[string, string, object]>([
    ['one id for all', 'id', { id: 'a' }],
    ['an option that there is not', 'attempts', { attempts: 3 }],
    ['a broken delay', 'delay', { delay: 'soon' }],
  ])('refuses %s before it reads anything', async (_what, option, options) => {
    const { queue } = fakeJobQueue<number>();
    const error = await rejectionOf(
      queue.enqueueMany(
        numbers(5, () => expect.unreachable()),
        options,
      ),
    );
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option });
  });

  it.each([undefined, null, 5, {}])('refuses %j, which cannot be gone through', async (payloads) => {
    const { queue } = fakeJobQueue();
    const error = await rejectionOf(queue.enqueueMany(payloads as never));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'payloads' });
  });
});

describe('enqueueMany(), where one of them is refused,', () => {
  const schema = z.number().max(699);
  const asyncSchema = z.number().refine((value) => Promise.resolve(value <= 699));

  it.each([
    ['at once', schema],
    ['later', asyncSchema],
  ])('has stored what came before it, and nothing of what comes after (%s)', async (_when, of) => {
    const { queue } = fakeJobQueue<number>({ schema: of });
    const error = await rejectionOf(queue.enqueueMany(upTo(2_000)));
    expect(error).toMatchObject({ code: 'JOB_PAYLOAD_INVALID' });
    expect(error.message).toContain('It is item 700 of enqueueMany(): what came before it is stored');
    expect(await queue.counts()).toMatchObject({ ready: 700 });
  });

  it('does the same for its options', async () => {
    const { queue } = fakeJobQueue<number>();
    const options = (_: number, index: number) => ({ id: index === 3 ? 'no good' : `n-${index}` });
    const error = await rejectionOf(queue.enqueueMany(upTo(10), options));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'id' });
    expect(error.message).toContain('It is item 3 of enqueueMany()');
    expect(await queue.counts()).toMatchObject({ ready: 3 });
  });

  it('reads no further', async () => {
    const { queue } = fakeJobQueue<number>({ schema });
    let taken = 0;
    await rejectionOf(queue.enqueueMany(numbers(100_000, () => taken++)));
    expect(taken).toBe(1_000);
  });

  it('passes on what the source fails with, once what came before is stored', async () => {
    const { queue } = fakeJobQueue<number>();
    const broken = function* (): Generator<number> {
      yield* numbers(620);
      throw new Error('the file ends early');
    };
    for (const source of [broken(), slowly(broken())]) {
      expect((await rejectionOf(queue.enqueueMany(source))).message).toBe('the file ends early');
    }
    expect(await queue.counts()).toMatchObject({ ready: 1_240 });
  });

  it('ends the source', async () => {
    const { queue } = fakeJobQueue<number>({ schema });
    let ended = 0;
    const source = function* (): Generator<number> {
      try {
        yield* numbers(5_000);
      } finally {
        ended++;
      }
    };
    await rejectionOf(queue.enqueueMany(source()));
    await rejectionOf(queue.enqueueMany(slowly(source())));
    expect(ended).toBe(2);
  });
});

describe('enqueueMany(), where the backend fails,', () => {
  it('names what may or may not be stored, and says how many are', async () => {
    const { queue, backend } = fakeJobQueue<number>();
    backend.hold = () => (backend.batches.length > 2 ? Promise.reject(new Error('ECONNRESET')) : undefined);
    const ids = (payload: number) => ({ id: `n-${payload}` });
    const error = (await rejectionOf(queue.enqueueMany(upTo(100_000), ids))) as EnqueueError;
    expect(error).toMatchObject({ code: 'JOB_ENQUEUE_FAILED', id: 'n-1000', stored: 1_000 });
    expect(error.message).toContain(
      'ECONNRESET (1000 jobs of the same enqueueMany() are known to be stored)',
    );
    // Those of the call that failed, and of what was under way beside it.
    expect(error.ids.length % 500).toBe(0);
    expect(error.ids.length).toBeLessThanOrEqual(2_000);
    expect(error.ids.slice(0, 2)).toEqual(['n-1000', 'n-1001']);
    backend.hold = undefined;
    const again = await queue.enqueueMany(upTo(1_500), ids);
    expect(again.filter(({ status }) => status === 'exists')).toHaveLength(1_000);
  });

  it('counts as stored what was so before, and not what a unique key holds back', async () => {
    const { queue, backend } = fakeJobQueue<number>();
    await queue.enqueue(0, { id: 'n-0' });
    await queue.enqueue(0, { id: 'holder', unique: { key: 'k' } });
    backend.hold = () => (backend.batches.length > 3 ? Promise.reject(new Error('gone')) : undefined);
    const of = (payload: number) => ({
      id: `n-${payload}`,
      ...(payload % 5 === 1 && { unique: { key: 'k' } }),
    });
    const error = (await rejectionOf(queue.enqueueMany(upTo(501), of))) as EnqueueError;
    expect(error).toMatchObject({ ids: ['n-500'], stored: 400 });
    expect(error.message).toContain('(400 jobs of the same enqueueMany() are known to be stored)');
  });

  it('counts as stored what middlewares let through, too', async () => {
    const { queue, backend } = fakeJobQueue<number>({
      middlewares: [{ enqueue: (_, next) => next() }],
    });
    backend.hold = () => (backend.batches.length > 1 ? Promise.reject(new Error('gone')) : undefined);
    const error = await rejectionOf(queue.enqueueMany(upTo(700), (payload) => ({ id: `n-${payload}` })));
    expect(error).toMatchObject({ ids: { length: 200 }, id: 'n-500', stored: 500 });
  });

  it('gives up on each call after its time', async () => {
    const { queue, backend, clock } = fakeJobQueue<number>();
    backend.hold = () => new Promise(() => {});
    const ended = rejectionOf(queue.enqueueMany(upTo(600), { timeout: '2s' }));
    while (backend.batches.length < 2) await clock.settle();
    await clock.advance('2s');
    expect(await ended).toMatchObject({ code: 'JOB_ENQUEUE_FAILED', ids: { length: 600 }, stored: 0 });
    expect(clock.pending).toBe(0);
  });
});
