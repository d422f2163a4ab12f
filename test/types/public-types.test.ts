// Held by `npm run check:types`: the compiler fails where an expectation does not hold.
import { describe, expectTypeOf, it } from 'vitest';
import {
  AttemptAbortedError,
  currentContext,
  type Duration,
  isWorkError,
  type MiddlewareReference,
  type RunnableWorker,
  type StopReport,
  type Task,
  type TaskContext,
  type TaskMiddleware,
  type TaskMiddlewareReference,
  type TaskOutcome,
  TaskQueue,
  TaskQueueModule,
  type WorkContext,
  Worker,
  type WorkerContext,
  type WorkerExecution,
  type WorkerMiddleware,
  WorkerModule,
  type WorkerOptions,
  WorkerPool,
  WorkerPoolService,
  type WorkerStatus,
  type WorkEvent,
} from 'nestjs-worker';
import { WorkerSpanProcessor } from 'nestjs-worker/opentelemetry';
import { WorkerMetricsModule } from 'nestjs-worker/prometheus';
import { type EventRecorder, FakeClock, recordEvents } from 'nestjs-worker/testing';
import type { SpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { Observable } from 'rxjs';

/** Type-checked, never run. */
const unrun = (_fn: () => unknown): void => {};

describe('durations', () => {
  it('are numbers and the strings that ms reads', () => {
    expectTypeOf<'500ms'>().toExtend<Duration>();
    expectTypeOf<'0.1s'>().toExtend<Duration>();
    expectTypeOf<'2 days'>().toExtend<Duration>();
    expectTypeOf<250>().toExtend<Duration>();
    expectTypeOf<'soon'>().not.toExtend<Duration>();
    expectTypeOf<'3 parsecs'>().not.toExtend<Duration>();
  });
});

describe('@Worker()', () => {
  it('takes options that exist and nothing else', () => {
    expectTypeOf(Worker).toBeCallableWith({ name: 'x', maxAttempts: Infinity, backoff: { max: '10m' } });
    expectTypeOf(Worker).toBeCallableWith({
      backoff: (failures, error) => failures * Number(error !== undefined),
    });
    expectTypeOf(Worker).toBeCallableWith({ backoff: 'none', restartLimit: { max: 5, window: '1m' } });
    // @ts-expect-error a slip of the pen
    unrun(() => Worker({ maxAttempt: 3 }));
    // @ts-expect-error not a mode
    unrun(() => Worker({ restart: 'sometimes' }));
    // @ts-expect-error an option of the pool
    unrun(() => Worker({ shutdownTimeout: '25s' }));
    // @ts-expect-error both of them
    unrun(() => Worker({ restartLimit: { max: 5 } }));
  });

  it('is a class decorator', () => {
    expectTypeOf(Worker()).toEqualTypeOf<ClassDecorator>();
  });
});

describe('a worker', () => {
  it('is a class with run(ctx)', () => {
    class Good {
      async run(ctx: WorkerContext): Promise<void> {
        await ctx.sleep('1s');
      }
    }
    class Bad {
      run(): void {}
    }
    expectTypeOf<Good>().toExtend<RunnableWorker>();
    expectTypeOf<Bad>().not.toExtend<RunnableWorker>();
  });

  it('gets a context that it cannot change', () => {
    expectTypeOf<WorkerContext['signal']>().toEqualTypeOf<AbortSignal>();
    expectTypeOf<WorkerContext['attempt']>().toEqualTypeOf<number>();
    unrun((ctx = {} as WorkerContext) => {
      // @ts-expect-error read-only
      ctx.attempt = 2;
    });
    expectTypeOf(currentContext()).toEqualTypeOf<WorkContext | undefined>();
  });

  it('has a closed set of statuses', () => {
    expectTypeOf<WorkerExecution['status']>().toEqualTypeOf<WorkerStatus>();
    expectTypeOf<'stuck'>().toExtend<WorkerStatus>();
    expectTypeOf<'paused'>().not.toExtend<WorkerStatus>();
  });
});

describe('middlewares', () => {
  it('are functions, objects or classes', () => {
    class Injected implements WorkerMiddleware {
      constructor(readonly dependency: Date) {}
      use(_ctx: WorkerContext, next: () => Promise<unknown>): Promise<unknown> {
        return next();
      }
    }
    expectTypeOf<typeof Injected>().toExtend<MiddlewareReference>();
    expectTypeOf<Injected>().toExtend<MiddlewareReference>();
    expectTypeOf<
      (ctx: WorkerContext, next: () => Promise<unknown>) => Promise<unknown>
    >().toExtend<MiddlewareReference>();
    expectTypeOf<{ handle(): void }>().not.toExtend<MiddlewareReference>();
    expectTypeOf<WorkerOptions['middlewares']>().toEqualTypeOf<readonly MiddlewareReference[] | undefined>();
  });
});

describe('the pool', () => {
  it('answers snapshots', () => {
    expectTypeOf<WorkerPool['executions']>().returns.toEqualTypeOf<readonly WorkerExecution[]>();
    expectTypeOf<WorkerPool['stop']>().returns.resolves.toEqualTypeOf<StopReport>();
    expectTypeOf<WorkerPool['events$']>().toEqualTypeOf<Observable<WorkEvent>>();
    expectTypeOf<WorkerPoolService>().toExtend<WorkerPool>();
  });

  it('tells events apart by their type', () => {
    expectTypeOf<Extract<WorkEvent, { type: 'failed' }>['error']['message']>().toEqualTypeOf<string>();
    expectTypeOf<Extract<WorkEvent, { type: 'started' }>['restart']>().toEqualTypeOf<boolean>();
  });
});

describe('a task queue', () => {
  const yes = (): boolean => true;

  it('answers what a task gives, however it gives it', () => {
    unrun((queue = {} as TaskQueue) => {
      expectTypeOf(queue.enqueue(async () => 1).done).toEqualTypeOf<Promise<number>>();
      expectTypeOf(queue.enqueue(() => 'text')).toEqualTypeOf<Task<string>>();
      expectTypeOf(queue.enqueue(() => {})).toEqualTypeOf<Task<void>>();
      expectTypeOf(queue.enqueue((ctx) => ctx.sleep('1s')).done).toEqualTypeOf<Promise<void>>();
      expectTypeOf(queue.enqueue(() => (yes() ? 1 : Promise.resolve('s')))).toExtend<Task<number | string>>();
      expectTypeOf(queue.submit(async () => 1)).toEqualTypeOf<void>();
      // @ts-expect-error what a function returns is no function
      queue.enqueue(Promise.resolve(1));
      // @ts-expect-error a slip of the pen
      queue.enqueue(async () => 1, { maxAttempt: 3 });
    });
  });

  it('takes many tasks, which may give different things', () => {
    unrun((queue = {} as TaskQueue) => {
      expectTypeOf(queue.enqueueMany([async () => 1, async () => 'a'])).toEqualTypeOf<
        readonly Task<number | string>[]
      >();
      expectTypeOf(queue.enqueueMany([async () => 1, () => 2])).toEqualTypeOf<readonly Task<number>[]>();
      expectTypeOf(queue.enqueueMany(new Set([async () => 1]))).toEqualTypeOf<readonly Task<number>[]>();
      queue.enqueueMany([async (ctx) => expectTypeOf(ctx).toEqualTypeOf<TaskContext>()], { maxAttempts: 2 });
    });
  });

  it('takes options that may be undefined, as callers pass on what they were given', () => {
    unrun((queue = {} as TaskQueue, signal?: AbortSignal, name?: string, notBefore?: Date) => {
      queue.enqueue(async () => 1, { signal });
      queue.submit(async () => 1, { signal, name, scope: name, notBefore, delay: undefined });
      queue.enqueueMany([async () => 1], { signal, priority: undefined, after: undefined });
    });
  });

  it('tells after() how the task ended', () => {
    unrun((queue = {} as TaskQueue) => {
      queue.enqueue(async () => 1, {
        after: (outcome) => {
          expectTypeOf(outcome).toEqualTypeOf<TaskOutcome<number>>();
          if (outcome.kind === 'succeeded') expectTypeOf(outcome.value).toEqualTypeOf<number>();
          if (outcome.kind === 'failed') expectTypeOf(outcome.error).toEqualTypeOf<unknown>();
          // @ts-expect-error only one that succeeded has a value
          return outcome.value;
        },
      });
      queue.enqueueMany([async () => 1, async () => 'a'], {
        after: async (outcome) => {
          if (outcome.kind === 'succeeded') expectTypeOf(outcome.value).toEqualTypeOf<number | string>();
        },
      });
      queue.submit(async () => 1, {
        after: (outcome) => {
          if (outcome.kind === 'succeeded') expectTypeOf(outcome.value).toEqualTypeOf<unknown>();
        },
      });
    });
  });

  it('takes middlewares that know of tasks, and those of workers too', () => {
    class Injected {
      constructor(readonly dependency: Date) {}
      use(_ctx: TaskContext, next: () => Promise<unknown>): Promise<unknown> {
        return next();
      }
    }
    const ofAll: WorkerMiddleware = { use: (_ctx, next) => next() };
    const ofTasks: TaskMiddleware = {
      use: (ctx, next) => (ctx.task === 'mail' ? next() : Promise.resolve()),
    };
    unrun(() => [
      new TaskQueue({
        middlewares: [
          (ctx, next) => {
            expectTypeOf(ctx).toEqualTypeOf<TaskContext>();
            expectTypeOf(ctx.task).toEqualTypeOf<string>();
            return next();
          },
          async (ctx, next) => (ctx.attempt > 1 ? next() : undefined),
          (_ctx: WorkContext, next) => next(),
          ofAll,
          ofTasks,
        ],
      }),
      TaskQueueModule.register({ middlewares: [(ctx, next) => (ctx.task === '' ? ctx : next()) as never] }),
      // @ts-expect-error not a middleware
      new TaskQueue({ middlewares: [{ handle: () => {} }] }),
    ]);
    expectTypeOf<WorkerMiddleware>().toExtend<TaskMiddlewareReference>();
    expectTypeOf<MiddlewareReference>().toExtend<TaskMiddlewareReference>();
    expectTypeOf<typeof Injected>().toExtend<TaskMiddlewareReference>();
    // A middleware of tasks is none of the pool, which has workers too.
    expectTypeOf<
      (ctx: TaskContext, next: () => Promise<unknown>) => Promise<unknown>
    >().not.toExtend<MiddlewareReference>();
  });
});

describe('modules', () => {
  it('take their options, now or later', () => {
    expectTypeOf(WorkerModule.forRoot).toBeCallableWith({ enabled: false, shutdownTimeout: '25s' });
    expectTypeOf(WorkerModule.forRootAsync).toBeCallableWith({
      useFactory: async () => ({ maxAttempts: 3 }),
    });
    expectTypeOf(WorkerMetricsModule.register).toBeCallableWith({ prefix: 'app', marks: 'summary' });
    // @ts-expect-error neither
    unrun(() => WorkerMetricsModule.register({ marks: 'gauge' }));
  });
});

describe('integrations', () => {
  it('fit what they are given to', () => {
    expectTypeOf<WorkerSpanProcessor>().toExtend<SpanProcessor>();
  });
});

describe('errors', () => {
  it('are told apart by their code', () => {
    unrun((error?: unknown) => {
      if (isWorkError(error, 'WORKER_NOT_FOUND'))
        expectTypeOf(error.code).toEqualTypeOf<'WORKER_NOT_FOUND'>();
      // @ts-expect-error no such code
      isWorkError(error, 'NOPE');
    });
    expectTypeOf<AttemptAbortedError['reason']>().toExtend<string>();
  });
});

describe('testing', () => {
  it('records typed events', () => {
    expectTypeOf<typeof FakeClock>().toBeConstructibleWith(new Date(0));
    expectTypeOf(recordEvents).returns.toEqualTypeOf<EventRecorder>();
    unrun(async (recorder = {} as EventRecorder) => {
      expectTypeOf((await recorder.waitFor('backoff')).delayMs).toEqualTypeOf<number>();
    });
  });
});
