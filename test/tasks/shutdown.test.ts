import { type StopReport, type Task, TaskQueue } from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import { Pool } from '../../lib/pool/index.js';
import { bareQueue, fakeQueue, ManualTask, stateOf, stubborn } from '../support/fake-queue.js';
import { RecordingLogger, silentLogger } from '../support/recording-logger.js';

const nothing = (): void => undefined;
const interrupted = expect.objectContaining({ code: 'TASK_INTERRUPTED', reason: 'shutdown' }) as Error;
const closed = expect.objectContaining({ code: 'TASK_QUEUE_CLOSED', statusCode: 503 });
const boom = new Error('boom');

/** Queues of one pool, as an app has them. */
function appQueues(
  names: readonly string[],
  poolOptions: ConstructorParameters<typeof Pool>[0] = {},
): { clock: FakeClock; pool: Pool; queues: TaskQueue[]; logger: RecordingLogger } {
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  const pool = new Pool({ clock, logger, ...poolOptions });
  const queues = names.map((name) => new TaskQueue({ name }, pool, 'a test'));
  queues.forEach(({ child }) => pool.add(child));
  pool.start();
  return { clock, pool, queues, logger };
}

describe('shutdown', () => {
  it('runs to the end what was accepted, takes what that hands on, and refuses afterwards', async () => {
    const { queue, clock, logger } = fakeQueue({ concurrency: 1 });
    const manual = new ManualTask();
    const order: string[] = [];
    queue.submit(manual.run);
    queue.submit(() => {
      order.push('queued');
      queue.submit(() => void order.push('handed on'));
    });
    await clock.settle();
    const stopped = queue.shutdown();
    queue.submit(() => void order.push('during'));
    await clock.advance('1s');
    expect(queue.snapshot()).toMatchObject({ status: 'stopping', stopReason: 'shutdown' });
    manual.attempt.succeed();
    expect(await stopped).toEqual({ orphans: [], durationMs: 1_000 });
    expect(order).toEqual(['queued', 'during', 'handed on']);
    expect(() => queue.submit(nothing)).toThrow(closed);
    expect(() => queue.enqueue(nothing)).toThrow(closed);
    expect(() => queue.enqueueMany([nothing])).toThrow(closed);
    expect(queue.snapshot()).toMatchObject({ status: 'cancelled', completed: { succeeded: 4 }, enqueued: 4 });
    expect(clock.pending).toBe(0);
    expect(logger.messages('warn')).toEqual([]);
  });

  it('interrupts at once what waits for a time or for its next attempt, and says so', async () => {
    const { queue, clock, logger, events } = fakeQueue({ maxAttempts: 2, backoff: () => '1h' });
    const deferred = queue.enqueue(nothing, { delay: '1y' });
    const backoff = queue.enqueue(() => Promise.reject(boom));
    await clock.settle();
    expect([deferred.status, backoff.status]).toEqual(['deferred', 'backoff']);
    expect(await queue.shutdown()).toEqual({ orphans: [], durationMs: 0 });
    await expect(deferred.done).rejects.toEqual(interrupted);
    await expect(backoff.done).rejects.toEqual(interrupted);
    await expect(deferred.done).rejects.toThrow('interrupted by the shutdown before it was due');
    expect([deferred.status, backoff.status]).toEqual(['cancelled', 'cancelled']);
    expect(events.of('cancelled').filter(({ task }) => task !== undefined)).toHaveLength(2);
    expect(logger.messages('warn')).toEqual([
      expect.stringContaining('is tried again') as string,
      'Task queue "mail" gave up 2 tasks that had not begun or waited for another attempt (shutdown)',
    ]);
    expect(clock.pending).toBe(0);
  });

  it('tries nothing again that fails from then on, and takes nothing that is to run later', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: 5, backoff: 'none' });
    const manual = stubborn();
    const task = queue.enqueue(manual.run);
    await clock.settle();
    const stopped = queue.shutdown();
    expect(() => queue.submit(nothing, { delay: 1 })).toThrow(closed);
    expect(() => queue.submit(nothing, { notBefore: new Date(clock.now() + 1) })).toThrow(/is to run later/);
    expect(await queue.enqueue(() => 5, { notBefore: new Date(clock.now()) }).done).toBe(5);
    manual.attempt.fail(boom);
    await stopped;
    expect(manual.attempts).toHaveLength(1);
    await expect(task.done).rejects.toEqual(interrupted);
    await expect(task.done).rejects.toMatchObject({ cause: boom });
    expect(queue.snapshot()).toMatchObject({
      attempts: { failed: 1 },
      completed: { cancelled: 1, failed: 0 },
    });
  });

  it('gives the last attempt its own error, also then', async () => {
    const { queue, clock } = bareQueue();
    const manual = stubborn();
    const task = queue.enqueue(manual.run);
    await clock.settle();
    const stopped = queue.shutdown();
    manual.attempt.fail(boom);
    await stopped;
    await expect(task.done).rejects.toBe(boom);
  });

  it('aborts what still runs abortMargin before the deadline, and gives up what has not begun', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, shutdownTimeout: '20s', abortMargin: '4s' });
    const manual = new ManualTask();
    const running = queue.enqueue(manual.run);
    const queued = queue.enqueue(manual.run);
    await clock.settle();
    const { ctx } = manual.attempt;
    const stopped = queue.shutdown();
    expect(ctx.shutdown.aborted).toBe(true);
    await clock.advance(15_999);
    expect(ctx.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(ctx.signal.reason).toMatchObject({ reason: 'shutdown' });
    expect(await stopped).toEqual({ orphans: [], durationMs: 16_000 });
    await expect(running.done).rejects.toThrow('interrupted by the shutdown while it ran');
    await expect(queued.done).rejects.toThrow('interrupted by the shutdown while it waited for its turn');
    expect(queue.snapshot()).toMatchObject({ completed: { cancelled: 2 }, attempts: { cancelled: 1 } });
    expect(clock.pending).toBe(0);
  });

  it('refuses from then on, and takes no result amiss', async () => {
    const { queue, clock } = bareQueue({ shutdownTimeout: '20s' });
    const manual = stubborn();
    const task = queue.enqueue(manual.run);
    await clock.settle();
    const stopped = queue.shutdown();
    await clock.advance('15s');
    expect(() => queue.submit(nothing)).toThrow(closed);
    manual.attempt.succeed('page');
    expect(await task.done).toBe('page');
    expect((await stopped).orphans).toEqual([]);
  });

  it('names at the deadline what it leaves behind: in the report, the log, the events and the snapshot', async () => {
    const { queue, clock, logger, events } = fakeQueue({ shutdownTimeout: '10s', concurrency: 20 });
    const manual = stubborn();
    const tasks = Array.from({ length: 13 }, (_, index) => queue.enqueue(manual.run, { name: `t${index}` }));
    await clock.settle();
    const stopped = queue.shutdown();
    const idle = queue.onIdle();
    await clock.advance('10s');
    expect(await stopped).toEqual({ orphans: [{ kind: 'task-queue', name: 'mail' }], durationMs: 10_000 });
    for (const task of tasks) await expect(task.done).rejects.toEqual(interrupted);
    await idle;
    await queue.onIdle();
    expect(tasks.map(({ status }) => status)).toEqual(Array.from({ length: 13 }, () => 'stuck'));
    expect(queue.snapshot()).toMatchObject({
      status: 'stuck',
      stuck: 13,
      running: 13,
      completed: { cancelled: 13 },
    });
    const [line] = logger.messages('error');
    expect(line).toMatch(/^Task queue "mail" is orphaned.*t0 \(.*t9 \(.*3 more$/);
    expect(events.of('orphaned').filter(({ task }) => task !== undefined)).toHaveLength(13);
    expect(events.of('orphaned').at(-1)?.tasks).toHaveLength(11);
    expect(clock.pending).toBe(0);
    manual.attempts.forEach((attempt) => attempt.fail());
    await clock.settle();
    expect(queue.snapshot()).toMatchObject({ status: 'cancelled', stuck: 0, running: 0 });
    expect(tasks[0]?.status).toBe('cancelled');
    expect(queue.snapshot().completed).toMatchObject({ cancelled: 13, failed: 0 });
  });

  it('leaves an after() behind that does not end', async () => {
    const { queue, clock } = bareQueue();
    let end!: () => void;
    const task = queue.enqueue(() => 5, { after: () => new Promise<void>((resolve) => (end = resolve)) });
    await clock.settle();
    const stopped = queue.shutdown({ deadline: '1s' });
    await clock.advance('1s');
    expect((await stopped).orphans).toHaveLength(1);
    expect(await task.done).toBe(5);
    end();
    await clock.settle();
    expect(queue.snapshot().status).toBe('cancelled');
  });

  it('runs what a paused queue has', async () => {
    const { queue, clock } = bareQueue();
    queue.pause();
    const task = queue.enqueue(() => 5);
    await clock.settle();
    const stopped = queue.shutdown();
    queue.pause();
    expect(await task.done).toBe(5);
    await stopped;
    queue.start();
    queue.submit(nothing);
    await clock.settle();
    expect([queue.isPaused, queue.size]).toEqual([true, 1]);
    await queue.shutdown();
  });

  it('runs what waits in a queue that is run by hand', async () => {
    const { queue } = bareQueue({ autoStart: false });
    const task = queue.enqueue(() => 5);
    await queue.shutdown();
    expect(await task.done).toBe(5);
  });

  it.each(['same tick', 'after a microtask', 'after a turn'])(
    'takes the %s as its constructor',
    async (when) => {
      const { queue, clock } = bareQueue();
      const task = queue.enqueue(() => 5);
      if (when === 'after a microtask') await Promise.resolve();
      if (when === 'after a turn') await clock.settle();
      expect(await queue.shutdown()).toEqual({ orphans: [], durationMs: 0 });
      expect(await task.done).toBe(5);
    },
  );

  it('twice is one: at the same time, and one after the other', async () => {
    const { queue, clock } = bareQueue();
    const manual = new ManualTask();
    queue.submit(manual.run);
    await clock.settle();
    const both = [queue.shutdown(), queue.shutdown({ deadline: '1h' })];
    await clock.settle();
    manual.attempt.succeed();
    const [one, two] = await Promise.all(both);
    expect(two).toEqual(one);
    expect(await queue.shutdown()).toEqual({ orphans: [], durationMs: 0 });
    expect(clock.pending).toBe(0);
  });

  it('once more after one that left something behind waits for that again, and names it once', async () => {
    const { queue, clock, logger } = fakeQueue();
    const manual = stubborn();
    const task = queue.enqueue(manual.run);
    await clock.settle();
    for (let round = 0; round < 2; round++) {
      const stopped = queue.shutdown({ deadline: '1s' });
      await clock.advance('1s');
      expect((await stopped).orphans).toHaveLength(1);
    }
    expect(logger.messages('error')).toHaveLength(1);
    await expect(task.done).rejects.toEqual(interrupted);
    manual.attempt.succeed();
    await clock.settle();
    expect((await queue.shutdown()).orphans).toEqual([]);
  });

  it('may be asked for from a task, and from after()', async () => {
    const { queue } = bareQueue();
    let stopped: Promise<StopReport> | undefined;
    queue.submit(() => void (stopped = queue.shutdown()), { after: () => void queue.shutdown() });
    await queue.onIdle();
    expect(await stopped).toEqual({ orphans: [], durationMs: 0 });
  });

  it('gives up a task that fails just as it is asked for, by whoever is told of the failure', async () => {
    const { queue, clock, pool } = fakeQueue({ maxAttempts: 5, backoff: () => '1h' });
    const task = queue.enqueue(() => Promise.reject(boom));
    let stopped: Promise<StopReport> | undefined;
    pool.events$.subscribe(({ type }) => {
      if (type === 'failed') stopped = queue.shutdown();
    });
    await clock.settle();
    expect(await stopped).toEqual({ orphans: [], durationMs: 0 });
    await expect(task.done).rejects.toEqual(interrupted);
    expect([task.attempts, queue.size, clock.pending]).toEqual([1, 0, 0]);
  });
});

