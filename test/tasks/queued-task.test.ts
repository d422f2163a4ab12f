import { AsyncLocalStorage } from 'node:async_hooks';
import { DiscardError, type Task, type TaskOutcome, type TaskStatus } from 'nestjs-worker';
import { describe, expect, it, vi } from 'vitest';
import {
  bareQueue,
  fakeQueue,
  isolatedErrors,
  ManualTask,
  stateOf,
  stubborn,
  unhandledDuring,
} from '../support/fake-queue.js';

const nothing = (): void => undefined;
const interrupted = (reason: string, where: string) =>
  expect.objectContaining({
    code: 'TASK_INTERRUPTED',
    reason,
    message: expect.stringContaining(where) as string,
  }) as Error;

describe('name', () => {
  it('is the option, or that of the function', async () => {
    const { queue } = bareQueue();
    expect(queue.enqueue(nothing).name).toBe('nothing');
    expect(queue.enqueue(nothing, { name: 'render' }).name).toBe('render');
    expect(queue.enqueue((() => nothing)()).name).toBe('nothing');
    expect(queue.enqueue(Object.defineProperty(() => 1, 'name', { value: '' })).name).toBe('anonymous');
    await queue.shutdown();
  });

  it('stays when the task has settled', async () => {
    const { queue } = bareQueue();
    const task = queue.enqueue(nothing);
    await task.done;
    expect(task.name).toBe('nothing');
    await queue.shutdown();
  });
});

describe('id', () => {
  it('is that of the attempt in its lines, context and events, and each attempt has a new one', async () => {
    const { queue, clock, events } = fakeQueue({ maxAttempts: 3, backoff: () => '1s' });
    const manual = new ManualTask();
    const task = queue.enqueue(manual.run);
    const ids: string[] = [];
    for (let attempt = 0; attempt < 3; attempt++) {
      await clock.advance('1s');
      ids.push(task.id);
      expect(manual.attempt.ctx.executionId).toBe(task.id);
      manual.attempt.fail();
    }
    await expect(task.done).rejects.toThrow('boom');
    expect(task.id).toBe(ids[2]);
    expect(new Set(ids).size).toBe(3);
    const told = (type: 'started' | 'failed'): string[] =>
      events
        .of(type)
        .filter((event) => event.task !== undefined)
        .map(({ executionId }) => executionId);
    expect(told('started')).toEqual(ids);
    expect(told('failed')).toEqual(ids);
    await queue.shutdown();
  });

  it('is the one that it will have, when asked for before', async () => {
    const { queue } = bareQueue();
    const task = queue.enqueue((ctx) => ctx.executionId);
    const { id } = task;
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(await task.done).toBe(id);
    expect(task.id).toBe(id);
    await queue.shutdown();
  });

  it('is not made where nobody asks for it', async () => {
    let made = 0;
    const idGenerator = (): string => `id-${++made}`;
    const { queue } = bareQueue({ idGenerator });
    const before = made;
    const tasks = queue.enqueueMany(Array.from({ length: 100 }, () => nothing));
    for (let index = 0; index < 100; index++) queue.submit(async () => undefined);
    await queue.onIdle();
    await Promise.all(tasks.map(({ done }) => done));
    expect(made).toBe(before);
    expect(tasks[5]?.id).toBe(`id-${before + 1}`);
    expect(tasks[5]?.id).toBe(`id-${before + 1}`);
    await queue.shutdown();
  });

  it('is not shared with what an attempt left behind', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: 2, backoff: () => 10, timeout: 100, overlap: true });
    const manual = stubborn();
    const task = queue.enqueue(manual.run);
    await clock.advance(110);
    const [left, current] = manual.attempts.map(({ ctx }) => ctx.executionId);
    expect(current).toBe(task.id);
    expect(left).not.toBe(current);
    manual.attempts.forEach((attempt) => attempt.succeed());
    await queue.shutdown();
  });
});

