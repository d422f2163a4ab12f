import type { Task, WorkLogger } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { noLogger } from '../../lib/execution/index.js';
import {
  type BareQueue,
  bareQueue,
  fakeQueue,
  isolatedErrors,
  unhandledDuring,
} from '../support/fake-queue.js';

const nothing = (): void => undefined;
const boom = new Error('boom');
const throwing = (): never => {
  throw boom;
};
const rejecting = (): Promise<never> => Promise.reject(boom);

/** The process lives, and the queue goes on. */
async function goesOn(fake: BareQueue, run: () => Promise<unknown>): Promise<void> {
  expect(await unhandledDuring(run)).toEqual([]);
  expect(await fake.queue.enqueue(() => 'next').done).toBe('next');
  expect((await fake.queue.shutdown()).orphans).toEqual([]);
  expect(fake.queue.snapshot()).toMatchObject({ running: 0, queued: 0, delayed: 0, waiting: 0 });
  expect(fake.clock.pending).toBe(0);
}

describe.each([
  ['throws', throwing],
  ['rejects', rejecting],
])('what %s', (_how, bad) => {
  it('in a task is a failure of the task, counted once', async () => {
    const fake = fakeQueue();
    await goesOn(fake, async () => {
      fake.queue.submit(bad);
      await expect(fake.queue.enqueue(bad).done).rejects.toBe(boom);
    });
    expect(fake.queue.snapshot()).toMatchObject({
      attempts: { failed: 2, succeeded: 1 },
      completed: { failed: 2, succeeded: 1 },
    });
    expect(fake.events.of('failed')).toHaveLength(2);
    expect(isolatedErrors(fake)).toBe(0);
  });

  it('in after() is isolated, counted, and logged the first time', async () => {
    const fake = fakeQueue();
    const { queue } = fake;
    await goesOn(fake, async () => {
      for (const run of [nothing, throwing])
        for (let time = 0; time < 2; time++) queue.submit(run, { name: 'render', after: bad });
      queue.enqueue(nothing, { name: 'render', after: bad, delay: 5 }).cancel();
      queue.enqueue(nothing, { name: 'render', after: bad, signal: AbortSignal.abort() });
      await queue.onIdle();
    });
    expect(isolatedErrors(fake)).toBe(6);
    expect(fake.logger.messages('error').filter((message) => message.includes('after()'))).toEqual([
      'after() of a task in queue "mail" failed; the work goes on, further failures are counted',
    ]);
    expect(queue.snapshot().completed).toEqual({
      succeeded: 3,
      failed: 2,
      'timed-out': 0,
      cancelled: 2,
      dropped: 0,
    });
  });

  it('in a middleware is a failure of the attempt', async () => {
    let isBad = true;
    const fake = fakeQueue({ middlewares: [(_ctx, next) => (isBad ? bad() : next())] });
    await goesOn(fake, async () => {
      await expect(fake.queue.enqueue(nothing).done).rejects.toBe(boom);
      isBad = false;
    });
    expect(fake.queue.snapshot().attempts).toMatchObject({ failed: 1, succeeded: 1 });
    expect(isolatedErrors(fake)).toBe(0);
  });

  it('in a listener disturbs nothing, and is counted each time', async () => {
    const fake = bareQueue({ maxAttempts: 2, backoff: 'none' });
    const { queue, clock } = fake;
    const seen: string[] = [];
    const off = [queue.pool.events, queue.pool.unitEvents].map((emitter) =>
      emitter.on((event) => {
        seen.push(event.type);
        return bad();
      }),
    );
    await goesOn(fake, async () => {
      let runs = 0;
      const flaky = queue.enqueue(() => {
        if (++runs === 1) throw boom;
        return 'page';
      });
      expect(await flaky.done).toBe('page');
      queue.enqueue(nothing, { delay: 5 }).cancel();
      const slow = queue.enqueue((ctx) => ctx.sleep('1h'), { timeout: 5, maxAttempts: 1 });
      await clock.advance(5);
      await expect(slow.done).rejects.toMatchObject({ reason: 'timeout' });
    });
    off.forEach((remove) => remove());
    expect(new Set(seen)).toEqual(new Set(['started', 'failed', 'succeeded', 'cancelled', 'stopping']));
    expect(isolatedErrors(fake)).toBe(seen.length);
  });

  it('in the logger disturbs nothing, and is counted once for each line', async () => {
    const logger = { ...noLogger, isEnabled: () => true, debug: bad, log: bad, warn: bad, error: bad };
    const fake = bareQueue({ logger: logger as unknown as WorkLogger });
    await fake.clock.settle();
    const before = isolatedErrors(fake);
    await goesOn(fake, async () => {
      await expect(fake.queue.enqueue(throwing).done).rejects.toBe(boom);
      expect(isolatedErrors(fake)).toBe(before + 1);
      fake.queue.submit(nothing, { after: bad });
      await fake.queue.onIdle();
      expect(isolatedErrors(fake)).toBe(before + 2);
    });
  });

  it('in the backoff function leaves the default backoff in its place', async () => {
    const fake = fakeQueue({ maxAttempts: 3, backoff: bad as never });
    const { queue, clock } = fake;
    await goesOn(fake, async () => {
      const task = queue.enqueue(throwing);
      await clock.advance('5s');
      await expect(task.done).rejects.toBe(boom);
      expect(task.attempts).toBe(3);
    });
    // Two waits; one that answers a promise answers no duration.
    expect(isolatedErrors(fake)).toBe(2);
    expect(fake.logger.messages('error')[0]).toContain('the backoff function of task queue "mail" failed');
  });

  it('in the idGenerator leaves an id of our own in its place', async () => {
    const fake = fakeQueue({ idGenerator: bad as never });
    const before = isolatedErrors(fake);
    await goesOn(fake, async () => {
      const task: Task<string> = fake.queue.enqueue((ctx) => ctx.executionId);
      expect(await task.done).toMatch(/^[0-9a-f-]{36}$/);
      expect(isolatedErrors(fake)).toBe(before + 1);
    });
  });
});

