import {
  Controller,
  Get,
  type INestApplicationContext,
  Injectable,
  Module,
  type OnModuleDestroy,
} from '@nestjs/common';
import {
  InjectTaskQueue,
  type RunnableWorker,
  type Task,
  type TaskContext,
  TaskInterruptedError,
  TaskQueue,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  Worker,
  type WorkerContext,
  WorkerModule,
} from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  bootContext,
  bootHttp,
  happened,
  LogRecorder,
  platforms,
  poolOf,
  recordEventsOf,
  settle,
  type Signal,
  signal,
  thrownBy,
} from '../../support/nest.js';

let steps: string[];
/** Settled by the test: how long the work goes on. */
let finish: Signal;
beforeEach(() => {
  steps = [];
  finish = signal();
});
// Before the app is closed, should a test have ended in the middle.
afterEach(() => finish.resolve());

const interrupted = { code: 'TASK_INTERRUPTED', reason: 'shutdown' };
const closed = expect.objectContaining({ code: 'TASK_QUEUE_CLOSED', statusCode: 503 }) as unknown;

@Injectable()
class Queues {
  constructor(
    @InjectTaskQueue('mail') readonly mail: TaskQueue,
    @InjectTaskQueue('render') readonly render: TaskQueue,
  ) {}
}

const queueModules = () => [
  TaskQueueModule.register({ name: 'mail' }),
  TaskQueueModule.register({ name: 'render' }),
];

/** An app with two queues; `clock` holds its time. */
async function bootQueues(clock = new FakeClock(), options: object = {}, logger?: LogRecorder) {
  const app = await bootContext(
    { imports: [WorkerModule.forRoot({ clock, ...options }), ...queueModules()], providers: [Queues] },
    logger && { logger },
  );
  const { mail, render } = app.get(Queues);
  return { app, clock, mail, render };
}

const holding = async (): Promise<string> => {
  await finish.promise;
  steps.push('task has ended');
  return 'done';
};

