import { createRequire } from 'node:module';
import {
  type INestApplicationContext,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { InjectTaskQueue, type Task, TaskQueue, TaskQueueModule, WorkerModule } from 'nestjs-worker';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  bootContext,
  createApp,
  moduleNamed,
  platforms,
  poolOf,
  settle,
  signal,
} from '../../support/nest.js';

const { version } = createRequire(import.meta.url)('@nestjs/core/package.json') as { version: string };
/** Nest 11 calls no hook at all of an app whose bootstrap has failed. */
const closesAfterFailure = !version.startsWith('11.');

const steps: string[] = [];
beforeEach(() => {
  steps.length = 0;
});

/** Submits a task wherever an app may do so before it is ready. */
@Injectable()
class Early implements OnModuleInit, OnApplicationBootstrap {
  readonly tasks: Task[] = [];

  constructor(@InjectTaskQueue('mail') private readonly queue: TaskQueue) {
    this.submit('constructor');
  }

  onModuleInit(): void {
    this.submit('onModuleInit');
  }

  onApplicationBootstrap(): void {
    this.submit('onApplicationBootstrap');
  }

  private submit(where: string): void {
    this.queue.submit(() => steps.push(`submitted in ${where}`));
    this.tasks.push(this.queue.enqueue(() => steps.push(`enqueued in ${where}`), { name: where }));
  }
}

const bootstrapOf = (who: string) =>
  class implements OnApplicationBootstrap {
    async onApplicationBootstrap(): Promise<void> {
      await settle();
      await settle();
      steps.push(`bootstrapped ${who}`);
    }
  };

@Injectable()
class Slow extends bootstrapOf('provider') {}

const early = ['constructor', 'onModuleInit', 'onApplicationBootstrap'];
const everyTask = early.flatMap((where) => [`submitted in ${where}`, `enqueued in ${where}`]);

const lateModule = () => moduleNamed('LateModule', { providers: [{ provide: 'LATE', useClass: Slow }] });
const root = () => ({
  imports: [TaskQueueModule.register({ name: 'mail', concurrency: 1 }), lateModule()],
  providers: [Early, Slow],
});

const boots: [string, () => Promise<INestApplicationContext>][] = [
  ...platforms.map((platform): [string, () => Promise<INestApplicationContext>] => [
    platform,
    async () => (await createApp(root(), platform)).init(),
  ]),
  ['a standalone context', async () => bootContext(root())],
];

describe.each(boots)('With %s', (_kind, boot) => {
  it('tasks that were submitted during boot run after every bootstrap hook, in their order', async () => {
    const app = await boot();
    await Promise.all(app.get(Early).tasks.map(({ done }) => done));
    expect(steps).toEqual(['bootstrapped provider', 'bootstrapped provider', ...everyTask]);
  });
});

describe.each(platforms)('Until the app is up, %s', (platform) => {
  it('tasks wait, and are counted', async () => {
    const gate = signal();
    const entered = signal();
    // After those that it depends on.
    @Injectable()
    class Held implements OnApplicationBootstrap {
      constructor(readonly early: Early) {}
      async onApplicationBootstrap(): Promise<void> {
        entered.resolve();
        await gate.promise;
      }
    }
    const { imports, providers } = root();
    const app = await createApp(
      { imports: [...imports, WorkerModule], providers: [...providers, Held] },
      platform,
    );
    const init = app.init();
    await entered.promise;
    await settle();
    expect(steps.filter((step) => !step.startsWith('bootstrapped'))).toEqual([]);
    expect(poolOf(app).snapshot().children).toMatchObject([
      { name: 'mail', status: 'unknown', queued: 6, running: 0, enqueued: 6 },
    ]);
    expect(app.get(Early).tasks.map(({ status }) => status)).toEqual(['queued', 'queued', 'queued']);
    gate.resolve();
    await init;
    await Promise.all(app.get(Early).tasks.map(({ done }) => done));
    expect(steps.slice(-6)).toEqual(everyTask);
  });
});

describe('A queue', () => {
  it('with autoStart: false does not run them after bootstrap either, but by dispatch()', async () => {
    const app = await bootContext({
      imports: [TaskQueueModule.register({ name: 'mail', autoStart: false, concurrency: 1 })],
      providers: [Early],
    });
    await settle();
    expect(steps).toEqual([]);
    const queue = app.get(Early)['queue'];
    expect(await queue.dispatch()).toBe(false);
    expect(steps).toEqual(everyTask);
  });

  it('that a provider pauses while the app boots stays so', async () => {
    @Injectable()
    class Pausing implements OnModuleInit {
      constructor(@InjectTaskQueue('mail') readonly queue: TaskQueue) {}
      onModuleInit(): void {
        this.queue.pause();
      }
    }
    const app = await bootContext({
      imports: [TaskQueueModule.register({ name: 'mail', concurrency: 1 })],
      providers: [Early, Pausing],
    });
    await settle();
    expect(steps).toEqual([]);
    const { queue } = app.get(Pausing);
    queue.resume();
    await queue.onIdle();
    expect(steps).toEqual(everyTask);
  });
});

