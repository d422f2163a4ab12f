import { isWorkError, type Task, TaskQueue } from 'nestjs-worker';
import { FakeClock, stressStartStop } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import { AdjustableClock } from '../support/fake-queue.js';
import { seeded } from '../support/fake-pool.js';
import { watchLeaks } from '../support/leaks.js';
import { silentLogger } from '../support/recording-logger.js';

const nothing = (): void => undefined;
const isClosed = (error: unknown): boolean => isWorkError(error, 'TASK_QUEUE_CLOSED');

/** So many turns of the microtask queue. */
async function microtasks(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
}

/** How a task was answered: it was refused, or it has settled, exactly once. */
class Ledger {
  accepted = 0;
  refused = 0;
  settled = 0;
  afters = 0;
  ran = 0;

  add(queue: TaskQueue, options: { delay?: number; maxAttempts?: number } = {}): Task | undefined {
    try {
      const task = queue.enqueue(
        () => {
          this.ran++;
        },
        { ...options, after: () => void this.afters++ },
      );
      this.accepted++;
      task.done.then(
        () => this.settled++,
        () => this.settled++,
      );
      return task;
    } catch (error) {
      if (!isClosed(error)) throw error;
      this.refused++;
      return undefined;
    }
  }
}

function check(ledger: Ledger, queue: TaskQueue): void {
  const { accepted, settled, afters } = ledger;
  expect([settled, afters]).toEqual([accepted, accepted]);
  const { enqueued, completed } = queue.snapshot();
  expect(enqueued).toBe(accepted);
  expect(Object.values(completed).reduce((sum, count) => sum + count, 0)).toBe(accepted);
}

describe('enqueue beside a shutdown', () => {
  it('is taken and settles, or is refused, at each microtask', async () => {
    let refused = 0;
    for (const [tasksBefore, join] of [
      [0, false],
      [1, false],
      [3, true],
    ] as const) {
      for (let at = 0; at < 40; at++) {
        const clock = new FakeClock();
        const ledger = new Ledger();
        const queue = new TaskQueue({ clock, logger: silentLogger, concurrency: 1 });
        const other = new TaskQueue({ name: 'other', clock, logger: silentLogger });
        for (let count = 0; count < tasksBefore; count++) ledger.add(queue);
        const stopped = join ? TaskQueue.join(queue, other) : queue.shutdown();
        await microtasks(at);
        const task = ledger.add(queue);
        const later = ledger.add(queue, { delay: 5 });
        expect(later).toBeUndefined();
        await stopped;
        await microtasks(3);
        check(ledger, queue);
        expect(ledger.ran).toBe(ledger.accepted);
        if (task === undefined) refused++;
        if (!join) await other.shutdown();
        expect(clock.pending).toBe(0);
      }
    }
    // Both happened.
    expect(refused).toBeGreaterThan(10);
    expect(refused).toBeLessThan(120);
  });

  it('settles what waits for a time, for room and for another attempt, at each microtask', async () => {
    for (let at = 0; at < 40; at++) {
      const clock = new FakeClock();
      const queue = new TaskQueue({
        clock,
        logger: silentLogger,
        concurrency: 1,
        maxQueued: 2,
        overflow: 'wait',
      });
      const ledger = new Ledger();
      const failing = queue.enqueue(() => Promise.reject(new Error('boom')), {
        maxAttempts: 2,
        backoff: () => 5,
      });
      ledger.accepted++;
      failing.done.catch(() => ledger.settled++);
      ledger.afters++;
      for (let count = 0; count < 5; count++) ledger.add(queue, { delay: count % 2 });
      await microtasks(at);
      await queue.shutdown();
      await microtasks(3);
      check(ledger, queue);
      expect(clock.pending).toBe(0);
    }
  });

  it('loses none of 10^5, on the real clock', { timeout: 120_000 }, async () => {
    const random = seeded(7);
    let accepted = 0;
    let refused = 0;
    for (let round = 0; round < 4_000; round++) {
      const queue = new TaskQueue({
        logger: silentLogger,
        concurrency: 1 + Math.floor(random() * 3),
        historySize: 0,
      });
      const ledger = new Ledger();
      let calls = 0;
      let stopped: Promise<unknown> | undefined;
      const stopAt = Math.floor(random() * 20);
      const produce = async (): Promise<void> => {
        for (let count = 0; count < 5; count++) {
          if (calls++ === stopAt) stopped = queue.shutdown({ deadline: '5s' });
          ledger.add(queue, random() < 0.1 ? { delay: 1 } : {});
          if (random() < 0.05) await new Promise((resolve) => setImmediate(resolve));
          else await microtasks(Math.floor(random() * 4));
        }
      };
      await Promise.all(Array.from({ length: 5 }, produce));
      await stopped;
      await microtasks(3);
      check(ledger, queue);
      ({ accepted, refused } = { accepted: accepted + ledger.accepted, refused: refused + ledger.refused });
    }
    expect(accepted + refused).toBe(100_000);
    expect(Math.min(accepted, refused)).toBeGreaterThan(10_000);
  });
});

