import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { type RunnableWorker, type WorkerContext, type WorkerOptions, WorkerPool } from 'nestjs-worker';
import { stressStartStop } from 'nestjs-worker/testing';
import { Counter, Gauge, Registry } from 'prom-client';
import { describe, expect, it, vi } from 'vitest';
import { DistributionMetric } from '../../lib/integrations/prometheus/distribution-metric.js';
import { WorkerMetricsService } from '../../lib/integrations/prometheus/worker-metrics.service.js';
import { delayAfter, type ExponentialBackoff } from '../../lib/supervision/index.js';
import { fakePool, seeded } from '../support/fake-pool.js';
import { heapUsed } from '../support/heap.js';
import { failing, looping, ManualWorker } from '../support/manual-worker.js';
import { silentLogger } from '../support/recording-logger.js';

const day = 86_400_000;
const boom = new Error('boom');

// F10 and F33 have processes of their own, see pitfalls-failure-modes-process.test.ts; F17 is a property of
// validation, see supervision/restart-limit.test.ts.
describe('the failure modes of this field (pitfalls 7)', () => {
  it.each([1, 2, 3])('F9: starts and stops from ten sides end stopped, seed %i', async (seed) => {
    const pool = new WorkerPool({ logger: silentLogger, maxAttempts: Infinity, backoff: 'none' });
    for (let index = 0; index < 5; index++)
      pool.register(index % 2 ? failing(boom) : looping(), { name: `w${index}` });
    await stressStartStop({ start: () => pool.start(), stop: () => pool.stop() }, { random: seeded(seed) });
    expect(pool.snapshot().status).toBe('stopped');
    for (const { status } of pool.executions()) expect(['cancelled', 'error']).toContain(status);
  });

  it('F15: a worker that crashes for ever does no harm to its healthy sibling', async () => {
    const { pool, clock, events } = fakePool({ maxAttempts: 50, backoff: 'none' });
    const healthy = new ManualWorker();
    const crashing = failing(boom);
    pool.register(crashing, { name: 'crashing' });
    pool.register(healthy, { name: 'healthy' });
    pool.start();
    await clock.advance('1s');
    expect(crashing.runs).toBe(50);
    expect(events.of('exhausted')).toMatchObject([{ name: 'crashing' }]);
    expect(events.types('healthy')).toEqual(['registered', 'started']);
    expect(healthy.attempt.ctx.signal.aborted).toBe(false);
    expect(pool.snapshot().status).toBe('started');
    await pool.stop();
  });

  it('F16: a thousand that failed together do not come back together', async () => {
    const { pool, clock } = fakePool({ maxAttempts: Infinity, backoff: { initial: '10s' } });
    for (let index = 0; index < 1_000; index++) pool.register(failing(boom), { name: `w${index}` });
    pool.start();
    await clock.settle();
    const due = pool.executions().map(({ nextAttemptAt }) => nextAttemptAt!.getTime() - clock.now());
    expect(Math.min(...due)).toBeGreaterThanOrEqual(5_000);
    expect(Math.max(...due)).toBeLessThanOrEqual(10_000);
    // Each tenth of the later half has its share of about a hundred.
    const tenths = Array.from({ length: 10 }, (_, tenth) =>
      due.filter((ms) => Math.floor((ms - 5_000) / 500) === tenth),
    );
    for (const tenth of tenths) expect(tenth.length).toBeGreaterThan(40);
    await pool.stop();
  });

  it('F18: a million restarts leave nothing behind', async () => {
    const pool = new WorkerPool({ logger: silentLogger });
    let runs = 0;
    let reach: { readonly runs: number; readonly resolve: () => void };
    const reached = (count: number): Promise<void> =>
      new Promise((resolve) => (reach = { runs: count, resolve }));
    const worker: RunnableWorker = {
      run: (ctx) => {
        if (++runs === reach.runs) reach.resolve();
        ctx.mark('lap');
        return ctx.signal.aborted ? ctx.sleep(0) : Promise.reject(boom);
      },
    };
    const options = { stallTimeout: '1h', timeout: '2h' } as const;
    pool.register(worker, { name: 'relay', maxAttempts: Infinity, backoff: 'none', ...options });
    const warm = reached(100_000);
    pool.start();
    await warm;
    const before = heapUsed();
    await reached(1_000_000);
    expect((heapUsed() - before) / 900_000).toBeLessThan(2);
    await pool.stop();
    expect(pool.execution('relay').events).toHaveLength(100);
  }, 120_000);

  it('F19: a hundred thousand races against one signal leave no listener and no memory', async () => {
    const pool = new WorkerPool({ logger: silentLogger });
    const listeners: number[] = [];
    const heap: number[] = [];
    const done = new Promise<void>((resolve) => {
      const run = async (ctx: WorkerContext): Promise<void> => {
        for (let race = 0; race <= 100_000; race++) {
          await Promise.race([ctx.sleep(0), Promise.resolve()]);
          await ctx.sleep(0);
          if (race % 50_000 !== 0) continue;
          heap.push(heapUsed());
          listeners.push(
            getEventListeners(ctx.signal, 'abort').length + getEventListeners(ctx.shutdown, 'abort').length,
          );
        }
        resolve();
      };
      pool.register({ run }, { name: 'relay' });
    });
    pool.start();
    await done;
    await pool.stop();
    expect(listeners).toEqual([0, 0, 0]);
    expect((heap[2]! - heap[1]!) / 50_000).toBeLessThan(10);
  }, 60_000);

  it('F20: whatever is called in whatever order, each promise settles', async () => {
    const calls = fc.array(
      fc.constantFrom('start', 'stop', 'stop 50', 'stop a', 'stop a 50', 'restart a', 'advance', 'fail'),
      { maxLength: 25 },
    );
    await fc.assert(
      fc.asyncProperty(calls, fc.boolean(), async (script, obedient) => {
        const { pool, clock } = fakePool({ maxAttempts: 3, shutdownTimeout: 100 });
        const worker = new ManualWorker({ obedient });
        pool.register(worker, { name: 'a' });
        let open = 0;
        const watch = (promise: Promise<unknown>): void => {
          open++;
          const settled = (): void => void open--;
          promise.then(settled, settled);
        };
        for (const call of script) {
          const timeout = call.endsWith('50') ? { timeout: 50 } : {};
          if (call === 'start') pool.start();
          else if (call === 'restart a') watch(pool.restart('a'));
          else if (call === 'advance') await clock.advance(30);
          else if (call === 'fail') worker.attempts.at(-1)?.fail();
          else watch(pool.stop(call.includes(' a') ? 'a' : undefined, timeout));
        }
        watch(pool.stop());
        await clock.advance(300);
        expect(open).toBe(0);
        expect(pool.snapshot().status).toBe('stopped');
      }),
      { numRuns: 200 },
    );
  });

  it('F23: an AbortError of somebody else is a failure, and restarted', async () => {
    const { pool, clock, events } = fakePool({ maxAttempts: 2, backoff: 'none' });
    let runs = 0;
    const run = async (): Promise<void> => {
      runs++;
      AbortSignal.abort().throwIfAborted();
    };
    pool.register({ run }, { name: 'relay' });
    pool.start();
    await clock.advance(0);
    expect(runs).toBe(2);
    expect(events.of('failed')).toMatchObject([
      { error: { name: 'AbortError' } },
      { error: { name: 'AbortError' } },
    ]);
    expect(events.of('cancelled')).toEqual([]);
    expect(pool.execution('relay').status).toBe('error');
  });

  it('F24: thirty deploys in the middle of a run use up no attempt', async () => {
    const { pool, clock, events } = fakePool({ maxAttempts: 2 });
    const worker = new ManualWorker();
    pool.register(worker, { name: 'relay' });
    for (let deploy = 0; deploy < 30; deploy++) {
      pool.start();
      await clock.advance('10s');
      await pool.stop();
    }
    expect(worker.attempts.map(({ ctx }) => ctx.attempt)).toEqual(Array.from({ length: 30 }, () => 1));
    expect(events.of('failed')).toEqual([]);
    expect(events.of('exhausted')).toEqual([]);
    expect(pool.execution('relay')).toMatchObject({ status: 'cancelled', restarts: 0, restartsInWindow: 0 });
  });

  it.each(['deferredStart', 'backoff', 'timeout', 'stallTimeout', 'sleep'] as const)(
    'F31: a %s of 30 days takes 30 days on the real clock',
    async (what) => {
      vi.useFakeTimers();
      try {
        const pool = new WorkerPool({ logger: silentLogger, maxAttempts: Infinity, abortGrace: '60 days' });
        const worker = new ManualWorker();
        let woke = false;
        const run = async (ctx: WorkerContext): Promise<unknown> => {
          if (what === 'sleep') await ctx.sleep('30 days').then(() => (woke = true));
          if (what === 'backoff' && worker.attempts.length === 0) queueMicrotask(() => worker.attempt.fail());
          return worker.run(ctx);
        };
        pool.register(
          { run },
          {
            name: 'relay',
            ...(what !== 'sleep' && { [what]: what === 'backoff' ? () => '30 days' : '30 days' }),
          },
        );
        const happened = (): boolean =>
          ({
            deferredStart: worker.attempts.length === 1,
            backoff: worker.attempts.length === 2,
            timeout: worker.attempts[0]?.ctx.signal.aborted,
            stallTimeout: worker.attempts[0]?.ctx.signal.aborted,
            sleep: woke,
          })[what] ?? false;
        pool.start();
        await vi.advanceTimersByTimeAsync(30 * day - 1_000);
        expect(happened()).toBe(false);
        await vi.advanceTimersByTimeAsync(2_000);
        expect(happened()).toBe(true);
        await pool.stop();
        expect(vi.getTimerCount()).toBe(0);
      } finally {
        vi.useRealTimers();
      }
    },
  );

  it.each([2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53])(
    'F31: backoff does not overflow at %i failures',
    (failures) => {
      const backoff: ExponentialBackoff = { initialMs: 500, factor: 2, maxMs: 60_000, jitter: 0 };
      expect(delayAfter(backoff, failures, undefined, 0)).toBe(60_000);
      expect(delayAfter({ ...backoff, initialMs: 0 }, failures, undefined, 0)).toBe(0);
      expect(delayAfter({ ...backoff, factor: 1 }, failures, undefined, 0)).toBe(500);
    },
  );

  it('F37: the gauge of what runs is 0 after outcomes of every kind', async () => {
    const { pool, clock } = fakePool({ maxAttempts: 3, restart: 'always' });
    const registry = new Registry();
    const registers = [registry];
    const labelNames = ['worker', 'status', 'action', 'outcome'];
    const gauge = (name: string): Gauge => new Gauge({ name, help: name, labelNames, registers });
    const running = gauge('running');
    const executions = new Counter({ name: 'executions', help: 'x', labelNames, registers });
    new WorkerMetricsService(
      pool.pool,
      executions,
      running,
      gauge('stuck'),
      gauge('given_up'),
      new DistributionMetric({ name: 'attempt', help: 'x', bounds: [1], registry }),
      gauge('next'),
      gauge('last'),
      new DistributionMetric({ name: 'mark', help: 'x', bounds: [1], registry }),
    ).onModuleInit();
    const workers: Record<string, RunnableWorker> = {
      fails: failing(boom),
      succeeds: { run: async () => undefined },
      throws: {
        run: () => {
          throw boom;
        },
      },
      stalls: looping(),
      stopped: looping(),
      deferred: looping(),
      beats: {
        run: async (ctx) => {
          for (;;) {
            ctx.heartbeat();
            await ctx.sleep('1s');
          }
        },
      },
    };
    const options: Record<string, WorkerOptions> = {
      stalls: { stallTimeout: '2s' },
      beats: { stallTimeout: '2s', timeout: '5s' },
      deferred: { deferredStart: '1h' },
    };
    for (const [name, worker] of Object.entries(workers)) pool.register(worker, { name, ...options[name] });
    pool.start();
    for (let second = 0; second < 20; second++) {
      await clock.advance('1s');
      const { values } = await running.get();
      for (const { value } of values) expect([0, 1]).toContain(value);
    }
    await pool.stop();
    const sum = (values: readonly { readonly value: number }[]): number =>
      values.reduce((total, { value }) => total + value, 0);
    expect(sum((await running.get()).values)).toBe(0);
    const { values } = await executions.get();
    const of = (...statuses: string[]): number =>
      sum(values.filter(({ labels }) => statuses.includes(String(labels.status))));
    expect(of('started')).toBeGreaterThan(10);
    expect(of('success', 'error', 'cancelled')).toBe(of('started'));
    for (const status of ['success', 'error', 'cancelled']) expect(of(status)).toBeGreaterThan(0);
  });
});