describe('done', () => {
  it('is made when it is asked for, before the end or after it, and is always the same', async () => {
    const { queue } = bareQueue();
    const early = queue.enqueue(() => 'page');
    const late = queue.enqueue(() => 'page');
    const failed = queue.enqueue(() => {
      throw new Error('boom');
    });
    const { done } = early;
    await queue.onIdle();
    expect(early.done).toBe(done);
    expect(late.done).toBe(late.done);
    expect(await Promise.all([done, late.done])).toEqual(['page', 'page']);
    await expect(failed.done).rejects.toThrow('boom');
    await queue.shutdown();
  });

  it('never ends the process, whether it was asked for or not', async () => {
    const unhandled = await unhandledDuring(async () => {
      const { queue } = bareQueue();
      const fail = async (): Promise<never> => {
        throw new Error('boom');
      };
      queue.submit(fail);
      const early = queue.enqueue(fail);
      const late = queue.enqueue(fail);
      void early.done;
      await queue.onIdle();
      void late.done;
      void queue.enqueue(fail, { delay: '1h' }).done;
      await queue.shutdown();
    });
    expect(unhandled).toEqual([]);
  });

  it('is rejected with what was thrown, whatever that is', async () => {
    const { queue } = bareQueue();
    for (const thrown of [undefined, null, 'text', 0]) {
      const task = queue.enqueue(() => Promise.reject(thrown as unknown as Error));
      await expect(task.done.catch((error: unknown) => [error])).resolves.toEqual([thrown]);
    }
    await queue.shutdown();
  });
});

describe('nextAttempt', () => {
  it('is the date while the task waits for it', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxAttempts: 2, backoff: () => '3s' });
    const manual = new ManualTask();
    const task = queue.enqueue(manual.run, { delay: '2s' });
    expect(task).toMatchObject({ status: 'deferred', nextAttempt: new Date(clock.now() + 2_000) });
    await clock.advance('2s');
    expect(task).toMatchObject({ status: 'running', nextAttempt: undefined });
    manual.attempt.fail();
    await clock.settle();
    expect(task).toMatchObject({ status: 'backoff', nextAttempt: new Date(clock.now() + 3_000) });
    await clock.advance('3s');
    manual.attempt.succeed();
    await clock.settle();
    expect(task).toMatchObject({ status: 'success', nextAttempt: undefined });
    await queue.shutdown();
  });

  it('is none where a backoff function answered Infinity', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: 2, backoff: () => Infinity });
    const task = queue.enqueue(() => Promise.reject(new Error('boom')));
    await clock.advance('100y');
    expect(task).toMatchObject({ status: 'backoff', nextAttempt: undefined });
    await queue.shutdown();
    await expect(task.done).rejects.toEqual(interrupted('shutdown', 'next attempt'));
  });
});

describe('after', () => {
  it('is called once, with how the task ended', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1 });
    const outcomes: TaskOutcome[] = [];
    const after = (outcome: TaskOutcome): void => void outcomes.push(outcome);
    const boom = new Error('boom');
    queue.enqueue(() => 'page', { after });
    queue.submit(() => Promise.reject(boom), { after, maxAttempts: 3, backoff: 'none' });
    queue.enqueue(new ManualTask().run, { after, timeout: 10 });
    queue.enqueue(nothing, { after, delay: '1s' }).cancel('enough');
    await clock.advance(100);
    expect(outcomes).toEqual([
      { kind: 'cancelled', reason: 'stop-requested', error: 'enough' },
      { kind: 'succeeded', value: 'page' },
      { kind: 'timed-out', error: expect.objectContaining({ reason: 'timeout' }) as Error },
      { kind: 'failed', error: boom },
    ]);
    await queue.shutdown();
  });

  it('sees the task settled, and nothing of it left in the queue', async () => {
    const { queue, clock } = bareQueue();
    const seen: unknown[] = [];
    for (const delay of [0, 1_000]) {
      const task: Task = queue.enqueue(nothing, {
        delay,
        after: () => seen.push([task.status, task.cancel(), queue.size, queue.running]),
      });
      if (delay > 0) task.cancel();
    }
    await clock.settle();
    expect(seen).toEqual([
      ['cancelled', false, 1, 0],
      ['success', false, 0, 0],
    ]);
    await queue.shutdown();
  });

  it('holds the queue from being idle, and from having shut down, while it lasts', async () => {
    const { queue, clock } = bareQueue();
    let end!: () => void;
    queue.submit(nothing, { after: () => new Promise<void>((resolve) => (end = resolve)) });
    await clock.settle();
    const stopped = queue.shutdown();
    await clock.settle();
    expect(await stateOf(stopped)).toBe('pending');
    end();
    expect((await stopped).orphans).toEqual([]);
  });

  it('may hand on work to the queue', async () => {
    const { queue } = bareQueue({ concurrency: 1 });
    const seen: string[] = [];
    queue.submit(nothing, { after: () => queue.submit(() => seen.push('next')) });
    expect((await queue.shutdown()).orphans).toEqual([]);
    expect(seen).toEqual(['next']);
  });
});

