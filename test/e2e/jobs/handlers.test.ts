import {
  Inject,
  Injectable,
  type INestApplicationContext,
  type OnModuleDestroy,
  Scope,
  type Type,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  getJobQueueToken,
  InjectJobQueue,
  type Job,
  type JobContext,
  JobHandler,
  type JobHandlerOptions,
  type JobMiddleware,
  type JobQueue,
  type JobQueueOptions,
  type JobRequest,
  JobsModule,
  MemoryJobBackend,
  type Middleware,
  type Next,
  type RunnableJob,
  type WorkContext,
} from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Pool, POOL } from '../../../lib/pool/index.js';
import { rejectionOf } from '../../support/fake-job-queue.js';
import { bootContext, bootError, moduleNamed, type RootModule, signal } from '../../support/nest.js';

const queueOf = (app: INestApplicationContext): JobQueue => app.get(getJobQueueToken('emails'));

/** An app with the queue `emails` and these providers. */
const withQueue = (providers: readonly unknown[], options: Partial<JobQueueOptions> = {}): RootModule => ({
  imports: [JobsModule.forRoot(), JobsModule.registerQueue({ name: 'emails', ...options })],
  providers: providers as Type[],
});

/** A handler class made by hand. */
function handlerClass(
  name: string,
  handle: ((job: Job, ctx: JobContext) => unknown) | undefined,
  options?: JobHandlerOptions,
): Type<RunnableJob> {
  const made = { [name]: class {} }[name] as Type<RunnableJob>;
  if (handle !== undefined) made.prototype.handle = handle;
  (JobHandler('emails', options) as ClassDecorator)(made);
  return made;
}

