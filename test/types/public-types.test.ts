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
