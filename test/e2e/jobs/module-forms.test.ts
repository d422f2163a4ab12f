import {
  type BeforeApplicationShutdown,
  Injectable,
  type ModuleMetadata,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  type EnqueuedJob,
  getJobQueueToken,
  InjectJobQueue,
  type Job,
  type JobDraft,
  JobHandler,
  type JobMiddleware,
  JobQueue,
  JobsModule,
  MemoryJobBackend,
  type RunnableJob,
  WorkerModule,
} from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { jobRegistryOf } from '../../../lib/jobs/index.js';
import { type Pool, POOL } from '../../../lib/pool/index.js';
import { rejectionOf, WatchedBackend } from '../../support/fake-job-queue.js';
import {
  bootContext,
  bootError,
  createApp,
  moduleNamed,
  type RootModule,
  settle,
} from '../../support/nest.js';

@Injectable()
class Config {
  readonly lease = '45s';
  readonly backend = new MemoryJobBackend();
}

const configModule = moduleNamed('ConfigModule', { providers: [Config], exports: [Config] });

@Injectable()
class Mailer {
  constructor(@InjectJobQueue('emails') readonly queue: JobQueue<string>) {}
}

@Injectable()
class Reports {
  @InjectJobQueue('reports') readonly queue!: JobQueue<number>;
}

const emails = JobsModule.registerQueue({ name: 'emails' });

describe('JobsModule.registerQueue', () => {
  it('makes a queue that is injected by its name', async () => {
    const app = await bootContext({ imports: [JobsModule.forRoot(), emails], providers: [Mailer] });
    const { queue } = app.get(Mailer);
    expect(queue).toBeInstanceOf(JobQueue);
    expect(queue.name).toBe('emails');
    expect(app.get(getJobQueueToken('emails'))).toBe(queue);
    const { id } = await queue.enqueue('hello');
    expect(await queue.get(id)).toMatchObject({ payload: 'hello', state: 'ready' });
  });

  it('makes several in one call', async () => {
    const app = await bootContext({
      imports: [
        JobsModule.forRoot(),
        JobsModule.registerQueue({ name: 'emails' }, { name: 'reports', format: 'json' }),
      ],
      providers: [Mailer, Reports],
    });
    await app.get(Mailer).queue.enqueue('a');
    await app.get(Reports).queue.enqueue(1);
    expect(await app.get(Mailer).queue.counts()).toMatchObject({ queue: 'emails', ready: 1 });
    expect(await app.get(Reports).queue.counts()).toMatchObject({ queue: 'reports', ready: 1 });
  });

  it.each<[string, (root: RootModule, feature: RootModule) => RootModule]>([
    ['before forRoot()', (root, feature) => ({ imports: [feature as never, root as never] })],
    ['after forRoot()', (root, feature) => ({ imports: [root as never, feature as never] })],
  ])('may be imported %s, in a module of its own', async (_when, imports) => {
    const feature = moduleNamed('MailModule', { imports: [emails], providers: [Mailer] });
    const app = await bootContext(imports(JobsModule.forRoot(), feature));
    expect(await app.get(Mailer, { strict: false }).queue.enqueue('a')).toMatchObject({ status: 'enqueued' });
  });

  it('waits for a forRootAsync() that takes its time, in whatever order', async () => {
    const slow = JobsModule.forRootAsync({
      useFactory: async () => {
        await settle();
        return {};
      },
    });
    for (const imports of [
      [slow, emails],
      [emails, slow],
    ]) {
      const app = await bootContext({ imports, providers: [Mailer] });
      expect(await app.get(Mailer).queue.enqueue('a')).toMatchObject({ status: 'enqueued' });
    }
  });

  it('keeps a queue to the modules that import it, and is shared by exporting', async () => {
    const mailModule = moduleNamed('MailModule', { imports: [emails] });
    const error = await bootError({ imports: [JobsModule.forRoot(), mailModule], providers: [Mailer] });
    expect(error.message).toContain("Nest can't resolve dependencies of the Mailer (?)");
    for (const exports of [[emails], [JobsModule]]) {
      const exporting = moduleNamed('MailModule', { imports: [emails], exports });
      const app = await bootContext({ imports: [JobsModule.forRoot(), exporting], providers: [Mailer] });
      expect(app.get(Mailer).queue.name).toBe('emails');
    }
  });

  it('is no conflict where one module is imported in several places', async () => {
    const feature = moduleNamed('FeatureModule', { imports: [emails] });
    const app = await bootContext({ imports: [JobsModule.forRoot(), emails, feature], providers: [Mailer] });
    expect(app.get(Mailer).queue.name).toBe('emails');
  });
});