describe('@JobHandler()', () => {
  it('runs the jobs of its queue, with what it injects and a context', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Mailer {
      send(to: string, { signal: aborts }: JobContext): void {
        seen.push(to, aborts.aborted);
      }
    }
    @JobHandler('emails')
    class EmailHandler implements RunnableJob<{ to: string }> {
      constructor(private readonly mailer: Mailer) {}

      handle(job: Job<{ to: string }>, ctx: JobContext): void {
        this.mailer.send(job.payload.to, ctx);
        seen.push({
          ...job,
          kind: ctx.kind,
          name: ctx.name,
          attempt: ctx.attempt,
          maxAttempts: ctx.maxAttempts,
        });
        seen.push(
          job.id,
          ctx.job === job,
          /^\d+$/.test(ctx.token),
          job.headers,
          job.createdAt instanceof Date,
        );
      }
    }
    const app = await bootContext(withQueue([EmailHandler, Mailer]));
    const { id } = await queueOf(app).enqueue({ to: 'a@example.com' }, { headers: { tenant: 'acme' } });
    await expect.poll(() => seen.length).toBe(8);
    expect(seen).toEqual([
      'a@example.com',
      false,
      expect.objectContaining({
        kind: 'job-consumer',
        name: 'emails',
        attempt: 1,
        maxAttempts: 10,
      }) as object,
      id,
      true,
      true,
      { tenant: 'acme' },
      true,
    ]);
    await expect.poll(() => queueOf(app).get(id)).toBeUndefined();
  });

  it('runs what was stored before the app started', async () => {
    const backend = new MemoryJobBackend();
    const job = { queue: 'emails', name: '', priority: 0, due: { inMs: 0 } };
    await backend.enqueue([{ ...job, id: 'early', payload: undefined }]);
    const handled: string[] = [];
    const imports = [JobsModule.forRoot({ backend }), JobsModule.registerQueue({ name: 'emails' })];
    const handler = handlerClass('EmailHandler', ({ id }) => handled.push(id));
    await bootContext({ imports, providers: [handler] });
    await expect.poll(() => handled).toEqual(['early']);
  });

  it('may be there several times, by the names of jobs; the one without takes the rest', async () => {
    const handled: string[] = [];
    const note =
      (who: string) =>
      ({ name }: Job) =>
        handled.push(`${who}: ${name}`);
    const app = await bootContext(
      withQueue([
        handlerClass('Welcome', note('Welcome'), { name: 'welcome' }),
        handlerClass('Reminder', note('Reminder'), { name: 'reminder' }),
        handlerClass('Rest', note('Rest')),
      ]),
    );
    for (const name of ['welcome', 'reminder', 'other', undefined]) await queueOf(app).enqueue(1, { name });
    await expect
      .poll(() => handled.toSorted())
      .toEqual(['Reminder: reminder', 'Rest: ', 'Rest: other', 'Welcome: welcome']);
  });

  it('for a name that nobody knows is a failed attempt that says so', async () => {
    const app = await bootContext(withQueue([handlerClass('Welcome', () => {}, { name: 'welcome' })]));
    const { id } = await queueOf(app).enqueue(1, { name: 'goodbye' });
    const stored = () => queueOf(app).get(id);
    await expect.poll(stored).toMatchObject({ state: 'scheduled', failures: 1 });
    expect((await stored())?.lastError).toContain('no handler for jobs named "goodbye"');
  });

  it('is not inherited by a subclass', async () => {
    const handled: string[] = [];
    class Base extends handlerClass('Base', () => handled.push('base')) {}
    const app = await bootContext(withQueue([Base]));
    expect(queueOf(app).consumer).toBeUndefined();
  });

  it('may be on what a factory makes, or what a test puts in its place', async () => {
    const handled: string[] = [];
    const handler = handlerClass('EmailHandler', () => handled.push('class'));
    const factory = { provide: handler, useFactory: () => ({ handle: () => handled.push('factory') }) };
    const app = await bootContext(withQueue([factory]));
    await queueOf(app).enqueue(1);
    await expect.poll(() => handled).toEqual(['factory']);
    const testing = await Test.createTestingModule(withQueue([handler]) as object)
      .overrideProvider(handler)
      .useValue({ handle: () => handled.push('override') })
      .compile();
    await testing.init();
    await testing.get<JobQueue>(getJobQueueToken('emails')).enqueue(1);
    await expect.poll(() => handled).toEqual(['factory', 'override']);
    await testing.close();
  });

  it('returns what waitUntilFinished() answers', async () => {
    const handle = ({ payload }: Job) => Promise.resolve({ twice: Number(payload) * 2 });
    const app = await bootContext(withQueue([handlerClass('Doubler', handle, { keepCompleted: '1m' })]));
    const { id } = await queueOf(app).enqueue(21);
    expect(await queueOf(app).waitUntilFinished(id, { timeout: '5s' })).toEqual({ twice: 42 });
  });

  it('is tried again as its options say', async () => {
    const attempts: unknown[] = [];
    const handle = ({ attempt, lastError }: Job): void => {
      attempts.push([attempt, lastError]);
      if (attempt < 3) throw new Error(`boom ${attempt}`);
    };
    const options = { maxAttempts: 3, backoff: 'none' } as const;
    const app = await bootContext(withQueue([handlerClass('EmailHandler', handle, options)]));
    await queueOf(app).enqueue(1);
    await expect
      .poll(() => attempts)
      .toEqual([
        [1, undefined],
        [2, 'boom 1'],
        [3, 'boom 2'],
      ]);
  });
});

describe('a queue without a handler in this process', () => {
  it('has no consumer, and can be filled', async () => {
    const app = await bootContext(withQueue([]));
    await queueOf(app).enqueue(1);
    expect([...app.get<Pool>(POOL, { strict: false }).children()]).toEqual([]);
    expect(await queueOf(app).counts()).toMatchObject({ ready: 1, active: 0 });
    expect(await rejectionOf(queueOf(app).runOnce())).toMatchObject({ code: 'JOB_HANDLER_NOT_FOUND' });
  });
});

