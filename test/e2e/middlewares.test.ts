import { Injectable } from '@nestjs/common';
import {
  type MiddlewareFunction,
  type Next,
  type RunnableWorker,
  Worker,
  type WorkerContext,
  type WorkerMiddleware,
  WorkerModule,
} from 'nestjs-worker';
import { FakeClock, recordEvents } from 'nestjs-worker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  bootContext,
  bootError,
  happened,
  moduleNamed,
  poolOf,
  settle,
  signal,
  UntilAborted,
} from '../support/nest.js';

@Injectable()
class Trail {
  readonly steps: string[] = [];
}

/** A middleware class that has something injected. */
@Injectable()
class Traced implements WorkerMiddleware {
  constructor(private readonly trail: Trail) {}

  async use(ctx: WorkerContext, next: Next): Promise<unknown> {
    this.trail.steps.push(`> class ${ctx.name}`);
    try {
      return await next();
    } finally {
      this.trail.steps.push('< class');
    }
  }
}

let steps: string[];
beforeEach(() => {
  steps = [];
});

const noting =
  (label: string): MiddlewareFunction =>
  async (_ctx, next) => {
    steps.push(`> ${label}`);
    try {
      return await next();
    } finally {
      steps.push(`< ${label}`);
    }
  };

describe('Middlewares', () => {
  it('are around each attempt: the pool outside of the worker, the first one outermost', async () => {
    @Worker({ middlewares: [noting('worker 1'), noting('worker 2')] })
    class Wrapped implements RunnableWorker {
      async run(): Promise<void> {
        steps.push('run');
      }
    }
    const app = await bootContext({
      imports: [WorkerModule.forRoot({ middlewares: [noting('pool 1'), noting('pool 2')] })],
      providers: [Wrapped],
    });
    await happened(app, 'succeeded');
    const labels = ['pool 1', 'pool 2', 'worker 1', 'worker 2'];
    expect(steps).toEqual([
      ...labels.map((label) => `> ${label}`),
      'run',
      ...labels.toReversed().map((label) => `< ${label}`),
    ]);
  });

  it('may be classes with injected dependencies, provided in any module', async () => {
    const trailModule = moduleNamed('TrailModule', { providers: [Trail, Traced], exports: [Trail] });
    @Worker({ middlewares: [Traced, noting('function')] })
    class Wrapped implements RunnableWorker {
      constructor(readonly trail: Trail) {}
      async run(): Promise<void> {
        this.trail.steps.push('run');
      }
    }
    const app = await bootContext({ imports: [WorkerModule, trailModule], providers: [Wrapped] });
    await happened(app, 'succeeded');
    expect(app.get(Trail, { strict: false }).steps).toEqual(['> class Wrapped', 'run', '< class']);
    expect(steps).toEqual(['> function', '< function']);
  });

  it('may be classes pool-wide, around every worker', async () => {
    @Worker()
    class One extends UntilAborted {}
    @Worker()
    class Two extends UntilAborted {}
    const app = await bootContext({
      imports: [WorkerModule.forRoot({ middlewares: [Traced] })],
      providers: [Trail, Traced, One, Two],
    });
    await happened(app, 'started', 'Two');
    await settle();
    expect(app.get(Trail).steps).toEqual(['> class One', '> class Two']);
  });

  it('may be classes that have `use` as a property', async () => {
    @Injectable()
    class Assigned implements WorkerMiddleware {
      constructor(private readonly trail: Trail) {}
      use = async (_ctx: WorkerContext, next: Next): Promise<unknown> => {
        this.trail.steps.push('> property');
        return next();
      };
    }
    @Worker({ middlewares: [Assigned] })
    class Wrapped implements RunnableWorker {
      async run(): Promise<void> {}
    }
    const app = await bootContext({ imports: [WorkerModule], providers: [Trail, Assigned, Wrapped] });
    await happened(app, 'succeeded');
    expect(app.get(Trail).steps).toEqual(['> property']);
  });

  it('may be objects', async () => {
    @Worker({ middlewares: [{ use: async (_ctx, next) => [steps.push('object'), await next()] }] })
    class Wrapped implements RunnableWorker {
      async run(): Promise<void> {
        steps.push('run');
      }
    }
    const app = await bootContext({ imports: [WorkerModule], providers: [Wrapped] });
    await happened(app, 'succeeded');
    expect(steps).toEqual(['object', 'run']);
  });

  it('are around workers that are registered by hand, too', async () => {
    const app = await bootContext({
      imports: [WorkerModule.forRoot({ middlewares: [Traced] })],
      providers: [Trail, Traced],
    });
    poolOf(app).register({ run: async () => undefined }, { name: 'late', middlewares: [noting('own')] });
    await happened(app, 'succeeded', 'late');
    expect(app.get(Trail).steps).toEqual(['> class late', '< class']);
    expect(steps).toEqual(['> own', '< own']);
  });

  it.each([
    ['a worker', [WorkerModule], { middlewares: [Traced] }],
    ['the pool', [WorkerModule.forRoot({ middlewares: [Traced] })], {}],
  ])('of %s that no module provides are a boot error', async (_whose, imports, options) => {
    @Worker(options)
    class Lonely extends UntilAborted {}
    const error = await bootError({ imports, providers: [Lonely] });
    expect(error).toMatchObject({ name: 'MiddlewareNotFoundError', code: 'MIDDLEWARE_NOT_FOUND' });
    expect(error.message).toMatch(
      /^Middleware Traced of worker "Lonely" \(Lonely in AppModule\) is not provided in any module, .* Add Traced/,
    );
  });
});