describe('start after a shutdown', () => {
  it('opens the queue again, with a fresh ctx.shutdown', async () => {
    const { queue, events } = fakeQueue();
    for (let round = 0; round < 3; round++) {
      expect(await queue.enqueue((ctx) => ctx.shutdown.aborted).done).toBe(false);
      await queue.shutdown();
      expect(() => queue.submit(nothing)).toThrow(closed);
      queue.start();
    }
    expect(await queue.enqueue(() => Promise.resolve(5), { maxAttempts: 2 }).done).toBe(5);
    await queue.shutdown();
    expect(events.of('started').filter(({ task }) => task === undefined)).toHaveLength(3);
  });

  it('while it lasts happens once it is over; the last word counts', async () => {
    const { queue, clock } = bareQueue();
    const manual = new ManualTask();
    for (const last of ['start', 'shutdown']) {
      queue.submit(manual.run);
      await clock.settle();
      const stopped = queue.shutdown();
      queue.start();
      if (last === 'shutdown') void queue.shutdown();
      manual.attempt.succeed();
      await stopped;
      await clock.settle();
      expect(queue.snapshot().status).toBe(last === 'start' ? 'running' : 'cancelled');
    }
  });

  it('that left something behind waits for that to end', async () => {
    const { queue, clock } = bareQueue();
    const manual = stubborn();
    queue.submit(manual.run);
    await clock.settle();
    const stopped = queue.shutdown({ deadline: 0 });
    await clock.advance(1);
    expect((await stopped).orphans).toHaveLength(1);
    queue.start();
    expect(() => queue.submit(nothing)).toThrow(closed);
    manual.attempt.succeed();
    await clock.settle();
    expect(await queue.enqueue(() => 5).done).toBe(5);
    await queue.shutdown();
  });

  it('retries again', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: 2, backoff: 'none' });
    await queue.shutdown();
    queue.start();
    const task = queue.enqueue(() => Promise.reject(boom));
    await clock.settle();
    expect(task.attempts).toBe(2);
    await queue.shutdown();
  });
});

