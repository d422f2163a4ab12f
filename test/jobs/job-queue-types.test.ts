// Held by `npm run check:types`: the compiler fails where an expectation does not hold.
import { type } from 'arktype';
import {
  type EnqueuedJob,
  type EnqueueOptions,
  InjectJobQueue,
  type Job,
  type JobContext,
  type JobDraft,
  JobHandler,
  type JobHandlerOptions,
  type JobMiddleware,
  type JobMiddlewareReference,
  JobQueue,
  type JobQueueOptions,
  JobsModule,
  type JobView,
  MemoryJobBackend,
  type Middleware,
  type Next,
  type RunnableJob,
  type WorkContext,
} from 'nestjs-worker';
import * as v from 'valibot';
import { describe, expectTypeOf, it } from 'vitest';
import { z } from 'zod';

interface Email {
  readonly to: string;
}

/** Type-checked, never run. */
const unrun = (_fn: () => unknown): void => {};

describe('JobQueue', () => {
  it('carries the type of its payloads', () => {
    type Queue = JobQueue<Email>;
    expectTypeOf<Queue['enqueue']>().parameter(0).toEqualTypeOf<Email>();
    expectTypeOf<Queue['enqueue']>().parameter(1).toEqualTypeOf<EnqueueOptions | undefined>();
    expectTypeOf<Queue['enqueue']>().returns.resolves.toEqualTypeOf<EnqueuedJob>();
    expectTypeOf<Queue['enqueueMany']>().parameter(0).toEqualTypeOf<Iterable<Email> | AsyncIterable<Email>>();
    expectTypeOf<Queue['get']>().returns.resolves.toEqualTypeOf<JobView<Email> | undefined>();
    unrun(async () => {
      const queue = {} as Queue;
      await queue.enqueueMany([{ to: 'a' }], ({ to }, index) => ({ id: `${to}-${index}` }));
      expectTypeOf(await queue.waitUntilFinished('a', { timeout: '1s' })).toEqualTypeOf<unknown>();
      expectTypeOf(await queue.waitUntilFinished<number>('a', { timeout: '1s' })).toEqualTypeOf<number>();
      // @ts-expect-error no email
      await queue.enqueue({ from: 'a' });
      // @ts-expect-error one id for all
      await queue.enqueueMany([], { id: 'a' });
      // @ts-expect-error no duration
      await queue.enqueue({ to: 'a' }, { delay: 'soon' });
      // @ts-expect-error without a time
      await queue.waitUntilFinished('a', {});
    });
  });

  it('takes anything where nothing is said', () => {
    expectTypeOf<JobQueue['enqueue']>().parameter(0).toEqualTypeOf<unknown>();
  });
});

describe('@JobHandler()', () => {
  const schema = z.object({ to: z.string(), at: z.string().transform((text) => new Date(text)) });

  it('takes a class with handle(job, ctx)', () => {
    @JobHandler('emails', { concurrency: 50, timeout: '1m', maxAttempts: 10, backoff: { jitter: 0.2 } })
    class Good implements RunnableJob<Email, string> {
      constructor(readonly mailer: Map<string, string>) {}
      handle(job: Job<Email>, ctx: JobContext): string {
        return job.payload.to + ctx.token;
      }
    }
    @JobHandler('emails')
    class Short {
      async handle(): Promise<void> {}
    }
    // @ts-expect-error no handle()
    @JobHandler('emails')
    class Bad {
      run(): void {}
    }
    unrun(() => [Good, Short, Bad]);
  });

  it('holds a class to what its schema makes of a payload', () => {
    @JobHandler('emails', { schema })
    class Good {
      handle(job: Job<{ to: string; at: Date }>): Date {
        return job.payload.at;
      }
    }
    // @ts-expect-error what the schema takes, and not what it makes
    @JobHandler('emails', { schema })
    class Bad {
      handle(job: Job<{ to: string; at: string }>): string {
        return job.payload.at;
      }
    }
    // @ts-expect-error no number
    @JobHandler('emails', { schema: v.string() })
    class Valibot {
      handle(job: Job<number>): number {
        return job.payload;
      }
    }
    @JobHandler('emails', { schema: type({ to: 'string' }) })
    class Arktype {
      handle(job: Job<Email>): string {
        return job.payload.to;
      }
    }
    unrun(() => [Good, Bad, Valibot, Arktype]);
  });

  it('takes options that exist and nothing else', () => {
    // @ts-expect-error a slip of the pen
    unrun(() => JobHandler('emails', { maxAttempt: 3 }));
    // @ts-expect-error an option of the queue
    unrun(() => JobHandler('emails', { lease: '1m' }));
    // @ts-expect-error no schema
    unrun(() => JobHandler('emails', { schema: (value: unknown) => value }));
    expectTypeOf<JobHandlerOptions['maxAge']>().toEqualTypeOf<JobHandlerOptions['timeout']>();
  });
});