describe('cancel', () => {
  it('takes a task that waits for its turn off the queue', async () => {
    const { queue, clock, events } = fakeQueue({ concurrency: 1 });
    const manual = new ManualTask();
    queue.submit(manual.run);
    const task = queue.enqueue(manual.run, { name: 'render' });
    const next = queue.enqueue(() => 'next');
    expect(task.cancel(new Error('enough'))).toBe(true);
    expect(task.cancel()).toBe(false);
    expect(task).toMatchObject({ status: 'cancelled', attempts: 0 });
    expect(queue.size).toBe(2);
    await clock.settle();
    manual.attempt.succeed();
    expect(await next.done).toBe('next');
    expect(manual.attempts).toHaveLength(1);
    await expect(task.done).rejects.toEqual(interrupted('stop-requested', 'while it waited for its turn'));
    await expect(task.done).rejects.toMatchObject({ cause: { message: 'enough' } });
    expect(events.of('cancelled')).toMatchObject([{ reason: 'stop-requested', task: 'render' }]);
    expect(queue.snapshot()).toMatchObject({ completed: { cancelled: 1 }, attempts: { cancelled: 0 } });
    await queue.shutdown();
  });

  it('takes one that waits for a time off the queue, and its timer with it', async () => {
    const { queue, clock } = bareQueue();
    const task = queue.enqueue(nothing, { delay: '1h' });
    expect(clock.pending).toBe(1);
    expect(task.cancel()).toBe(true);
    expect(clock.pending).toBe(0);
    expect(queue.size).toBe(0);
    await expect(task.done).rejects.toEqual(interrupted('stop-requested', 'before it was due'));
    await queue.shutdown();
  });

  it('ends the wait for another attempt', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: 2, backoff: () => '1h' });
    const task = queue.enqueue(() => Promise.reject(new Error('boom')));
    await clock.settle();
    expect(task.status).toBe('backoff');
    expect(task.cancel()).toBe(true);
    expect(clock.pending).toBe(0);
    await expect(task.done).rejects.toEqual(interrupted('stop-requested', 'waited for its next attempt'));
    expect(task).toMatchObject({ status: 'cancelled', attempts: 1 });
    await queue.shutdown();
  });

  it('tells a task that runs to end', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: 5, backoff: 'none' });
    const manual = new ManualTask();
    const task = queue.enqueue(manual.run);
    await clock.settle();
    expect(task.cancel('enough')).toBe(true);
    expect(manual.attempt.ctx.signal.reason).toMatchObject({ reason: 'stop-requested' });
    await expect(task.done).rejects.toEqual(interrupted('stop-requested', 'while it ran'));
    await expect(task.done).rejects.toMatchObject({ cause: 'enough' });
    expect(task).toMatchObject({ status: 'cancelled', attempts: 1 });
    expect(queue.snapshot().attempts).toMatchObject({ cancelled: 1, failed: 0 });
    await queue.shutdown();
  });

  it('leaves the result to one that ends well all the same', async () => {
    const { queue, clock } = bareQueue();
    const manual = stubborn();
    const task = queue.enqueue(manual.run);
    await clock.settle();
    expect(task.cancel()).toBe(true);
    manual.attempt.succeed('page');
    expect(await task.done).toBe('page');
    expect(task.cancel()).toBe(false);
    await queue.shutdown();
  });

  it('holds for one that ends by its timeout: it is not tried again', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: 5, backoff: 'none', timeout: '1s' });
    const manual = stubborn();
    const task = queue.enqueue(manual.run);
    await clock.advance('1s');
    expect(task.cancel('enough')).toBe(true);
    manual.attempt.fail();
    await clock.advance('1h');
    expect(manual.attempts).toHaveLength(1);
    await expect(task.done).rejects.toMatchObject({ reason: 'stop-requested', cause: 'enough' });
    expect(queue.snapshot()).toMatchObject({
      attempts: { 'timed-out': 1 },
      completed: { cancelled: 1, 'timed-out': 0 },
    });
    await queue.shutdown();
  });

  it('may come from the backoff function, or from who is told of the failure', async () => {
    for (const from of ['backoff', 'listener'] as const) {
      const fake = fakeQueue({
        maxAttempts: 5,
        backoff: () => {
          if (from === 'backoff') expect(task.cancel('enough')).toBe(true);
          return 10;
        },
      });
      const { queue, clock } = fake;
      let runs = 0;
      const task: Task = queue.enqueue(() => {
        runs++;
        throw new Error('boom');
      });
      fake.pool.events$.subscribe((event) => {
        if (from === 'listener' && event.type === 'failed') expect(task.cancel('enough')).toBe(true);
      });
      await clock.advance('1h');
      expect([runs, task.status, queue.size]).toEqual([1, 'cancelled', 0]);
      await expect(task.done).rejects.toMatchObject({ reason: 'stop-requested', cause: 'enough' });
      expect(queue.snapshot().completed).toMatchObject({ cancelled: 1, failed: 0 });
      expect(isolatedErrors(fake)).toBe(0);
      await queue.shutdown();
      expect(clock.pending).toBe(0);
    }
  });

  it('may come from after() of another one, whatever that one was at', async () => {
    const fake = bareQueue({ concurrency: 1, overflow: 'wait', maxQueued: 4, backoff: () => '1h' });
    const { queue, clock } = fake;
    const tasks: Task[] = [];
    let calls = 0;
    const after = (): void => {
      calls++;
      tasks.forEach((task) => task.cancel());
    };
    tasks.push(queue.enqueue(() => Promise.reject(new Error('boom')), { maxAttempts: 2, after }));
    await clock.settle();
    for (const delay of ['1h', '2h', 0, 0, 0, 0, '3h'] as const)
      tasks.push(queue.enqueue(new ManualTask().run, { delay, after }));
    await clock.settle();
    expect(tasks.map(({ status }) => status)).toEqual([
      'backoff',
      'deferred',
      'deferred',
      'running',
      'queued',
      'waiting',
      'waiting',
      'waiting',
    ] satisfies TaskStatus[]);
    tasks[4]?.cancel();
    await queue.onIdle();
    expect(calls).toBe(8);
    expect(queue.snapshot()).toMatchObject({
      queued: 0,
      delayed: 0,
      waiting: 0,
      completed: { cancelled: 8 },
    });
    expect(clock.pending).toBe(0);
    expect(isolatedErrors(fake)).toBe(0);
    await queue.shutdown();
  });
});

