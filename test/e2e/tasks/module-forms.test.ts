import { Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  getTaskQueueToken,
  InjectTaskQueue,
  type MiddlewareFunction,
  type Next,
  TaskQueue,
  TaskQueueModule,
  Worker,
  type WorkerMiddleware,
  WorkerModule,
  type WorkContext,
} from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Pool, POOL } from '../../../lib/pool/index.js';
import {
  bootContext,
  bootError,
  happened,
  moduleNamed,
  poolOf,
  type RootModule,
  UntilAborted,
} from '../../support/nest.js';
import { silentLogger } from '../../support/recording-logger.js';

@Injectable()
class Config {
  readonly concurrency = 3;
}

const configModule = moduleNamed('ConfigModule', { providers: [Config], exports: [Config] });

@Injectable()
class Mailer {
  constructor(@InjectTaskQueue('mail') readonly queue: TaskQueue) {}
}

@Injectable()
class Renderer {
  constructor(@InjectTaskQueue('render') readonly queue: TaskQueue) {}
}

@Injectable()
class ByClass {
  constructor(readonly queue: TaskQueue) {}
}

@Injectable()
class ByDecorator {
  @InjectTaskQueue() readonly queue!: TaskQueue;
}

const who = (ctx: WorkContext): string => `${ctx.kind} ${ctx.name}`;

describe('TaskQueueModule.register', () => {
  it('makes a queue that is injected by its name and runs tasks', async () => {
    const app = await bootContext({
      imports: [TaskQueueModule.register({ name: 'mail', concurrency: 2, maxQueued: 5 })],
      providers: [Mailer],
    });
    const { queue } = app.get(Mailer);
    expect(queue).toBeInstanceOf(TaskQueue);
    expect(app.get(getTaskQueueToken('mail'))).toBe(queue);
    expect(queue).toMatchObject({ name: 'mail', concurrency: 2 });
    expect(queue.snapshot().maxQueued).toBe(5);
    expect(await queue.enqueue(who).done).toBe('task-queue mail');
  });

  it.each([
    ['nothing', TaskQueueModule.register()],
    ['other options', TaskQueueModule.register({ concurrency: 1 })],
    ['its name', TaskQueueModule.register({ name: 'default' })],
    ['a factory', TaskQueueModule.registerAsync({ useFactory: () => ({}) })],
  ])('given %s makes the default queue, injected by class and without a name', async (_what, configured) => {
    const app = await bootContext({ imports: [configured], providers: [ByClass, ByDecorator] });
    const { queue } = app.get(ByClass);
    expect(app.get(ByDecorator).queue).toBe(queue);
    expect(app.get(TaskQueue)).toBe(queue);
    expect(queue.name).toBe('default');
    expect(await queue.enqueue(who).done).toBe('task-queue default');
  });

  it('makes as many queues as there are names', async () => {
    const app = await bootContext({
      imports: [
        WorkerModule,
        TaskQueueModule.register(),
        TaskQueueModule.register({ name: 'mail' }),
        TaskQueueModule.registerAsync({ name: 'render', useFactory: () => ({ concurrency: 1 }) }),
      ],
      providers: [ByClass, Mailer, Renderer],
    });
    const queues = [app.get(ByClass), app.get(Mailer), app.get(Renderer)].map(({ queue }) => queue);
    expect(await Promise.all(queues.map((queue) => queue.enqueue(who).done))).toEqual([
      'task-queue default',
      'task-queue mail',
      'task-queue render',
    ]);
    expect(
      poolOf(app)
        .snapshot()
        .children.map(({ name }) => name),
    ).toEqual(expect.arrayContaining(['default', 'mail', 'render']));
  });

  it('beside a worker of the same name is no conflict', async () => {
    @Worker({ name: 'mail' })
    class MailWorker extends UntilAborted {}
    const app = await bootContext({
      imports: [WorkerModule, TaskQueueModule.register({ name: 'mail' })],
      providers: [Mailer, MailWorker],
    });
    await happened(app, 'started', 'mail');
    expect(await app.get(Mailer).queue.enqueue(who).done).toBe('task-queue mail');
  });

  it('keeps a queue to the modules that import it', async () => {
    const error = await bootError({
      imports: [moduleNamed('MailModule', { imports: [TaskQueueModule.register({ name: 'mail' })] })],
      providers: [Mailer],
    });
    expect(error.message).toContain("Nest can't resolve dependencies of the Mailer (?)");
  });

  it('may be exported by a module that others share', async () => {
    const shared = TaskQueueModule.register({ name: 'mail' });
    const mailModule = moduleNamed('MailModule', { imports: [shared], exports: [shared] });
    @Injectable()
    class Newsletter {
      constructor(@InjectTaskQueue('mail') readonly queue: TaskQueue) {}
    }
    const newsModule = moduleNamed('NewsModule', { imports: [mailModule], providers: [Newsletter] });
    const app = await bootContext({ imports: [newsModule, mailModule], providers: [Mailer] });
    expect(app.get(Newsletter, { strict: false }).queue).toBe(app.get(Mailer).queue);
  });

  it('may be exported by its class, for whoever wants the module and not its object', async () => {
    const mailModule = moduleNamed('MailModule', {
      imports: [TaskQueueModule.register({ name: 'mail' })],
      exports: [TaskQueueModule],
    });
    const app = await bootContext({ imports: [mailModule], providers: [Mailer] });
    expect(app.get(Mailer).queue.name).toBe('mail');
  });

  it.each([
    ['register', TaskQueueModule.register({ name: 'mail', global: true })],
    ['registerAsync', TaskQueueModule.registerAsync({ name: 'mail', global: true, useFactory: () => ({}) })],
  ])('with global: true offers it to every module (%s)', async (_form, configured) => {
    const feature = moduleNamed('FeatureModule', { providers: [Mailer] });
    const app = await bootContext({ imports: [feature, configured] });
    expect(await app.get(Mailer, { strict: false }).queue.enqueue(who).done).toBe('task-queue mail');
  });

  it('with global: true offers the default queue by its class, too', async () => {
    const feature = moduleNamed('FeatureModule', { providers: [ByClass, ByDecorator] });
    const app = await bootContext({ imports: [TaskQueueModule.register({ global: true }), feature] });
    const { queue } = app.get(ByClass, { strict: false });
    expect(app.get(ByDecorator, { strict: false }).queue).toBe(queue);
  });
});

