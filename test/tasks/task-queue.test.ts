import { AsyncLocalStorage } from 'node:async_hooks';
import { currentContext, currentExecutionId, type TaskContext, TaskQueue } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { bareQueue, fakeQueue, ManualTask, stateOf } from '../support/fake-queue.js';
import { silentLogger } from '../support/recording-logger.js';

const nothing = (): void => undefined;

describe('submit', () => {
  it('runs a task in the background, never before it returns', async () => {
    const { queue, clock } = fakeQueue();
    let runs = 0;
    expect(queue.submit(() => void runs++)).toBeUndefined();
    expect(runs).toBe(0);
    expect(queue.size).toBe(1);
    await clock.settle();
    expect(runs).toBe(1);
    expect(queue.size).toBe(0);
    await queue.shutdown();
  });

  it('logs and counts a failure, once, and goes on', async () => {
    const { queue, clock, logger, events } = fakeQueue();
    queue.submit(function notify() {
      throw new Error('boom');
    });
    queue.submit(nothing);
    await clock.settle();
    expect(queue.snapshot()).toMatchObject({
      enqueued: 2,
      completed: { succeeded: 1, failed: 1 },
      lastError: { message: 'boom' },
    });
    expect(logger.messages('error')).toEqual(['Task "notify" in task queue "mail" failed after 0 ms: boom']);
    const line = logger.lines.find(({ level }) => level === 'error');
    const { executionId } = events.of('failed')[0]!;
    expect(line?.fields).toMatchObject({ queue: 'mail', task: 'notify', taskExecutionID: executionId });
    await queue.shutdown();
  });

  it('takes the options of a task, too', async () => {
    const { queue, clock } = fakeQueue();
    const task = new ManualTask();
    queue.submit(task.run, { delay: '1s', name: 'render' });
    await clock.advance(999);
    expect(task.attempts).toHaveLength(0);
    await clock.advance(1);
    expect(task.attempt.ctx.task).toBe('render');
    task.attempt.succeed();
    await queue.shutdown();
  });
});

describe('enqueue', () => {
  it('answers a task that can be followed and waited for', async () => {
    const { queue, clock } = fakeQueue();
    const manual = new ManualTask();
    const task = queue.enqueue(manual.run, { name: 'render' });
    expect(task).toMatchObject({ name: 'render', queue: 'mail', status: 'queued', attempts: 0 });
    expect(task.nextAttempt).toBeUndefined();
    await clock.settle();
    expect(task).toMatchObject({ status: 'running', attempts: 1 });
    manual.attempt.succeed('page');
    expect(await task.done).toBe('page');
    expect(task).toMatchObject({ status: 'success', attempts: 1 });
    await queue.shutdown();
  });

  it('gives a task its context, which is the current one while it runs', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: 3 });
    const seen = await queue.enqueue(
      async (ctx: TaskContext) => {
        await Promise.resolve();
        expect(currentContext()).toBe(ctx);
        expect(currentExecutionId()).toBe(ctx.executionId);
        const { kind, name, task, attempt, maxAttempts } = ctx;
        return { kind, name, task, attempt, maxAttempts, aborted: ctx.signal.aborted };
      },
      { name: 'render' },
    ).done;
    const expected = { kind: 'task-queue', name: 'mail', task: 'render', attempt: 1, maxAttempts: 3 };
    expect(seen).toEqual({ ...expected, aborted: false });
    expect(currentContext()).toBeUndefined();
    await clock.settle();
    await queue.shutdown();
  });

  it('names the task and its attempt on each line that it logs', async () => {
    const { queue, logger } = bareQueue();
    const task = queue.enqueue((ctx) => ctx.logger.log('at work'), { name: 'render' });
    await task.done;
    const line = logger.lines.find(({ message }) => message === 'at work');
    expect(line?.fields).toEqual({ queue: 'mail', task: 'render', taskExecutionID: task.id });
    await queue.shutdown();
  });

  it('runs any thenable, and what answers nothing', async () => {
    const { queue } = bareQueue();
    // oxlint-disable-next-line unicorn/no-thenable
    const thenable = { then: (resolve: (value: number) => void): void => resolve(5) };
    expect(await queue.enqueue(() => thenable as PromiseLike<number>).done).toBe(5);
    expect(await queue.enqueue(nothing).done).toBeUndefined();
    await queue.shutdown();
  });

  it.each([undefined, null, 5, Promise.resolve()])('refuses %o, which is no function', async (run) => {
    const { queue } = bareQueue();
    const refused = expect.objectContaining({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('task queue "mail"') as string,
    });
    expect(() => queue.submit(run as never)).toThrow(refused);
    expect(() => queue.enqueue(run as never)).toThrow(refused);
    expect(() => queue.enqueueMany([nothing, run as never])).toThrow(refused);
    expect(queue.snapshot().enqueued).toBe(0);
    await queue.shutdown();
  });
});