describe('signal', () => {
  it('cancels a task that comes too late, before anything of it runs', async () => {
    const { queue, clock, events } = fakeQueue({ maxQueued: 1, concurrency: 1, overflow: 'drop-oldest' });
    queue.pause();
    const older = queue.enqueue(() => 'older');
    const outcomes: unknown[] = [];
    const task: Task = queue.enqueue(() => expect.unreachable(), {
      signal: AbortSignal.abort('too late'),
      after: (outcome) => outcomes.push([task.status, outcome]),
    });
    expect(task).toMatchObject({ status: 'cancelled', attempts: 0 });
    expect(outcomes).toEqual([]);
    expect(queue.snapshot()).toMatchObject({
      enqueued: 2,
      queued: 1,
      completed: { cancelled: 1, dropped: 0 },
    });
    await clock.settle();
    const outcome = { kind: 'cancelled', reason: 'stop-requested', error: 'too late' };
    expect(outcomes).toEqual([['cancelled', outcome]]);
    expect(events.of('cancelled')).toHaveLength(1);
    await expect(task.done).rejects.toMatchObject({ reason: 'stop-requested', cause: 'too late' });
    queue.resume();
    expect(await older.done).toBe('older');
    await queue.shutdown();
  });

  it.each(['queued', 'deferred', 'backoff', 'waiting', 'running'] as const)(
    'cancels a task that is %s when it aborts',
    async (status) => {
      const { queue, clock } = bareQueue({ concurrency: 1, overflow: 'wait', maxQueued: 1 });
      const first = new ManualTask();
      const manual = new ManualTask();
      const controller = new AbortController();
      if (status === 'queued' || status === 'waiting') queue.submit(first.run);
      await clock.settle();
      if (status === 'waiting') queue.submit(nothing);
      const task = queue.enqueue(manual.run, {
        signal: controller.signal,
        ...(status === 'deferred' && { delay: '1h' }),
        ...(status === 'backoff' && { maxAttempts: 2, backoff: () => '1h' }),
      });
      await clock.settle();
      if (status === 'backoff') manual.attempt.fail();
      await clock.settle();
      expect(task.status).toBe(status);
      controller.abort('enough');
      await expect(task.done).rejects.toMatchObject({ reason: 'stop-requested', cause: 'enough' });
      expect(task.status).toBe('cancelled');
      first.attempts[0]?.succeed();
      await queue.shutdown();
      expect(clock.pending).toBe(0);
    },
  );

  it('is listened to once, however many tasks share it, and left alone when they have settled', async () => {
    const { queue, clock } = bareQueue({ concurrency: Infinity, maxQueued: Infinity });
    const controller = new AbortController();
    const { signal } = controller;
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    const tasks = queue.enqueueMany(
      Array.from({ length: 100_000 }, () => nothing),
      { signal },
    );
    expect(added).toHaveBeenCalledTimes(1);
    await queue.onIdle();
    expect(removed).toHaveBeenCalledTimes(1);
    expect(tasks.every(({ status }) => status === 'success')).toBe(true);
    controller.abort();
    await clock.settle();
    expect(queue.snapshot().completed).toMatchObject({ succeeded: 100_000, cancelled: 0 });
    await queue.shutdown();
  });

  it('cancels all that share it', async () => {
    const { queue } = bareQueue({ maxQueued: Infinity });
    queue.pause();
    const controller = new AbortController();
    const runs = Array.from({ length: 100_000 }, () => nothing);
    queue.enqueueMany(runs, { signal: controller.signal });
    queue.enqueueMany(runs.slice(0, 10));
    controller.abort();
    expect(queue.size).toBe(10);
    queue.resume();
    await queue.onIdle();
    expect(queue.snapshot().completed).toMatchObject({ succeeded: 10, cancelled: 100_000 });
    await queue.shutdown();
  });
});