describe('what user code does to the queue', () => {
  it('while it is told of something may be anything', async () => {
    const fake = bareQueue({
      concurrency: 2,
      maxQueued: 5,
      overflow: 'drop-oldest',
      maxAttempts: 2,
      backoff: () => 5,
    });
    const { queue, clock } = fake;
    const tasks: Task[] = [];
    let calls = 0;
    const meddle = (): void => {
      const call = calls++;
      if (call > 300) return;
      if (call % 3 === 0) tasks.forEach((task, index) => index % 4 === 0 && task.cancel());
      if (call % 5 === 0) queue.pause();
      if (call % 7 === 0) queue.concurrency = 1 + (call % 4);
      queue.resume();
      if (call % 2 === 0)
        tasks.push(queue.enqueue(call % 4 === 0 ? throwing : nothing, { delay: call % 3, after: meddle }));
    };
    const offs = [queue.pool.events.on(meddle), queue.pool.unitEvents.on(meddle)];
    for (let count = 0; count < 10; count++)
      tasks.push(queue.enqueue(count % 2 === 0 ? throwing : nothing, { after: meddle }));
    await clock.advance('1s');
    offs.forEach((off) => off());
    await goesOn(fake, async () => clock.advance('1s'));
    const { enqueued, completed } = queue.snapshot();
    expect(tasks.filter(({ status }) => !['success', 'error', 'cancelled'].includes(status))).toEqual([]);
    expect(Object.values(completed).reduce((sum, count) => sum + count, 0)).toBe(enqueued);
    expect(enqueued).toBe(tasks.length + 1);
    expect(calls).toBeGreaterThan(300);
    expect(isolatedErrors(fake)).toBe(0);
  });
});