describe('enqueueMany', () => {
  it('enqueues all, in order and with the same options', async () => {
    const { queue } = bareQueue({ concurrency: 1 });
    const order: number[] = [];
    const runs = [0, 1, 2].map((index) => () => order.push(index));
    const tasks = queue.enqueueMany(new Set(runs), { name: 'render', maxAttempts: 2 });
    expect(tasks.map(({ name, status }) => [name, status])).toEqual(
      Array.from({ length: 3 }, () => ['render', 'queued']),
    );
    expect(await Promise.all(tasks.map(({ done }) => done))).toEqual([1, 2, 3]);
    expect(order).toEqual([0, 1, 2]);
    expect(queue.enqueueMany([])).toEqual([]);
    await queue.shutdown();
  });

  it('enqueues all or none', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxQueued: 2 });
    expect(() => queue.enqueueMany([nothing, nothing, nothing, nothing])).toThrow(
      expect.objectContaining({ code: 'TASK_QUEUE_FULL' }),
    );
    expect(queue.size).toBe(0);
    expect(queue.enqueueMany([nothing, nothing, nothing])).toHaveLength(3);
    await clock.settle();
    expect(queue.snapshot().completed.succeeded).toBe(3);
    await queue.shutdown();
    expect(() => queue.enqueueMany([nothing, nothing, nothing, nothing])).toThrow(
      expect.objectContaining({ code: 'TASK_QUEUE_CLOSED' }),
    );
  });
});

describe('concurrency', () => {
  it('runs so many at a time, the others in the order in which they came', async () => {
    const { queue, clock } = fakeQueue({ concurrency: 2 });
    const task = new ManualTask();
    const names = ['a', 'b', 'c', 'd'];
    names.forEach((name) => queue.submit(task.run, { name }));
    await clock.settle();
    expect(queue.running).toBe(2);
    expect(queue.size).toBe(2);
    task.attempts[1]?.succeed();
    await clock.settle();
    task.attempts[0]?.succeed();
    await clock.settle();
    expect(task.attempts.map(({ ctx }) => ctx.task)).toEqual(names);
    task.attempts.forEach((attempt) => attempt.succeed());
    await queue.shutdown();
    expect(task.mostAtOnce).toBe(2);
  });

  it('grows and shrinks at run time', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1 });
    const task = new ManualTask();
    for (let index = 0; index < 8; index++) queue.submit(task.run);
    await clock.settle();
    expect(task.running).toBe(1);
    queue.concurrency = 4;
    await clock.settle();
    expect(task.running).toBe(4);
    queue.concurrency = 2;
    expect(queue.concurrency).toBe(2);
    task.attempts.slice(0, 3).forEach((attempt) => attempt.succeed());
    await clock.settle();
    expect(task.running).toBe(2);
    expect(task.attempts).toHaveLength(5);
    queue.concurrency = Infinity;
    await clock.settle();
    expect(task.running).toBe(5);
    task.attempts.forEach((attempt) => attempt.succeed());
    await queue.shutdown();
  });

  it.each([0, -1, 1.5, Number.NaN, '2'])('refuses %o', async (concurrency) => {
    const { queue } = bareQueue();
    expect(() => {
      queue.concurrency = concurrency as number;
    }).toThrow(/concurrency.*task queue "mail"/);
    expect(queue.concurrency).toBe(10);
    await queue.shutdown();
  });

  it('is saturated while tasks wait for a place without a break, and then degraded', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, degradedAfter: '10s' });
    const task = new ManualTask();
    queue.submit(task.run);
    await clock.advance('1m');
    expect(queue.snapshot().degraded).toBe(false);
    queue.submit(task.run);
    await clock.advance('9s');
    expect(queue.snapshot()).toMatchObject({ degraded: false, oldestDueMs: 9_000 });
    await clock.advance('1s');
    expect(queue.snapshot()).toMatchObject({ degraded: true, oldestDueMs: 10_000 });
    task.attempt.succeed();
    await clock.settle();
    expect(queue.snapshot()).toMatchObject({ degraded: false, oldestDueMs: 0 });
    task.attempt.succeed();
    await queue.shutdown();
  });
});