describe('While the app closes', () => {
  it('tasks that run and tasks that wait for their turn are run to their end', async () => {
    const { app, mail } = await bootQueues();
    mail.concurrency = 1;
    const tasks = [1, 2, 3].map((n) => mail.enqueue(async () => (n === 1 ? holding() : n)));
    await settle();
    const close = app.close().then(() => steps.push('closed'));
    await settle();
    expect(tasks.map(({ status }) => status)).toEqual(['running', 'queued', 'queued']);
    finish.resolve();
    expect(await Promise.all(tasks.map(({ done }) => done))).toEqual(['done', 2, 3]);
    await close;
    expect(steps).toEqual(['task has ended', 'closed']);
    expect(mail.snapshot()).toMatchObject({ status: 'cancelled', completed: { succeeded: 3, cancelled: 0 } });
  });

  it('ctx.shutdown fires for tasks at once, and ctx.signal does not', async () => {
    const { app, mail } = await bootQueues();
    const contexts: TaskContext[] = [];
    mail.submit((ctx) => (contexts.push(ctx), finish.promise));
    await settle();
    const { shutdown, signal: aborting } = contexts[0]!;
    const before = [shutdown.aborted, aborting.aborted];
    const close = app.close();
    await settle();
    expect([before, [shutdown.aborted, aborting.aborted]]).toEqual([
      [false, false],
      [true, false],
    ]);
    finish.resolve();
    await close;
  });

  it('a queue that was paused runs what it has accepted', async () => {
    const { app, mail } = await bootQueues();
    mail.pause();
    const task = mail.enqueue(() => 'sent');
    await settle();
    expect(task.status).toBe('queued');
    await app.close();
    expect(await task.done).toBe('sent');
  });

  it('what a worker submits in its cleanup is run', async () => {
    @Worker({ name: 'relay' })
    class Relay implements RunnableWorker {
      last: Task<string> | undefined;
      constructor(private readonly queues: Queues) {}
      async run(ctx: WorkerContext): Promise<void> {
        await ctx.sleep('1 day').catch(() => undefined);
        // The queues have nothing to do for long: they wait for their feeders all the same.
        await finish.promise;
        this.queues.mail.submit(() => steps.push('submitted'));
        this.last = this.queues.mail.enqueue(() => 'report sent');
      }
    }
    const app = await bootContext({
      imports: [WorkerModule, ...queueModules()],
      providers: [Queues, Relay],
    });
    await happened(app, 'started', 'relay');
    const close = app.close();
    await settle();
    const stopping = poolOf(app).snapshot().children;
    expect(stopping.map(({ kind, status }) => `${kind} ${status}`).toSorted()).toEqual([
      'task-queue stopping',
      'task-queue stopping',
      'worker stopping',
    ]);
    finish.resolve();
    await close;
    expect(await app.get(Relay).last?.done).toBe('report sent');
    expect(steps).toEqual(['submitted']);
    expect(thrownBy(() => app.get(Queues).mail.submit(() => undefined))).toEqual(closed);
  });

  it('queues that feed one another end when both have nothing left', async () => {
    const { app, mail, render } = await bootQueues();
    const rounds = 20;
    const feed = (round: number) => async (): Promise<void> => {
      await settle();
      steps.push(`${round}`);
      if (round < rounds) [mail, render][round % 2]!.submit(feed(round + 1));
    };
    mail.submit(() => finish.promise.then(feed(1)));
    await settle();
    const close = app.close();
    await settle();
    // Idle since long, and not closed: the other one may feed it.
    expect(render.snapshot()).toMatchObject({ status: 'stopping', running: 0, queued: 0 });
    finish.resolve();
    await close;
    expect(steps).toEqual(Array.from({ length: rounds }, (_, index) => `${index + 1}`));
    expect(mail.snapshot().completed.succeeded + render.snapshot().completed.succeeded).toBe(rounds);
    for (const queue of [mail, render]) expect(thrownBy(() => queue.submit(() => undefined))).toEqual(closed);
  });

  it('tasks that wait for a retry or for a time are interrupted at once, and nobody waits for them', async () => {
    const { app, clock, mail } = await bootQueues();
    const failing = mail.enqueue(
      () => {
        throw new Error('smtp is down');
      },
      { maxAttempts: Infinity, backoff: { initial: '1h' } },
    );
    const later = mail.enqueue(() => steps.push('ran'), { notBefore: new Date(clock.now() + 3_600_000) });
    const delayed = mail.enqueue(() => steps.push('ran'), { delay: '400 days' });
    await settle();
    expect([failing, later, delayed].map(({ status }) => status)).toEqual([
      'backoff',
      'deferred',
      'deferred',
    ]);
    // Not only once the others have ended.
    mail.submit(holding);
    await settle();
    const close = app.close();
    await settle();
    expect([failing, later, delayed].map(({ status }) => status)).toEqual([
      'cancelled',
      'cancelled',
      'cancelled',
    ]);
    finish.resolve();
    await close;
    expect(clock.monotonic()).toBe(0);
    expect(clock.pending).toBe(0);
    for (const { done } of [failing, later, delayed]) {
      await expect(done).rejects.toBeInstanceOf(TaskInterruptedError);
      await expect(done).rejects.toMatchObject(interrupted);
    }
    await clock.advance('500 days');
    expect(steps).toEqual(['task has ended']);
  });

  it('a task that fails meanwhile is not tried again, and keeps its own error as the cause', async () => {
    const { app, mail } = await bootQueues();
    const failure = new Error('smtp is down');
    const task = mail.enqueue(() => finish.promise.then(() => Promise.reject(failure)), { maxAttempts: 9 });
    await settle();
    const close = app.close();
    await settle();
    finish.resolve();
    await close;
    expect(task.attempts).toBe(1);
    await expect(task.done).rejects.toMatchObject({ ...interrupted, cause: failure });
  });

  it('a task that is to run later is refused, one that is due is not', async () => {
    const { app, clock, mail } = await bootQueues();
    mail.submit(holding);
    await settle();
    const close = app.close();
    await settle();
    expect(thrownBy(() => mail.enqueue(() => undefined, { delay: '1s' }))).toEqual(closed);
    const tomorrow = new Date(clock.now() + 86_400_000);
    expect(thrownBy(() => mail.enqueue(() => undefined, { notBefore: tomorrow }))).toEqual(closed);
    const due = mail.enqueue(() => 'sent', { notBefore: new Date(clock.now() - 1) });
    expect(await due.done).toBe('sent');
    finish.resolve();
    await close;
  });
});

