import { Controller, Get, Injectable } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import {
  type RunnableWorker,
  Worker,
  type WorkerContext,
  WorkerModule,
  WorkerPoolService,
} from 'nestjs-worker';
import { WorkerHealthIndicator, WorkerHealthModule } from 'nestjs-worker/terminus';
import { FakeClock } from 'nestjs-worker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  bootContext,
  bootHttp,
  happened,
  LogRecorder,
  moduleNamed,
  platforms,
  poolOf,
  recordEventsOf,
  settle,
  type Signal,
  signal,
  UntilAborted,
} from '../support/nest.js';

let finish: Signal;
beforeEach(() => {
  finish = signal();
});

@Controller()
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly workers: WorkerHealthIndicator,
  ) {}

  @Get('readiness')
  @HealthCheck()
  readiness() {
    return this.health.check([() => this.workers.readiness('workers')]);
  }

  @Get('liveness')
  @HealthCheck()
  liveness() {
    return this.health.check([() => this.workers.liveness('workers')]);
  }

  @Get('ping')
  ping(): string {
    return 'pong';
  }
}

@Worker({ name: 'holding' })
class Holding implements RunnableWorker {
  async run(ctx: WorkerContext): Promise<void> {
    await ctx.sleep('1 day').catch(() => undefined);
    await finish.promise;
  }
}