describe('concurrency', () => {
  it.each<[string, number, Partial<JobQueueOptions>, JobHandlerOptions]>([
    ['is 10', 10, {}, {}],
    ['is what the queue says', 3, { concurrency: 3 }, {}],
    ['is what the handler says', 4, {}, { concurrency: 4 }],
    ['is what both say', 5, { concurrency: 5 }, { concurrency: 5 }],
  ])('%s', async (_what, concurrency, queueOptions, options) => {
    const held = signal();
    let most = 0;
    let running = 0;
    const handle = async (): Promise<void> => {
      most = Math.max(most, ++running);
      await held.promise;
      running--;
    };
    const app = await bootContext(withQueue([handlerClass('EmailHandler', handle, options)], queueOptions));
    await queueOf(app).enqueueMany(Array.from({ length: 20 }, (_, index) => index));
    await expect.poll(() => most).toBe(concurrency);
    held.resolve();
    await expect.poll(() => queueOf(app).counts()).toMatchObject({ ready: 0, active: 0 });
    expect(most).toBe(concurrency);
  });

  it.each<[string, Partial<JobQueueOptions>, readonly JobHandlerOptions[], RegExp]>([
    [
      'the queue and a handler',
      { concurrency: 5 },
      [{ concurrency: 6 }],
      /"concurrency" of One in AppModule is 6, but accepted is 5, which job queue "emails" says for the same queue/,
    ],
    [
      'two handlers',
      {},
      [{ concurrency: 5 }, { name: 'two', concurrency: 6 }],
      /"concurrency" of Two in AppModule is 6, but accepted is 5, which One in AppModule says for the same queue/,
    ],
  ])(
    'given differently by %s is a boot error that names both',
    async (_what, queueOptions, options, message) => {
      const handlers = options.map((one, index) => handlerClass(['One', 'Two'][index]!, () => {}, one));
      const error = await bootError(withQueue(handlers, queueOptions));
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'concurrency' });
      expect(error.message).toMatch(message);
    },
  );
});

describe('A boot error', () => {
  it.each([
    ['the same name', 'welcome'],
    ['no name', undefined],
  ])('is made of two handlers with %s', async (_what, name) => {
    const handlers = ['One', 'Two'].map((className) => handlerClass(className, () => {}, { name }));
    const error = await bootError(withQueue(handlers));
    expect(error).toMatchObject({ name: 'DuplicateNameError', code: 'DUPLICATE_NAME' });
    expect(error.message).toBe(
      `Two of kind job-handler of queue "emails" are named "${name ?? ''}": One in AppModule and Two in AppModule. ` +
        "Give one of them another name, for example @JobHandler('emails', { name: 'reminder' }), or provide the " +
        'class in one module only.',
    );
  });

  it('is made of one handler that two modules provide', async () => {
    const handler = handlerClass('EmailHandler', () => {});
    const other = moduleNamed('OtherModule', { providers: [handler] });
    const root = withQueue([handler]) as { imports: unknown[]; providers: Type[] };
    const error = await bootError({ ...root, imports: [...root.imports, other] } as RootModule);
    expect(error).toMatchObject({ code: 'DUPLICATE_NAME' });
    expect(error.message).toContain('EmailHandler in AppModule and EmailHandler in OtherModule');
  });

  it.each([
    ['static', Scope.DEFAULT],
    ['request-scoped', Scope.REQUEST],
    ['transient', Scope.TRANSIENT],
  ])('is made of a %s class without handle()', async (_what, scope) => {
    const handler = handlerClass('EmailHandler', undefined);
    Injectable({ scope })(handler);
    const error = await bootError(withQueue([handler]));
    expect(error).toMatchObject({ name: 'JobHandlerWithoutHandleError', code: 'JOB_HANDLER_WITHOUT_HANDLE' });
    expect(error.message).toContain('EmailHandler in AppModule is a job handler but has no handle() method');
  });

  it.each<[string, object]>([
    ['timeout', { timeout: -1 }],
    ['maxAttempts', { maxAttempts: 0 }],
    ['schema', { schema: {} }],
    ['retries', { retries: 5 }],
  ])('names the option %s and the class', async (option, options) => {
    const error = await bootError(withQueue([handlerClass('EmailHandler', () => {}, options)]));
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option });
    expect(error.message).toContain(`Option "${option}" of EmailHandler in AppModule`);
  });

  it('is made of a middleware of a handler that nobody provides, or that is only for enqueueing', async () => {
    class Audit implements Middleware {
      use(_ctx: WorkContext, next: Next): Promise<unknown> {
        return next();
      }
    }
    const handler = handlerClass('EmailHandler', () => {}, { middlewares: [Audit] });
    const error = await bootError(withQueue([handler]));
    expect(error).toMatchObject({ code: 'MIDDLEWARE_NOT_FOUND' });
    expect(error.message).toContain('Middleware Audit of EmailHandler in AppModule');
    const enqueueOnly = { provide: Audit, useValue: { enqueue: () => {} } };
    expect(await bootError(withQueue([handler, enqueueOnly]))).toMatchObject({ option: 'middlewares' });
  });
});