describe('priority', () => {
  it('runs the higher first, and within one the earlier first', async () => {
    const { queue } = bareQueue({ concurrency: 1 });
    queue.pause();
    const order: string[] = [];
    const given: [string, number | undefined][] = [
      ['a', undefined],
      ['b', -1],
      ['c', 5],
      ['d', 0],
      ['e', 100],
      ['f', 5],
      ['g', -100],
      ['h', -1],
      ['i', undefined],
    ];
    for (const [name, priority] of given) {
      if (priority === undefined) queue.submit(() => order.push(name));
      else queue.submit(() => order.push(name), { priority });
    }
    queue.resume();
    await queue.onIdle();
    expect(order.join('')).toBe('ecfadibhg');
    await queue.shutdown();
  });
});

describe('pause and resume', () => {
  it('begins nothing while it is paused; what runs goes on', async () => {
    const { queue, clock } = bareQueue({ concurrency: 2 });
    const task = new ManualTask();
    queue.submit(task.run);
    await clock.settle();
    queue.pause();
    expect(queue.isPaused).toBe(true);
    expect(queue.snapshot().paused).toBe(true);
    queue.submit(task.run);
    task.attempt.succeed();
    await clock.advance('1h');
    expect(task.attempts).toHaveLength(1);
    expect(queue.snapshot()).toMatchObject({ queued: 1, degraded: false });
    queue.resume();
    expect(queue.isPaused).toBe(false);
    await clock.settle();
    expect(task.attempts).toHaveLength(2);
    task.attempt.succeed();
    await queue.shutdown();
  });

  it('takes no notice of a second call', async () => {
    const { queue, clock } = bareQueue();
    const task = new ManualTask();
    queue.pause();
    queue.pause();
    queue.submit(task.run);
    queue.resume();
    queue.resume();
    await clock.settle();
    expect(task.attempts).toHaveLength(1);
    task.attempt.succeed();
    await queue.shutdown();
  });

  it('does not stop tasks from coming due, in their order', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1 });
    const order: string[] = [];
    queue.submit(() => order.push('late'), { delay: '2s' });
    queue.submit(() => order.push('early'), { delay: '1s' });
    queue.pause();
    await clock.advance('1h');
    expect(queue.snapshot()).toMatchObject({ queued: 2, delayed: 0 });
    queue.resume();
    await queue.onIdle();
    expect(order).toEqual(['early', 'late']);
    await queue.shutdown();
  });
});

describe('dispatch', () => {
  it('runs what is due now, and answers whether any is left', async () => {
    const { queue, clock } = bareQueue({ autoStart: false, maxAttempts: 2, backoff: 'none' });
    let runs = 0;
    queue.submit(() => void runs++);
    queue.submit(() => void runs++, { delay: '1s' });
    await clock.advance('1h');
    expect(runs).toBe(0);
    queue.submit(() => void runs++, { delay: '1s' });
    expect(await queue.dispatch()).toBe(true);
    expect(runs).toBe(2);
    await clock.advance('1s');
    expect(await queue.dispatch()).toBe(false);
    expect(runs).toBe(3);
    expect(await queue.dispatch()).toBe(false);
    await queue.shutdown();
  });

  it('does not run what is due only since it began, such as the next attempt', async () => {
    const { queue } = bareQueue({ autoStart: false, maxAttempts: 2, backoff: 'none' });
    let runs = 0;
    const task = queue.enqueue(() => {
      runs++;
      throw new Error('boom');
    });
    queue.submit(() => queue.submit(nothing));
    expect(await queue.dispatch()).toBe(true);
    expect(runs).toBe(1);
    expect(task.status).toBe('queued');
    expect(await queue.dispatch()).toBe(false);
    await expect(task.done).rejects.toThrow('boom');
    await queue.shutdown();
  });

  it('keeps to the concurrency, and waits for the last to end', async () => {
    const { queue, clock } = bareQueue({ autoStart: false, concurrency: 2 });
    const task = new ManualTask();
    for (let index = 0; index < 3; index++) queue.submit(task.run);
    const dispatched = queue.dispatch();
    const again = queue.dispatch();
    await clock.settle();
    expect(task.running).toBe(2);
    task.attempts.forEach((attempt) => attempt.succeed());
    await clock.settle();
    expect(task.running).toBe(1);
    expect(await stateOf(dispatched)).toBe('pending');
    task.attempt.succeed();
    expect(await dispatched).toBe(false);
    expect(await again).toBe(false);
    await queue.shutdown();
  });

  it('runs a paused queue, which is paused still', async () => {
    const { queue, clock } = bareQueue();
    queue.pause();
    const task = queue.enqueue(() => 'page');
    expect(await queue.dispatch()).toBe(false);
    expect(await task.done).toBe('page');
    queue.submit(nothing);
    await clock.settle();
    expect(queue.size).toBe(1);
    await queue.shutdown();
  });

  it('ends when the task that it was to run is cancelled, and lets no other in for it', async () => {
    const { queue } = bareQueue({ autoStart: false });
    const task = queue.enqueue(nothing);
    const dispatched = queue.dispatch();
    task.cancel();
    expect(await dispatched).toBe(false);
    queue.submit(nothing);
    await new Promise((resolve) => setImmediate(resolve));
    expect(queue.size).toBe(1);
    await queue.shutdown();
  });

  it('ends with the shutdown, and at once after it', async () => {
    const { queue, clock } = bareQueue({ autoStart: false });
    const task = new ManualTask({ obedient: false });
    queue.submit(task.run);
    const dispatched = queue.dispatch();
    await clock.settle();
    const stopped = queue.shutdown({ deadline: '1s' });
    await clock.advance('1s');
    expect((await stopped).orphans).toHaveLength(1);
    expect(await dispatched).toBe(false);
    expect(await queue.dispatch()).toBe(false);
    task.attempt.succeed();
    await clock.settle();
    expect(await queue.dispatch()).toBe(false);
  });
});