describe('marks', () => {
  it('are recorded under the scope, the failing and the closing segment too', async () => {
    const { queue, clock, events } = fakeQueue({ maxAttempts: 2, backoff: () => 10 });
    let attempts = 0;
    const task = queue.enqueue(
      async (ctx) => {
        await ctx.sleep(10);
        ctx.mark('fetched');
        await ctx.sleep(20);
        if (++attempts === 1) throw new Error('boom');
        ctx.mark('rendered');
        await ctx.sleep(5);
      },
      { name: 'page 5', scope: 'render' },
    );
    await clock.advance('1s');
    await task.done;
    expect(
      events
        .of('marked')
        .map(({ scope, action, durationMs, outcome }) => [scope, action, durationMs, outcome]),
    ).toEqual([
      ['render', 'fetched', 10, 'success'],
      ['render', 'end', 20, 'error'],
      ['render', 'fetched', 10, 'success'],
      ['render', 'rendered', 20, 'success'],
      ['render', 'end', 5, 'success'],
    ]);
    await queue.shutdown();
  });

  it('are recorded under the name of the task where it has no scope', async () => {
    const { queue, events } = fakeQueue();
    await queue.enqueue((ctx) => ctx.mark('fetched'), { name: 'render' }).done;
    await queue.enqueue(nothing).done;
    expect(events.of('marked').map(({ scope, action }) => [scope, action])).toEqual([
      ['render', 'fetched'],
      ['render', 'end'],
    ]);
    await queue.shutdown();
  });
});

