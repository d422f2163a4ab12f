import { type RunnableWorker, WorkerModule, type WorkerOptions, type WorkerStatus } from 'nestjs-worker';
import { WorkerHealthIndicator, WorkerHealthModule } from 'nestjs-worker/terminus';
import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bootContext, createApp, poolOf, settle, signal, UntilAborted } from '../../support/nest.js';

type Verdict = 'up' | 'down';

const failing: RunnableWorker = { run: async () => Promise.reject(new Error('no')) };
const succeeding: RunnableWorker = { run: async () => undefined };
/** Does not end when it is told to, until `signal` allows it. */
const deaf = (until = signal()): RunnableWorker => {
  onTestFinished(() => until.resolve());
  return { run: async () => until.promise };
};

interface Case {
  readonly status: WorkerStatus;
  readonly options?: WorkerOptions;
  readonly worker: () => RunnableWorker;
  /** Brings the worker there. */
  readonly act?: (pool: ReturnType<typeof poolOf>, clock: FakeClock) => unknown;
  readonly healthy: Verdict;
  readonly startup: Verdict;
  readonly readiness: Verdict;
  readonly liveness: Verdict;
}

const allUp = { healthy: 'up', startup: 'up', readiness: 'up', liveness: 'up' } as const;
const down = { healthy: 'down', startup: 'up', readiness: 'down' } as const;

const cases: [string, Case][] = [
  [
    'deferred',
    { status: 'deferred', options: { deferredStart: '1h' }, worker: () => new UntilAborted(), ...allUp },
  ],
  ['running', { status: 'running', worker: () => new UntilAborted(), ...allUp }],
  [
    'in backoff',
    {
      status: 'backoff',
      options: { maxAttempts: 2, backoff: { initial: '1m' } },
      worker: () => failing,
      ...allUp,
    },
  ],
  [
    'stalled',
    {
      status: 'stalled',
      options: { stallTimeout: '5s', maxAttempts: 2 },
      worker: deaf,
      act: async (_pool, clock) => clock.advance('5s'),
      ...allUp,
    },
  ],
  [
    'stuck',
    {
      status: 'stuck',
      options: { timeout: '5s', abortGrace: '1s' },
      worker: deaf,
      act: async (_pool, clock) => clock.advance('6s'),
      ...down,
      liveness: 'down',
    },
  ],
  ['stopping', { status: 'stopping', worker: deaf, act: (pool) => void pool.stop('worker'), ...allUp }],
  [
    'stuck, since it outlived a stop',
    {
      status: 'stuck',
      options: { abortGrace: '2s' },
      worker: deaf,
      act: async (pool, clock) => {
        const stopped = pool.stop('worker', { timeout: '1s' });
        await clock.advance('2s');
        await stopped;
      },
      ...down,
      liveness: 'down',
    },
  ],
  [
    'stopping still when the time of a stop is over',
    {
      status: 'stopping',
      options: { abortGrace: '2s' },
      worker: deaf,
      act: async (pool, clock) => {
        const stopped = pool.stop('worker', { timeout: '1s' });
        await clock.advance('1s');
        await stopped;
      },
      ...allUp,
    },
  ],
  ['success', { status: 'success', worker: () => succeeding, ...allUp }],
  ['error', { status: 'error', worker: () => failing, ...down, liveness: 'up' }],
  [
    "error, with onExhausted: 'ignore'",
    { status: 'error', options: { onExhausted: 'ignore' }, worker: () => failing, ...allUp },
  ],
  [
    'cancelled',
    {
      status: 'cancelled',
      worker: () => new UntilAborted(),
      act: async (pool) => pool.stop('worker'),
      ...allUp,
    },
  ],
  [
    'disabled',
    { status: 'disabled', options: { enabled: false }, worker: () => new UntilAborted(), ...allUp },
  ],
];

async function boot() {
  const clock = new FakeClock();
  const app = await bootContext({
    imports: [WorkerModule.forRoot({ clock }), WorkerHealthModule],
  });
  return { app, clock, pool: poolOf(app), health: app.get(WorkerHealthIndicator) };
}