describe('A middleware that fails', () => {
  const failing: MiddlewareFunction = async () => {
    throw new Error('no permission');
  };

  it('makes the attempt fail, and it is restarted like any other', async () => {
    const clock = new FakeClock();
    let calls = 0;
    @Worker({
      maxAttempts: 3,
      backoff: { initial: '1s', factor: 1, jitter: false },
      middlewares: [async (ctx, next) => (++calls < 3 ? failing(ctx, next) : next())],
    })
    class Guarded implements RunnableWorker {
      runs = 0;
      async run(): Promise<void> {
        this.runs++;
      }
    }
    const app = await bootContext({ imports: [WorkerModule.forRoot({ clock })], providers: [Guarded] });
    await happened(app, 'backoff');
    expect(poolOf(app).execution('Guarded').lastError).toMatchObject({ message: 'no permission' });
    await clock.advance('1s');
    await clock.advance('1s');
    expect(poolOf(app).execution('Guarded')).toMatchObject({ status: 'success', attempt: 3 });
    expect(app.get(Guarded).runs).toBe(1);
  });

  it('after the work has succeeded makes it fail all the same', async () => {
    @Worker({ middlewares: [async (ctx, next) => (await next(), failing(ctx, next))] })
    class Committed implements RunnableWorker {
      async run(): Promise<void> {}
    }
    const app = await bootContext({ imports: [WorkerModule], providers: [Committed] });
    await happened(app, 'exhausted');
    expect(poolOf(app).execution('Committed').status).toBe('error');
  });

  it('and calls next() twice fails with NEXT_CALLED_TWICE', async () => {
    @Worker({ middlewares: [async (_ctx, next) => [await next(), await next()]] })
    class Doubled implements RunnableWorker {
      runs = 0;
      async run(): Promise<void> {
        this.runs++;
      }
    }
    const app = await bootContext({ imports: [WorkerModule], providers: [Doubled] });
    await happened(app, 'exhausted');
    expect(poolOf(app).execution('Doubled').lastError).toMatchObject({ code: 'NEXT_CALLED_TWICE' });
    expect(app.get(Doubled).runs).toBe(1);
  });
});

describe('An attempt that runs out of time', () => {
  it('is aborted and awaited, never abandoned (Y13)', async () => {
    const clock = new FakeClock();
    const cleanedUp = signal();
    const reasons: unknown[] = [];
    @Worker({ timeout: '5s', maxAttempts: 2, backoff: 'none', middlewares: [noting('around')] })
    class Slow implements RunnableWorker {
      runs = 0;
      running = 0;
      async run(ctx: WorkerContext): Promise<void> {
        expect(++this.running).toBe(1);
        this.runs++;
        await ctx.sleep('1 day').catch((reason: unknown) => reasons.push(reason));
        await cleanedUp.promise;
        this.running--;
      }
    }
    const app = await bootContext({ imports: [WorkerModule.forRoot({ clock })], providers: [Slow] });
    const recorder = recordEvents(poolOf(app));
    await clock.advance('5s');
    expect(reasons).toMatchObject([{ name: 'AbortError', reason: 'timeout' }]);
    expect(steps).toEqual(['> around']);
    expect(app.get(Slow).runs).toBe(1);
    expect(recorder.of('failed')).toEqual([]);

    cleanedUp.resolve();
    await settle();
    await clock.advance(0);
    expect(steps).toEqual(['> around', '< around', '> around']);
    expect(recorder.of('failed')).toMatchObject([{ abortedFor: 'timeout', durationMs: 5000 }]);
    expect(app.get(Slow).runs).toBe(2);
    recorder.stop();
  });

  it('inside a middleware is treated in the same way', async () => {
    const clock = new FakeClock();
    const seen: unknown[] = [];
    @Worker({
      timeout: '5s',
      middlewares: [
        async (ctx) => {
          await ctx.sleep('1 day').catch((reason: unknown) => seen.push(reason));
          seen.push('cleaned up');
        },
      ],
    })
    class Held extends UntilAborted {}
    const app = await bootContext({ imports: [WorkerModule.forRoot({ clock })], providers: [Held] });
    await clock.advance('5s');
    await settle();
    expect(seen).toMatchObject([{ reason: 'timeout' }, 'cleaned up']);
    expect(poolOf(app).execution('Held')).toMatchObject({
      status: 'error',
      lastError: { code: 'ATTEMPT_ABORTED' },
    });
    expect(app.get(Held).runs).toBe(0);
  });
});