describe('TaskQueue.join', () => {
  const make = (name: string, clock: FakeClock, more: object = {}): TaskQueue =>
    new TaskQueue({ name, clock, logger: silentLogger, ...more });

  it('shuts down queues that feed one another, until none has any left', async () => {
    const clock = new FakeClock();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => make(name, clock)) as [TaskQueue, TaskQueue, TaskQueue];
    const order: string[] = [];
    const visit = (queue: TaskQueue, hops: number): void =>
      queue.submit(async (ctx) => {
        await ctx.sleep('1s');
        order.push(ctx.name);
        if (hops > 0) visit([a, b, c][hops % 3]!, hops - 1);
      });
    visit(c, 7);
    const stopped = TaskQueue.join(a, b, c);
    await clock.advance('8s');
    expect(await stopped).toMatchObject([{ orphans: [] }, { orphans: [] }, { orphans: [] }]);
    expect(order.join('')).toBe('cbacbacb'.slice(0, 8));
    for (const queue of [a, b, c]) expect(() => queue.submit(nothing)).toThrow(closed);
    expect(clock.pending).toBe(0);
  });

  it('names only the queue that did not end, also to those that waited for it', async () => {
    const clock = new FakeClock();
    const [a, b] = [make('a', clock), make('b', clock)];
    const manual = stubborn();
    a.submit(manual.run);
    await clock.settle();
    const stopped = TaskQueue.join(a, b);
    await clock.advance('30s');
    expect(await stopped).toMatchObject([{ orphans: [{ name: 'a' }] }, { orphans: [], durationMs: 20_000 }]);
    manual.attempt.succeed();
    await clock.settle();
  });

  it('waits for one that is shutting down already and feeds another', async () => {
    const clock = new FakeClock();
    const [a, b] = [make('a', clock), make('b', clock)];
    const manual = new ManualTask();
    let fed: Task<string> | undefined;
    a.submit(manual.run, { after: () => void (fed = b.enqueue(() => 'fed')) });
    await clock.settle();
    const alone = a.shutdown();
    const stopped = TaskQueue.join(a, b, a);
    await clock.settle();
    manual.attempt.succeed();
    expect(await stopped).toMatchObject([{ orphans: [] }, { orphans: [] }, { orphans: [] }]);
    expect(await fed?.done).toBe('fed');
    await alone;
  });

  it('ends for the others when one of them has ended because its own time was over', async () => {
    const clock = new FakeClock();
    const [a, b] = [
      make('a', clock, { shutdownTimeout: '10s' }),
      make('b', clock, { shutdownTimeout: '1m' }),
    ];
    a.submit(new ManualTask().run);
    await clock.settle();
    const stopped = TaskQueue.join(a, b);
    await clock.advance('1m');
    expect(await stopped).toEqual([
      { orphans: [], durationMs: 5_000 },
      { orphans: [], durationMs: 5_000 },
    ]);
  });

  it('settles what comes while one of them has ended and the other is about to', async () => {
    const clock = new FakeClock();
    const [a, b] = [make('a', clock), make('b', clock)];
    let late: Task | undefined;
    a.pool.events.on(({ type }) => type === 'cancelled' && (late = b.enqueue(nothing)));
    const [, report] = await TaskQueue.join(a, b);
    expect(report).toEqual({ orphans: [], durationMs: 0 });
    await expect(late?.done).rejects.toEqual(interrupted);
    expect(b.size).toBe(0);
  });

  it('takes none, one, and those that have shut down', async () => {
    const clock = new FakeClock();
    const [a, b] = [make('a', clock), make('b', clock)];
    expect(await TaskQueue.join()).toEqual([]);
    await a.shutdown();
    expect(await TaskQueue.join(a, b)).toMatchObject([{ orphans: [] }, { orphans: [] }]);
    expect(await TaskQueue.join(b)).toMatchObject([{ orphans: [] }]);
    b.start();
    expect(await b.enqueue(() => 5).done).toBe(5);
    expect(await TaskQueue.join(a, b)).toMatchObject([{ orphans: [] }, { orphans: [] }]);
  });
});

