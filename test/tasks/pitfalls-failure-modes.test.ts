import { getEventListeners } from 'node:events';
import { type Task, type TaskContext, TaskQueue } from 'nestjs-worker';
import { stressStartStop } from 'nestjs-worker/testing';
import { describe, expect, it, vi } from 'vitest';
import { bareQueue, fakeQueue, ManualTask, stubborn } from '../support/fake-queue.js';
import { seeded } from '../support/fake-pool.js';
import { heapUsed } from '../support/heap.js';
import { watchLeaks } from '../support/leaks.js';
import { silentLogger } from '../support/recording-logger.js';

// F10, F32 and F33 have processes of their own, see pitfalls-failure-modes-process.test.ts.

const nothing = (): void => undefined;
const boom = new Error('boom');
const day = 86_400_000;

describe('the failure modes of this field (pitfalls 7), for tasks', () => {
  it.each([1, 2, 3])(
    'F9: any number of starts, stops, pauses and tasks leave it stopped, seed %i',
    async (seed) => {
      const random = seeded(seed);
      const leftBehind = watchLeaks();
      const queue = new TaskQueue({ logger: silentLogger, maxAttempts: 2, backoff: 'none' });
      const work = (): void => {
        if (random() < 0.5) queue.pause();
        if (random() < 0.7) queue.resume();
        try {
          queue.submit((ctx) => (random() < 0.5 ? ctx.sleep(1) : Promise.reject(boom)));
        } catch (error) {
          expect(error).toMatchObject({ code: 'TASK_QUEUE_CLOSED' });
        }
      };
      await stressStartStop(
        {
          start: () => (queue.start(), work()),
          stop: () => (work(), queue.shutdown()),
        },
        { actors: 10, calls: 50, random },
      );
      expect(queue.snapshot()).toMatchObject({ status: 'cancelled', running: 0, queued: 0, delayed: 0 });
      expect(await leftBehind()).toEqual([]);
    },
  );

  it('F16: a thousand failures at once are not tried again at once', async () => {
    const { queue, clock, events } = fakeQueue({
      concurrency: Infinity,
      maxAttempts: 2,
      backoff: { initial: '10s', jitter: true },
    });
    for (let count = 0; count < 1_000; count++) queue.submit(() => Promise.reject(boom));
    await clock.settle();
    const delays = events.of('failed').map(({ retry }) => retry?.delayMs ?? 0);
    for (let tenth = 0; tenth < 10; tenth++) {
      const from = 5_000 + 500 * tenth;
      expect(delays.filter((delayMs) => delayMs > from && delayMs <= from + 500).length).toBeGreaterThan(40);
    }
    await queue.shutdown();
  });

  it('F18: a million attempts, of tasks that fail for ever and of new ones, leave nothing behind', async () => {
    const queue = new TaskQueue({ logger: silentLogger, maxQueued: Infinity });
    let runs = 0;
    const work = async (ctx: TaskContext): Promise<void> => {
      runs++;
      ctx.mark('lap');
      if (runs % 2 === 0) throw boom;
    };
    const controller = new AbortController();
    const round = async (): Promise<number> => {
      const until = runs + 250_000;
      const options = {
        maxAttempts: Infinity,
        backoff: 'none',
        timeout: '1h',
        signal: controller.signal,
      } as const;
      queue.submit(() => {
        runs++;
        if (runs < until) throw boom;
      }, options);
      for (let count = 0; count < 50_000; count++) {
        queue.submit(work);
        void queue.enqueue(work).done;
      }
      await queue.onIdle();
      return heapUsed();
    };
    await round();
    const before = await round();
    await round();
    const after = await round();
    expect((after - before) / 500_000).toBeLessThan(2);
    expect(runs).toBeGreaterThanOrEqual(1_000_000);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    await queue.shutdown();
    expect(queue.snapshot().events.length).toBeLessThanOrEqual(100);
  }, 120_000);

  it('F19: a hundred thousand races against the signals of a task leave no listener and no memory', async () => {
    const queue = new TaskQueue({ logger: silentLogger });
    const listeners: number[] = [];
    const heap: number[] = [];
    await queue.enqueue(async (ctx) => {
      for (let race = 0; race <= 100_000; race++) {
        await Promise.race([ctx.sleep(0), Promise.resolve()]);
        await ctx.sleep(0);
        if (race % 50_000 !== 0) continue;
        heap.push(heapUsed());
        listeners.push(
          getEventListeners(ctx.signal, 'abort').length + getEventListeners(ctx.shutdown, 'abort').length,
        );
      }
    }).done;
    expect(listeners).toEqual([0, 0, 0]);
    expect((heap[2]! - heap[1]!) / 50_000).toBeLessThan(10);
    await queue.shutdown();
  }, 60_000);

  it('F20: whatever ends a queue settles every promise that it has handed out', async () => {
    const { queue, clock } = bareQueue({
      concurrency: 1,
      maxQueued: 3,
      overflow: 'wait',
      backoff: () => '1h',
    });
    const manual = stubborn();
    const failing = queue.enqueue(() => Promise.reject(boom), { maxAttempts: 2 });
    await clock.settle();
    const tasks: Task[] = [
      failing,
      queue.enqueue(manual.run),
      queue.enqueue(nothing, { delay: '1h' }),
      queue.enqueue(nothing),
      queue.enqueue(nothing),
      queue.enqueue(nothing, { delay: '1h' }),
    ];
    await clock.settle();
    expect(new Set(tasks.map(({ status }) => status))).toEqual(
      new Set(['backoff', 'running', 'deferred', 'queued', 'waiting']),
    );
    const promises = [
      ...tasks.flatMap(({ done, accepted }) => [done, accepted]),
      queue.onIdle(),
      queue.dispatch(),
      queue.shutdown(),
    ];
    await clock.advance('25s');
    await Promise.allSettled(promises);
    manual.attempt.succeed();
    await clock.settle();
    expect(queue.size + queue.running).toBe(0);
  });

  it('F23: an AbortError of somebody else is a failure, and is tried again', async () => {
    const { queue, clock, events } = fakeQueue({ maxAttempts: 2, backoff: 'none' });
    const task = queue.enqueue(async () => AbortSignal.abort().throwIfAborted());
    await clock.settle();
    expect(task).toMatchObject({ status: 'error', attempts: 2 });
    await expect(task.done).rejects.toMatchObject({ name: 'AbortError' });
    expect(events.of('cancelled')).toEqual([]);
    expect(queue.snapshot()).toMatchObject({
      attempts: { failed: 2, cancelled: 0 },
      completed: { failed: 1 },
    });
    await queue.shutdown();
  });

  it('F24: a shutdown in the middle of a run is no failure', async () => {
    const { queue, clock, events } = fakeQueue({ maxAttempts: 3 });
    for (let deploy = 0; deploy < 30; deploy++) {
      queue.start();
      const manual = new ManualTask();
      const task = queue.enqueue(manual.run);
      await clock.advance('10s');
      const stopped = queue.shutdown();
      await clock.advance('20s');
      expect((await stopped).orphans).toEqual([]);
      await expect(task.done).rejects.toMatchObject({ code: 'TASK_INTERRUPTED', reason: 'shutdown' });
      expect(task.attempts).toBe(1);
    }
    expect(events.of('failed')).toEqual([]);
    expect(queue.snapshot()).toMatchObject({
      attempts: { cancelled: 30, failed: 0 },
      completed: { cancelled: 30, failed: 0 },
      lastError: undefined,
    });
  });

  it.each(['delay', 'notBefore', 'backoff', 'timeout', 'abortGrace', 'sleep'] as const)(
    'F31: a %s of 30 days takes 30 days on the real clock',
    async (what) => {
      vi.useFakeTimers();
      try {
        const queue = new TaskQueue({ logger: silentLogger, maxAttempts: 2, abortGrace: '60 days' });
        const manual = stubborn();
        let woke = false;
        const run = async (ctx: TaskContext): Promise<unknown> => {
          if (what === 'sleep') await ctx.sleep('30 days').then(() => (woke = true));
          if (what === 'backoff' && ctx.attempt === 1) throw boom;
          return manual.run(ctx);
        };
        const task = queue.enqueue(run, {
          ...(what === 'delay' && { delay: '30 days' }),
          ...(what === 'notBefore' && { notBefore: new Date(Date.now() + 30 * day) }),
          ...(what === 'backoff' && { backoff: () => '30 days' as const }),
          ...(what === 'timeout' && { timeout: '30 days' }),
          ...(what === 'abortGrace' && { abortGrace: '30 days' }),
        });
        const happened = (): boolean =>
          ({
            delay: manual.running === 1,
            notBefore: manual.running === 1,
            backoff: manual.running === 1,
            timeout: manual.attempts[0]?.ctx.signal.aborted ?? false,
            abortGrace: task.status === 'stuck',
            sleep: woke,
          })[what];
        await vi.advanceTimersByTimeAsync(0);
        if (what === 'abortGrace') task.cancel();
        await vi.advanceTimersByTimeAsync(30 * day - 1_000);
        expect(happened()).toBe(false);
        await vi.advanceTimersByTimeAsync(2_000);
        expect(happened()).toBe(true);
        manual.attempts.forEach((attempt) => attempt.succeed());
        await queue.shutdown();
        expect(vi.getTimerCount()).toBe(0);
      } finally {
        vi.useRealTimers();
      }
    },
  );

  it('F37: nothing is counted as running after outcomes of every kind', async () => {
    const { queue, clock } = bareQueue({
      concurrency: 4,
      maxQueued: 100,
      maxAttempts: 2,
      backoff: () => '1s',
      timeout: '5s',
      abortGrace: '5s',
    });
    const late = stubborn();
    const controller = new AbortController();
    for (let round = 0; round < 5; round++) {
      queue.submit(nothing);
      queue.submit(() => {
        throw boom;
      });
      queue.submit(() => Promise.reject(boom));
      queue.submit(new ManualTask().run);
      queue.submit(late.run);
      queue.submit(new ManualTask().run, { signal: controller.signal });
      queue.enqueue(nothing, { delay: '1s' }).cancel();
      await clock.advance('2s');
    }
    queue.concurrency = 50;
    queue.submit(new ManualTask().run, { signal: controller.signal });
    await clock.settle();
    controller.abort();
    await clock.advance('1m');
    expect(queue.running).toBeGreaterThan(0);
    while (queue.running > 0) {
      late.attempts.forEach((attempt) => attempt.fail());
      await clock.advance('1m');
    }
    const { running, stuck, queued, delayed, enqueued, completed, attempts } = queue.snapshot();
    expect({ running, stuck, queued, delayed }).toEqual({ running: 0, stuck: 0, queued: 0, delayed: 0 });
    expect(Object.values(completed).reduce((sum, count) => sum + count, 0)).toBe(enqueued);
    for (const kind of ['succeeded', 'failed', 'timed-out', 'cancelled'] as const) {
      expect(completed[kind]).toBeGreaterThan(0);
      expect(attempts[kind]).toBeGreaterThan(0);
    }
    await queue.shutdown();
    expect(clock.pending).toBe(0);
  });
});