describe.skipIf(!closesAfterFailure)('After a bootstrap that failed', () => {
  const failing = (hook: 'onModuleInit' | 'onApplicationBootstrap') => ({
    provide: 'BROKEN',
    useValue: { [hook]: () => Promise.reject(new Error('no database')) },
  });

  it.each([
    ['in a bootstrap hook', () => ({ ...root(), providers: [Early, failing('onApplicationBootstrap')] })],
    ['in onModuleInit', () => ({ ...root(), providers: [Early, failing('onModuleInit')] })],
    [
      'in onModuleInit before the queue had its turn',
      () => ({
        imports: [
          TaskQueueModule.registerAsync({
            name: 'mail',
            imports: [moduleNamed('BrokenModule', { providers: [failing('onModuleInit')] })],
            useFactory: () => ({}),
          }),
        ],
        providers: [Early],
      }),
    ],
  ])('%s nothing runs, and closing settles every promise', async (_where, failed) => {
    const app = await createApp(failed());
    await expect(app.init()).rejects.toThrow('no database');
    await settle();
    const { tasks } = app.get(Early);
    expect(tasks.map(({ status }) => status)).toEqual(tasks.map(() => 'queued'));
    const idle = app.get(Early)['queue'].onIdle();
    await app.close();
    const interrupted = { code: 'TASK_INTERRUPTED', reason: 'shutdown' };
    for (const { done } of tasks) await expect(done).rejects.toMatchObject(interrupted);
    await idle;
    expect(tasks.length).toBeGreaterThan(0);
    expect(steps.filter((step) => !step.startsWith('bootstrapped'))).toEqual([]);
    expect(() => app.get(Early)['queue'].submit(() => undefined)).toThrow(
      expect.objectContaining({ code: 'TASK_QUEUE_CLOSED' }),
    );
  });
});

describe('close()', () => {
  const interrupted = { code: 'TASK_INTERRUPTED', reason: 'shutdown' };

  it.each(platforms)('before any bootstrap settles what constructors submitted (%s)', async (platform) => {
    const app = await createApp(root(), platform);
    const { tasks } = app.get(Early);
    expect(tasks).toHaveLength(1);
    await app.close();
    await expect(tasks[0]!.done).rejects.toMatchObject(interrupted);
    expect(steps).toEqual([]);
  });

  it.each(platforms)('during a slow bootstrap settles every task, and none runs (%s)', async (platform) => {
    const gate = signal();
    const entered = signal();
    @Injectable()
    class Held implements OnApplicationBootstrap {
      constructor(readonly early: Early) {}
      async onApplicationBootstrap(): Promise<void> {
        entered.resolve();
        await gate.promise;
      }
    }
    const app = await createApp({ ...root(), providers: [Early, Held] }, platform);
    const init = app.init();
    await entered.promise;
    const closed = app.close();
    await settle();
    gate.resolve();
    await Promise.all([closed, init.catch(() => undefined)]);
    const { tasks } = app.get(Early);
    expect(tasks).toHaveLength(3);
    const ends = await Promise.allSettled(tasks.map(({ done }) => done));
    // Where Nest lets the app boot to its end first they have run; nothing is lost without a word either way.
    const ran = steps.filter((step) => step.startsWith('enqueued')).length;
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(ran);
    for (const end of ends) if (end.status === 'rejected') expect(end.reason).toMatchObject(interrupted);
  });

  it.each(platforms)('during a slow onModuleInit does so, too (%s)', async (platform) => {
    const gate = signal();
    const entered = signal();
    const held = {
      provide: 'HELD',
      useValue: {
        async onModuleInit(): Promise<void> {
          entered.resolve();
          await gate.promise;
        },
      },
    };
    const app = await createApp(
      {
        imports: [
          TaskQueueModule.registerAsync({
            name: 'mail',
            imports: [moduleNamed('HeldModule', { providers: [held] })],
            useFactory: () => ({}),
          }),
        ],
        providers: [Early],
      },
      platform,
    );
    const init = app.init();
    await entered.promise;
    const [task] = app.get(Early).tasks;
    const closed = app.close();
    await settle();
    gate.resolve();
    // It may refuse what a hook submits after the close; that there is a queue is no reason to fail.
    const failure: unknown = await init.then(() => undefined).catch((error: unknown) => error);
    await closed;
    expect([undefined, 'TASK_QUEUE_CLOSED']).toContain((failure as { code?: string } | undefined)?.code);
    await expect(task!.done).rejects.toMatchObject(interrupted);
    expect(steps).toEqual([]);
  });
});
