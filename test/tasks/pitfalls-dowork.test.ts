import * as fc from 'fast-check';
import { DiscardError, type TaskOutcome, TaskQueue } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { delayAfter, type ExponentialBackoff } from '../../lib/supervision/index.js';
import {
  bareQueue,
  fakeQueue,
  isolatedErrors,
  ManualTask,
  stubborn,
  unhandledDuring,
} from '../support/fake-queue.js';
import { heapUsed } from '../support/heap.js';
import { silentLogger } from '../support/recording-logger.js';

const nothing = (): void => undefined;
const boom = new Error('boom');
const fail = (): Promise<never> => Promise.reject(boom);

describe('the defects of dowork (pitfalls 1.2)', () => {
  it('D1: one slow task blocks no other', async () => {
    const { queue, clock } = bareQueue({ concurrency: 2 });
    const slow = stubborn();
    queue.submit(slow.run);
    expect(await queue.enqueue(() => 'second').done).toBe('second');
    slow.attempt.succeed();
    await clock.settle();
    await queue.shutdown();
  });

  it('D2: retries without end go on for ever', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: Infinity, backoff: () => '1s' });
    const task = queue.enqueue(fail);
    await clock.advance('50s');
    expect(task).toMatchObject({ status: 'backoff', attempts: 51 });
    await queue.shutdown();
  });

  it('D3: delays without a cap grow', async () => {
    const { queue, clock, events } = fakeQueue({
      maxAttempts: 12,
      backoff: { initial: '2s', factor: 2, max: Number.MAX_VALUE, jitter: false },
    });
    const task = queue.enqueue(fail);
    await clock.advance('2h');
    await expect(task.done).rejects.toBe(boom);
    expect(
      events
        .of('failed')
        .slice(0, -1)
        .map(({ retry }) => retry?.delayMs),
    ).toEqual(Array.from({ length: 11 }, (_, index) => 2_000 * 2 ** index));
    await queue.shutdown();
  });

  it('D4: no delay overflows: it grows up to its cap, and never beyond', () => {
    fc.assert(
      fc.property(
        fc.record({
          initialMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
          factor: fc.double({ min: 1, max: 100, noNaN: true }),
          maxMs: fc.double({ min: 0, max: 1e12, noNaN: true }),
          jitter: fc.constant(0),
        }),
        (backoff: ExponentialBackoff) => {
          let last = 0;
          for (let failures = 1; failures <= 10_000; failures += failures < 100 ? 1 : 97) {
            const delayMs = delayAfter(backoff, failures, boom, 0);
            if (!(delayMs >= last && delayMs <= backoff.maxMs))
              throw new Error(`${delayMs} after ${failures}`);
            last = delayMs;
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('D5: an exhausted task ends right after its last attempt, with that attempt’s own error', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: 2, backoff: () => '30m' });
    const outcomes: [number, TaskOutcome][] = [];
    let attempts = 0;
    const task = queue.enqueue(() => Promise.reject(new Error(`boom ${++attempts}`)), {
      after: (outcome) => outcomes.push([clock.monotonic(), outcome]),
    });
    await clock.advance('30m');
    expect(outcomes).toEqual([[1_800_000, { kind: 'failed', error: new Error('boom 2') }]]);
    await expect(task.done).rejects.toThrow('boom 2');
    await queue.shutdown();
  });

  it('D6: a failure that is final ends the task at once, in one attempt', async () => {
    const { queue, clock, events } = fakeQueue({ maxAttempts: 10, backoff: () => '1s' });
    const outcomes: TaskOutcome[] = [];
    const discard = new DiscardError('no such page');
    const task = queue.enqueue(() => Promise.reject(discard), { after: (outcome) => outcomes.push(outcome) });
    await clock.settle();
    expect(outcomes).toEqual([{ kind: 'failed', error: discard }]);
    await clock.advance('1h');
    expect(task).toMatchObject({ status: 'error', attempts: 1, nextAttempt: undefined });
    await expect(task.done).rejects.toBe(discard);
    expect(events.of('failed')).toHaveLength(1);
    expect(clock.pending).toBe(0);
    await queue.shutdown();
  });

  it('D7: shutdown in the same tick as the start, before it, and twice, is quick', async () => {
    for (const autoStart of [true, false]) {
      const { queue, clock } = bareQueue({ autoStart });
      const task = queue.enqueue(() => 5);
      if (!autoStart) queue.start();
      const stopped = [queue.shutdown(), queue.shutdown()];
      expect(await Promise.all(stopped)).toMatchObject([{ durationMs: 0 }, { durationMs: 0 }]);
      expect(await queue.shutdown()).toMatchObject({ orphans: [] });
      expect(await task.done).toBe(5);
      expect(clock.pending).toBe(0);
    }
    const never = bareQueue({ autoStart: false });
    expect(await never.queue.shutdown()).toMatchObject({ orphans: [], durationMs: 0 });
  });

  it('D8: shutdown does not wait for what waits for its next attempt', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: 5, backoff: () => '30m' });
    const task = queue.enqueue(fail);
    await clock.advance('5m');
    expect(await queue.shutdown({ deadline: '10s' })).toEqual({ orphans: [], durationMs: 0 });
    await expect(task.done).rejects.toMatchObject({ code: 'TASK_INTERRUPTED', reason: 'shutdown' });
  });

  it('D9: nothing is left of 10^5 tasks, neither memory nor a handle', async () => {
    const queue = new TaskQueue({ logger: silentLogger, maxQueued: Infinity });
    const round = async (): Promise<number> => {
      for (let count = 0; count < 100_000; count++) queue.submit(nothing);
      await queue.onIdle();
      return heapUsed();
    };
    await round();
    const before = await round();
    const after = await round();
    expect(after - before).toBeLessThan(500_000);
    const left = process.getActiveResourcesInfo().filter((type) => type === 'Immediate');
    expect(left).toEqual([]);
    await queue.shutdown();
  });

  it('D10: a task that was taken settles, whenever the shutdown comes', async () => {
    for (let at = 0; at < 20; at++) {
      const { queue } = bareQueue();
      const stopped = queue.shutdown();
      for (let turn = 0; turn < at; turn++) await Promise.resolve();
      let done: Promise<unknown> | undefined;
      try {
        ({ done } = queue.enqueue(() => 'ran'));
      } catch (error) {
        expect(error).toMatchObject({ code: 'TASK_QUEUE_CLOSED' });
      }
      await stopped;
      if (done !== undefined) expect(await done).toBe('ran');
    }
  });

  it('D11: after() has nothing of an attempt that is over, and what it throws ends nothing', async () => {
    const fake = bareQueue();
    const { queue, clock } = fake;
    const unhandled = await unhandledDuring(async () => {
      queue.submit(new ManualTask().run, {
        timeout: '1s',
        after: (outcome) => {
          expect(outcome.kind).toBe('timed-out');
          throw boom;
        },
      });
      queue.submit(nothing, { after: fail });
      await clock.advance('1s');
    });
    expect(unhandled).toEqual([]);
    expect(isolatedErrors(fake)).toBe(2);
    expect(await queue.enqueue(() => 5).done).toBe(5);
    await queue.shutdown();
  });

  it('D12: how attempts ended, how deep the queue is and a jitter are there', async () => {
    const { queue, clock, events } = fakeQueue({
      concurrency: 1,
      maxAttempts: 2,
      backoff: { initial: '1s' },
    });
    for (let count = 0; count < 50; count++) queue.submit(fail);
    await clock.settle();
    expect(new Set(events.of('failed').map(({ retry }) => retry?.delayMs)).size).toBe(50);
    queue.submit(new ManualTask().run, { timeout: '1h', maxAttempts: 1 });
    queue.submit(nothing);
    await clock.settle();
    expect(queue.snapshot()).toMatchObject({ running: 1, queued: 1, delayed: 50, attempts: { failed: 50 } });
    await clock.advance('1h');
    expect(queue.snapshot()).toMatchObject({
      completed: { failed: 50, 'timed-out': 1, succeeded: 1 },
      attempts: { failed: 100, 'timed-out': 1, succeeded: 1 },
    });
    await queue.shutdown();
  });
});