describe.each([
  ['request-scoped', Scope.REQUEST],
  ['transient', Scope.TRANSIENT],
])('a %s handler', (_what, scope) => {
  it('is made anew for each attempt, and is given the signal', async () => {
    const made: object[] = [];
    const handled: unknown[] = [];
    @JobHandler('emails', { backoff: 'none' })
    @Injectable({ scope })
    class EmailHandler implements RunnableJob {
      readonly own = {};

      constructor() {
        made.push(this);
      }

      handle(job: Job, ctx: JobContext): void {
        handled.push([job.payload, ctx.signal instanceof AbortSignal, made.includes(this)]);
        if (job.attempt === 1) throw new Error('once more');
      }
    }
    const app = await bootContext(withQueue([EmailHandler]));
    expect(made).toEqual([]);
    await queueOf(app).enqueue('a');
    await expect
      .poll(() => handled)
      .toEqual([
        ['a', true, true],
        ['a', true, true],
      ]);
    expect(made).toHaveLength(2);
  });

  it('is aborted through its context, also behind a decorator that hides its parameters (F36)', async () => {
    const reasons: unknown[] = [];
    const hide: MethodDecorator = (_target, _key, descriptor) => {
      const original = descriptor.value as unknown as (...all: unknown[]) => unknown;
      descriptor.value = function hidden(this: unknown, ...all: unknown[]) {
        return original.apply(this, all);
      } as never;
    };
    @JobHandler('emails', { timeout: 20, maxAttempts: 1 })
    @Injectable({ scope })
    class EmailHandler implements RunnableJob {
      @hide
      async handle(_job: Job, ctx: JobContext): Promise<void> {
        await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()));
        reasons.push((ctx.signal.reason as { reason: string }).reason);
      }
    }
    const app = await bootContext(withQueue([EmailHandler]));
    await queueOf(app).enqueue('a');
    await expect.poll(() => reasons).toEqual(['timeout']);
  });

  it('that cannot be made is a failed attempt', async () => {
    @JobHandler('emails', { maxAttempts: 1 })
    @Injectable({ scope })
    class EmailHandler implements RunnableJob {
      constructor() {
        throw new Error('no connection');
      }

      handle(): void {}
    }
    const app = await bootContext(withQueue([EmailHandler]));
    const { id } = await queueOf(app).enqueue('a');
    await expect
      .poll(() => queueOf(app).get(id))
      .toMatchObject({
        state: 'dead',
        cause: 'exhausted',
        lastError: 'no connection',
      });
  });

  it('is let go of after its attempt', async () => {
    const made: WeakRef<object>[] = [];
    @JobHandler('emails')
    @Injectable({ scope })
    class EmailHandler implements RunnableJob {
      readonly ballast = new Uint8Array(1_000);

      constructor() {
        made.push(new WeakRef(this));
      }

      handle(): void {}
    }
    const app = await bootContext(withQueue([EmailHandler]));
    await queueOf(app).enqueueMany(Array.from({ length: 200 }, (_, index) => index));
    await expect.poll(() => queueOf(app).counts()).toMatchObject({ ready: 0, active: 0 });
    expect(made).toHaveLength(200);
    const alive = (): number => {
      globalThis.gc?.();
      return made.filter((one) => one.deref() !== undefined).length;
    };
    // The last ones may still be held by what has just run.
    await expect.poll(alive).toBeLessThan(20);
  });
});

