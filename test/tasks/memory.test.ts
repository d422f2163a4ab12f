import { AsyncLocalStorage } from 'node:async_hooks';
import { type Task, TaskQueue } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { bareQueue } from '../support/fake-queue.js';
import { heapUsed } from '../support/heap.js';
import { silentLogger } from '../support/recording-logger.js';

const work = async (): Promise<void> => undefined;
const many = 100_000;

const unbounded = (options: object = {}): TaskQueue =>
  new TaskQueue({ logger: silentLogger, maxQueued: Infinity, ...options });

describe('the memory of a queue', () => {
  it('does not grow with the tasks that go through it', { timeout: 120_000 }, async () => {
    const queue = unbounded();
    const heap: number[] = [];
    for (let round = 0; round < 11; round++) {
      for (let count = 0; count < 50_000; count++) {
        queue.submit(work);
        queue.submit(work, { name: 'render' });
      }
      await queue.onIdle();
      heap.push(heapUsed());
    }
    expect(queue.snapshot().completed.succeeded).toBe(1_100_000);
    // A million tasks lie between the first of these and the last.
    expect((heap.at(-1)! - heap[0]!) / 1_000_000).toBeLessThan(0.5);
    await queue.shutdown();
  });

  const storage = new AsyncLocalStorage<number>();
  it.each([
    ['submit', (queue: TaskQueue): unknown => queue.submit(work)],
    ['enqueue', (queue: TaskQueue): unknown => queue.enqueue(work)],
    [
      'enqueue, and held by its owner',
      (queue: TaskQueue, held: Task[]): unknown => held.push(queue.enqueue(work)),
    ],
    ['submit in a context', (queue: TaskQueue): unknown => queue.submit(work), 1],
    ['enqueue in a context', (queue: TaskQueue): unknown => queue.enqueue(work), 1],
  ])('is at most 400 bytes for each that waits: %s', async (_how, add, context?: number) => {
    // Entered once: from Node 22 on each run() of a context makes a map, which is no doing of the queue.
    if (context !== undefined) storage.enterWith(context);
    const queue = unbounded();
    queue.pause();
    const held: Task[] = [];
    add(queue, held);
    const before = heapUsed();
    for (let count = 0; count < many; count++) add(queue, held);
    const each = (heapUsed() - before) / many;
    expect(queue.size).toBe(many + 1);
    expect(each).toBeLessThan(400);
    expect(each).toBeGreaterThan(10);
    queue.resume();
    await queue.shutdown();
  });

  it('is free of what a task has run once it has settled, though its owner holds it', async () => {
    const queue = unbounded();
    const held: Task[] = [];
    const before = heapUsed();
    for (let count = 0; count < 1_000; count++) {
      const large = Array.from({ length: 10_000 }, () => count);
      held.push(queue.enqueue(() => void large.length));
    }
    expect(heapUsed() - before).toBeGreaterThan(70_000_000);
    await queue.onIdle();
    expect(heapUsed() - before).toBeLessThan(5_000_000);
    expect(held).toHaveLength(1_000);
    await queue.shutdown();
  });

  it('is free of what was cancelled, before anything has run', async () => {
    const { queue } = bareQueue({ maxQueued: Infinity });
    queue.pause();
    queue.submit(work);
    queue.submit(work, { delay: 5 });
    for (const options of [{}, { delay: '1h' as const }, { priority: 5 }]) {
      const before = heapUsed();
      for (let count = 0; count < 200_000; count++) queue.enqueue(work, options).cancel();
      expect((heapUsed() - before) / 200_000).toBeLessThan(5);
    }
    expect(queue.size).toBe(2);
    queue.resume();
    await queue.shutdown();
  });
});

describe('the work for a task', () => {
  it('asks the clock for nothing that it can do without, and sets no timer', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxQueued: Infinity });
    let readings = 0;
    const monotonic = clock.monotonic.bind(clock);
    clock.monotonic = () => (readings++, monotonic());
    clock.now = () => expect.unreachable('nobody asked for the time of day');
    for (let count = 0; count < 10_000; count++) queue.submit(work);
    await queue.onIdle();
    expect(readings).toBeLessThan(11_000);
    expect(clock.timersSet).toBe(0);
    delete (clock as { now?: unknown }).now;
    await queue.shutdown();
  });

  it('is not more with 10^4 tasks beside it that wait for a time', async () => {
    const comparisons = async (beside: number): Promise<number> => {
      const { queue, clock } = bareQueue({ concurrency: 1 });
      let looks = 0;
      for (let count = 0; count < beside; count++) queue.submit(work, { delay: 1_000_000 + count });
      await clock.settle();
      const monotonic = clock.monotonic.bind(clock);
      const now = clock.now.bind(clock);
      clock.monotonic = () => (looks++, monotonic());
      clock.now = () => (looks++, now());
      for (let count = 0; count < 1_000; count++) await queue.enqueue(work).done;
      const { timersSet } = clock;
      await queue.shutdown();
      return looks + timersSet;
    };
    // One timer for all that wait.
    expect(await comparisons(10_000)).toBe((await comparisons(0)) + 1);
  });
});