describe('cancel beside everything else', () => {
  it('settles a task once, at each microtask of its life', async () => {
    for (let at = 0; at < 30; at++) {
      const clock = new FakeClock();
      const queue = new TaskQueue({ clock, logger: silentLogger, maxAttempts: 2, backoff: 'none' });
      let afters = 0;
      let runs = 0;
      const task = queue.enqueue(
        async () => {
          runs++;
          await Promise.resolve();
          throw new Error('boom');
        },
        { after: () => void afters++ },
      );
      await microtasks(at);
      const cancelled = task.cancel();
      await queue.onIdle();
      expect(afters).toBe(1);
      expect(task.cancel()).toBe(false);
      const error: unknown = await task.done.catch((thrown: unknown) => thrown);
      // Also one that was told to end in its last attempt, and did so with an error, was cancelled.
      expect(isWorkError(error, 'TASK_INTERRUPTED')).toBe(cancelled);
      expect(runs).toBeLessThanOrEqual(2);
      const { completed } = queue.snapshot();
      expect(completed.cancelled + completed.failed).toBe(1);
      await queue.shutdown();
    }
  });
});

describe('start, shutdown, pause and resume from many sides', () => {
  it.each([1, 2, 3, 5, 8])('leave no task behind and no timer, seed %i', async (seed) => {
    const random = seeded(seed);
    const leftBehind = watchLeaks();
    const queue = new TaskQueue({
      logger: silentLogger,
      concurrency: 2,
      maxAttempts: 2,
      backoff: () => (random() < 0.5 ? 0 : 1),
    });
    const ledger = new Ledger();
    let running = 0;
    let most = 0;
    const work = (): void => {
      ledger.add(queue, random() < 0.3 ? { delay: random() * 2 } : {});
      ledger.add(queue)?.cancel();
      if (random() < 0.3) queue.pause();
      else queue.resume();
      try {
        queue.submit(async (ctx) => {
          most = Math.max(most, ++running);
          try {
            if (random() < 0.5) await ctx.sleep(1);
            if (random() < 0.5) throw new Error('boom');
          } finally {
            running--;
          }
        });
        ledger.accepted++;
        ledger.settled++;
        ledger.afters++;
      } catch (error) {
        if (!isClosed(error)) throw error;
      }
    };
    await stressStartStop(
      {
        start: () => {
          queue.start();
          work();
        },
        stop: () => {
          work();
          return queue.shutdown();
        },
      },
      { random },
    );
    await queue.shutdown();
    await microtasks(3);
    check(ledger, queue);
    expect(ledger.accepted).toBeGreaterThan(100);
    expect([running, most]).toEqual([0, 2]);
    expect(queue.snapshot()).toMatchObject({ status: 'cancelled', running: 0, queued: 0, delayed: 0 });
    expect(() => queue.submit(nothing)).toThrow(expect.objectContaining({ code: 'TASK_QUEUE_CLOSED' }));
    expect(await leftBehind()).toEqual([]);
  });
});

describe('a queue that is never empty', () => {
  it('lets timers and the event loop have their turn', async () => {
    const queue = new TaskQueue({ logger: silentLogger, concurrency: 3 });
    let runs = 0;
    let goesOn = true;
    const again = (): void => {
      runs++;
      if (goesOn) queue.submit(again);
    };
    for (let count = 0; count < 10; count++) queue.submit(again);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const before = runs;
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(runs).toBeGreaterThan(before);
    goesOn = false;
    await queue.shutdown();
    expect(before).toBeGreaterThan(100);
  });

  it('also where two feed one another, a task fails for ever, or each after() hands on the next', async () => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(
      (name) =>
        new TaskQueue({ name, logger: silentLogger, concurrency: 1, maxAttempts: Infinity, backoff: 'none' }),
    ) as [TaskQueue, TaskQueue, TaskQueue, TaskQueue];
    let goesOn = true;
    const ping = (): void => void (goesOn && b.submit(pong));
    const pong = (): void => void (goesOn && a.submit(ping));
    const passOn = (): void => void (goesOn && d.submit(nothing, { after: passOn }));
    ping();
    passOn();
    c.submit(() => {
      if (goesOn) throw new Error('boom');
    });
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
    goesOn = false;
    await TaskQueue.join(a, b, c, d);
    for (const queue of [a, b, d]) expect(queue.snapshot().completed.succeeded).toBeGreaterThan(100);
    expect(c.snapshot().attempts.failed).toBeGreaterThan(100);
  });

  it('keeps its turns in order: nothing runs beside a pause that came in between', async () => {
    const clock = new AdjustableClock();
    // Each reading takes a while: it is time for the event loop at every look.
    clock.monotonic = () => (clock.shiftMs += 1);
    const queue = new TaskQueue({ clock, logger: silentLogger, concurrency: 1 });
    const order: number[] = [];
    for (let count = 0; count < 500; count++) queue.submit(() => order.push(count));
    await new Promise((resolve) => setImmediate(resolve));
    const { length } = order;
    expect(length).toBeGreaterThan(0);
    expect(length).toBeLessThan(500);
    queue.pause();
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(order.length).toBeLessThanOrEqual(length + 1);
    queue.resume();
    await queue.onIdle();
    expect(order).toEqual(Array.from({ length: 500 }, (_, index) => index));
    await queue.shutdown();
  });
});