describe('a request-scoped handler', () => {
  it('shares its request, which is the job and its context, with all that it injects', async () => {
    const seen: unknown[] = [];
    @Injectable({ scope: Scope.REQUEST })
    class Tenant {
      constructor(@Inject(REQUEST) readonly request: JobRequest<string>) {}
    }
    @Injectable()
    class Repository {
      constructor(readonly tenant: Tenant) {}
    }
    @JobHandler('emails')
    class EmailHandler implements RunnableJob<string> {
      constructor(
        readonly repository: Repository,
        readonly tenant: Tenant,
        @Inject(REQUEST) readonly request: JobRequest<string>,
      ) {}

      handle(job: Job<string>, ctx: JobContext): void {
        const { request, tenant, repository } = this;
        seen.push([
          request.job === job,
          request.ctx === ctx,
          tenant === repository.tenant,
          tenant.request === request,
        ]);
        seen.push(tenant.request.job.payload);
      }
    }
    const app = await bootContext(withQueue([EmailHandler, Repository, Tenant]));
    await queueOf(app).enqueue('a');
    await expect.poll(() => seen).toEqual([[true, true, true, true], 'a']);
    await queueOf(app).enqueue('b');
    await expect.poll(() => seen.at(-1)).toBe('b');
  });

  it('runs beside others of its kind without sharing anything', async () => {
    const held = signal();
    const seen: string[] = [];
    @JobHandler('emails')
    @Injectable({ scope: Scope.REQUEST })
    class EmailHandler implements RunnableJob<string> {
      constructor(@Inject(REQUEST) readonly request: JobRequest<string>) {}

      async handle(job: Job<string>): Promise<void> {
        await held.promise;
        seen.push(`${job.payload} ${this.request.job.payload}`);
      }
    }
    const app = await bootContext(withQueue([EmailHandler]));
    await queueOf(app).enqueueMany(['a', 'b', 'c']);
    await expect.poll(() => queueOf(app).counts()).toMatchObject({ active: 3 });
    held.resolve();
    await expect.poll(() => seen.toSorted()).toEqual(['a a', 'b b', 'c c']);
  });
});

describe('middlewares', () => {
  it('of the pool, the queue and the handler are around each attempt, in that order', async () => {
    const seen: string[] = [];
    const named =
      (name: string) =>
      async (ctx: WorkContext, next: Next): Promise<unknown> => {
        seen.push(`${name} ${ctx.kind}`);
        return next();
      };
    @Injectable()
    class OfQueue implements JobMiddleware {
      use(ctx: JobContext, next: Next): Promise<unknown> {
        return named('queue')(ctx, next);
      }
    }
    @Injectable()
    class OfHandler implements Middleware<JobContext> {
      use(ctx: JobContext, next: Next): Promise<unknown> {
        seen.push(ctx.job.id);
        return named('handler')(ctx, next);
      }
    }
    const handler = handlerClass('EmailHandler', () => seen.push('handle'), { middlewares: [OfHandler] });
    const app = await bootContext({
      imports: [
        JobsModule.forRoot({ middlewares: [named('pool')] }),
        JobsModule.registerQueue({
          name: 'emails',
          middlewares: [OfQueue, { enqueue: (_draft, next) => next() }],
        }),
      ],
      providers: [handler, OfQueue, OfHandler],
    });
    await queueOf(app).enqueue(1, { id: 'a' });
    await expect
      .poll(() => seen)
      .toEqual(['pool job-consumer', 'queue job-consumer', 'a', 'handler job-consumer', 'handle']);
  });
});