describe('the defects of dowork that were shown by running it (pitfalls 1.5)', () => {
  it('the first attempt of a task that is retried without end is made', async () => {
    const { queue } = bareQueue({ maxAttempts: Infinity });
    expect(await queue.enqueue(({ attempt, maxAttempts }) => [attempt, maxAttempts]).done).toEqual([
      1,
      Infinity,
    ]);
    await queue.shutdown();
  });

  it('attempt 28, and the thousandth, are scheduled in the future', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: Infinity, backoff: { initial: '1m', max: '30m' } });
    const task = queue.enqueue(fail);
    while (task.attempts < 1_000) {
      expect(task.nextAttempt?.getTime() ?? Infinity).toBeGreaterThan(clock.now());
      await clock.advance('30m');
    }
    await queue.shutdown();
  });

  it('a shutdown after a failure has nothing to wait for', async () => {
    const { queue, clock } = bareQueue();
    const task = queue.enqueue(fail);
    await clock.settle();
    expect(task.status).toBe('error');
    expect(await queue.shutdown()).toEqual({ orphans: [], durationMs: 0 });
  });

  it('20 queues of which each takes 1000 tasks from 10 sides and is shut down leave nothing', async () => {
    const queues = Array.from(
      { length: 20 },
      (_, index) => new TaskQueue({ name: `q${index}`, logger: silentLogger }),
    );
    let ran = 0;
    const side = async (): Promise<void> => {
      for (let count = 0; count < 100; count++) {
        for (const queue of queues) queue.submit(() => void ran++);
        await Promise.resolve();
      }
    };
    await Promise.all(Array.from({ length: 10 }, side));
    await TaskQueue.join(...queues);
    expect(ran).toBe(20_000);
    expect(queues.map(({ running, size }) => running + size)).toEqual(queues.map(() => 0));
  });

  it('nothing is taken, and forgotten, once the queue has shut down', async () => {
    const { queue } = bareQueue();
    await queue.shutdown();
    expect(() => queue.submit(nothing)).toThrow(expect.objectContaining({ code: 'TASK_QUEUE_CLOSED' }));
    expect(queue.size).toBe(0);
  });

  it('what a task costs does not grow with what waits beside it', async () => {
    const timers = async (beside: number): Promise<number> => {
      const { queue, clock } = bareQueue();
      for (let count = 0; count < beside; count++) queue.submit(nothing, { delay: `${1 + count}h` });
      await clock.settle();
      const before = clock.timersSet;
      for (let count = 0; count < 1_000; count++) {
        queue.submit(nothing);
        await clock.settle();
      }
      const answer = clock.timersSet - before;
      await queue.shutdown();
      return answer;
    };
    expect([await timers(0), await timers(10_000)]).toEqual([0, 0]);
  });

  it('a delay may be a fraction of a second, and a delay of one task leaves the others alone', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1 });
    const order: string[] = [];
    queue.submit(() => order.push('later'), { delay: '0.5s' });
    queue.submit(() => order.push('now'));
    await clock.advance(499);
    expect(order).toEqual(['now']);
    await clock.advance(1);
    expect(order).toEqual(['now', 'later']);
    await queue.shutdown();
  });
});