describe('start', () => {
  it('runs a queue that was to be run by hand', async () => {
    const { queue, clock } = bareQueue({ autoStart: false });
    let runs = 0;
    queue.submit(() => void runs++);
    await clock.advance('1h');
    queue.start();
    queue.start();
    await queue.onIdle();
    queue.submit(() => void runs++);
    await queue.onIdle();
    expect(runs).toBe(2);
    await queue.shutdown();
  });

  it('does not resume a paused queue', async () => {
    const { queue, clock } = bareQueue();
    queue.pause();
    queue.submit(nothing);
    queue.start();
    await clock.settle();
    expect(queue.size).toBe(1);
    await queue.shutdown();
  });
});

describe('onIdle', () => {
  it('resolves at once where there is nothing', async () => {
    const { queue } = bareQueue();
    await queue.onIdle();
    await queue.shutdown();
    await queue.onIdle();
  });

  it('waits for what runs, for what waits for a time or another attempt, and for after()', async () => {
    const { queue, clock } = bareQueue();
    const task = new ManualTask();
    let afterEnded!: () => void;
    queue.submit(task.run, {
      delay: '1s',
      maxAttempts: 2,
      backoff: () => '1s',
      after: () => new Promise<void>((resolve) => (afterEnded = resolve)),
    });
    const idle = queue.onIdle();
    await clock.settle();
    expect(await stateOf(idle)).toBe('pending');
    await clock.advance('1s');
    task.attempt.fail();
    await clock.settle();
    expect(await stateOf(idle)).toBe('pending');
    await clock.advance('1s');
    expect(await stateOf(idle)).toBe('pending');
    task.attempt.succeed();
    await clock.settle();
    expect(queue.running).toBe(0);
    expect(await stateOf(idle)).toBe('pending');
    afterEnded();
    await idle;
    await queue.shutdown();
  });

  it('resolves when the last one is cancelled', async () => {
    const { queue } = bareQueue();
    const task = queue.enqueue(nothing, { delay: '1h' });
    const idle = queue.onIdle();
    task.cancel();
    await idle;
    await queue.shutdown();
  });
});