describe('a schema', () => {
  const schema = z.object({
    at: z.string().transform((text) => new Date(text)),
    count: z.number().default(1),
  });

  it.each([
    ['the handler', {}, { schema }],
    ['the queue', { schema }, {}],
  ])('of %s says what the handler sees; transforms run once', async (_whose, queueOptions, options) => {
    const seen: unknown[] = [];
    const handler = handlerClass('EmailHandler', ({ payload }) => seen.push(payload), options);
    const app = await bootContext(withQueue([handler], queueOptions));
    await queueOf(app).enqueue({ at: '2026-01-01T00:00:00Z' });
    await expect.poll(() => seen).toEqual([{ at: new Date('2026-01-01T00:00:00Z'), count: 1 }]);
    expect(await rejectionOf(queueOf(app).enqueue({ at: 5 }))).toMatchObject({ code: 'JOB_PAYLOAD_INVALID' });
  });

  it('sends a stored payload that is not like that to the dead ones at once', async () => {
    const backend = new MemoryJobBackend();
    const job = { queue: 'emails', name: '', priority: 0, due: { inMs: 0 } };
    await backend.enqueue([
      { ...job, id: 'invalid', payload: Buffer.from('{"at":5}') },
      { ...job, id: 'unreadable', payload: Buffer.from('{ no json') },
      { ...job, id: 'good', payload: Buffer.from('{"at":"2026-01-01"}') },
    ]);
    const handled: string[] = [];
    const app = await bootContext({
      imports: [
        JobsModule.forRoot({ backend }),
        JobsModule.registerQueue({ name: 'emails', format: 'json', concurrency: 1 }),
      ],
      providers: [handlerClass('EmailHandler', ({ id }) => handled.push(id), { schema })],
    });
    await expect.poll(() => handled).toEqual(['good']);
    for (const id of ['invalid', 'unreadable']) {
      await expect
        .poll(() => queueOf(app).get(id))
        .toMatchObject({ state: 'dead', cause: 'invalid', failures: 1 });
    }
  });
});

describe('the shutdown', () => {
  it('lets a handler end, which may enqueue and use what it injects until then', async () => {
    const begun = signal();
    const held = signal();
    const seen: string[] = [];
    @Injectable()
    class Db implements OnModuleDestroy {
      closed = false;

      onModuleDestroy(): void {
        this.closed = true;
        seen.push('db closed');
      }
    }
    @JobHandler('emails')
    class EmailHandler implements RunnableJob {
      constructor(
        private readonly db: Db,
        @InjectJobQueue('reports') private readonly reports: JobQueue<string>,
      ) {}

      async handle(_job: Job, ctx: JobContext): Promise<void> {
        begun.resolve();
        await held.promise;
        seen.push(`db ${this.db.closed ? 'closed' : 'open'}, signal ${ctx.signal.aborted}`);
        seen.push((await this.reports.enqueue('sent')).status);
      }
    }
    const backend = new MemoryJobBackend();
    const app = await bootContext({
      imports: [
        JobsModule.forRoot({ backend }),
        JobsModule.registerQueue({ name: 'emails' }, { name: 'reports' }),
      ],
      providers: [Db, EmailHandler],
    });
    const { id } = await queueOf(app).enqueue(1);
    await begun.promise;
    const closed = app.close();
    await new Promise((resolve) => setImmediate(resolve));
    held.resolve();
    await closed;
    expect(seen).toEqual(['db open, signal false', 'enqueued', 'db closed']);
    expect(await backend.get('emails', [id])).toEqual([undefined]);
    expect(await backend.counts(['reports'], { dueWithinMs: 0 })).toMatchObject([{ ready: 1 }]);
  });

  it('ends quickly while nothing runs', async () => {
    const app = await bootContext(withQueue([handlerClass('EmailHandler', () => {})]));
    await queueOf(app).enqueue(1);
    const began = performance.now();
    await app.close();
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});

describe('runOnce()', () => {
  it('runs one job where nothing runs by itself', async () => {
    const handled: unknown[] = [];
    const handler = handlerClass('EmailHandler', ({ payload }) => handled.push(payload));
    const app = await bootContext(withQueue([handler], { autoStart: false }));
    const queue = queueOf(app);
    expect(await queue.runOnce()).toBeUndefined();
    await queue.enqueueMany(['a', 'b']);
    expect(await queue.runOnce()).toBe('succeeded');
    expect(handled).toEqual(['a']);
    expect(await queue.counts()).toMatchObject({ ready: 1, active: 0 });
    expect(await queue.runOnce()).toBe('succeeded');
    expect(await queue.runOnce()).toBeUndefined();
    expect(handled).toEqual(['a', 'b']);
  });
});
