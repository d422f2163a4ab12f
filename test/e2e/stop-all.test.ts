import { type RunnableWorker, Worker, type WorkerContext, WorkerModule } from 'nestjs-worker';
import { WorkerHealthIndicator, WorkerHealthModule } from 'nestjs-worker/terminus';
import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import {
  bootContext,
  happened,
  poolOf,
  recordEventsOf,
  settle,
  signal,
  UntilAborted,
} from '../support/nest.js';

@Worker({ name: 'watching' })
class Watching implements RunnableWorker {
  runs = 0;
  readonly contexts: WorkerContext[] = [];
  async run(ctx: WorkerContext): Promise<void> {
    this.runs++;
    this.contexts.push(ctx);
    await ctx.sleep('1 day');
  }
}

@Worker({ name: 'other' })
class Other extends UntilAborted {}

async function boot() {
  const app = await bootContext({
    imports: [WorkerModule, WorkerHealthModule],
    providers: [Watching, Other],
  });
  await happened(app, 'started', 'other');
  await settle();
  const health = app.get(WorkerHealthIndicator);
  const readiness = () => health.readiness('workers').workers.status;
  return { app, pool: poolOf(app), worker: app.get(Watching), readiness };
}

describe('WorkerPoolService.stop() without a name', () => {
  it('stops all workers because somebody asked for it, and is no shutdown', async () => {
    const { pool, worker, readiness } = await boot();
    expect(await pool.stop()).toMatchObject({ orphans: [] });
    expect(pool.executions()).toMatchObject([
      { name: 'watching', status: 'cancelled', stopReason: 'stop-requested' },
      { name: 'other', status: 'cancelled', stopReason: 'stop-requested' },
    ]);
    const [ctx] = worker.contexts;
    expect(ctx?.signal.reason).toMatchObject({ reason: 'stop-requested' });
    expect(ctx?.shutdown.aborted).toBe(false);
    expect(pool.snapshot()).toMatchObject({ status: 'started', draining: false });
    expect(readiness()).toBe('up');
  });

  it('leaves them to be started again, and the app to be closed', async () => {
    const { app, pool, worker } = await boot();
    await pool.stop();
    const first = pool.execution('watching').id;
    pool.start();
    await settle();
    expect(pool.executions()).toMatchObject([{ status: 'running' }, { status: 'running' }]);
    expect(pool.execution('watching').id).not.toBe(first);
    expect(worker.runs).toBe(2);

    await app.close();
    expect(worker.contexts[1]?.shutdown.aborted).toBe(true);
    expect(worker.contexts[1]?.signal.reason).toMatchObject({ reason: 'shutdown' });
    expect(pool.snapshot().status).toBe('closed');
  });

  it('stops what was added by hand, and what is added afterwards starts', async () => {
    const { app, pool } = await boot();
    pool.register(new UntilAborted(), { name: 'by-hand' });
    await happened(app, 'started', 'by-hand');
    await pool.stop();
    expect(pool.execution('by-hand').status).toBe('cancelled');
    pool.register(new UntilAborted(), { name: 'later' });
    await settle();
    expect(pool.execution('later').status).toBe('running');
    expect(pool.execution('by-hand').status).toBe('cancelled');
  });

  it('answers with what did not end in the time given, and readiness stays up', async () => {
    const clock = new FakeClock();
    const finish = signal();
    const app = await bootContext({ imports: [WorkerModule.forRoot({ clock }), WorkerHealthModule] });
    const pool = poolOf(app);
    pool.register({ run: async () => finish.promise }, { name: 'slow' });
    await settle();
    const stopped = pool.stop(undefined, { timeout: '2s' });
    await clock.advance('2s');
    expect(await stopped).toEqual({ orphans: [{ kind: 'worker', name: 'slow' }], durationMs: 2000 });
    expect(app.get(WorkerHealthIndicator).readiness('workers').workers).toMatchObject({
      status: 'up',
      pool: 'started',
      workers: { slow: 'stopping' },
    });
    finish.resolve();
    await settle();
    expect(pool.execution('slow').status).toBe('cancelled');
  });

  it('while it waits is overtaken by app.close(), which is a shutdown', async () => {
    const finish = signal();
    const { app, pool, worker } = await boot();
    const recorder = recordEventsOf(app);
    pool.register({ run: async (ctx) => ctx.sleep('1 day').catch(() => finish.promise) }, { name: 'slow' });
    await recorder.waitFor('started', { name: 'slow' });
    await settle();
    const stopped = pool.stop();
    const closed = app.close();
    await settle();
    expect(worker.contexts[0]?.shutdown.aborted).toBe(true);
    expect(pool.snapshot()).toMatchObject({ status: 'draining', draining: true });
    finish.resolve();
    await closed;
    expect(await stopped).toMatchObject({ orphans: [] });
    expect(pool.snapshot().status).toBe('closed');
  });
});