describe('A worker that is', () => {
  it.each(cases)('%s', async (_what, { status, options = {}, worker, act, ...verdicts }) => {
    const { clock, pool, health } = await boot();
    pool.register(worker(), { name: 'worker', ...options });
    await settle();
    await act?.(pool, clock);
    expect(pool.execution('worker').status).toBe(status);
    const results = {
      healthy: health.isHealthy('workers'),
      startup: health.startup('workers'),
      readiness: health.readiness('workers'),
      liveness: health.liveness('workers'),
    };
    expect(
      Object.fromEntries(Object.entries(results).map(([check, { workers }]) => [check, workers.status])),
    ).toEqual(verdicts);
    for (const { workers } of Object.values(results)) {
      expect(workers).toMatchObject({ pool: 'started', workers: { worker: status } });
    }
  });

  it('unknown, since the app has not started (Y12)', async () => {
    const app = await createApp({ imports: [WorkerModule, WorkerHealthModule] });
    const health = app.get(WorkerHealthIndicator);
    poolOf(app).register(new UntilAborted(), { name: 'worker' });
    for (const [check, status] of [
      ['isHealthy', 'down'],
      ['startup', 'down'],
      ['readiness', 'down'],
      ['liveness', 'up'],
    ] as const) {
      expect([check, health[check]('workers')]).toEqual([
        check,
        { workers: { status, pool: 'idle', workers: { worker: 'unknown' } } },
      ]);
    }
    await app.init();
    await settle();
    expect(health.readiness('workers').workers.status).toBe('up');
  });
});

describe('The pool', () => {
  it('without any worker is down before it has started, and up after', async () => {
    const app = await createApp({ imports: [WorkerModule, WorkerHealthModule] });
    const health = app.get(WorkerHealthIndicator);
    expect(health.isHealthy('workers').workers.status).toBe('down');
    expect(health.startup('workers').workers.status).toBe('down');
    await app.init();
    expect(health.isHealthy('workers').workers).toEqual({ status: 'up', pool: 'started', workers: {} });
    expect(health.startup('workers').workers.status).toBe('up');
  });

  it('with one worker that is down is down, and names all of them', async () => {
    const { pool, health } = await boot();
    pool.register(new UntilAborted(), { name: 'good' });
    pool.register(failing, { name: 'bad' });
    await settle();
    expect(health.isHealthy('workers')).toEqual({
      workers: { status: 'down', pool: 'started', workers: { good: 'running', bad: 'error' } },
    });
  });

  it('is up again once a worker that was given up on has been started anew', async () => {
    const { pool, health } = await boot();
    let broken = true;
    pool.register(
      {
        run: async (ctx) => {
          if (broken) throw new Error('no');
          await ctx.sleep('1 day');
        },
      },
      { name: 'worker' },
    );
    await settle();
    expect(health.isHealthy('workers').workers.status).toBe('down');
    broken = false;
    pool.start('worker');
    await settle();
    expect(health.isHealthy('workers').workers.status).toBe('up');
  });

  it('that drains is not ready, but alive', async () => {
    const { app, pool, health } = await boot();
    const finish = signal();
    pool.register(deaf(finish), { name: 'worker' });
    await settle();
    const close = app.close();
    await settle();
    expect(health.readiness('workers')).toEqual({
      workers: { status: 'down', pool: 'draining', workers: { worker: 'stopping' } },
    });
    expect(health.isHealthy('workers').workers.status).toBe('up');
    expect(health.startup('workers').workers.status).toBe('up');
    expect(health.liveness('workers').workers.status).toBe('up');
    finish.resolve();
    await close;
    expect(health.readiness('workers').workers.status).toBe('down');
  });

  it('answers under the key that it is asked with', async () => {
    const { health } = await boot();
    expect(Object.keys(health.isHealthy('background'))).toEqual(['background']);
  });
});