describe('queues of one pool', () => {
  it('can be shut down one by one, and started again', async () => {
    const { clock, pool, queues } = appQueues(['a', 'b']);
    const [a, b] = queues as [TaskQueue, TaskQueue];
    const deferred = a.enqueue(nothing, { delay: '1h' });
    expect((await a.shutdown()).orphans).toEqual([]);
    await expect(deferred.done).rejects.toMatchObject({ reason: 'stop-requested' });
    expect(() => a.submit(nothing)).toThrow(closed);
    expect(await b.enqueue((ctx) => ctx.shutdown.aborted).done).toBe(false);
    a.start();
    expect(await a.enqueue(() => 5).done).toBe(5);
    expect((await pool.close()).orphans).toEqual([]);
    expect(clock.pending).toBe(0);
    a.start();
    expect(() => a.submit(nothing)).toThrow(closed);
  });

  it('names and leaves behind what does not end when it is shut down by itself', async () => {
    const { clock, pool, queues } = appQueues(['a']);
    const [a] = queues as [TaskQueue];
    const manual = stubborn();
    const task = a.enqueue(manual.run);
    await clock.settle();
    const stopped = a.shutdown({ deadline: '10s' });
    await clock.advance('10s');
    expect((await stopped).orphans).toEqual([{ kind: 'task-queue', name: 'a' }]);
    await expect(task.done).rejects.toMatchObject({ reason: 'stop-requested' });
    expect(clock.pending).toBe(0);
    manual.attempt.succeed();
    await clock.settle();
    expect((await pool.close()).orphans).toEqual([]);
  });

  it('have no more time than the app when it closes, whatever one was given before', async () => {
    const { clock, pool, queues } = appQueues(['a', 'b']);
    const [a, b] = queues as [TaskQueue, TaskQueue];
    const [obedient, disobedient] = [new ManualTask(), stubborn()];
    const tasks = [a.enqueue(obedient.run), b.enqueue(disobedient.run)];
    await clock.settle();
    const stopped = [a.shutdown({ deadline: '1h' }), b.shutdown({ deadline: '1h' })];
    await clock.advance('1s');
    const closing = pool.close();
    await clock.advance('20s');
    expect(obedient.attempt.ctx.signal.aborted).toBe(true);
    expect(await stopped[0]).toEqual({ orphans: [], durationMs: 21_000 });
    await clock.advance('5s');
    expect((await closing).orphans).toEqual([{ kind: 'task-queue', name: 'b' }]);
    expect((await stopped[1])?.orphans).toEqual([{ kind: 'task-queue', name: 'b' }]);
    for (const task of tasks) await expect(task.done).rejects.toMatchObject({ code: 'TASK_INTERRUPTED' });
    // Nothing of it holds the process for the rest of the hour.
    expect(clock.pending).toBe(0);
    disobedient.attempt.succeed();
    await clock.settle();
  });

  it('wait for one that was told to shut down before, as long as it feeds them', async () => {
    const { clock, pool, queues } = appQueues(['a', 'b']);
    const [a, b] = queues as [TaskQueue, TaskQueue];
    const manual = new ManualTask();
    let fed: Task<string> | undefined;
    a.submit(manual.run, { after: () => void (fed = b.enqueue(() => 'fed')) });
    await clock.settle();
    const stopped = a.shutdown();
    const closing = pool.close();
    await clock.advance('1s');
    expect(await stateOf(closing)).toBe('pending');
    manual.attempt.succeed();
    expect((await closing).orphans).toEqual([]);
    expect((await stopped).orphans).toEqual([]);
    expect(await fed?.done).toBe('fed');
  });

  it('are not ended by a stop of long ago', async () => {
    const { clock, pool, queues } = appQueues(['a', 'b']);
    const [a, b] = queues as [TaskQueue, TaskQueue];
    const [slow, slower] = [new ManualTask(), new ManualTask()];
    b.submit(slow.run);
    const joined = TaskQueue.join(a, b);
    await clock.settle();
    // Ends by itself before the others do, since a second stop says so.
    await pool.stopOnly([a.child]);
    a.start();
    a.submit(slower.run);
    await clock.settle();
    const stopped = a.shutdown();
    slow.attempt.succeed();
    await clock.settle();
    expect(a.snapshot()).toMatchObject({ status: 'stopping', running: 1 });
    const late = a.enqueue(() => 'late');
    slower.attempt.succeed();
    expect(await late.done).toBe('late');
    await stopped;
    await joined;
    await pool.close();
  });

  it('run nothing before they are started, and interrupt what waits when that never happens', async () => {
    const clock = new FakeClock();
    const pool = new Pool({ clock, logger: silentLogger });
    const queue = new TaskQueue({ name: 'a' }, pool, 'a test');
    pool.add(queue.child);
    const task = queue.enqueue(nothing);
    const later = queue.enqueue(nothing, { delay: '1h' });
    expect(await queue.dispatch()).toBe(true);
    queue.start();
    await clock.settle();
    expect(task.status).toBe('queued');
    expect((await pool.close()).orphans).toEqual([]);
    for (const one of [task, later]) await expect(one.done).rejects.toEqual(interrupted);
    await queue.onIdle();
    expect(clock.pending).toBe(0);
    expect(() => queue.submit(nothing)).toThrow(closed);
  });
});
