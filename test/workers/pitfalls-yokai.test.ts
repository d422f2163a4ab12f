import { HealthIndicatorService } from '@nestjs/terminus';
import { type RunnableWorker, WorkerPool } from 'nestjs-worker';
import { stressStartStop } from 'nestjs-worker/testing';
import { WorkerHealthIndicator } from 'nestjs-worker/terminus';
import { describe, expect, it } from 'vitest';
import { fakePool, seeded } from '../support/fake-pool.js';
import { heapUsed } from '../support/heap.js';
import { failing, looping, ManualWorker } from '../support/manual-worker.js';
import { RecordingLogger, silentLogger } from '../support/recording-logger.js';

const healthOf = (pool: WorkerPool): unknown => {
  const indicator = new WorkerHealthIndicator(new HealthIndicatorService(), pool.pool);
  return indicator.isHealthy('workers').workers.status;
};

/** Ends only when the test says so, whatever its signal says. */
const stubborn = (): ManualWorker => new ManualWorker({ obedient: false });

// One for all: vitest looks up the source of each new stack.
const boom = new Error('boom');

/** Fails at once `restarts` times on the real clock, and then waits for its end; resolves when it does. */
function restarting(pool: WorkerPool, restarts: number): Promise<void> {
  return new Promise((resolve) => {
    let runs = 0;
    const worker: RunnableWorker = {
      run(ctx) {
        ctx.logger.log('line of the worker');
        if (runs++ < restarts) throw boom;
        resolve();
        return ctx.sleep(Infinity);
      },
    };
    pool.register(worker, { name: 'relay', maxAttempts: Infinity, backoff: 'none' });
    pool.start();
  });
}