describe('TaskQueueModule.registerAsync', () => {
  it.each([
    ['a value', (config: Config) => ({ concurrency: config.concurrency })],
    ['a promise', async (config: Config) => Promise.resolve({ concurrency: config.concurrency })],
  ])('takes %s from a factory that others are injected into', async (_what, useFactory) => {
    const app = await bootContext({
      imports: [
        TaskQueueModule.registerAsync({
          name: 'mail',
          imports: [configModule],
          inject: [Config],
          useFactory,
        }),
      ],
      providers: [Mailer],
    });
    expect(app.get(Mailer).queue.concurrency).toBe(3);
  });

  it('waits for a factory that takes its time before anybody is given the queue', async () => {
    const app = await bootContext({
      imports: [
        TaskQueueModule.registerAsync({
          name: 'mail',
          useFactory: async () => {
            await new Promise<void>((resolve) => setImmediate(resolve));
            return { concurrency: 7 };
          },
        }),
      ],
      providers: [{ provide: 'SEEN', inject: [getTaskQueueToken('mail')], useFactory: concurrencyOf }],
    });
    expect(app.get('SEEN')).toBe(7);
  });

  it('passes on what the factory fails with', async () => {
    const error = await bootError({
      imports: [
        TaskQueueModule.registerAsync({
          name: 'mail',
          useFactory: () => Promise.reject(new Error('no config')),
        }),
      ],
    });
    expect(error.message).toBe('no config');
  });
});