describe('retries', () => {
  it('rejects done with the last attempt’s own error, at once', async () => {
    const { queue, clock, events } = fakeQueue({
      maxAttempts: 3,
      backoff: { initial: '1s', max: '1m', jitter: false },
    });
    const manual = new ManualTask();
    const task = queue.enqueue(manual.run);
    for (const number of [1, 2, 3]) {
      await clock.advance('2s');
      manual.attempt.fail(new Error(`boom ${number}`));
    }
    await clock.settle();
    expect(task).toMatchObject({ status: 'error', attempts: 3, nextAttempt: undefined });
    await expect(task.done).rejects.toThrow('boom 3');
    expect(events.of('failed').map(({ retry }) => retry)).toEqual([
      { attempt: 2, delayMs: 1_000 },
      { attempt: 3, delayMs: 2_000 },
      undefined,
    ]);
    expect(queue.snapshot()).toMatchObject({ attempts: { failed: 3 }, completed: { failed: 1 } });
    await queue.shutdown();
  });

  it.each([new DiscardError('gone'), new (class Gone extends DiscardError {})('gone')])(
    'ends at once with %s',
    async (discard) => {
      const { queue, clock } = bareQueue({ maxAttempts: Infinity, backoff: 'none' });
      const task = queue.enqueue(() => Promise.reject(discard));
      await clock.advance('1h');
      await expect(task.done).rejects.toBe(discard);
      expect(task).toMatchObject({ status: 'error', attempts: 1 });
      await queue.shutdown();
    },
  );

  it('grow up to a cap, whatever the number of failures', async () => {
    const { queue, clock, events } = fakeQueue({
      maxAttempts: Infinity,
      backoff: { initial: '1s', factor: 3, max: '10m', jitter: false },
    });
    queue.submit(() => Promise.reject(new Error('boom')));
    await clock.advance('10d');
    const delays = events.of('failed').map(({ retry }) => retry?.delayMs);
    expect(delays.slice(0, 8)).toEqual([1_000, 3_000, 9_000, 27_000, 81_000, 243_000, 600_000, 600_000]);
    expect(delays.length).toBeGreaterThan(1_400);
    expect(new Set(delays.slice(7))).toEqual(new Set([600_000]));
    await queue.shutdown();
  });

  it('are spread by jitter', async () => {
    const { queue, clock, events } = fakeQueue({
      maxAttempts: 2,
      concurrency: Infinity,
      backoff: { initial: '10s', jitter: 0.5 },
    });
    for (let index = 0; index < 1_000; index++) queue.submit(() => Promise.reject(new Error('boom')));
    await clock.settle();
    const delays = events.of('failed').map(({ retry }) => retry?.delayMs ?? Number.NaN);
    expect(delays).toHaveLength(1_000);
    expect(Math.min(...delays)).toBeGreaterThan(5_000);
    expect(Math.min(...delays)).toBeLessThan(5_500);
    expect(Math.max(...delays)).toBeGreaterThan(9_500);
    expect(Math.max(...delays)).toBeLessThanOrEqual(10_000);
    await queue.shutdown();
  });

  it('wait as long as a function of the error says', async () => {
    const { queue, clock, events } = fakeQueue({ maxAttempts: 4 });
    const asked: unknown[] = [];
    const task = queue.enqueue(() => Promise.reject(new Error('boom')), {
      backoff: (failures, error) => {
        asked.push([failures, (error as Error).message]);
        return failures === 1 ? '2s' : failures === 2 ? -5 : 0.5;
      },
    });
    await clock.advance('1h');
    await expect(task.done).rejects.toThrow('boom');
    expect(asked).toEqual([1, 2, 3].map((failures) => [failures, 'boom']));
    expect(events.of('failed').map(({ retry }) => retry?.delayMs)).toEqual([2_000, 0, 0.5, undefined]);
    await queue.shutdown();
  });

  it('follow each other without a pause with backoff none, and let others have their turn', async () => {
    const { queue } = bareQueue({ concurrency: 1, backoff: 'none' });
    const order: string[] = [];
    const fail = (name: string) => (): never => {
      order.push(name);
      throw new Error('boom');
    };
    for (const name of ['a', 'b']) queue.submit(fail(name), { maxAttempts: 3 });
    await queue.onIdle();
    expect(order.join('')).toBe('ababab');
    await queue.shutdown();
  });

  it('hold no place while they wait', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxAttempts: 2, backoff: () => '1h' });
    const task = queue.enqueue(() => Promise.reject(new Error('boom')));
    const next = queue.enqueue(() => 'next');
    expect(await next.done).toBe('next');
    expect(task.status).toBe('backoff');
    await clock.advance('1h');
    await queue.shutdown();
  });
});

