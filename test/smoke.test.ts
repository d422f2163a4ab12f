import { Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { describe, expect, it } from 'vitest';
import { Worker, WorkerModule, WorkerPool, WorkerPoolService, type WorkerContext } from 'nestjs-worker';
import { FakeClock, recordEvents } from 'nestjs-worker/testing';

describe('smoke', () => {
  it('restarts with a fake clock', async () => {
    const clock = new FakeClock();
    const pool = new WorkerPool({ clock, maxAttempts: 3, backoff: { jitter: false } });
    const events = recordEvents(pool);
    pool.register({ run: async () => { throw new Error('no'); } }, { name: 'x' });
    pool.start();
    await clock.advance('10s');
    expect(events.types()).toEqual(['registered', 'started', 'failed', 'backoff', 'started', 'failed', 'backoff', 'started', 'failed', 'exhausted']);
    expect(pool.execution('x').status).toBe('error');
    expect(await pool.stop()).toMatchObject({ orphans: [] });
    expect(clock.pending).toBe(0);
  });
  it('works in nest', async () => {
    let closed = false; let ended: boolean | undefined;
    @Injectable() class Db { async onModuleDestroy() { closed = true; } }
    @Worker({ name: 'loop' }) class Loop {
      constructor(readonly db: Db) {}
      async run(ctx: WorkerContext) { expect(this.db).toBeInstanceOf(Db); try { for (;;) await ctx.sleep('1s'); } finally { ended = closed; } }
    }
    @Module({ imports: [WorkerModule.forRoot({})], providers: [Db, Loop] }) class App {}
    const app = (await Test.createTestingModule({ imports: [App] }).compile()).createNestApplication();
    await app.init();
    const pool = app.get(WorkerPoolService);
    await new Promise(setImmediate);
    expect(pool.execution('loop').status).toBe('running');
    await app.close();
    expect(ended).toBe(false);
    expect(pool.execution('loop').status).toBe('cancelled');
  });
});
