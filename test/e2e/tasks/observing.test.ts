import { ConsoleLogger, Logger } from '@nestjs/common';
import {
  DiscardError,
  getTaskQueueToken,
  TaskQueue,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  type TaskQueueSnapshot,
  WorkerModule,
  type WorkerPoolOptions,
  type WorkEventType,
} from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  bootContext,
  LogRecorder,
  poolOf,
  recordEventsOf,
  settle,
  signal,
  UntilAborted,
} from '../../support/nest.js';

async function bootQueue(
  options: TaskQueueModuleOptions = {},
  poolOptions: WorkerPoolOptions = {},
  logger?: LogRecorder,
) {
  const clock = new FakeClock();
  const app = await bootContext(
    {
      imports: [
        WorkerModule.forRoot({ clock, ...poolOptions }),
        TaskQueueModule.register({ name: 'mail', global: true, ...options }),
      ],
      providers: [
        { provide: 'QUEUE', inject: [getTaskQueueToken('mail')], useFactory: (queue: TaskQueue) => queue },
      ],
    },
    logger && { logger },
  );
  return { app, clock, queue: app.get<TaskQueue>('QUEUE') };
}

describe('snapshot() of the pool', () => {
  it('lists a queue among the children, by its kind and as it stands', async () => {
    const { app, clock, queue } = await bootQueue({ concurrency: 1, maxQueued: 50 });
    const finish = signal();
    poolOf(app).register(new UntilAborted(), { name: 'mail' });
    queue.submit(() => finish.promise, { name: 'newsletter' });
    queue.submit(() => undefined);
    queue.submit(() => undefined, { delay: '1h' });
    await clock.advance('3s');
    const children = poolOf(app).snapshot().children;
    expect(children.map(({ kind, name }) => `${kind} ${name}`).toSorted()).toEqual([
      'task-queue mail',
      'worker mail',
    ]);
    const seen = children.find(({ kind }) => kind === 'task-queue') as TaskQueueSnapshot;
    expect(seen).toEqual(queue.snapshot());
    expect(seen).toMatchObject({
      status: 'running',
      degraded: false,
      paused: false,
      concurrency: 1,
      maxQueued: 50,
      running: 1,
      queued: 1,
      delayed: 1,
      waiting: 0,
      oldestDueMs: 3_000,
      enqueued: 3,
      tasks: [{ name: 'newsletter', status: 'running', attempt: 1, runningMs: 3_000 }],
    });
    expect(JSON.parse(JSON.stringify(poolOf(app).snapshot()))).toMatchObject({ status: 'started' });
    finish.resolve();
  });

  it('keeps the history of the queue itself, not of its tasks', async () => {
    const { app, queue } = await bootQueue();
    await queue.enqueue(() => undefined).done;
    await app.close();
    expect(queue.snapshot().events.map(({ type }) => type)).toEqual([
      'registered',
      'started',
      'stopping',
      'cancelled',
    ]);
    expect(queue.snapshot()).toMatchObject({ status: 'cancelled', stopReason: 'shutdown' });
  });

  it('is no list of workers: those have their own', async () => {
    const { app } = await bootQueue();
    expect(poolOf(app).registrations()).toEqual([]);
    expect(poolOf(app).executions()).toEqual([]);
    expect(await poolOf(app).stop()).toMatchObject({ orphans: [] });
    expect(poolOf(app).snapshot().children).toMatchObject([{ name: 'mail', status: 'running' }]);
  });
});