describe('A boot error', () => {
  const registered = (name: string) => TaskQueueModule.register({ name });

  it.each<[string, RootModule]>([
    ['in one module', { imports: [registered('mail'), registered('mail')] }],
    [
      'in different modules',
      { imports: [registered('mail'), moduleNamed('FeatureModule', { imports: [registered('mail')] })] },
    ],
    [
      'of which one is asynchronous',
      {
        imports: [
          registered('mail'),
          TaskQueueModule.registerAsync({ name: 'mail', useFactory: () => ({ concurrency: 2 }) }),
        ],
      },
    ],
    ['that have none', { imports: [TaskQueueModule.register(), TaskQueueModule.register()] }],
  ])('is made of two queues of one name, %s', async (_where, root) => {
    const error = await bootError(root);
    expect(error).toMatchObject({ name: 'DuplicateNameError', code: 'DUPLICATE_NAME' });
    expect(error.message).toMatch(/task-queue are named "(mail|default)"/);
    // The cure must be one for queues.
    expect(error.message).not.toContain('@Worker');
  });

  it('is not made of one module that is imported in several places', async () => {
    const shared = registered('mail');
    const app = await bootContext({
      imports: [shared, moduleNamed('FeatureModule', { imports: [shared] })],
      providers: [Mailer],
    });
    expect(await app.get(Mailer).queue.enqueue(who).done).toBe('task-queue mail');
  });

  it.each([
    ['concurrency', { concurrency: 0 }],
    ['maxQueued', { maxQueued: -1 }],
    ['overflow', { overflow: 'explode' }],
    ['timeout', { timeout: 'soon' }],
    ['backoff.max', { backoff: { max: 'never' } }],
    ['maxAttempts', { maxAttempts: 1.5 }],
    ['degradedAfter', { degradedAfter: -1 }],
    ['middlewares', { middlewares: [undefined] }],
    ['retries', { retries: 3 }],
  ] as const)('names the option %s', async (option, given) => {
    const options = given as object;
    for (const configured of [
      TaskQueueModule.register({ name: 'mail', ...options }),
      TaskQueueModule.registerAsync({ name: 'mail', useFactory: async () => options }),
    ]) {
      const error = await bootError({ imports: [configured] });
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option });
      expect(error.message).toContain(`Option "${option}" of task queue "mail"`);
    }
  });

  it('names an empty name', async () => {
    const error = await bootError({ imports: [TaskQueueModule.register({ name: '' })] });
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'name' });
  });

  it.each(['shutdownTimeout', 'clock'])("names %s, which is the pool's and not a queue's", async (option) => {
    const options = { [option]: option === 'clock' ? new FakeClock() : '3s' };
    const error = await bootError({ imports: [TaskQueueModule.register({ name: 'mail', ...options })] });
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option });
  });
});

describe('getTaskQueueToken', () => {
  it('is fixed, and one for each name', () => {
    expect(getTaskQueueToken('mail')).toBe(getTaskQueueToken('mail'));
    expect(getTaskQueueToken('mail')).not.toBe(getTaskQueueToken('render'));
    expect(getTaskQueueToken()).toBe(getTaskQueueToken('default'));
    expect(Symbol.keyFor(getTaskQueueToken('mail'))).toBe('nestjs-worker:task-queue:mail');
  });

  it('lets a test put something else in the place of a queue', async () => {
    const submitted: unknown[] = [];
    const stand = { submit: (run: unknown) => void submitted.push(run) };
    const testing = await Test.createTestingModule({
      imports: [TaskQueueModule.register({ name: 'mail' })],
      providers: [Mailer],
    })
      .overrideProvider(getTaskQueueToken('mail'))
      .useValue(stand)
      .compile();
    await testing.init();
    testing.get(Mailer).queue.submit(who);
    expect(submitted).toEqual([who]);
    await testing.close();
  });

  it('lets a test put a queue made by hand there, which runs by dispatch()', async () => {
    const clock = new FakeClock();
    const byHand = new TaskQueue({ name: 'by hand', autoStart: false, clock, logger: silentLogger });
    const testing = await Test.createTestingModule({
      imports: [TaskQueueModule.register()],
      providers: [ByDecorator],
    })
      .overrideProvider(getTaskQueueToken())
      .useValue(byHand)
      .compile();
    await testing.init();
    const task = testing.get(ByDecorator).queue.enqueue(who);
    expect(await byHand.dispatch()).toBe(false);
    expect(await task.done).toBe('task-queue by hand');
    await Promise.all([byHand.shutdown(), testing.close()]);
  });
});