describe('JobsModule.registerQueueAsync', () => {
  it.each([
    ['a value', (config: Config) => ({ lease: config.lease }) as const],
    ['a promise', (config: Config) => Promise.resolve({ lease: config.lease } as const)],
  ])('takes %s from a factory that others are injected into', async (_what, useFactory) => {
    const app = await bootContext({
      imports: [
        JobsModule.forRoot(),
        JobsModule.registerQueueAsync({
          name: 'emails',
          imports: [configModule],
          inject: [Config],
          useFactory,
        }),
      ],
      providers: [Mailer],
    });
    expect(app.get(Mailer).queue.options.consumer.leaseMs).toBe(45_000);
  });

  it('passes on what the factory fails with', async () => {
    const useFactory = (): Promise<never> => Promise.reject(new Error('no config'));
    const failing = JobsModule.registerQueueAsync({ name: 'emails', useFactory });
    expect((await bootError({ imports: [JobsModule.forRoot(), failing] })).message).toBe('no config');
  });

  it.each([
    ['a name', { name: 'reports' }, 'name'],
    ['an option that there is not', { retries: 5 }, 'retries'],
    ['nothing', undefined, 'options'],
  ])('refuses a factory that answers %s', async (_what, answer, option) => {
    const queue = JobsModule.registerQueueAsync({ name: 'emails', useFactory: () => answer as never });
    const error = await bootError({ imports: [JobsModule.forRoot(), queue] });
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option });
    expect(error.message).toContain('of job queue "emails"');
  });
});

describe('JobsModule.forRoot', () => {
  it('takes the backend, which all queues share', async () => {
    const backend = new MemoryJobBackend();
    const app = await bootContext({
      imports: [
        JobsModule.forRoot({ backend }),
        JobsModule.registerQueue({ name: 'emails' }, { name: 'reports' }),
      ],
      providers: [Mailer, Reports],
    });
    const { id } = await app.get(Mailer).queue.enqueue('a');
    expect(await backend.get('emails', [id])).toMatchObject([{ id }]);
  });

  it('takes it from a factory', async () => {
    const app = await bootContext({
      imports: [
        emails,
        JobsModule.forRootAsync({
          imports: [configModule],
          inject: [Config],
          useFactory: ({ backend }: Config) => ({ backend, historySize: 7 }),
        }),
      ],
      providers: [Mailer],
    });
    const { id } = await app.get(Mailer).queue.enqueue('a');
    const { backend } = app.get(Config, { strict: false });
    expect(await backend.get('emails', [id])).toMatchObject([{ id }]);
    expect(app.get<Pool>(POOL, { strict: false }).options.historySize).toBe(7);
  });

  it('gives the pool its options, and the backend of its own the clock of the pool', async () => {
    const clock = new FakeClock();
    const app = await bootContext({
      imports: [JobsModule.forRoot({ clock, shutdownTimeout: '3s' }), emails],
      providers: [Mailer],
    });
    expect(app.get<Pool>(POOL, { strict: false }).options).toMatchObject({ shutdownTimeoutMs: 3_000, clock });
    const { id } = await app.get(Mailer).queue.enqueue('a');
    expect((await app.get(Mailer).queue.get(id))?.createdAt).toBe(clock.now());
    await app.close();
  });

  it('has a clock of WorkerModule.forRoot() as well, also where that comes later', async () => {
    const clock = new FakeClock();
    const imports = [JobsModule.forRoot(), emails, WorkerModule.forRoot({ clock })];
    const app = await bootContext({ imports, providers: [Mailer] });
    const { id } = await app.get(Mailer).queue.enqueue('a');
    expect((await app.get(Mailer).queue.get(id))?.createdAt).toBe(clock.now());
    await app.close();
  });

  it('twice with the same backend, or without any, is fine', async () => {
    const backend = new MemoryJobBackend();
    for (const options of [{ backend }, {}]) {
      const app = await bootContext({
        imports: [JobsModule.forRoot(options), JobsModule.forRoot(options), emails],
        providers: [Mailer],
      });
      expect(await app.get(Mailer).queue.enqueue('a')).toMatchObject({ status: 'enqueued' });
    }
  });
});