describe('events$', () => {
  it('tells of tasks, by their names and ids', async () => {
    const { app, clock, queue } = await bootQueue({ concurrency: 1 });
    const recorder = recordEventsOf(app);
    const begun = clock.now();
    const fine = queue.enqueue((ctx) => ctx.sleep('2s'), { name: 'fine' });
    const bad = queue.enqueue(() => Promise.reject(new Error('smtp is down')), {
      name: 'bad',
      maxAttempts: 2,
      backoff: { initial: '1m', jitter: false },
    });
    const unwanted = queue.enqueue(() => undefined, { name: 'unwanted' });
    unwanted.cancel();
    const ids = [fine.id];
    await clock.advance('2s');
    ids.push(bad.id);
    await clock.advance('5m');
    await expect(bad.done).rejects.toThrow('smtp is down');

    const base = { kind: 'task-queue', name: 'mail' };
    const events = recorder.events.filter(({ task }) => task !== undefined);
    expect(events).toMatchObject([
      { ...base, type: 'cancelled', task: 'unwanted', reason: 'stop-requested', executionId: unwanted.id },
      {
        ...base,
        type: 'started',
        task: 'fine',
        executionId: ids[0],
        time: begun,
        attempt: 1,
        maxAttempts: 1,
        restart: false,
      },
      {
        ...base,
        type: 'succeeded',
        task: 'fine',
        executionId: ids[0],
        time: begun + 2_000,
        durationMs: 2_000,
      },
      { ...base, type: 'started', task: 'bad', attempt: 1, maxAttempts: 2, restart: false },
      {
        ...base,
        type: 'failed',
        task: 'bad',
        error: { message: 'smtp is down' },
        retry: { attempt: 2, delayMs: 60_000 },
      },
      { ...base, type: 'started', task: 'bad', attempt: 2, restart: true, time: begun + 62_000 },
      { ...base, type: 'failed', task: 'bad', executionId: bad.id, error: { message: 'smtp is down' } },
    ]);
    expect(events.at(-1)).not.toHaveProperty('retry');
    // Each attempt has an id of its own, which its events share.
    const attempts = events.filter(({ task }) => task === 'bad').map(({ executionId }) => executionId);
    expect(new Set(attempts).size).toBe(2);
    expect(attempts[0]).toBe(attempts[1]);
    expect(attempts[2]).toBe(attempts[3]);
    for (const event of events) expect(Object.isFrozen(event)).toBe(true);
  });

  it('tells of a task that a timeout or a shutdown ended, and why', async () => {
    const { app, clock, queue } = await bootQueue({ concurrency: 2 });
    const recorder = recordEventsOf(app);
    queue.submit((ctx) => ctx.sleep('1h'), { name: 'slow', timeout: '1s' });
    queue.submit((ctx) => ctx.sleep('1 day'), { name: 'endless' });
    await clock.advance('1s');
    const close = app.close();
    await clock.advance('1m');
    await close;
    expect(recorder.of('failed')).toMatchObject([{ task: 'slow', abortedFor: 'timeout', durationMs: 1_000 }]);
    expect(recorder.of('cancelled').filter(({ task }) => task !== undefined)).toMatchObject([
      { task: 'endless', reason: 'shutdown', durationMs: 21_000 },
    ]);
  });

  it('tells of marks under the name of the task, or its scope', async () => {
    const { app, queue } = await bootQueue();
    const recorder = recordEventsOf(app);
    const marking = (scope?: string) =>
      queue.enqueue((ctx) => ctx.mark('fetched'), { name: 'render', ...(scope && { scope }) }).done;
    await marking();
    await marking('pages');
    expect(recorder.of('marked').map(({ scope, action, task }) => [scope, action, task])).toEqual([
      ['render', 'fetched', 'render'],
      ['render', 'end', 'render'],
      ['pages', 'fetched', 'render'],
      ['pages', 'end', 'render'],
    ]);
  });

  it('costs nothing while nobody listens: only what is logged is made', async () => {
    const { app, queue } = await bootQueue();
    const { unitEvents } = poolOf(app).pool;
    const types: WorkEventType[] = ['started', 'succeeded', 'failed', 'cancelled', 'stuck'];
    const wanted = () => types.filter((type) => unitEvents.wants(type));
    expect(wanted()).toEqual(['failed', 'stuck']);
    const subscription = poolOf(app).events$.subscribe();
    expect(wanted()).toEqual(types);
    subscription.unsubscribe();
    expect(wanted()).toEqual(['failed', 'stuck']);

    const made: string[] = [];
    // Told of all events, wanting none.
    const off = unitEvents.on(({ type }) => made.push(type), []);
    queue.submit(() => undefined);
    queue.submit(() => Promise.reject(new Error('no')));
    queue.enqueue(() => undefined).cancel();
    await queue.onIdle();
    expect(made).toEqual(['failed']);
    off();
  });

  it('survives a subscriber that throws, and so does the queue', async () => {
    const { app, queue } = await bootQueue();
    const subscription = poolOf(app).events$.subscribe(() => {
      throw new Error('bad subscriber');
    });
    expect(await queue.enqueue(() => 'sent').done).toBe('sent');
    expect(poolOf(app).snapshot().isolatedErrors).toBeGreaterThan(0);
    subscription.unsubscribe();
  });
});