describe('the defects of yokai (pitfalls 1.1)', () => {
  it('Y1: a deferral of a fraction of a second is honoured', async () => {
    const { pool, clock } = fakePool();
    const worker = new ManualWorker();
    pool.register(worker, { deferredStart: '0.1s' });
    pool.start();
    await clock.advance(99);
    expect(worker.attempts).toHaveLength(0);
    await clock.advance(1);
    expect(worker.attempts).toHaveLength(1);
    await pool.stop();
  });

  it('Y2: a stop during the deferral is quick, and the worker never runs', async () => {
    const { pool, clock } = fakePool();
    const worker = new ManualWorker();
    pool.register(worker, { deferredStart: '2s' });
    pool.start();
    await clock.advance('50ms');
    expect(await pool.stop()).toEqual({ orphans: [], durationMs: 0 });
    await clock.advance('1h');
    expect(worker.attempts).toHaveLength(0);
    expect(pool.execution('ManualWorker').status).toBe('cancelled');
  });

  it('Y3: a restart waits, with jitter, and none happens while stopping', async () => {
    const { pool, clock, events } = fakePool({ maxAttempts: 5 });
    const worker = new ManualWorker();
    pool.register(worker);
    pool.start();
    await clock.settle();
    worker.attempt.fail();
    await clock.settle();
    const delayMs = events.of('backoff')[0]?.delayMs ?? 0;
    expect(delayMs).toBeGreaterThan(249);
    expect(delayMs).toBeLessThanOrEqual(500);
    await clock.advance(500);
    // It rejects on abort.
    await pool.stop();
    await clock.advance('1h');
    expect(worker.attempts).toHaveLength(2);
    expect(pool.execution('ManualWorker')).toMatchObject({ status: 'cancelled', attempt: 2 });
  });

  it('Y4: failures that lie far apart do not add up', async () => {
    const { pool, clock } = fakePool();
    const worker = new ManualWorker();
    pool.register(worker, { maxAttempts: 2, backoff: { initial: '1s', jitter: false } });
    pool.start();
    for (let failure = 0; failure < 30; failure++) {
      await clock.advance('1h');
      worker.attempt.fail();
      await clock.advance('1s');
    }
    expect(worker.attempts).toHaveLength(31);
    expect(pool.execution('ManualWorker')).toMatchObject({ status: 'running', attempt: 2 });
    await pool.stop();
  });

  it.each([1, 2, 3, 4, 5])('Y5: a worker that panics is gone when stop returns, seed %i', async (seed) => {
    const pool = new WorkerPool({ logger: silentLogger, maxAttempts: Infinity, backoff: 'none' });
    const panicking = failing();
    pool.register(panicking, { name: 'relay' });
    await stressStartStop({ start: () => pool.start(), stop: () => pool.stop() }, { random: seeded(seed) });
    const { runs } = panicking;
    expect(runs).toBeGreaterThan(0);
    expect(['cancelled', 'error']).toContain(pool.execution('relay').status);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(panicking.runs).toBe(runs);
  });

  it('Y6: stop has a deadline, and names who did not stop', async () => {
    const { pool, clock, logger } = fakePool();
    pool.register(looping(), { name: 'good' });
    pool.register(stubborn(), { name: 'never-ending' });
    pool.start();
    await clock.settle();
    const stopped = pool.stop(undefined, { timeout: 100 });
    await clock.advance(100);
    expect(await stopped).toEqual({ orphans: [{ kind: 'worker', name: 'never-ending' }], durationMs: 100 });
    expect(pool.execution('never-ending').hasEvent('orphaned')).toBe(true);
    expect(pool.execution('good').status).toBe('cancelled');
    expect(logger.messages('error')).toEqual([expect.stringMatching(/^Worker "never-ending" is orphaned/)]);
  });

  it('Y7: workers start in the order in which they were declared, each time', async () => {
    const names = Array.from({ length: 20 }, (_, index) => `w${(index * 7) % 20}`);
    for (let run = 0; run < 100; run++) {
      const pool = new WorkerPool({ logger: silentLogger });
      const order: string[] = [];
      for (const name of names) pool.register({ run: async () => order.push(name) }, { name });
      pool.start();
      await pool.stop();
      pool.start();
      await new Promise((resolve) => setImmediate(resolve));
      expect(order).toEqual(names);
    }
  });

  it('Y8: the history is bounded, and what is handed out cannot be changed', async () => {
    const pool = new WorkerPool({ logger: silentLogger });
    await restarting(pool, 100_000);
    const execution = pool.execution('relay');
    expect(execution.restarts).toBe(100_000);
    expect(execution.events).toHaveLength(100);
    // Registered, and for each restart started, failed and backoff; at last one more start.
    expect(execution.eventsDropped).toBe(1 + 3 * 100_000 + 1 - 100);
    expect(() => (execution.events as unknown[]).pop()).toThrow(TypeError);
    expect(() => Object.assign(execution, { status: 'success' })).toThrow(TypeError);
    expect(() => (pool.executions() as unknown[]).pop()).toThrow(TypeError);
    expect(() => (pool.registrations() as unknown[]).pop()).toThrow(TypeError);
    expect(pool.executions()).toHaveLength(1);
    await pool.stop();
  }, 30_000);

  it('Y9: a snapshot is of one moment: id, status and events belong together', async () => {
    const pool = new WorkerPool({ logger: silentLogger });
    const moments: boolean[] = [];
    pool.events$.subscribe((event) => {
      const [execution] = pool.executions();
      const last = execution?.events.at(-1);
      moments.push(last === event && execution?.id === event.executionId);
    });
    await restarting(pool, 100);
    await pool.stop();
    // Of the first event there is a snapshot too: the worker is listed before it is told of.
    expect(moments).toHaveLength(1 + 3 * 100 + 1 + 2);
    expect(moments).not.toContain(false);
  });

  it('Y10: each line has each field once, also after many restarts', async () => {
    const logger = new RecordingLogger();
    const pool = new WorkerPool({ logger });
    await restarting(pool, 1_000);
    await pool.stop();
    expect(logger.lines.length).toBeGreaterThan(4_000);
    for (const { given } of logger.lines) {
      const keys = given.flatMap((fields) => Object.keys(fields));
      expect(keys).toEqual([...new Set(keys)]);
      expect(keys).toEqual(expect.arrayContaining(['worker', 'workerExecutionID']));
    }
    const ids = logger.lines
      .filter(({ message }) => message === 'line of the worker')
      .map(({ fields }) => fields.workerExecutionID);
    expect(new Set(ids).size).toBe(1_001);
  });

  it('Y10: contexts do not nest, and the heap is flat over restarts', async () => {
    const pool = new WorkerPool({ logger: silentLogger });
    await restarting(pool, 5_000);
    await pool.stop();
    const before = heapUsed();
    const again = new WorkerPool({ logger: silentLogger });
    await restarting(again, 50_000);
    await again.stop();
    expect((heapUsed() - before) / 50_000).toBeLessThan(10);
  });

  it('Y11: a permanent worker that returns is started again', async () => {
    const { pool, clock } = fakePool();
    const worker = new ManualWorker();
    pool.register(worker, { restart: 'always', backoff: { initial: '1s', jitter: false } });
    pool.start();
    for (let round = 1; round <= 3; round++) {
      await clock.settle();
      expect(worker.attempts).toHaveLength(round);
      worker.attempt.succeed();
      await clock.advance('1s');
    }
    expect(pool.execution('ManualWorker').status).toBe('running');
    await pool.stop();
  });

  it('Y11: a permanent worker that is not allowed to restart any more is unhealthy', async () => {
    const { pool, clock } = fakePool();
    const worker: RunnableWorker = { run: async () => undefined };
    pool.register(worker, {
      name: 'relay',
      restart: 'always',
      backoff: 'none',
      restartLimit: { max: 3, window: '1m' },
    });
    pool.start();
    await clock.advance('1s');
    expect(pool.execution('relay').status).toBe('error');
    expect(healthOf(pool)).toBe('down');
  });

  it('Y12: a worker that was never started is down, and so is a pool that never started', async () => {
    const { pool, clock } = fakePool();
    expect(healthOf(pool)).toBe('down');
    pool.register(new ManualWorker(), { name: 'one' });
    pool.register(new ManualWorker(), { name: 'other' });
    pool.start('one');
    await clock.settle();
    expect(healthOf(pool)).toBe('down');
    pool.start();
    await clock.settle();
    expect(healthOf(pool)).toBe('up');
    await pool.stop();
  });

  it('Y13: a run that timed out is aborted and awaited, never left beside its successor', async () => {
    const { pool, clock } = fakePool({ maxAttempts: Infinity, backoff: 'none' });
    const worker = stubborn();
    pool.register(worker, { timeout: '5s' });
    pool.start();
    await clock.advance('8s');
    expect(worker.attempt.ctx.signal.reason).toMatchObject({ reason: 'timeout' });
    expect(worker.attempts).toHaveLength(1);
    worker.attempt.succeed();
    await clock.advance(0);
    expect(worker.attempts).toHaveLength(2);
    expect(worker.mostAtOnce).toBe(1);
    worker.attempt.succeed();
    await clock.settle();
    await pool.stop();
  });

  it('Y14: a second start starts nothing twice, and a late registration starts', async () => {
    const { pool, clock, events } = fakePool();
    const [early, late] = [new ManualWorker(), new ManualWorker()];
    pool.register(early, { name: 'early' });
    pool.start();
    pool.start();
    await clock.settle();
    pool.start();
    await clock.settle();
    expect(early.attempts).toHaveLength(1);
    expect(events.of('started')).toMatchObject([{ name: 'early', attempt: 1, maxAttempts: 1 }]);
    pool.register(late, { name: 'late' });
    await clock.settle();
    expect(late.attempts).toHaveLength(1);
    await pool.stop();
    expect([early.running, late.running]).toEqual([0, 0]);
  });
});