describe('TaskQueueModule.forRoot', () => {
  const idsOf = (prefix: string) => {
    let id = 0;
    return () => `${prefix} ${++id}`;
  };

  it('gives the pool its options where there is no WorkerModule', async () => {
    const clock = new FakeClock();
    const app = await bootContext({
      imports: [
        TaskQueueModule.forRoot({ clock, shutdownTimeout: '3s', idGenerator: idsOf('id') }),
        TaskQueueModule.register({ name: 'mail' }),
      ],
      providers: [Mailer],
    });
    const pool = app.get<Pool>(POOL, { strict: false });
    expect(pool.options).toMatchObject({ shutdownTimeoutMs: 3_000, clock });
    expect(await app.get(Mailer).queue.enqueue((ctx) => ctx.executionId).done).toMatch(/^id \d+$/);
    await app.close();
  });

  it.each([
    ['before', 0],
    ['after', 1],
  ])('imported %s a plain WorkerModule is one pool with those options', async (_when, place) => {
    const imports = [WorkerModule, TaskQueueModule.register({ name: 'mail' })];
    const app = await bootContext({
      imports: imports.toSpliced(place, 0, TaskQueueModule.forRoot({ historySize: 7, maxAttempts: 4 })),
      providers: [UntilAborted, Mailer],
    });
    poolOf(app).register({ run: () => Promise.resolve() }, { name: 'one' });
    expect(poolOf(app).pool.options.historySize).toBe(7);
    expect(poolOf(app).registration('one').options.maxAttempts).toBe(4);
  });

  it('with what WorkerModule.forRoot() has, too, is fine', async () => {
    const options = { historySize: 7, shutdownTimeout: '3s' } as const;
    const app = await bootContext({
      imports: [
        WorkerModule.forRoot(options),
        TaskQueueModule.forRoot({ ...options }),
        TaskQueueModule.register(),
      ],
    });
    expect(poolOf(app).pool.options.historySize).toBe(7);
  });

  it.each<[string, RootModule]>([
    [
      'WorkerModule.forRoot()',
      { imports: [WorkerModule.forRoot({ historySize: 7 }), TaskQueueModule.forRoot({ historySize: 8 })] },
    ],
    [
      'another TaskQueueModule.forRoot()',
      { imports: [TaskQueueModule.forRoot({ historySize: 7 }), TaskQueueModule.forRoot({ historySize: 8 })] },
    ],
  ])('that differs from %s is a boot error which names what does', async (_other, root) => {
    const error = await bootError(root);
    expect(error).toMatchObject({ code: 'POOL_OPTIONS_CONFLICT' });
    expect(error.message).toContain('(historySize)');
  });

  it('with an option that cannot be used is a boot error that names it', async () => {
    const error = await bootError({ imports: [TaskQueueModule.forRoot({ shutdownTimeout: -1 })] });
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'shutdownTimeout' });
    expect(error.message).toContain('TaskQueueModule.forRoot()');
  });

  it('is no queue', async () => {
    const app = await bootContext({ imports: [WorkerModule, TaskQueueModule.forRoot({}), TaskQueueModule] });
    expect(poolOf(app).snapshot()).toMatchObject({ status: 'started', children: [] });
  });
});

describe('Middlewares', () => {
  let steps: string[];
  beforeEach(() => {
    steps = [];
  });

  @Injectable()
  class Trail {
    add(step: string): void {
      steps.push(step);
    }
  }

  @Injectable()
  class Traced implements WorkerMiddleware {
    constructor(private readonly trail: Trail) {}

    async use(ctx: WorkContext, next: Next): Promise<unknown> {
      this.trail.add(`> class ${who(ctx)}`);
      const value = await next();
      this.trail.add('< class');
      return value;
    }
  }

  const trailModule = moduleNamed('TrailModule', { providers: [Trail, Traced] });

  const noting =
    (label: string): MiddlewareFunction =>
    async (_ctx, next) => {
      steps.push(`> ${label}`);
      const value = await next();
      steps.push(`< ${label}`);
      return value;
    };

  it.each([
    ['WorkerModule', [WorkerModule.forRoot({ middlewares: [noting('pool')] })]],
    ['TaskQueueModule', [TaskQueueModule.forRoot({ middlewares: [noting('pool')] })]],
  ])(
    'of the pool (%s.forRoot) are around those of a queue, which may be provided classes and functions',
    async (_whose, imports) => {
      const app = await bootContext({
        imports: [
          ...imports,
          trailModule,
          TaskQueueModule.register({ name: 'mail', middlewares: [Traced, noting('queue')] }),
          TaskQueueModule.register({ name: 'render' }),
        ],
        providers: [Mailer, Renderer],
      });
      const task = app.get(Mailer).queue.enqueue(() => {
        steps.push('task');
        return 'result';
      });
      expect(await task.done).toBe('result');
      expect(steps).toEqual([
        '> pool',
        '> class task-queue mail',
        '> queue',
        'task',
        '< queue',
        '< class',
        '< pool',
      ]);
      steps = [];
      await app.get(Renderer).queue.enqueue(() => steps.push('task')).done;
      expect(steps).toEqual(['> pool', 'task', '< pool']);
    },
  );

  it('are around each attempt', async () => {
    const clock = new FakeClock();
    const app = await bootContext({
      imports: [
        TaskQueueModule.forRoot({ clock }),
        TaskQueueModule.register({
          name: 'mail',
          maxAttempts: 2,
          backoff: 'none',
          middlewares: [noting('queue')],
        }),
      ],
      providers: [Mailer],
    });
    const task = app.get(Mailer).queue.enqueue((ctx) => {
      steps.push(`attempt ${ctx.attempt}`);
      if (ctx.attempt === 1) throw new Error('once more');
    });
    await clock.advance('1s');
    await task.done;
    expect(steps).toEqual(['> queue', 'attempt 1', '> queue', 'attempt 2', '< queue']);
    await app.close();
  });

  it('given by a factory may be classes, too', async () => {
    const app = await bootContext({
      imports: [
        trailModule,
        TaskQueueModule.registerAsync({ name: 'mail', useFactory: () => ({ middlewares: [Traced] }) }),
      ],
      providers: [Mailer],
    });
    await app.get(Mailer).queue.enqueue(() => undefined).done;
    expect(steps).toEqual(['> class task-queue mail', '< class']);
  });

  it.each<[string, RootModule]>([
    ['a queue', { imports: [TaskQueueModule.register({ name: 'mail', middlewares: [Traced] })] }],
    [
      'the pool',
      {
        imports: [
          TaskQueueModule.forRoot({ middlewares: [Traced] }),
          TaskQueueModule.register({ name: 'mail' }),
        ],
      },
    ],
  ])('of %s that no module provides are a boot error that names the queue', async (_whose, root) => {
    const error = await bootError(root);
    expect(error).toMatchObject({ code: 'MIDDLEWARE_NOT_FOUND' });
    expect(error.message).toContain('Middleware Traced of task queue "mail"');
  });
});

