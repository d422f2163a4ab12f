import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  type MiddlewareFunction,
  type Next,
  type RunnableWorker,
  Worker,
  type WorkerContext,
  type WorkerMiddleware,
  WorkerModule,
} from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  bootContext,
  poolOf,
  recordEventsOf,
  settle,
  type Signal,
  signal,
  UntilAborted,
} from '../support/nest.js';

describe('A middleware class that a test overrides', () => {
  @Injectable()
  class Audited implements WorkerMiddleware {
    async use(_ctx: WorkerContext, next: Next): Promise<unknown> {
      return next();
    }
  }

  @Worker({ name: 'relay', middlewares: [Audited] })
  class Relay extends UntilAborted {}

  const overriddenBy = (value: unknown, options: object = {}) =>
    Test.createTestingModule({ imports: [WorkerModule.forRoot(options)], providers: [Audited, Relay] })
      .overrideProvider(Audited)
      .useValue(value)
      .compile();

  it.each([[{}], [null], [{ use: 'no function' }]])('by %o is a boot error that names it', async (value) => {
    const testing = await overriddenBy(value);
    testing.useLogger(false);
    const error = await testing.init().catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ name: 'InvalidOptionError', code: 'INVALID_OPTION' });
    const { message } = error as Error;
    expect(message).toContain('Audited');
    expect(message).toContain('worker "relay" (Relay in ');
    expect(message).toContain('{ use: (ctx, next) => next() }');
  });

  it('by what has the method is taken', async () => {
    const seen: string[] = [];
    const testing = await overriddenBy({
      use: async (ctx: WorkerContext, next: Next) => [seen.push(ctx.name), await next()],
    });
    testing.useLogger(false);
    await testing.init();
    await settle();
    expect(seen).toEqual(['relay']);
    expect(testing.get(Relay).runs).toBe(1);
    await testing.close();
  });
});

describe('A middleware with a time limit of its own', () => {
  let clock: FakeClock;
  let finish: Signal[];
  let running: number;
  let mostAtOnce: number;
  let reasons: unknown[];
  beforeEach(() => {
    clock = new FakeClock();
    finish = [signal(), signal()];
    running = 0;
    mostAtOnce = 0;
    reasons = [];
  });

  const limit: MiddlewareFunction = (ctx, next) =>
    Promise.race([
      next(),
      ctx.sleep('5s').then(() => {
        throw new Error('over the limit');
      }),
    ]);

  /** Takes as long to clean up after being told to end as the test says. */
  @Worker({ name: 'slow', maxAttempts: 2, backoff: 'none', middlewares: [limit] })
  class Slow implements RunnableWorker {
    runs = 0;
    async run(ctx: WorkerContext): Promise<void> {
      const { promise } = finish[this.runs++]!;
      mostAtOnce = Math.max(mostAtOnce, ++running);
      await ctx.sleep('1 day').catch((reason: unknown) => reasons.push(reason));
      await promise;
      running--;
    }
  }

  async function boot() {
    const app = await bootContext({ imports: [WorkerModule.forRoot({ clock })], providers: [Slow] });
    const recorder = recordEventsOf(app);
    await settle();
    return { app, recorder, worker: app.get(Slow), pool: poolOf(app) };
  }

  it('ends the run too, which is waited for before the next attempt begins', async () => {
    const { worker, recorder, pool } = await boot();
    await clock.advance('5s');
    await settle();
    expect(reasons).toMatchObject([{ name: 'AbortError', reason: 'timeout' }]);
    expect(recorder.of('failed')).toEqual([]);
    expect({ runs: worker.runs, running }).toEqual({ runs: 1, running: 1 });

    finish[0]!.resolve();
    await settle();
    await clock.advance(0);
    await settle();
    expect(recorder.of('failed')).toMatchObject([{ error: { message: 'over the limit' } }]);
    expect({ runs: worker.runs, running, mostAtOnce }).toEqual({ runs: 2, running: 1, mostAtOnce: 1 });

    finish[1]!.resolve();
    await clock.advance('5s');
    await settle();
    expect(pool.execution('slow')).toMatchObject({
      status: 'error',
      lastError: { message: 'over the limit' },
    });
    expect({ running, mostAtOnce }).toEqual({ running: 0, mostAtOnce: 1 });
  });

  it('leaves nothing that app.close() would not wait for', async () => {
    const { app, worker } = await boot();
    await clock.advance('5s');
    await settle();
    expect(reasons).toHaveLength(1);
    let closed = false;
    const close = app.close().then(() => (closed = true));
    await settle();
    expect({ closed, running }).toEqual({ closed: false, running: 1 });
    finish[0]!.resolve();
    await close;
    expect({ closed, running, runs: worker.runs }).toEqual({ closed: true, running: 0, runs: 1 });
    expect(clock.pending).toBe(0);
  });

  it('does nothing to a run that ends within it', async () => {
    finish[0]!.resolve();
    const { app, pool, worker } = await boot();
    pool.register({ run: async (ctx) => ctx.sleep('4s') }, { name: 'quick', middlewares: [limit] });
    await clock.advance('4s');
    await settle();
    expect(pool.execution('quick').status).toBe('success');
    expect(worker.runs).toBe(1);
    await app.close();
    expect(clock.pending).toBe(0);
  });
});