describe('A boot error', () => {
  const handler = (queue: string): RootModule => {
    @JobHandler(queue)
    class EmailHandler implements RunnableJob {
      handle(): void {}
    }
    return moduleNamed('MailModule', { providers: [EmailHandler] });
  };

  it('is made of a queue without a backend', async () => {
    const error = await bootError({ imports: [emails] });
    expect(error).toMatchObject({ name: 'JobBackendMissingError', code: 'JOB_BACKEND_MISSING' });
    expect(error.message).toContain(
      'Queue "emails" is registered, but no backend is. Add JobsModule.forRoot(',
    );
  });

  it.each([
    ['another backend', { backend: new MemoryJobBackend() }],
    ['the default', {}],
  ])('is made of a second forRoot() with %s', async (_what, second) => {
    const first = { backend: new MemoryJobBackend() };
    for (const imports of [
      [JobsModule.forRoot(first), JobsModule.forRoot(second)],
      [JobsModule.forRoot(second), JobsModule.forRootAsync({ useFactory: () => first })],
    ]) {
      const error = await bootError({ imports: [...imports, emails] });
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'backend' });
      expect(error.message).toContain('call JobsModule.forRoot() once');
    }
  });

  it.each([null, 'redis://localhost', {}, new Map()])('is made of the backend %o', async (backend) => {
    const error = await bootError({ imports: [JobsModule.forRoot({ backend: backend as never }), emails] });
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'backend' });
  });

  it('is made of an option of the pool that cannot be meant, or that there is not', async () => {
    for (const option of ['shutdownTimeout', 'retries']) {
      const error = await bootError({ imports: [JobsModule.forRoot({ [option]: -1 })] });
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option });
      expect(error.message).toContain('of JobsModule.forRoot()');
    }
  });

  it('is made of other options for the pool than WorkerModule.forRoot() has', async () => {
    const imports = [WorkerModule.forRoot({ historySize: 5 }), JobsModule.forRoot({ historySize: 6 })];
    expect(await bootError({ imports })).toMatchObject({ code: 'POOL_OPTIONS_CONFLICT' });
    const app = await bootContext({
      imports: [WorkerModule.forRoot({ historySize: 5 }), JobsModule.forRoot()],
    });
    expect(app.get<Pool>(POOL, { strict: false }).options.historySize).toBe(5);
  });

  it.each<[string, NonNullable<ModuleMetadata['imports']>]>([
    ['in one call', [JobsModule.registerQueue({ name: 'emails' }, { name: 'emails' })]],
    ['in two calls', [emails, JobsModule.registerQueue({ name: 'emails' })]],
    [
      'one of them asynchronous',
      [emails, JobsModule.registerQueueAsync({ name: 'emails', useFactory: () => ({}) })],
    ],
    [
      'in two modules',
      [emails, moduleNamed('Other', { imports: [JobsModule.registerQueue({ name: 'emails' })] })],
    ],
  ])('is made of two queues of one name, %s', async (_where, imports) => {
    const root = { imports: [JobsModule.forRoot(), ...imports] };
    const error = await bootError(root);
    expect(error).toMatchObject({ name: 'DuplicateNameError', code: 'DUPLICATE_NAME' });
    expect(error.message).toContain('Two of kind job-queue are named "emails"');
    expect(error.message).toContain("JobsModule.registerQueue({ name: 'emails-2' })");
  });

  it.each([
    ['lease', { lease: '10ms' }],
    ['limits.rate', { limits: { rate: 5 } }],
    ['format', { format: 'xml' }],
    ['retries', { retries: 3 }],
  ])('names the option %s', async (option, options) => {
    for (const queue of [
      JobsModule.registerQueue({ name: 'emails', ...(options as object) }),
      JobsModule.registerQueueAsync({ name: 'emails', useFactory: () => options as object }),
    ]) {
      const error = await bootError({ imports: [JobsModule.forRoot(), queue] });
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option });
    }
  });

  it.each([{ name: '' }, {}, null])('is made of a queue without a name: %j', async (options) => {
    const error = await bootError({
      imports: [JobsModule.forRoot(), JobsModule.registerQueue(options as never)],
    });
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'name' });
  });

  it('is made of a limit that the backend cannot enforce', async () => {
    const backend = new MemoryJobBackend();
    Object.assign(backend.capabilities, { limits: { concurrency: true, perKey: false, rate: true } });
    const queue = JobsModule.registerQueue({ name: 'emails', limits: { perKey: 1 } });
    const error = await bootError({ imports: [JobsModule.forRoot({ backend }), queue] });
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'limits.perKey' });
  });

  it('is made of a handler for a queue that is not registered', async () => {
    const error = await bootError({ imports: [JobsModule.forRoot(), emails, handler('email')] as never });
    expect(error).toMatchObject({ name: 'JobQueueNotFoundError', code: 'JOB_QUEUE_NOT_FOUND' });
    expect(error.message).toBe(
      'EmailHandler in MailModule is for queue "email", which is not registered; registered are "emails". Add ' +
        "JobsModule.registerQueue({ name: 'email' }) to the imports of a module.",
    );
  });

  it('is made of a middleware that nobody provides', async () => {
    class Audit implements JobMiddleware {
      enqueue(_draft: JobDraft, next: () => Promise<EnqueuedJob>): Promise<EnqueuedJob> {
        return next();
      }
    }
    const queue = JobsModule.registerQueue({ name: 'emails', middlewares: [Audit] });
    const error = await bootError({ imports: [JobsModule.forRoot(), queue] });
    expect(error).toMatchObject({ code: 'MIDDLEWARE_NOT_FOUND' });
    expect(error.message).toContain('Middleware Audit of job queue "emails"');
  });
});