describe('Several apps in one process', () => {
  it.each([
    ['the default queue', () => TaskQueueModule.register()],
    ['a named queue', () => TaskQueueModule.register({ name: 'mail' })],
  ])('have %s each, and closing one leaves the other alone', async (_which, configured) => {
    const [one, two] = await Promise.all([
      bootContext({ imports: [configured()] }),
      bootContext({ imports: [configured()] }),
    ]);
    const queues = [one, two].map((app) => queueOf(app));
    expect(queues[0]).not.toBe(queues[1]);
    await one.close();
    expect(() => queues[0]!.submit(who)).toThrow(expect.objectContaining({ code: 'TASK_QUEUE_CLOSED' }));
    expect(await queues[1]!.enqueue(who).done).toMatch(/^task-queue/);
  });

  it('may be of one module class, one after the other', async () => {
    @Module({ imports: [TaskQueueModule.register()], providers: [ByClass] })
    class AppModule {}
    const seen = new Set<TaskQueue>();
    for (let round = 0; round < 3; round++) {
      const app = await bootContext(AppModule);
      const { queue } = app.get(ByClass);
      expect(await queue.enqueue(who).done).toBe('task-queue default');
      seen.add(queue);
      await app.close();
    }
    expect(seen.size).toBe(3);
  });

  it('may each inject the default queue by its class', async () => {
    for (let round = 0; round < 3; round++) {
      const app = await bootContext({ imports: [TaskQueueModule.register()], providers: [ByClass] });
      expect(await app.get(ByClass).queue.enqueue(who).done).toBe('task-queue default');
    }
  });
});

describe('An app with tasks only', () => {
  it('starts its queues, runs tasks, and drains on close', async () => {
    const app = await bootContext({
      imports: [TaskQueueModule.register({ name: 'mail' })],
      providers: [Mailer],
    });
    const { queue } = app.get(Mailer);
    expect(await queue.enqueue(who).done).toBe('task-queue mail');
    const last = queue.enqueue(async (ctx) => {
      await ctx.sleep(1);
      return 'sent';
    });
    await app.close();
    expect(await last.done).toBe('sent');
    expect(() => queue.submit(who)).toThrow(expect.objectContaining({ code: 'TASK_QUEUE_CLOSED' }));
    expect(queue.snapshot().status).toBe('cancelled');
  });

  it('needs no queue injected anywhere', async () => {
    const app = await bootContext({ imports: [TaskQueueModule.register({ name: 'mail' })] });
    expect(app.get<Pool>(POOL, { strict: false }).snapshot()).toMatchObject({
      status: 'started',
      children: [{ kind: 'task-queue', name: 'mail', status: 'running' }],
    });
  });
});

function concurrencyOf({ concurrency }: TaskQueue): number {
  return concurrency;
}

function queueOf(app: { get(token: symbol, options: { strict: boolean }): TaskQueue }): TaskQueue {
  for (const name of ['default', 'mail']) {
    try {
      return app.get(getTaskQueueToken(name), { strict: false });
    } catch {}
  }
  throw new Error('It has no queue.');
}
