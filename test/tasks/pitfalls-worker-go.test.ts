import { describe, expect, it } from 'vitest';
import { bareQueue, fakeQueue, isolatedErrors, ManualTask } from '../support/fake-queue.js';

const nothing = (): void => undefined;
const boom = new Error('boom');
const throwing = (): never => {
  throw boom;
};

describe('the defects of worker.go (pitfalls 1.3)', () => {
  it('Jobs.Dec: 100 tasks that throw leave the count of running tasks at 0', async () => {
    const { queue } = bareQueue();
    for (let count = 0; count < 100; count++)
      queue.submit(count % 2 === 0 ? throwing : () => Promise.reject(boom));
    await queue.onIdle();
    expect(queue.running).toBe(0);
    expect(queue.snapshot()).toMatchObject({ running: 0, completed: { failed: 100 } });
    await queue.shutdown();
  });

  it('no Recover: what a task throws is never swallowed', async () => {
    const { queue, clock, logger } = bareQueue();
    for (let count = 0; count < 3; count++) queue.submit(throwing);
    await clock.settle();
    expect(logger.messages('error')).toEqual(
      Array.from({ length: 3 }, () => 'Task "throwing" in task queue "mail" failed after 0 ms: boom'),
    );
    expect(queue.snapshot().lastError?.message).toBe('boom');
    await queue.shutdown();
  });

  it('nil Tracer: a task may trace and mark where nobody traces', async () => {
    const { queue } = bareQueue();
    const done = queue.enqueue((ctx) => {
      ctx.mark('fetched');
      return ctx.tracer.startActiveSpan('inner', () => 'traced');
    });
    expect(await done.done).toBe('traced');
    await queue.shutdown();
  });

  it('Mark: the time after the last mark and the step that fails are recorded', async () => {
    const { queue, clock, events } = fakeQueue();
    queue.submit(
      async (ctx) => {
        await ctx.sleep(10);
        ctx.mark('fetched');
        await ctx.sleep(20);
        throw boom;
      },
      { scope: 'render' },
    );
    queue.submit(
      async (ctx) => {
        ctx.mark('fetched');
        await ctx.sleep(35);
      },
      { scope: 'store' },
    );
    await clock.advance(100);
    expect(
      events
        .of('marked')
        .map(({ scope, action, durationMs, outcome }) => [scope, action, durationMs, outcome]),
    ).toEqual([
      ['store', 'fetched', 0, 'success'],
      ['render', 'fetched', 10, 'success'],
      ['render', 'end', 20, 'error'],
      ['store', 'end', 35, 'success'],
    ]);
    await queue.shutdown();
  });

  it('unbounded goroutines: no more run at a time, and no more wait, than is allowed', async () => {
    const { queue, clock } = bareQueue({ concurrency: 5, maxQueued: 10 });
    const task = new ManualTask();
    let refused = 0;
    for (let count = 0; count < 100; count++) {
      try {
        queue.submit(task.run);
      } catch {
        refused++;
      }
    }
    await clock.settle();
    expect([task.running, queue.size, refused]).toEqual([5, 10, 85]);
    while (task.running > 0) {
      task.attempts.forEach((attempt) => attempt.succeed());
      await clock.settle();
    }
    expect(task.mostAtOnce).toBe(5);
    await queue.shutdown();
  });

  it('MustRegister: a second queue, also of the same name, disturbs nobody', async () => {
    const queues = [bareQueue(), bareQueue()];
    for (const { queue } of queues) expect(await queue.enqueue(() => 5).done).toBe(5);
    expect(queues.map(({ queue }) => queue.snapshot().enqueued)).toEqual([1, 1]);
    for (const { queue } of queues) await queue.shutdown();
  });

  it('cardinality: marks go by the scope, however many names tasks have', async () => {
    const { queue, events } = fakeQueue();
    for (let user = 0; user < 20; user++)
      queue.submit((ctx) => ctx.mark('fetched'), { name: `render for user ${user}`, scope: 'render' });
    await queue.onIdle();
    expect(new Set(events.of('marked').map(({ scope }) => scope))).toEqual(new Set(['render']));
    await queue.shutdown();
  });
});

describe('the defects of worker.go that were shown by running it (pitfalls 1.5)', () => {
  it('the caller of what cannot be run is told so, and nothing is counted for it', async () => {
    const { queue } = bareQueue();
    expect(() => queue.submit(undefined as never)).toThrow(/accepted is a function/);
    expect(queue.snapshot()).toMatchObject({ enqueued: 0, running: 0 });
    await queue.shutdown();
  });

  it('there is an end to wait for, a stop, and a context', async () => {
    const { queue, clock } = bareQueue();
    const task = new ManualTask();
    queue.submit(task.run);
    const idle = queue.onIdle();
    await clock.settle();
    expect(task.attempt.ctx).toMatchObject({ kind: 'task-queue', name: 'mail', attempt: 1 });
    task.attempt.succeed();
    await idle;
    expect(await queue.shutdown()).toMatchObject({ orphans: [] });
  });

  it('a trace is safe for two that mark at the same time', async () => {
    const { queue, clock, events } = fakeQueue();
    queue.submit(
      async (ctx) => {
        const part = async (action: string, lasts: number): Promise<void> => {
          await ctx.sleep(lasts);
          ctx.mark(action);
        };
        await Promise.all([part('a', 10), part('b', 25)]);
      },
      { scope: 'render' },
    );
    await clock.advance(100);
    expect(events.of('marked').map(({ action, durationMs }) => [action, durationMs])).toEqual([
      ['a', 10],
      ['b', 15],
      ['end', 0],
    ]);
    await queue.shutdown();
  });

  it('a throw where failures are told of does not end the process', async () => {
    const fake = fakeQueue();
    fake.pool.events$.subscribe(throwing);
    fake.queue.submit(throwing);
    fake.queue.submit(nothing, { after: throwing });
    await fake.clock.settle();
    // Started, failed, started, succeeded, and after().
    expect(isolatedErrors(fake)).toBe(5);
    await fake.queue.shutdown();
  });
});
