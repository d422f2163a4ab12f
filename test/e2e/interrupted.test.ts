import { type RunnableWorker, Worker, type WorkerContext, WorkerModule } from 'nestjs-worker';
import { WorkerMetricsModule } from 'nestjs-worker/prometheus';
import { WorkerHealthIndicator, WorkerHealthModule } from 'nestjs-worker/terminus';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { bootContext, happened, LogRecorder, poolOf, recordEventsOf, settle } from '../support/nest.js';
import { executionsOf } from '../integrations/prometheus/samples.js';

/** Its driver throws an error of its own when the signal aborts: nothing tells that this was the cause. */
@Worker({ name: 'querying', maxAttempts: 5, restart: 'always' })
class Querying implements RunnableWorker {
  runs = 0;
  async run(ctx: WorkerContext): Promise<void> {
    this.runs++;
    await new Promise((_, reject) => {
      ctx.signal.addEventListener('abort', () => reject(new TypeError('connection terminated')));
    });
  }
}

async function boot() {
  const registry = new Registry();
  const logger = new LogRecorder();
  const app = await bootContext(
    {
      imports: [WorkerModule, WorkerHealthModule, WorkerMetricsModule.register({ registry })],
      providers: [Querying],
    },
    { logger },
  );
  await happened(app, 'started');
  await settle();
  const lines = () =>
    logger.lines
      .filter(({ context }) => context === 'Worker')
      .map(({ level, message }) => {
        const { msg, err } = message as { msg: string; err?: unknown };
        return { level, msg, err };
      });
  return { app, pool: poolOf(app), recorder: recordEventsOf(app), registry, lines };
}

type Booted = Awaited<ReturnType<typeof boot>>;

describe('An attempt that throws another error because it was told to end', () => {
  it.each([
    ['shutdown', ({ app }: Booted) => app.close()],
    ['stop-requested', ({ pool }: Booted) => pool.stop('querying')],
  ] as const)('by %s is cancelled, and the error is kept', async (reason, stop) => {
    const booted = await boot();
    await stop(booted);
    const { app, pool, recorder, registry, lines } = booted;
    expect(recorder.of('cancelled')).toMatchObject([
      { reason, error: { name: 'TypeError', message: 'connection terminated' } },
    ]);
    expect([...recorder.of('failed'), ...recorder.of('exhausted')]).toEqual([]);
    expect(pool.execution('querying')).toMatchObject({
      status: 'cancelled',
      stopReason: reason,
      lastError: { name: 'TypeError', message: 'connection terminated' },
    });
    expect(app.get(Querying).runs).toBe(1);
    expect(await executionsOf('querying', registry)).toMatchObject({ started: 1, cancelled: 1, error: 0 });
    expect(lines()).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        msg: `Worker "querying" stopped (${reason}) with an error: connection terminated`,
        err: expect.objectContaining({ type: 'TypeError', message: 'connection terminated' }) as object,
      }),
    );
    expect(lines().filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('is well all the same, and can be started again', async () => {
    const { app, pool } = await boot();
    await pool.stop('querying');
    expect(app.get(WorkerHealthIndicator).isHealthy('workers').workers.status).toBe('up');
    pool.start('querying');
    await settle();
    expect(pool.execution('querying')).toMatchObject({ status: 'running', attempt: 1 });
    expect(app.get(Querying).runs).toBe(2);
  });
});
