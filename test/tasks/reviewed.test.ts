import { describe, expect, it } from 'vitest';
import { TaskQueue } from 'nestjs-worker';
import { bareQueue, fakeQueue, isolatedErrors, ManualTask } from '../support/fake-queue.js';
import { heapUsed } from '../support/heap.js';

const nothing = async (): Promise<void> => {};
const silent = { debug() {}, log() {}, warn() {}, error() {}, isEnabled: () => false, child: () => silent };

describe('tasks that hand on tasks', () => {
  it.each(['done', 'accepted'] as const)(
    'keep nothing of each other, though %s is asked for',
    async (promise) => {
      const queue = new TaskQueue({ logger: silent });
      const links = 40_000;
      const heaps: number[] = [];
      await new Promise<void>((resolve) => {
        let link = 0;
        const next = async (): Promise<void> => {
          link++;
          // In the middle of the chain: what it kept would be free at its end.
          if (link === links / 2 || link === links) heaps.push(heapUsed());
          if (link === links) return resolve();
          void queue.enqueue(next)[promise];
        };
        queue.submit(next);
      });
      expect((heaps[1]! - heaps[0]!) / (links / 2)).toBeLessThan(40);
      await queue.shutdown();
    },
  );
});

describe('maxQueued', () => {
  it.each([50, Infinity])('bounds what waits for a time, with a concurrency of %s', async (concurrency) => {
    const { queue } = bareQueue({ concurrency, maxQueued: 10 });
    for (let count = 0; count < 10; count++) queue.submit(nothing, { delay: '1h' });
    expect(() => queue.submit(nothing, { delay: '1h' })).toThrow('is full');
    expect(() => queue.enqueueMany([nothing], { delay: '1h' })).toThrow('is full');
    // There are places for what is due.
    expect(await queue.enqueue(() => 'due').done).toBe('due');
    await queue.shutdown();
  });

  it('lets in what waits for room as soon as there is some, also what is to run later', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxQueued: 1, overflow: 'wait' });
    queue.submit(nothing, { delay: '1m' });
    const later = queue.enqueue(() => 'later', { delay: '2m' });
    expect(later.status).toBe('waiting');
    await clock.advance('1m');
    expect(later.status).toBe('deferred');
    await clock.advance('1m');
    expect(await later.done).toBe('later');
    await queue.shutdown();
  });
});

it('what waits for room to run later does not hold up what is due, where there are places', async () => {
  const { queue, clock } = bareQueue({ concurrency: 1, maxQueued: 1, overflow: 'wait' });
  queue.submit(nothing, { delay: '1 day' });
  const later = queue.enqueue(() => 'later', { delay: '1h' });
  expect(await queue.enqueue(() => 'due').done).toBe('due');
  expect(later.status).toBe('waiting');
  await clock.advance('1 day');
  expect(await later.done).toBe('later');
  await queue.shutdown();
});

it('a second shutdown with less time has its way', async () => {
  const { queue, clock } = bareQueue({ shutdownTimeout: '1h', abortMargin: '1s' });
  const task = queue.enqueue(() => new Promise<void>(() => {}));
  await clock.settle();
  const first = queue.shutdown();
  const second = queue.shutdown({ deadline: '2s' });
  await clock.advance('2s');
  expect((await second).orphans).toHaveLength(1);
  await expect(task.done).rejects.toMatchObject({ reason: 'shutdown' });
  await clock.advance('1h');
  await first;
});

describe('floods', () => {
  it('of dropped tasks are one line a minute, whatever room there was between', async () => {
    const { queue, clock, logger } = fakeQueue({ concurrency: 2, maxQueued: 2, overflow: 'drop-oldest' });
    for (let round = 0; round < 100; round++) {
      for (let count = 0; count < 8; count++) queue.submit((ctx) => ctx.sleep(10));
      await clock.advance(10);
    }
    expect(queue.snapshot().completed.dropped).toBeGreaterThan(200);
    expect(logger.messages('warn')).toHaveLength(1);
    await clock.advance('1h');
    await queue.shutdown();
  });

  it('of failing after() and backoff functions are one line each, whatever the tasks are called', async () => {
    const fake = fakeQueue({ maxAttempts: 2 });
    const bad = (): never => {
      throw new Error('boom');
    };
    for (let count = 0; count < 50; count++) {
      fake.queue.submit(bad, { name: `order-${count}`, after: bad, backoff: bad });
    }
    await fake.clock.advance('5m');
    expect(isolatedErrors(fake)).toBe(100);
    const lines = fake.logger
      .messages('error')
      .filter((line) => line.includes('further failures are counted'));
    expect(lines).toHaveLength(2);
    await fake.queue.shutdown();
  });
});

it('tasks that keep the processor busy let the event loop have its turn', async () => {
  const queue = new TaskQueue({ logger: silent, concurrency: Infinity });
  const busy = (): void => {
    const end = performance.now() + 3;
    while (performance.now() < end);
  };
  let turns = 0;
  let goesOn = true;
  const count = (): void => {
    turns++;
    if (goesOn) setImmediate(count);
  };
  setImmediate(count);
  for (let index = 0; index < 100; index++) queue.submit(busy);
  await queue.onIdle();
  goesOn = false;
  // 300 ms of work: a turn every ten or so.
  expect(turns).toBeGreaterThan(10);
  await queue.shutdown();
});

