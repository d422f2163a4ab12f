import { type INestApplicationContext, Injectable } from '@nestjs/common';
import { type RunnableWorker, Worker, type WorkerContext, WorkerModule } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import {
  bootContext,
  happened,
  LogRecorder,
  poolOf,
  recordEventsOf,
  settle,
  signal,
  UntilAborted,
} from '../support/nest.js';

/** Something that is made outside of Nest and given to several apps. */
class Shared {
  closes = 0;
  onModuleDestroy(): void {
    this.closes++;
  }
}

@Worker({ name: 'idle' })
class Idle extends UntilAborted {}

function boot(shared: Shared): Promise<INestApplicationContext> {
  return bootContext({
    imports: [WorkerModule],
    providers: [Idle, { provide: 'SHARED', useValue: shared }],
  });
}

const isWrapped = (shared: Shared): boolean => Object.hasOwn(shared, 'onModuleDestroy');

describe('Two apps in one process that share a provider with onModuleDestroy', () => {
  it('close each on its own: the worker of the other goes on', async () => {
    const shared = new Shared();
    const [one, two] = [await boot(shared), await boot(shared)];
    await Promise.all([happened(one, 'started'), happened(two, 'started')]);
    await one.close();
    expect(poolOf(one).snapshot()).toMatchObject({ status: 'closed', children: [{ status: 'cancelled' }] });
    expect(poolOf(two).snapshot()).toMatchObject({
      status: 'started',
      draining: false,
      children: [{ status: 'running' }],
    });
    expect(two.get(Idle).runs).toBe(1);
    expect(shared.closes).toBe(1);

    await two.close();
    expect(poolOf(two).snapshot()).toMatchObject({ status: 'closed', children: [{ status: 'cancelled' }] });
    expect(shared.closes).toBe(2);
  });

  it.each(['first', 'last'])(
    'and leave it as it was once both have closed, the older one %s',
    async (turn) => {
      const shared = new Shared();
      const apps = [await boot(shared), await boot(shared)];
      expect(isWrapped(shared)).toBe(true);
      if (turn === 'last') apps.reverse();
      await apps[0]!.close();
      expect(isWrapped(shared)).toBe(true);
      await apps[1]!.close();
      expect(isWrapped(shared)).toBe(false);
      shared.onModuleDestroy();
      expect(shared.closes).toBe(3);
    },
  );

  it('may close at the same time, and each waits for its own workers', async () => {
    const shared = new Shared();
    const finish = signal();
    const [one, two] = [await boot(shared), await boot(shared)];
    poolOf(one).register(
      { run: async (ctx) => ctx.sleep('1 day').catch(() => finish.promise) },
      { name: 'slow' },
    );
    await happened(one, 'started', 'slow');
    const closes = [one.close(), two.close()];
    await settle();
    expect([poolOf(one), poolOf(two)].map((pool) => pool.snapshot().status)).toEqual(['draining', 'closed']);
    finish.resolve();
    await Promise.all(closes);
    expect([poolOf(one), poolOf(two)].map((pool) => pool.snapshot().status)).toEqual(['closed', 'closed']);
    expect(isWrapped(shared)).toBe(false);
    expect(shared.closes).toBe(2);
  });
});

describe('An onModuleDestroy that is called by hand', () => {
  @Injectable()
  class Db {
    readonly calls: string[] = [];
    connect(): void {
      this.calls.push('connect');
    }
    async onModuleDestroy(): Promise<void> {
      this.calls.push('destroy');
    }
  }

  it('inside of a run is let through at once, and no shutdown begins', async () => {
    const reconnected = signal();

    @Worker({ name: 'reconnecting' })
    class Reconnecting implements RunnableWorker {
      constructor(private readonly db: Db) {}
      async run(ctx: WorkerContext): Promise<void> {
        await this.db.onModuleDestroy();
        this.db.connect();
        reconnected.resolve();
        await ctx.sleep('1 day');
      }
    }

    const logger = new LogRecorder();
    const app = await bootContext(
      { imports: [WorkerModule], providers: [Db, Reconnecting, Idle] },
      { logger },
    );
    await reconnected.promise;
    await settle();
    expect(app.get(Db).calls).toEqual(['destroy', 'connect']);
    expect(poolOf(app).snapshot()).toMatchObject({ status: 'started', draining: false });
    expect(poolOf(app).executions()).toMatchObject([{ status: 'running' }, { status: 'running' }]);
    expect(logger.texts('debug')).toEqual([]);

    await app.close();
    expect(app.get(Db).calls).toEqual(['destroy', 'connect', 'destroy']);
  });

  it('outside of work drains the pool first, and the debug log names it', async () => {
    const finish = signal();
    const logger = new LogRecorder();
    const app = await bootContext({ imports: [WorkerModule], providers: [Db] }, { logger });
    const recorder = recordEventsOf(app);
    poolOf(app).register(
      { run: async (ctx) => ctx.sleep('1 day').catch(() => finish.promise) },
      { name: 'slow' },
    );
    await recorder.waitFor('started');
    await settle();
    const destroyed = app.get(Db).onModuleDestroy();
    await settle();
    expect(poolOf(app).snapshot()).toMatchObject({ status: 'draining', draining: true });
    expect(app.get(Db).calls).toEqual([]);
    expect(logger.texts('debug')).toEqual(['Shutdown begins with Db.onModuleDestroy()']);

    finish.resolve();
    await destroyed;
    expect(app.get(Db).calls).toEqual(['destroy']);
    expect(recorder.of('cancelled')).toMatchObject([{ name: 'slow', reason: 'shutdown' }]);
    expect(poolOf(app).snapshot().status).toBe('closed');
    await app.close();
    expect(logger.texts('debug')).toHaveLength(1);
  });
});