describe("In Nest's log", () => {
  const ofTasks = (logger: LogRecorder) =>
    logger.lines
      .filter(({ context }) => context === 'Worker')
      .map(({ level, message }) => Object.assign({ level }, message as { msg: string }))
      .filter((line) => 'task' in line) as Record<string, unknown>[];

  it('a submit that fails is one error line with its task, its queue and the error', async () => {
    const logger = new LogRecorder();
    const { queue } = await bootQueue({}, {}, logger);
    queue.submit(function welcome() {
      throw new TypeError('no address');
    });
    await queue.onIdle();
    expect(ofTasks(logger)).toEqual([
      {
        level: 'error',
        msg: 'Task "welcome" in task queue "mail" failed after 0 ms: no address',
        queue: 'mail',
        task: 'welcome',
        taskExecutionID: expect.stringMatching(/^[\da-f-]{36}$/) as string,
        err: expect.objectContaining({
          type: 'TypeError',
          message: 'no address',
          stack: expect.stringContaining('welcome') as string,
        }) as unknown,
      },
    ]);
  });

  it('one that is tried again is a warning that says when, and the last failure an error', async () => {
    const logger = new LogRecorder();
    const { clock, queue } = await bootQueue({}, {}, logger);
    queue.submit(() => Promise.reject(new Error('smtp is down')), {
      name: 'welcome',
      maxAttempts: 3,
      backoff: { initial: '30s', factor: 2, jitter: false },
    });
    await clock.advance('10m');
    expect(ofTasks(logger).map(({ level, msg }) => `${String(level)}: ${String(msg)}`)).toEqual([
      'warn: Task "welcome" in task queue "mail" failed after 0 ms and is tried again in 30 s: smtp is down',
      'warn: Task "welcome" in task queue "mail" failed after 0 ms and is tried again in 60 s: smtp is down',
      'error: Task "welcome" in task queue "mail" failed after 0 ms: smtp is down',
    ]);
    expect(new Set(ofTasks(logger).map(({ taskExecutionID }) => taskExecutionID)).size).toBe(3);
  });

  it('one that is discarded is an error at once', async () => {
    const logger = new LogRecorder();
    const { queue } = await bootQueue({ maxAttempts: 5 }, {}, logger);
    queue.submit(() => Promise.reject(new DiscardError('no such user')), { name: 'welcome' });
    await queue.onIdle();
    expect(ofTasks(logger).map(({ level, msg }) => [level, msg])).toEqual([
      ['error', 'Task "welcome" in task queue "mail" failed after 0 ms: no such user'],
    ]);
  });

  it('tasks that succeed, are cancelled or shut down write nothing; the queue writes when it starts and stops', async () => {
    const logger = new LogRecorder();
    const { app, queue } = await bootQueue({}, {}, logger);
    // Also where the events are made, since somebody listens.
    const recorder = recordEventsOf(app);
    for (let n = 0; n < 20; n++) queue.submit(() => undefined);
    queue.enqueue(() => undefined).cancel();
    await queue.onIdle();
    await app.close();
    expect(recorder.of('succeeded')).toHaveLength(20);
    expect(ofTasks(logger)).toEqual([]);
    expect(logger.texts('log')).toEqual([
      'Task queue "mail" started',
      'Task queue "mail" is stopping (shutdown)',
      'Task queue "mail" stopped (shutdown)',
    ]);
    expect([...logger.texts('warn'), ...logger.texts('error')].filter((line) => /task/i.test(line))).toEqual(
      [],
    );
  });

  it('one that does not end is said to be stuck, and ctx.logger names the task on its lines', async () => {
    const logger = new LogRecorder();
    const finish = signal();
    const { clock, queue } = await bootQueue({ abortGrace: '5s' }, {}, logger);
    const task = queue.enqueue(
      async (ctx) => {
        ctx.logger.log('sending', { to: 'ada' });
        await finish.promise;
      },
      { name: 'deaf', timeout: '1s' },
    );
    await settle();
    const { id } = task;
    await clock.advance('1m');
    const fields = { queue: 'mail', task: 'deaf', taskExecutionID: id };
    expect(ofTasks(logger)).toEqual([
      { level: 'log', msg: 'sending', to: 'ada', ...fields },
      {
        level: 'error',
        msg: 'Task "deaf" in task queue "mail" is stuck: it did not end within 5000 ms of being aborted (timeout)',
        ...fields,
      },
    ]);
    finish.resolve();
    await queue.onIdle();
  });

  it('a failing after() is one line, however often it fails, and is counted', async () => {
    const logger = new LogRecorder();
    const { app, queue } = await bootQueue({}, {}, logger);
    const options = {
      name: 'welcome',
      after: () => {
        throw new Error('bad after');
      },
    };
    for (let n = 0; n < 3; n++) await queue.enqueue(() => n, options).done;
    await queue.onIdle();
    expect(logger.texts('error')).toEqual([
      'after() of a task in queue "mail" failed; the work goes on, further failures are counted',
    ]);
    expect(poolOf(app).snapshot().isolatedErrors).toBe(3);
  });
});

describe("With Nest's ConsoleLogger", () => {
  afterEach(() => {
    vi.restoreAllMocks();
    Logger.overrideLogger(false);
  });

  it('the line of a failure is readable, with the stack below it', async () => {
    let written = '';
    for (const stream of [process.stdout, process.stderr]) {
      vi.spyOn(stream, 'write').mockImplementation((text) => {
        written += String(text);
        return true;
      });
    }
    const app = await bootContext(
      { imports: [TaskQueueModule.register()] },
      { logger: new ConsoleLogger({ colors: false, timestamp: false }) },
    );
    const queue = app.get(TaskQueue);
    const task = queue.enqueue(function welcome() {
      throw new Error('no address');
    });
    await queue.onIdle();
    await app.close();
    vi.restoreAllMocks();
    expect(written).toMatch(
      new RegExp(
        `ERROR \\[Worker\\] Task "welcome" in task queue "default" failed after [^:]+: no address ` +
          `queue=default task=welcome taskExecutionID=${task.id}\\nError: no address\\n +at welcome`,
      ),
    );
  });
});