describe('user code that calls the queue in the middle of it all', () => {
  it('does not make a queue larger than maxQueued by handing in another task when one is dropped', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxQueued: 3, overflow: 'drop-oldest' });
    const manual = new ManualTask();
    queue.submit(manual.run);
    await clock.settle();
    let again = 5;
    const after = (): void => void (again-- > 0 && queue.submit(nothing, { after }));
    for (let count = 0; count < 8; count++) {
      queue.submit(nothing, { after });
      expect(queue.size).toBeLessThanOrEqual(3);
    }
    await clock.settle();
    expect(queue.size).toBe(3);
    manual.attempt.succeed();
    await queue.shutdown();
  });

  it('is not told that the queue is idle while it is decided whether a task is tried again', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: 2 });
    let idle = false;
    const backoff = (): number => {
      void queue.onIdle().then(() => (idle = true));
      return 1_000;
    };
    let runs = 0;
    const task = queue.enqueue(
      () => {
        if (++runs === 1) throw new Error('once');
      },
      { backoff },
    );
    await clock.settle();
    expect([task.status, idle]).toEqual(['backoff', false]);
    await clock.advance(1_000);
    expect([task.status, idle]).toEqual(['success', true]);
    await queue.shutdown();
  });
});

describe('dispatch()', () => {
  it('is not undone by resume()', async () => {
    const { queue } = bareQueue({ autoStart: false });
    const task = queue.enqueue(() => 'ran');
    const dispatched = queue.dispatch();
    queue.resume();
    expect(await dispatched).toBe(false);
    expect(await task.done).toBe('ran');
    await queue.shutdown();
  });

  it('after a shutdown has nothing to run, and says so', async () => {
    const { queue } = bareQueue({ autoStart: false });
    await queue.shutdown();
    expect(await queue.dispatch()).toBe(false);
  });
});

describe('options that are none', () => {
  it.each([null, 5, 'fast'])('are refused: %s', async (given) => {
    const { queue } = bareQueue();
    const refused = expect.objectContaining({ code: 'INVALID_OPTION' }) as Error;
    expect(() => new TaskQueue(given as never)).toThrow(refused);
    expect(() => queue.submit(nothing, given as never)).toThrow(refused);
    expect(() => queue.enqueue(nothing, given as never)).toThrow(refused);
    expect(() => new TaskQueue({ clock: given as never })).toThrow(refused);
    expect(() => new TaskQueue({ logger: {} as never })).toThrow(refused);
    expect(() => queue.submit(nothing, { signal: { addEventListener() {} } as never })).toThrow(refused);
    expect(queue.snapshot().enqueued).toBe(0);
    await queue.shutdown();
  });

  it('leave the counts alone, also a signal that cannot be listened to', async () => {
    const { queue } = bareQueue();
    const signal = {
      aborted: false,
      addEventListener: () => {
        throw new Error('deaf');
      },
    };
    expect(() => queue.submit(nothing, { signal: signal as never })).toThrow('deaf');
    expect(queue.snapshot().enqueued).toBe(0);
    await queue.shutdown();
  });
});

it('a task and a queue are plain data as JSON', async () => {
  const { queue } = bareQueue({ concurrency: Infinity });
  const [first, second] = [new ManualTask(), new ManualTask()];
  const task = queue.enqueue(first.run, { name: 'first' });
  queue.submit(second.run);
  await Promise.resolve();
  const json = JSON.parse(JSON.stringify({ task, queue })) as Record<string, Record<string, unknown>>;
  expect(json.task).toEqual({
    id: task.id,
    name: 'first',
    queue: queue.name,
    status: task.status,
    attempts: task.attempts,
  });
  expect(json.queue).toMatchObject({ kind: 'task-queue', concurrency: 'Infinity', enqueued: 2 });
  first.attempt.succeed();
  second.attempt.succeed();
  await queue.shutdown();
});

it('names the calls of after() that hold it up', async () => {
  const { queue, clock } = bareQueue();
  queue.submit(nothing, { after: () => new Promise(() => {}) });
  await clock.settle();
  expect(queue.snapshot()).toMatchObject({ running: 0, settling: 1 });
  const stopped = queue.shutdown({ deadline: '1s' });
  await clock.advance('1s');
  expect((await stopped).orphans).toHaveLength(1);
  expect(queue.snapshot().events.at(-1)).toMatchObject({ type: 'orphaned', tasks: ['1 calls of after()'] });
});

it('counts the attempts that overlap has left behind', async () => {
  const { queue, clock } = bareQueue();
  let end!: () => void;
  const goingOn = new Promise<void>((resolve) => (end = resolve));
  const task = queue.enqueue(() => goingOn, { timeout: 5, overlap: true });
  await clock.advance(5);
  await expect(task.done).rejects.toMatchObject({ reason: 'timeout' });
  expect(queue.snapshot()).toMatchObject({ running: 0, leftBehind: 1 });
  end();
  await clock.settle();
  expect(queue.snapshot().leftBehind).toBe(0);
  await queue.shutdown();
});