describe('getJobQueueToken', () => {
  it('is fixed, and one for each name', () => {
    expect(Symbol.keyFor(getJobQueueToken('emails'))).toBe('nestjs-worker:job-queue:emails');
    expect(getJobQueueToken('emails')).not.toBe(getJobQueueToken('reports'));
  });

  it('lets a test put something else in the place of a queue, also beside its handler', async () => {
    @JobHandler('emails')
    class EmailHandler implements RunnableJob {
      handle(): void {}
    }
    const enqueued: unknown[] = [];
    const stand = { enqueue: (payload: unknown) => void enqueued.push(payload) };
    const testing = await Test.createTestingModule({
      imports: [JobsModule.forRoot(), emails],
      providers: [Mailer, EmailHandler],
    })
      .overrideProvider(getJobQueueToken('emails'))
      .useValue(stand)
      .compile();
    await testing.init();
    void testing.get(Mailer).queue.enqueue('a');
    expect(enqueued).toEqual(['a']);
    await testing.close();
  });
});

describe('the connection', () => {
  let backend: WatchedBackend;

  beforeEach(() => {
    backend = new WatchedBackend();
  });

  it('does not hold back the boot while it opens', async () => {
    backend.hold = () => new Promise(() => {});
    const app = await createApp({ imports: [JobsModule.forRoot({ backend }), emails] });
    await app.init();
    expect(backend.calls.open).toBe(1);
    backend.hold = undefined;
  });

  it('is opened once, and closed once, after every hook that comes before the last', async () => {
    const seen: string[] = [];
    @Injectable()
    class Late implements OnModuleInit, OnModuleDestroy, BeforeApplicationShutdown {
      constructor(@InjectJobQueue('emails') private readonly queue: JobQueue<string>) {}

      async onModuleInit(): Promise<void> {
        await this.queue.enqueue('init');
      }

      async onModuleDestroy(): Promise<void> {
        await this.#enqueue('destroy');
      }

      async beforeApplicationShutdown(): Promise<void> {
        await this.#enqueue('before shutdown');
      }

      async #enqueue(payload: string): Promise<void> {
        // Nest 11 calls the hooks again when an app is closed once more, as it is at the end of each test.
        if (backend.calls.close === undefined) seen.push((await this.queue.enqueue(payload)).status);
      }
    }
    const app = await bootContext({ imports: [JobsModule.forRoot({ backend }), emails], providers: [Late] });
    await app.close();
    expect(seen).toEqual(['enqueued', 'enqueued']);
    expect(backend.calls).toMatchObject({ open: 1, close: 1 });
    expect(await backend.counts(['emails'], { dueWithinMs: 0 })).toMatchObject([{ ready: 3 }]);
  });

  it('lets what is being enqueued without anybody waiting end first', async () => {
    const app = await bootContext({
      imports: [JobsModule.forRoot({ backend }), emails],
      providers: [Mailer],
    });
    const { queue } = app.get(Mailer);
    const enqueued = queue.enqueue('a');
    await app.close();
    expect(await enqueued).toMatchObject({ status: 'enqueued' });
    expect(await rejectionOf(queue.enqueue('late'))).toMatchObject({ code: 'JOB_ENQUEUE_FAILED' });
  });

  it('is closed also where the app never was initialised', async () => {
    const testing = await Test.createTestingModule({
      imports: [JobsModule.forRoot({ backend }), emails],
    }).compile();
    await testing.close();
    expect(backend.calls.close).toBe(1);
  });

  it('is made for enqueueing in a constructor as well', async () => {
    const app = await bootContext({
      imports: [JobsModule.forRoot({ backend }), emails],
      providers: [
        {
          provide: 'STORED',
          inject: [getJobQueueToken('emails')],
          useFactory: (queue: JobQueue<string>) => queue.enqueue('early'),
        },
      ],
    });
    expect(app.get('STORED')).toMatchObject({ status: 'enqueued' });
  });

  it('belongs to one app: another has its own', async () => {
    const [one, other] = await Promise.all(
      [1, 2].map(() => bootContext({ imports: [JobsModule.forRoot(), emails], providers: [Mailer] })),
    );
    await one!.get(Mailer).queue.enqueue('a');
    expect(await other!.get(Mailer).queue.counts()).toMatchObject({ ready: 0 });
    const registries = [one, other].map((app) => jobRegistryOf(app!.get<Pool>(POOL, { strict: false })));
    expect(registries[0]).not.toBe(registries[1]);
  });
});