describe('timeout', () => {
  it('aborts the attempt, waits for its end, counts it as timed out and tries again', async () => {
    const { queue, clock, events } = fakeQueue({ maxAttempts: 2, timeout: '1s', backoff: () => '1s' });
    const manual = stubborn();
    const task = queue.enqueue(manual.run);
    await clock.advance('1s');
    expect(manual.attempt.ctx.signal.reason).toMatchObject({ reason: 'timeout' });
    await clock.advance('5s');
    expect(task.status).toBe('running');
    expect(manual.attempts).toHaveLength(1);
    manual.attempt.succeed('too late');
    await clock.advance('1s');
    expect(manual.attempts).toHaveLength(2);
    await clock.advance('1s');
    const own = new Error('gave up');
    manual.attempt.fail(own);
    await expect(task.done).rejects.toBe(own);
    expect(manual.mostAtOnce).toBe(1);
    expect(events.of('failed')).toMatchObject([
      { abortedFor: 'timeout', durationMs: 6_000 },
      { abortedFor: 'timeout', durationMs: 1_000, error: { message: 'gave up' } },
    ]);
    expect(queue.snapshot()).toMatchObject({ attempts: { 'timed-out': 2 }, completed: { 'timed-out': 1 } });
    await queue.shutdown();
  });

  it('rejects with AttemptAbortedError where the attempt throws the signal’s reason', async () => {
    const { queue, clock } = bareQueue();
    const task = queue.enqueue((ctx) => ctx.sleep('1h'), { timeout: '1s' });
    await clock.advance('1s');
    await expect(task.done).rejects.toMatchObject({ code: 'ATTEMPT_ABORTED', reason: 'timeout' });
    expect(clock.pending).toBe(0);
    await queue.shutdown();
  });

  it('may be longer than 2^31-1 ms', async () => {
    const { queue, clock } = bareQueue();
    const task = queue.enqueue((ctx) => ctx.sleep('40d'), { timeout: '50d' });
    await clock.advance('40d');
    await task.done;
    await queue.shutdown();
  });

  it('leaves the attempt to itself with overlap: true, and tries beside it', async () => {
    const { queue, clock } = bareQueue({
      maxAttempts: 3,
      timeout: '1s',
      backoff: () => '1s',
      overlap: true,
      concurrency: 1,
    });
    const manual = stubborn();
    const task = queue.enqueue(manual.run);
    await clock.advance('2s');
    expect(manual.attempts).toHaveLength(2);
    expect([manual.running, queue.running, task.attempts]).toEqual([2, 1, 2]);
    manual.attempts[0]?.succeed('of the first');
    await clock.settle();
    expect([task.status, queue.running]).toEqual(['running', 1]);
    manual.attempts[1]?.succeed('of the second');
    expect(await task.done).toBe('of the second');
    expect(queue.snapshot()).toMatchObject({
      attempts: { 'timed-out': 1, succeeded: 1, failed: 0 },
      completed: { succeeded: 1 },
      stuck: 0,
    });
    await queue.shutdown();
    expect(clock.pending).toBe(0);
  });
});

describe('stuck', () => {
  it('is a task that does not end within abortGrace: it settles, holds its place, and frees it in the end', async () => {
    const { queue, clock, logger, events } = fakeQueue({
      concurrency: 1,
      maxAttempts: 3,
      backoff: 'none',
      timeout: '1s',
      abortGrace: '5s',
    });
    const manual = stubborn();
    const task = queue.enqueue(manual.run, { name: 'render' });
    const next = queue.enqueue(() => 'next');
    await clock.advance(5_999);
    expect(task.status).toBe('running');
    expect(queue.snapshot().status).toBe('running');
    await clock.advance(1);
    expect(task.status).toBe('stuck');
    await expect(task.done).rejects.toMatchObject({ reason: 'timeout' });
    expect(task.cancel()).toBe(false);
    expect(queue.snapshot()).toMatchObject({
      status: 'stuck',
      stuck: 1,
      running: 1,
      queued: 1,
      completed: { 'timed-out': 1 },
      tasks: [{ name: 'render', status: 'stuck', runningMs: 6_000 }],
    });
    expect(events.of('stuck')).toMatchObject([{ reason: 'timeout', graceMs: 5_000, task: 'render' }]);
    expect(logger.messages('error')).toEqual([expect.stringMatching(/^Task "render" .* is stuck/)]);
    await clock.advance('1h');
    expect(next.status).toBe('queued');
    manual.attempt.succeed();
    expect(await next.done).toBe('next');
    expect(task.status).toBe('error');
    expect(manual.attempts).toHaveLength(1);
    expect(queue.snapshot()).toMatchObject({
      status: 'running',
      stuck: 0,
      attempts: { succeeded: 1, 'timed-out': 1 },
      completed: { succeeded: 1, 'timed-out': 1 },
    });
    await queue.shutdown();
  });

  it('is one that was cancelled, too, and is cancelled when it has ended', async () => {
    const { queue, clock } = bareQueue({ abortGrace: 0 });
    const manual = stubborn();
    const task = queue.enqueue(manual.run);
    await clock.settle();
    task.cancel('enough');
    await clock.advance(1);
    expect(task.status).toBe('stuck');
    await expect(task.done).rejects.toMatchObject({ reason: 'stop-requested', cause: 'enough' });
    manual.attempt.succeed();
    await clock.settle();
    expect(task.status).toBe('cancelled');
    await queue.shutdown();
  });

  it('leaves nothing to run to a middleware that goes on, also of a task that nobody was given', async () => {
    let goOn!: () => void;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const { queue, clock } = bareQueue({
      middlewares: [
        async (_ctx, next) => {
          await held;
          return next();
        },
      ],
      timeout: 10,
      abortGrace: 10,
    });
    let runs = 0;
    queue.submit(() => void runs++);
    queue.enqueue(() => void runs++);
    await clock.advance(20);
    expect(queue.snapshot().stuck).toBe(2);
    goOn();
    await clock.settle();
    expect(runs).toBe(0);
    expect(queue.snapshot()).toMatchObject({ stuck: 0, running: 0 });
    await queue.shutdown();
  });
});

