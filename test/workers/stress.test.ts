import { isWorkError, WorkerPool, type WorkerContext, type WorkerPoolOptions } from 'nestjs-worker';
import { FakeClock, stressStartStop } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import { seeded } from '../support/fake-pool.js';
import { watchLeaks } from '../support/leaks.js';
import { silentLogger } from '../support/recording-logger.js';

const seeds = [1, 2, 3, 5, 8, 13];

/** Succeeds, fails, sleeps or works, as chance has it. */
class Erratic {
  running = 0;
  mostAtOnce = 0;
  runs = 0;

  constructor(private readonly random: () => number) {}

  async run(ctx: WorkerContext): Promise<void> {
    this.runs++;
    this.running++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.running);
    try {
      const kind = this.random();
      if (kind < 0.25) throw new Error('boom');
      if (kind < 0.5) await new Promise((resolve) => setImmediate(resolve));
      else await ctx.sleep(kind < 0.75 ? 1 : Infinity);
    } finally {
      this.running--;
    }
  }
}

function stressed(seed: number, options: WorkerPoolOptions): { pool: WorkerPool; workers: Erratic[] } {
  const random = seeded(seed);
  const pool = new WorkerPool({
    logger: silentLogger,
    maxAttempts: Infinity,
    restart: 'always',
    backoff: () => (random() < 0.5 ? 0 : 1),
    ...options,
  });
  const workers = Array.from({ length: 3 }, () => new Erratic(random));
  workers.forEach((worker, index) => pool.register(worker, { name: `w${index}`, deferredStart: index }));
  return { pool, workers };
}

const isStopping = (error: unknown): void => {
  if (!isWorkError(error, 'POOL_STOPPING')) throw error;
};

const services = {
  'a pool': (pool: WorkerPool) => ({
    start: () => pool.start(),
    stop: () => pool.stop(),
  }),
  'one worker': (pool: WorkerPool) => ({
    start: () => pool.start('w0'),
    stop: () => pool.stop('w0'),
    restart: () => pool.restart('w0'),
  }),
  'a pool and one worker of it at once': (pool: WorkerPool) => ({
    start: () => pool.start(),
    stop: () => pool.stop(),
    restart: () => pool.restart('w0').catch(isStopping),
  }),
};

/** Moves a clock on until `work` has ended. */
async function moving(clock: FakeClock, work: Promise<void>): Promise<void> {
  const state = { over: false };
  const ended = work.finally(() => (state.over = true));
  while (!state.over) await clock.advance(1);
  await ended;
}

function expectStopped(pool: WorkerPool, workers: readonly Erratic[]): void {
  for (const { status } of pool.executions())
    expect(['unknown', 'success', 'error', 'cancelled']).toContain(status);
  for (const worker of workers) expect([worker.running, worker.mostAtOnce <= 1]).toEqual([0, true]);
  expect(workers[0]?.runs).toBeGreaterThan(0);
  expect(pool.snapshot().isolatedErrors).toBe(0);
}

describe.each(Object.entries(services))('start/stop stress on %s', (_what, serviceOf) => {
  it.each(seeds)('ends stopped on the real clock, seed %i', async (seed) => {
    const leftBehind = watchLeaks();
    const { pool, workers } = stressed(seed, {});
    await stressStartStop(serviceOf(pool), { random: seeded(seed) });
    expectStopped(pool, workers);
    expect(await leftBehind()).toEqual([]);
  });

  it.each(seeds)('ends stopped on a fake clock, seed %i', async (seed) => {
    const clock = new FakeClock();
    const { pool, workers } = stressed(seed, { clock });
    await moving(clock, stressStartStop(serviceOf(pool), { random: seeded(seed) }));
    expectStopped(pool, workers);
    expect(clock.pending).toBe(0);
    await clock.advance('1h');
    expectStopped(pool, workers);
  });
});