describe('A task that takes long', () => {
  const sleeping = (ctx: TaskContext): Promise<void> => {
    ctx.signal.addEventListener('abort', () => steps.push('aborted'));
    return ctx.sleep('1 day');
  };

  it('is aborted at abortMargin before the deadline, and what has not begun is given up', async () => {
    const logger = new LogRecorder();
    const { app, clock, mail, render } = await bootQueues(
      new FakeClock(),
      { shutdownTimeout: '10s', abortMargin: '3s' },
      logger,
    );
    mail.concurrency = 1;
    const tasks = [mail.enqueue(sleeping), mail.enqueue(() => steps.push('ran')), render.enqueue(sleeping)];
    await settle();
    const close = app.close().then(() => clock.monotonic());
    await clock.advance(6_999);
    expect(steps).toEqual([]);
    expect(tasks.map(({ status }) => status)).toEqual(['running', 'queued', 'running']);
    await clock.advance(1);
    expect(await close).toBe(7_000);
    expect(steps).toEqual(['aborted', 'aborted']);
    for (const { done } of tasks) await expect(done).rejects.toMatchObject(interrupted);
    expect(tasks.map(({ status }) => status)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect(tasks.map(({ attempts }) => attempts)).toEqual([1, 0, 1]);
    expect(logger.texts('warn').filter((line) => line.includes('gave up'))).toEqual([
      'Task queue "mail" gave up 1 task that had not begun or waited for another attempt (shutdown)',
    ]);
    expect(logger.texts('error')).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('does not make an orphan of a queue that had nothing to do', async () => {
    const logger = new LogRecorder();
    const { app, clock, mail } = await bootQueues(
      new FakeClock(),
      { shutdownTimeout: '10s', abortMargin: '3s' },
      logger,
    );
    mail.submit(sleeping);
    await settle();
    const close = app.close().then(() => clock.monotonic());
    await clock.advance('10s');
    expect(await close).toBe(7_000);
    expect(logger.texts('error')).toEqual([]);
  });

  it('may be aborted while a worker drains that ends later still', async () => {
    const { app, clock, mail, render } = await bootQueues(new FakeClock(), {
      shutdownTimeout: '10s',
      abortMargin: '3s',
    });
    poolOf(app).register(
      {
        run: async (ctx) => {
          await ctx.sleep('1 day').catch(() => undefined);
          await finish.promise;
          steps.push(`refused: ${String(thrownBy(() => mail.submit(() => undefined)) !== undefined)}`);
        },
      },
      { name: 'slow' },
    );
    const task = mail.enqueue(sleeping);
    await settle();
    const close = app.close().then(() => clock.monotonic());
    await clock.advance('8s');
    await expect(task.done).rejects.toMatchObject(interrupted);
    finish.resolve();
    await settle();
    expect(await close).toBe(8_000);
    expect(steps).toEqual(['aborted', 'refused: true']);
    for (const queue of [mail, render]) expect(queue.snapshot().status).toBe('cancelled');
  });

  it('has 20 s by default', async () => {
    const { app, clock, mail } = await bootQueues();
    const task = mail.enqueue(sleeping);
    await settle();
    const close = app.close().then(() => clock.monotonic());
    await clock.advance('1m');
    expect(await close).toBe(20_000);
    await expect(task.done).rejects.toMatchObject(interrupted);
  });

  it('and does not end is named in the log, and the app closes at the deadline', async () => {
    const logger = new LogRecorder();
    const { app, clock, mail, render } = await bootQueues(
      new FakeClock(),
      { shutdownTimeout: '10s' },
      logger,
    );
    const deaf = mail.enqueue(holding, { name: 'deaf' });
    const quick = render.enqueue(() => 'rendered');
    await settle();
    const { id } = deaf;
    const close = app.close().then(() => clock.monotonic());
    await clock.advance('9.999s');
    expect(deaf.status).toBe('running');
    await clock.advance('1ms');
    expect(await close).toBe(10_000);
    await expect(deaf.done).rejects.toMatchObject(interrupted);
    expect(await quick.done).toBe('rendered');
    expect(logger.texts('error')).toEqual([
      `Task queue "mail" is orphaned: it still runs at the end of the time to stop, and is left behind, with deaf (${id})`,
    ]);
    expect(mail.snapshot()).toMatchObject({ status: 'stuck', stuck: 1, running: 1 });
    expect(mail.snapshot().tasks).toMatchObject([{ name: 'deaf', id, status: 'stuck' }]);
    expect(render.snapshot()).toMatchObject({ status: 'cancelled', stuck: 0 });
    expect(clock.pending).toBe(0);

    finish.resolve();
    await settle();
    expect(mail.snapshot()).toMatchObject({
      stuck: 0,
      running: 0,
      completed: { cancelled: 1, succeeded: 0 },
    });
    expect(mail.snapshot().status).not.toBe('stuck');
  });

  it('holds up nobody else: a worker that drains in time is not named', async () => {
    const logger = new LogRecorder();
    const { app, clock, mail } = await bootQueues(new FakeClock(), { shutdownTimeout: '1s' }, logger);
    const recorder = recordEventsOf(app);
    poolOf(app).register({ run: (ctx) => ctx.sleep('1 day') }, { name: 'relay' });
    mail.submit(holding);
    await settle();
    const close = app.close();
    await clock.advance('1s');
    await close;
    const queueOrphaned = recorder.of('orphaned').filter(({ task }) => task === undefined);
    expect(queueOrphaned).toMatchObject([{ kind: 'task-queue', name: 'mail', tasks: [expect.any(String)] }]);
    expect(recorder.of('cancelled', { name: 'relay' })).toHaveLength(1);
    finish.resolve();
  });
});

/** Closes itself as Prisma's client does: in onModuleDestroy. */
@Injectable()
class Db implements OnModuleDestroy {
  #open = true;

  query(): string {
    if (!this.#open) throw new Error('the database is closed');
    return 'row';
  }

  async onModuleDestroy(): Promise<void> {
    this.#open = false;
    steps.push('db closed');
  }
}

@Module({ providers: [Db], exports: [Db] })
class DbModule {}

@Injectable()
class Repository {
  constructor(
    private readonly db: Db,
    @InjectTaskQueue('mail') private readonly mail: TaskQueue,
  ) {}

  save(): Task<string> {
    return this.mail.enqueue(async () => {
      this.db.query();
      await finish.promise;
      return this.db.query();
    });
  }
}

const withDb: [string, object][] = [
  ['its own module', { imports: [TaskQueueModule.register({ name: 'mail' })], providers: [Db, Repository] }],
  [
    'another module',
    { imports: [DbModule, TaskQueueModule.register({ name: 'mail' })], providers: [Repository] },
  ],
];

const boots: [string, (root: object) => Promise<INestApplicationContext>][] = [
  ...platforms.map((platform): [string, (root: object) => Promise<INestApplicationContext>] => [
    platform,
    async (root) => (await bootHttp(root, platform)).app,
  ]),
  ['a standalone context', (root) => bootContext(root)],
];

describe.each(boots)('A provider that closes itself in onModuleDestroy, %s', (_kind, boot) => {
  it.each(withDb)('in %s, is alive until the task that uses it has settled', async (_where, root) => {
    const app = await boot(root);
    const task = app.get(Repository).save();
    await settle();
    const close = app.close();
    await settle();
    expect(steps).toEqual([]);
    const late = app.get(Repository).save();
    finish.resolve();
    expect(await task.done).toBe('row');
    expect(await late.done).toBe('row');
    await close;
    expect(steps).toEqual(['db closed']);
  });

  it('is alive for what a task has its after() do', async () => {
    const app = await boot({
      imports: [TaskQueueModule.register({ name: 'mail' })],
      providers: [Db, Repository],
    });
    const db = app.get(Db);
    const mail = app.get(Repository)['mail'];
    mail.submit(() => finish.promise, {
      after: async () => {
        await settle();
        steps.push(`after: ${db.query()}`);
      },
    });
    await settle();
    const close = app.close();
    finish.resolve();
    await close;
    expect(steps).toEqual(['after: row', 'db closed']);
  });
});

describe.each(platforms)('A request, %s', (platform) => {
  let asked: Signal;
  let proceed: Signal;
  let window: Signal;
  beforeEach(() => {
    asked = signal();
    proceed = signal();
    window = signal();
  });
  afterEach(() => [proceed, window].forEach((one) => one.resolve()));

  @Controller()
  class MailController {
    constructor(@InjectTaskQueue('mail') private readonly mail: TaskQueue) {}

    @Get('send')
    send(): string {
      this.mail.submit(() => steps.push('sent'));
      return 'accepted';
    }

    @Get('slow')
    async slow(): Promise<string> {
      asked.resolve();
      await proceed.promise;
      return this.mail.enqueue(() => 'rendered').done;
    }

    @Get('later')
    later(): string {
      this.mail.submit(() => steps.push('never'), { delay: '1h' });
      return 'accepted';
    }
  }

  /** Keeps the server open for a while after the drain. */
  class Window {
    async beforeApplicationShutdown(): Promise<void> {
      steps.push('drained');
      await window.promise;
    }
  }

  async function boot(options: TaskQueueModuleOptions = {}) {
    const { app, url } = await bootHttp(
      {
        imports: [TaskQueueModule.register({ name: 'mail', ...options })],
        controllers: [MailController],
        providers: [Window],
      },
      platform,
    );
    const queue = app.get(MailController)['mail'];
    const get = async (path: string) => {
      const response = await fetch(`${url}/${path}`);
      return { status: response.status, body: await response.text() };
    };
    return { app, queue, get };
  }

  it('that was open when its app began to close may still submit, and is answered', async () => {
    const { app, queue, get } = await boot();
    const task = queue.enqueue(holding);
    const answer = get('slow');
    await asked.promise;
    const close = app.close();
    await settle();
    proceed.resolve();
    expect(await answer).toEqual({ status: 200, body: 'rendered' });
    finish.resolve();
    window.resolve();
    await close;
    expect(await task.done).toBe('done');
  });

  it('that comes during the drain may submit what is due, and gets 503 for what is to run later', async () => {
    const { app, queue, get } = await boot();
    queue.submit(holding);
    await settle();
    const close = app.close();
    await settle();
    expect(await get('send')).toEqual({ status: 200, body: 'accepted' });
    expect((await get('later')).status).toBe(503);
    finish.resolve();
    window.resolve();
    await close;
    expect(steps).toEqual(['sent', 'task has ended', 'drained']);
  });

  it('that comes after the drain, and submits, gets 503', async () => {
    const { app, get } = await boot();
    const close = app.close();
    while (!steps.includes('drained')) await settle();
    const { status, body } = await get('send');
    expect(status).toBe(503);
    expect(JSON.parse(body)).toMatchObject({ statusCode: 503 });
    window.resolve();
    await close;
    expect(steps).toEqual(['drained']);
  });

  it('gets 503 from a queue that was shut down by hand, and 200 once it is started again', async () => {
    const { queue, get } = await boot();
    expect(await queue.shutdown()).toMatchObject({ orphans: [] });
    expect((await get('send')).status).toBe(503);
    queue.start();
    expect((await get('send')).status).toBe(200);
    await queue.onIdle();
    expect(steps).toEqual(['sent']);
    window.resolve();
  });

  it('gets 503 from a queue that is full', async () => {
    const { queue, get } = await boot({ concurrency: 1, maxQueued: 1 });
    queue.submit(holding);
    await settle();
    expect((await get('send')).status).toBe(200);
    expect((await get('send')).status).toBe(503);
    finish.resolve();
    await queue.onIdle();
    expect(steps).toEqual(['task has ended', 'sent']);
    window.resolve();
  });
});