describe('middlewares', () => {
  it('are around each attempt, the first one outermost, in its context', async () => {
    const storage = new AsyncLocalStorage<string>();
    const order: string[] = [];
    const around = (name: string) => async (ctx: { attempt: number }, next: () => Promise<unknown>) => {
      order.push(`${name} ${ctx.attempt}`);
      try {
        return await storage.run(name, next);
      } finally {
        order.push(`/${name}`);
      }
    };
    const { queue } = bareQueue({
      middlewares: [around('outer'), { use: around('inner') }],
      maxAttempts: 2,
      backoff: 'none',
    });
    let attempts = 0;
    const task = queue.enqueue(() => {
      order.push(storage.getStore() ?? 'none');
      if (++attempts === 1) throw new Error('boom');
      return 'page';
    });
    expect(await task.done).toBe('page');
    const one = (attempt: number): string[] => [
      `outer ${attempt}`,
      `inner ${attempt}`,
      'inner',
      '/inner',
      '/outer',
    ];
    expect(order).toEqual([...one(1), ...one(2)]);
    await queue.shutdown();
  });

  it('make an attempt fail by what they throw, and succeed by what they swallow', async () => {
    const { queue } = bareQueue({
      middlewares: [
        async (ctx, next) => {
          if ((ctx as { task?: string }).task === 'refused') throw new Error('refused');
          return next().catch(() => 'swallowed');
        },
      ],
    });
    const refused = queue.enqueue(() => expect.unreachable(), { name: 'refused' });
    await expect(refused.done).rejects.toThrow('refused');
    expect(await queue.enqueue(() => Promise.reject(new Error('boom'))).done).toBe('swallowed');
    await queue.shutdown();
  });

  it('that end early leave nothing behind: the attempt lasts until the work has ended', async () => {
    const { queue, clock } = bareQueue({
      concurrency: 1,
      middlewares: [
        async (_ctx, next) => {
          void next();
          return 'early';
        },
      ],
    });
    const manual = new ManualTask();
    const task = queue.enqueue(manual.run);
    const next = queue.enqueue(nothing);
    await clock.settle();
    expect([task.status, next.status]).toEqual(['running', 'queued']);
    manual.attempt.succeed();
    expect(await task.done).toBe('early');
    await queue.shutdown();
  });

  it('that give up on the work abort it, and it is waited for', async () => {
    const { queue, clock } = bareQueue({
      middlewares: [
        async (_ctx, next) => {
          void next();
          throw new Error('too slow');
        },
      ],
    });
    const manual = new ManualTask();
    const task = queue.enqueue(manual.run);
    await clock.settle();
    await expect(task.done).rejects.toThrow('too slow');
    expect(manual.attempt.ctx.signal.aborted).toBe(true);
    await queue.shutdown();
  });
});