describe('the async context', () => {
  it('is that of whoever submitted, in the task, its retries and after()', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxAttempts: 2, backoff: () => 10 });
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const look = (): void => void seen.push(storage.getStore());
    const run = async (): Promise<void> => {
      look();
      await Promise.resolve();
      look();
      throw new Error('boom');
    };
    for (const request of ['r1', 'r2']) storage.run(request, () => queue.submit(run, { after: look }));
    storage.run('r3', () => queue.submit(look));
    queue.submit(look);
    await clock.advance(100);
    expect(seen).toEqual(['r1', 'r1', 'r2', 'r2', 'r3', undefined, 'r1', 'r1', 'r1', 'r2', 'r2', 'r2']);
    await queue.shutdown();
  });

  it('is nobody’s with carryContext: false', async () => {
    const { queue, clock } = bareQueue({
      concurrency: 1,
      carryContext: false,
      maxAttempts: 2,
      backoff: () => 10,
    });
    const storage = new AsyncLocalStorage<string>();
    const seen = new Set<string | undefined>();
    const look = (): void => void seen.add(storage.getStore());
    const fail = (): void => {
      look();
      throw new Error('boom');
    };
    storage.run('r1', () => queue.submit(look));
    storage.run('r2', () => queue.submit(fail, { after: look }));
    storage.run('r3', () => queue.submit(look, { delay: 5, after: look }));
    await storage.run('r4', () => clock.advance(100));
    expect([...seen]).toEqual([undefined]);
    await queue.shutdown();
  });

  it('does not leak from one task into the lines and timers of another', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const look = (message: string): void =>
      void (message.includes('failed') && seen.push(storage.getStore()));
    const logger = { ...silentLogger, isEnabled: () => true, warn: look, error: look };
    const { queue, clock } = bareQueue({ logger, concurrency: 1, maxAttempts: 2, backoff: () => 10 });
    const fail = (): never => {
      throw new Error('boom');
    };
    storage.run('r1', () => queue.submit(fail));
    await clock.advance(100);
    expect(seen).toEqual([undefined, undefined]);
    await queue.shutdown();
  });
});

describe('snapshot', () => {
  it('tells how the queue stands, and never changes', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxQueued: 10 });
    const task = new ManualTask();
    const running = queue.enqueue(task.run, { name: 'render' });
    queue.submit(nothing);
    queue.submit(nothing, { delay: '1h' });
    await clock.advance('5s');
    const snapshot = queue.snapshot();
    const expected = {
      kind: 'task-queue',
      name: 'mail',
      status: 'running',
      ignorable: false,
      degraded: false,
      paused: false,
      concurrency: 1,
      maxQueued: 10,
      running: 1,
      queued: 1,
      delayed: 1,
      waiting: 0,
      stuck: 0,
      oldestDueMs: 5_000,
      enqueued: 3,
      completed: { succeeded: 0, failed: 0, 'timed-out': 0, cancelled: 0, dropped: 0 },
      attempts: { succeeded: 0, failed: 0, 'timed-out': 0, cancelled: 0 },
      tasks: [{ id: running.id, name: 'render', status: 'running', attempt: 1, runningMs: 5_000 }],
    };
    expect(snapshot).toMatchObject(expected);
    expect(snapshot.startedAt).toEqual(new Date('2026-01-01T00:00:00Z'));
    expect(snapshot.events.map(({ type }) => type)).toEqual(['registered', 'started']);
    task.attempt.succeed();
    await queue.shutdown();
    expect(snapshot).toMatchObject(expected);
    expect([snapshot, snapshot.completed, snapshot.attempts, snapshot.tasks].every(Object.isFrozen)).toBe(
      true,
    );
    expect(queue.snapshot()).toMatchObject({
      status: 'cancelled',
      stopReason: 'shutdown',
      completed: { succeeded: 2, cancelled: 1 },
      attempts: { succeeded: 2, cancelled: 0 },
    });
  });

  it('shows at most a hundred tasks, the longest first', async () => {
    const { queue, clock } = bareQueue({ concurrency: Infinity, maxQueued: Infinity });
    const task = new ManualTask();
    for (let index = 0; index < 150; index++) {
      queue.submit(task.run, { name: `t${index}` });
      await clock.advance(1);
    }
    const { tasks, running } = queue.snapshot();
    expect([running, tasks.length]).toEqual([150, 100]);
    expect(tasks.map(({ runningMs }) => runningMs)).toEqual(
      Array.from({ length: 100 }, (_, index) => 150 - index),
    );
    expect(JSON.parse(JSON.stringify(queue.snapshot()))).toMatchObject({
      concurrency: 'Infinity',
      maxQueued: 'Infinity',
    });
    task.attempts.forEach((attempt) => attempt.succeed());
    await queue.shutdown();
  });
});

describe('new TaskQueue', () => {
  it('has a name when it is given none, and runs on the real clock', async () => {
    const queue = new TaskQueue({ logger: silentLogger });
    expect(queue.name).toBe('default');
    expect(await queue.enqueue(async (ctx) => ctx.sleep(2).then(() => ctx.name)).done).toBe('default');
    expect(await queue.shutdown()).toMatchObject({ orphans: [] });
  });
});
