// The tests that a user would write, with what `nestjs-worker/testing` offers and nothing else.
import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  type RunnableWorker,
  Worker,
  type WorkerContext,
  WorkerModule,
  WorkerPoolService,
} from 'nestjs-worker';
import { type EventRecorder, FakeClock, recordEvents, stressStartStop } from 'nestjs-worker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

@Injectable()
class Outbox {
  rows = ['a', 'b', 'c'];
  reachable = true;

  async take(): Promise<string | undefined> {
    if (!this.reachable) throw new Error('connection refused');
    return this.rows.shift();
  }
}

@Worker({
  name: 'outbox-relay',
  deferredStart: '3s',
  maxAttempts: 3,
  backoff: { initial: '1s', factor: 2, jitter: false },
  stallTimeout: '30s',
})
class OutboxRelay implements RunnableWorker {
  readonly sent: string[] = [];
  constructor(private readonly outbox: Outbox) {}

  async run(ctx: WorkerContext): Promise<void> {
    while (!ctx.signal.aborted) {
      const row = await this.outbox.take();
      if (row !== undefined) this.sent.push(row);
      ctx.heartbeat();
      await ctx.sleep('10s');
    }
  }
}

describe('OutboxRelay', () => {
  let clock: FakeClock;
  let app: TestingModule;
  let pool: WorkerPoolService;
  let events: EventRecorder;

  beforeEach(async () => {
    clock = new FakeClock(new Date('2026-11-21T12:00:00Z'));
    app = await Test.createTestingModule({
      imports: [WorkerModule.forRoot({ clock })],
      providers: [Outbox, OutboxRelay],
    }).compile();
    app.useLogger(false);
    pool = app.get(WorkerPoolService);
    events = recordEvents(pool);
    await app.init();
  });

  afterEach(async () => {
    await app.close();
  });

  it('starts after three seconds, and not before', async () => {
    await clock.advance('2.999s');
    expect(pool.execution('outbox-relay')).toMatchObject({
      status: 'deferred',
      nextAttemptAt: new Date('2026-11-21T12:00:03Z'),
    });
    await clock.advance('1ms');
    expect(pool.execution('outbox-relay').startedAt).toEqual(new Date('2026-11-21T12:00:03Z'));
    expect(app.get(OutboxRelay).sent).toEqual(['a']);
  });

  it('relays one row every ten seconds', async () => {
    await clock.advance('23s');
    expect(app.get(OutboxRelay).sent).toEqual(['a', 'b', 'c']);
    await clock.advance('1h');
    expect(pool.execution('outbox-relay').status).toBe('running');
    expect(app.get(Outbox).rows).toEqual([]);
  });

  it('comes back when the database does', async () => {
    app.get(Outbox).reachable = false;
    await clock.advance('3s');
    expect(await events.waitFor('backoff')).toMatchObject({ delayMs: 1000, attempt: 2 });
    expect(pool.execution('outbox-relay').lastError?.message).toBe('connection refused');
    app.get(Outbox).reachable = true;
    await clock.advance('1s');
    expect(pool.execution('outbox-relay')).toMatchObject({ status: 'running', attempt: 2, restarts: 1 });
    expect(events.types('outbox-relay')).toEqual([
      'registered',
      'deferred',
      'started',
      'failed',
      'backoff',
      'started',
    ]);
  });

  it('is given up on after three attempts', async () => {
    app.get(Outbox).reachable = false;
    await clock.advance('1m');
    expect(events.of('backoff').map(({ delayMs }) => delayMs)).toEqual([1000, 2000]);
    expect(events.of('exhausted')).toMatchObject([{ because: 'max-attempts', attempts: 3 }]);
    expect(pool.execution('outbox-relay')).toMatchObject({ status: 'error', attempt: 3 });
  });

  it('does not run on after app.close()', async () => {
    await clock.advance('3s');
    await app.close();
    expect(clock.pending).toBe(0);
    await clock.advance('1h');
    expect(app.get(OutboxRelay).sent).toEqual(['a']);
    expect(pool.execution('outbox-relay')).toMatchObject({ status: 'cancelled', stopReason: 'shutdown' });
  });

  it('survives being started, stopped and restarted from ten sides at once', async () => {
    await stressStartStop({
      start: () => pool.start('outbox-relay'),
      stop: async () => pool.stop('outbox-relay'),
      restart: async () => pool.restart('outbox-relay'),
    });
    expect(['cancelled', 'unknown']).toContain(pool.execution('outbox-relay').status);
    expect(clock.pending).toBe(0);
  });
});