describe('On shutdown', () => {
  it('readiness goes down and ctx.shutdown fires before ctx.signal aborts', async () => {
    const order: string[] = [];
    const state: { pool?: WorkerPoolService; ready?: () => boolean } = {};
    @Worker({ name: 'watching' })
    class Watching implements RunnableWorker {
      async run(ctx: WorkerContext): Promise<void> {
        ctx.shutdown.addEventListener('abort', () => {
          order.push(`shutdown: draining ${state.pool?.snapshot().draining}, aborted ${ctx.signal.aborted}`);
        });
        ctx.signal.addEventListener('abort', () => {
          order.push(`signal: ${(ctx.signal.reason as { reason: string }).reason}`);
        });
        await ctx.sleep('1 day');
      }
    }
    const app = await bootContext({ imports: [WorkerModule], providers: [Watching] });
    state.pool = poolOf(app);
    await happened(app, 'started');
    await settle();
    await app.close();
    expect(order).toEqual(['shutdown: draining true, aborted false', 'signal: shutdown']);
  });

  it('every worker is told before any is waited for', async () => {
    const told: string[] = [];
    class Telling implements RunnableWorker {
      async run(ctx: WorkerContext): Promise<void> {
        await ctx.sleep('1 day').catch(() => told.push(ctx.name));
        await finish.promise;
      }
    }
    const app = await bootContext({ imports: [WorkerModule] });
    for (const name of ['one', 'two', 'three']) poolOf(app).register(new Telling(), { name });
    await happened(app, 'started', 'three');
    await settle();
    const close = app.close();
    await settle();
    expect(told).toEqual(['one', 'two', 'three']);
    finish.resolve();
    await close;
  });

  it('a worker that ends by the abort was cancelled: no failure, no restart (Y3)', async () => {
    const runs = { rejecting: 0, returning: 0 };
    const app = await bootContext({ imports: [WorkerModule.forRoot({ maxAttempts: 5, restart: 'always' })] });
    const recorder = recordEventsOf(app);
    poolOf(app).register(
      { run: async (ctx) => (runs.rejecting++, ctx.sleep('1 day')) },
      { name: 'rejecting' },
    );
    poolOf(app).register(
      { run: async (ctx) => (runs.returning++, ctx.sleep('1 day').catch(() => 'done')) },
      { name: 'returning' },
    );
    await recorder.waitFor('started', { name: 'returning' });
    await settle();
    await app.close();
    expect(poolOf(app).executions()).toMatchObject([
      { name: 'rejecting', status: 'cancelled', stopReason: 'shutdown', lastError: undefined },
      { name: 'returning', status: 'cancelled', stopReason: 'shutdown', lastError: undefined },
    ]);
    expect(recorder.of('failed')).toEqual([]);
    expect(runs).toEqual({ rejecting: 1, returning: 1 });
  });

  it('a deferred worker never starts and one in backoff never restarts; neither is waited for (Y2)', async () => {
    const clock = new FakeClock();
    @Worker({ name: 'later', deferredStart: '1h' })
    class Later extends UntilAborted {}
    @Worker({ name: 'failing', maxAttempts: 5, backoff: { initial: '1m' } })
    class Failing implements RunnableWorker {
      runs = 0;
      async run(): Promise<void> {
        this.runs++;
        throw new Error('no');
      }
    }
    const app = await bootContext({
      imports: [WorkerModule.forRoot({ clock })],
      providers: [Later, Failing],
    });
    await happened(app, 'backoff', 'failing');
    await app.close();
    await clock.advance('2h');
    expect(poolOf(app).executions()).toMatchObject([{ status: 'cancelled' }, { status: 'cancelled' }]);
    expect(app.get(Later).runs).toBe(0);
    expect(app.get(Failing).runs).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it('start() is refused while the app drains, and after', async () => {
    const app = await bootContext({ imports: [WorkerModule], providers: [Holding] });
    await happened(app, 'started');
    const close = app.close();
    await settle();
    expect(() => poolOf(app).start()).toThrow(expect.objectContaining({ code: 'POOL_STOPPING' }));
    finish.resolve();
    await close;
    expect(() => poolOf(app).start('holding')).toThrow(expect.objectContaining({ code: 'POOL_STOPPING' }));
  });

  it('closing twice, or while pool.stop() is under way, is one shutdown', async () => {
    const app = await bootContext({ imports: [WorkerModule], providers: [Holding] });
    const recorder = recordEventsOf(app);
    await happened(app, 'started');
    const stopped = poolOf(app).stop();
    const closes = [app.close(), app.close()];
    await settle();
    finish.resolve();
    await Promise.all(closes);
    expect(await stopped).toMatchObject({ orphans: [] });
    expect(recorder.of('stopping')).toHaveLength(1);
    expect(recorder.of('cancelled')).toHaveLength(1);
  });
});

describe.each(platforms)('While workers drain, %s', (platform) => {
  it('answers 503 to readiness and 200 to the rest', async () => {
    const { app, url } = await bootHttp(
      {
        imports: [WorkerModule, TerminusModule, WorkerHealthModule],
        controllers: [HealthController],
        providers: [Holding],
      },
      platform,
    );
    await happened(app, 'started');
    const get = async (path: string) => (await fetch(`${url}/${path}`)).status;
    expect(await get('readiness')).toBe(200);
    const close = app.close();
    await settle();
    expect([await get('readiness'), await get('liveness'), await get('ping')]).toEqual([503, 200, 200]);
    finish.resolve();
    await close;
    await expect(fetch(`${url}/ping`)).rejects.toThrow('fetch failed');
  });
});

describe('A worker that does not end', () => {
  // One budget, however many modules and hooks there are to wait for it.
  const others = ['AModule', 'BModule', 'CModule'].map((name) =>
    moduleNamed(name, { providers: [{ provide: name, useValue: { onModuleDestroy: () => undefined } }] }),
  );

  @Injectable()
  class Db {
    closedAt: number | undefined;
    constructor(readonly clock: FakeClock) {}
    onModuleDestroy(): void {
      this.closedAt = this.clock.monotonic();
    }
  }

  @Worker({ name: 'deaf' })
  class Deaf implements RunnableWorker {
    async run(): Promise<void> {
      await finish.promise;
    }
  }

  it('is named in the log and in the snapshot, and the app closes at the deadline (Y6)', async () => {
    const clock = new FakeClock();
    const logger = new LogRecorder();
    const app = await bootContext(
      {
        imports: [WorkerModule.forRoot({ clock, shutdownTimeout: '10s' }), ...others],
        providers: [{ provide: FakeClock, useValue: clock }, Db, Deaf, Holding],
      },
      { logger },
    );
    await happened(app, 'started', 'holding');
    let hasClosed = false;
    const close = app.close().then(() => (hasClosed = true));
    await clock.advance('9.9s');
    expect(hasClosed).toBe(false);
    expect(app.get(Db).closedAt).toBeUndefined();
    await clock.advance('0.1s');
    await close;
    expect(app.get(Db).closedAt).toBe(10_000);
    expect(poolOf(app).executions()).toMatchObject([
      { name: 'deaf', status: 'stuck' },
      { name: 'holding', status: 'stuck' },
    ]);
    expect(logger.texts('error')).toEqual([
      expect.stringContaining('Worker "deaf" is orphaned'),
      expect.stringContaining('Worker "holding" is orphaned'),
    ]);
    expect(clock.pending).toBe(0);

    finish.resolve();
    await settle();
    expect(poolOf(app).execution('deaf').status).toBe('cancelled');
  });

  it('has 25 s by default', async () => {
    const clock = new FakeClock();
    const app = await bootContext({ imports: [WorkerModule.forRoot({ clock })], providers: [Holding] });
    await happened(app, 'started');
    const close = app.close().then(() => clock.monotonic());
    await clock.advance('1m');
    expect(await close).toBe(25_000);
    expect(poolOf(app).execution('holding').events.at(-1)).toMatchObject({
      type: 'orphaned',
      time: new FakeClock().now() + 25_000,
    });
    finish.resolve();
  });

  it('is answered with by pool.stop(), for the caller to act on', async () => {
    const clock = new FakeClock();
    const app = await bootContext({ imports: [WorkerModule.forRoot({ clock })], providers: [Deaf] });
    await happened(app, 'started');
    const stopped = poolOf(app).stop('deaf', { timeout: '100ms' });
    await clock.advance('100ms');
    expect(await stopped).toEqual({ orphans: [{ kind: 'worker', name: 'deaf' }], durationMs: 100 });
    // It has been told to end and may yet do so; that it will not is known once its abortGrace is over.
    expect(poolOf(app).execution('deaf').status).toBe('stopping');
    await clock.advance('1m');
    expect(poolOf(app).execution('deaf').status).toBe('stuck');
    expect(() => poolOf(app).start('deaf')).toThrow(expect.objectContaining({ code: 'WORKER_STUCK' }));
    finish.resolve();
    await settle();
    expect(poolOf(app).execution('deaf').status).toBe('cancelled');
  });
});