describe('a middleware of Nest', () => {
  @Injectable()
  class Tenant {
    readonly name = 'acme';
  }

  @Injectable()
  class TenantHeader implements JobMiddleware {
    constructor(private readonly tenant: Tenant) {}

    enqueue(draft: JobDraft, next: () => Promise<EnqueuedJob>): Promise<EnqueuedJob> {
      draft.headers.tenant = this.tenant.name;
      return next();
    }
  }

  const queue = JobsModule.registerQueue({ name: 'emails', middlewares: [TenantHeader] });

  it('is around enqueueing, with what it injects, wherever it is provided', async () => {
    const app = await bootContext({
      imports: [
        JobsModule.forRoot(),
        queue,
        moduleNamed('TenantModule', { providers: [Tenant, TenantHeader] }),
      ],
      providers: [Mailer],
    });
    const { id } = await app.get(Mailer).queue.enqueue('a');
    expect((await app.get(Mailer).queue.get(id))?.headers).toEqual({ tenant: 'acme' });
  });

  it('cannot be had before the app is initialised: enqueueing says so', async () => {
    @Injectable()
    class Early {
      readonly error: Promise<Error & { code?: string }>;

      constructor(@InjectJobQueue('emails') emailQueue: JobQueue<string>) {
        this.error = rejectionOf(emailQueue.enqueue('a'));
      }
    }
    const app = await bootContext({
      imports: [JobsModule.forRoot(), queue],
      providers: [Early, Tenant, TenantHeader],
    });
    const error = await app.get(Early).error;
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'middlewares' });
    expect(error.message).toContain('Enqueue in onModuleInit() or later');
  });

  it('is not needed for a handler to be run', async () => {
    const handled: unknown[] = [];
    @JobHandler('emails')
    class EmailHandler implements RunnableJob<string> {
      handle({ headers, payload }: Job<string>): void {
        handled.push([payload, headers.tenant]);
      }
    }
    const app = await bootContext({
      imports: [JobsModule.forRoot(), queue],
      providers: [Mailer, EmailHandler, Tenant, TenantHeader],
    });
    await app.get(Mailer).queue.enqueue('a');
    await expect.poll(() => handled).toEqual([['a', 'acme']]);
  });
});