describe('JobsModule', () => {
  it('takes backends and options of the pool', () => {
    unrun(() =>
      JobsModule.forRoot({
        backend: new MemoryJobBackend(),
        shutdownTimeout: '3s',
      }),
    );
    unrun(() => JobsModule.forRoot());
    // @ts-expect-error no backend
    unrun(() => JobsModule.forRoot({ backend: 'redis://localhost' }));
    unrun(() =>
      JobsModule.forRootAsync({
        inject: [Map],
        useFactory: async (config: Map<string, number>) =>
          Promise.resolve({ historySize: config.get('size') ?? 1 }),
      }),
    );
    // @ts-expect-error an option that there is not
    unrun(() => JobsModule.forRoot({ redis: 'redis://localhost' }));
  });

  it('takes options of queues', () => {
    unrun(() => JobsModule.registerQueue({ name: 'a' }, { name: 'b', format: 'json' }));
    expectTypeOf<JobQueueOptions['name']>().toEqualTypeOf<string>();
    // @ts-expect-error no name
    unrun(() => JobsModule.registerQueue({ format: 'json' }));
    // @ts-expect-error no format
    unrun(() => JobsModule.registerQueue({ name: 'a', format: 'xml' }));
    // @ts-expect-error both of them
    unrun(() => JobsModule.registerQueue({ name: 'a', limits: { rate: { limit: 5 } } }));
    // @ts-expect-error the name belongs beside the factory
    unrun(() => JobsModule.registerQueueAsync({ useFactory: () => ({ name: 'a' }) }));
  });

  it('decorates properties and parameters', () => {
    expectTypeOf(InjectJobQueue('emails')).toEqualTypeOf<PropertyDecorator & ParameterDecorator>();
  });
});

describe('middlewares of a queue', () => {
  it('are functions, objects and classes, for enqueueing, for handling, or for both', () => {
    class OfEnqueueing implements JobMiddleware {
      enqueue(draft: JobDraft, next: () => Promise<EnqueuedJob>): Promise<EnqueuedJob> {
        draft.headers.tenant = 'acme';
        return next();
      }
    }
    class OfHandling implements JobMiddleware {
      use(ctx: JobContext, next: Next): Promise<unknown> {
        ctx.progress(ctx.job.attempt);
        return next();
      }
    }
    class OfAnyWork implements Middleware {
      use(_ctx: WorkContext, next: Next): Promise<unknown> {
        return next();
      }
    }
    expectTypeOf<typeof OfEnqueueing>().toExtend<JobMiddlewareReference>();
    expectTypeOf<typeof OfHandling>().toExtend<JobMiddlewareReference>();
    expectTypeOf<typeof OfAnyWork>().toExtend<JobMiddlewareReference>();
    expectTypeOf<{
      enqueue: (draft: JobDraft, next: () => Promise<EnqueuedJob>) => Promise<EnqueuedJob>;
    }>().toExtend<JobMiddlewareReference>();
    expectTypeOf<{ handle(): void }>().not.toExtend<JobMiddleware>();
    unrun(() =>
      JobsModule.registerQueue({ name: 'a', middlewares: [(ctx, next) => next().then(() => ctx.token)] }),
    );
  });
});
