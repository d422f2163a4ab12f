import { register } from 'prom-client';
import {
  type RunnableWorker,
  Worker,
  type WorkerContext,
  WorkerModule,
  type WorkerOptions,
} from 'nestjs-worker';
import {
  jobMetricNames,
  taskMetricNames,
  WorkerMetricsModule,
  workerMetricNames,
} from 'nestjs-worker/prometheus';
import { FakeClock } from 'nestjs-worker/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bootContext, happened, poolOf, settle, signal, UntilAborted } from '../../support/nest.js';
import { executionsOf, metricNamesOf, scrape } from './samples.js';

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});
afterEach(() => register.clear());

const boot = (...providers: unknown[]) =>
  bootContext({
    imports: [WorkerModule.forRoot({ clock }), WorkerMetricsModule],
    providers: providers as [],
  });

/** Fails so many times, then succeeds. */
const failing = (times: number): RunnableWorker => {
  let runs = 0;
  return {
    run: async () => {
      if (++runs <= times) throw new Error('again');
    },
  };
};

const none = { started: 0, restarted: 0, success: 0, error: 0, cancelled: 0 };

describe('WorkerMetricsModule, imported plain', () => {
  it('registers each metric under its name, with its unit and kind', async () => {
    await boot();
    const names = [workerMetricNames, taskMetricNames, jobMetricNames].flatMap((all) => Object.values(all));
    expect((await metricNamesOf()).toSorted()).toEqual(names.toSorted());
    const kinds = (await register.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)]);
    expect(Object.fromEntries(kinds)).toMatchObject({
      worker_executions_total: 'counter',
      worker_running: 'gauge',
      worker_stuck: 'gauge',
      worker_given_up: 'gauge',
      worker_attempt_duration_seconds: 'histogram',
      worker_next_restart_timestamp_seconds: 'gauge',
      worker_last_success_timestamp_seconds: 'gauge',
      worker_mark_duration_seconds: 'histogram',
    });
  });

  it('has every series of a worker at 0 before anything has happened', async () => {
    @Worker({ name: 'later', deferredStart: '1h' })
    class Later extends UntilAborted {}
    @Worker({ name: 'off', enabled: false })
    class Off extends UntilAborted {}
    await boot(Later, Off);
    for (const worker of ['later', 'off']) {
      expect(await executionsOf(worker)).toEqual(none);
      const samples = await scrape();
      expect(samples.get(`worker_running{worker="${worker}"}`)).toBe(0);
      expect(samples.get(`worker_stuck{worker="${worker}"}`)).toBe(0);
      expect(samples.get(`worker_given_up{worker="${worker}"}`)).toBe(0);
      expect(samples.get(`worker_next_restart_timestamp_seconds{worker="${worker}"}`)).toBe(0);
      expect(samples.get(`worker_last_success_timestamp_seconds{worker="${worker}"}`)).toBe(0);
    }
  });

  it('has those of a worker that is registered later', async () => {
    const app = await boot();
    poolOf(app).register(new UntilAborted(), { name: 'late', deferredStart: '1h' });
    expect(await executionsOf('late')).toEqual(none);
  });

  it('labels a worker with its name as given', async () => {
    const app = await boot();
    const name = 'Outbox relay (EU) "1"';
    poolOf(app).register(new UntilAborted(), { name });
    await happened(app, 'started');
    expect((await executionsOf('Outbox relay (EU) \\"1\\"')).started).toBe(1);
  });
});

describe('Executions', () => {
  it('are counted as started each time, and as restarted where they are', async () => {
    const app = await boot();
    poolOf(app).register(failing(2), { name: 'flaky', maxAttempts: 3, backoff: 'none' });
    await clock.advance('1s');
    expect(poolOf(app).execution('flaky').status).toBe('success');
    expect(await executionsOf('flaky')).toEqual({ ...none, started: 3, restarted: 2, success: 1, error: 2 });
  });

  it('are not restarts when they are started anew by hand', async () => {
    const app = await boot();
    poolOf(app).register(failing(0), { name: 'once' });
    await settle();
    poolOf(app).start('once');
    await settle();
    expect(await executionsOf('once')).toEqual({ ...none, started: 2, success: 2 });
  });

  it('that run into their timeout are errors', async () => {
    const app = await boot();
    poolOf(app).register(new UntilAborted(), { name: 'slow', timeout: '5s' });
    await clock.advance('5s');
    expect(await executionsOf('slow')).toEqual({ ...none, started: 1, error: 1 });
  });

  it('are counted once each by a scrape after a scrape', async () => {
    const app = await boot();
    poolOf(app).register(failing(1), { name: 'flaky', maxAttempts: 2, backoff: { initial: '1s' } });
    await settle();
    for (let scrapes = 0; scrapes < 3; scrapes++) {
      expect(await executionsOf('flaky')).toEqual({ ...none, started: 1, error: 1 });
    }
    await clock.advance('1s');
    expect(await executionsOf('flaky')).toEqual({ ...none, started: 2, restarted: 1, success: 1, error: 1 });
  });

  it.each<[string, WorkerOptions, RunnableWorker, object]>([
    ['deferral', { deferredStart: '1h' }, new UntilAborted(), none],
    [
      'backoff',
      { maxAttempts: 2, backoff: { initial: '1m' } },
      failing(1),
      { ...none, started: 1, error: 1 },
    ],
  ])('that are cancelled during %s count nothing twice', async (_when, options, worker, expected) => {
    const app = await boot();
    poolOf(app).register(worker, { name: 'waiting', ...options });
    await settle();
    await poolOf(app).stop('waiting');
    expect(poolOf(app).execution('waiting').status).toBe('cancelled');
    expect(await executionsOf('waiting')).toEqual(expected);
    const samples = await scrape();
    expect(samples.get('worker_running{worker="waiting"}')).toBe(0);
    expect(samples.get('worker_next_restart_timestamp_seconds{worker="waiting"}')).toBe(0);
    expect(samples.get('worker_attempt_duration_seconds_count{worker="waiting"}') ?? 0).toBe(
      (expected as typeof none).started,
    );
  });
});

describe('The running gauge', () => {
  it('is 1 while an attempt runs, and 0 between and after', async () => {
    const app = await boot();
    const running = async () => (await scrape()).get('worker_running{worker="slow"}');
    poolOf(app).register(
      {
        run: async (ctx) => {
          await ctx.sleep('10s');
          throw new Error('again');
        },
      },
      { name: 'slow', maxAttempts: 2, backoff: { initial: '10s', jitter: false } },
    );
    await settle();
    expect(await running()).toBe(1);
    await clock.advance('10s');
    expect(await running()).toBe(0);
    await clock.advance('10s');
    expect(await running()).toBe(1);
    await poolOf(app).stop();
    expect(await running()).toBe(0);
  });

  it('is 0 after mixed outcomes (F37)', async () => {
    const app = await boot();
    const outcomes: [string, WorkerOptions, RunnableWorker][] = [
      ['succeeding', {}, failing(0)],
      ['failing', {}, failing(1)],
      ['restarting', { maxAttempts: 5, backoff: 'none' }, failing(3)],
      ['timing-out', { timeout: '1s' }, new UntilAborted()],
      ['stalling', { stallTimeout: '1s' }, new UntilAborted()],
      [
        'throwing',
        {},
        {
          run: () => {
            throw new TypeError('at once');
          },
        },
      ],
      ['stopped', {}, new UntilAborted()],
      ['deferred', { deferredStart: '1h' }, new UntilAborted()],
    ];
    for (const [name, options, worker] of outcomes) poolOf(app).register(worker, { name, ...options });
    await clock.advance('5s');
    await poolOf(app).stop();
    const samples = await scrape();
    for (const [name] of outcomes)
      expect([name, samples.get(`worker_running{worker="${name}"}`)]).toEqual([name, 0]);
    for (const [name] of outcomes) {
      const counts = await executionsOf(name);
      expect([name, counts.success! + counts.error! + counts.cancelled!]).toEqual([name, counts.started]);
    }
  });

  it('stays 1 for what does not end, and goes down once it does', async () => {
    const app = await boot();
    const finish = signal();
    poolOf(app).register({ run: async () => finish.promise }, { name: 'deaf' });
    await settle();
    const stopped = poolOf(app).stop('deaf', { timeout: '1s' });
    await clock.advance('1s');
    await stopped;
    expect((await scrape()).get('worker_running{worker="deaf"}')).toBe(1);
    finish.resolve();
    await settle();
    expect((await scrape()).get('worker_running{worker="deaf"}')).toBe(0);
    expect(await executionsOf('deaf')).toEqual({ ...none, started: 1, cancelled: 1 });
  });
});

describe('The stuck gauge', () => {
  const stuck = async () => (await scrape()).get('worker_stuck{worker="deaf"}');

  it('is 1 from when the grace is over until the attempt has ended', async () => {
    const app = await boot();
    const finish = signal();
    poolOf(app).register(
      { run: async () => finish.promise },
      { name: 'deaf', timeout: '1s', abortGrace: '5s' },
    );
    await clock.advance('1s');
    expect(await stuck()).toBe(0);
    await clock.advance('5s');
    expect(poolOf(app).execution('deaf').status).toBe('stuck');
    expect(await stuck()).toBe(1);
    register.resetMetrics();
    expect(await stuck()).toBe(1);
    finish.resolve();
    await settle();
    expect(await stuck()).toBe(0);
  });

  it('is 1 for what did not end in the time of a stop by name', async () => {
    const app = await boot();
    const finish = signal();
    poolOf(app).register({ run: async () => finish.promise }, { name: 'deaf', abortGrace: '1s' });
    await settle();
    const stopped = poolOf(app).stop('deaf', { timeout: '1s' });
    await clock.advance('1s');
    await stopped;
    expect(await stuck()).toBe(1);
    finish.resolve();
    await settle();
    expect(await stuck()).toBe(0);
  });

  it('is of all apps together that have a worker of this name, and 0 once those have closed', async () => {
    const first = await boot();
    const second = await boot();
    const finish = signal();
    for (const app of [first, second]) {
      const run = async () => (app === first ? finish.promise : undefined);
      poolOf(app).register({ run }, { name: 'deaf', timeout: '1s', abortGrace: '1s' });
    }
    await clock.advance('2s');
    expect(await stuck()).toBe(1);
    await second.close();
    expect(await stuck()).toBe(1);
    finish.resolve();
    await settle();
    expect(await stuck()).toBe(0);
  });
});

describe('The given-up gauge', () => {
  const givenUp = async () => (await scrape()).get('worker_given_up{worker="flaky"}');

  it.each<[because: string, options: WorkerOptions, worker: () => RunnableWorker]>([
    ['max-attempts', { maxAttempts: 2, backoff: { initial: '30s', jitter: false } }, () => failing(2)],
    [
      'restart-limit',
      {
        restart: 'always',
        backoff: { initial: '30s', jitter: false },
        restartLimit: { max: 1, window: '1h' },
      },
      () => failing(0),
    ],
  ])('is 1 once it is out of %s, and 0 again once it is started', async (because, options, worker) => {
    const app = await boot();
    poolOf(app).register(worker(), { name: 'flaky', ...options });
    await settle();
    expect(poolOf(app).execution('flaky').status).toBe('backoff');
    expect(await givenUp()).toBe(0);
    await clock.advance('30s');
    expect(poolOf(app).execution('flaky').events.at(-1)).toMatchObject({ type: 'exhausted', because });
    expect(await givenUp()).toBe(1);
    // There is nothing left to stop: it stays so.
    await poolOf(app).stop('flaky');
    register.resetMetrics();
    expect(await givenUp()).toBe(1);

    poolOf(app).start('flaky');
    await settle();
    expect(await givenUp()).toBe(0);
  });

  it('is 0 while a start of it is deferred, and when that is called off', async () => {
    const app = await boot();
    const options = { restart: 'never', deferredStart: '1m' } as const;
    poolOf(app).register(failing(1), { name: 'flaky', ...options });
    await clock.advance('1m');
    expect(await givenUp()).toBe(1);
    poolOf(app).start('flaky');
    expect(await givenUp()).toBe(0);
    await poolOf(app).stop('flaky');
    expect(await givenUp()).toBe(0);
  });

  it('is 0 for one that is stopped while it ends for its timeout, also after it was given up on before', async () => {
    const app = await boot();
    const closed = signal();
    let runs = 0;
    poolOf(app).register(
      {
        run: async () => {
          if (++runs > 1) await closed.promise;
          throw new Error('broken pipe');
        },
      },
      { name: 'flaky', maxAttempts: 1, timeout: '1m' },
    );
    await settle();
    expect(await givenUp()).toBe(1);
    poolOf(app).start('flaky');
    await clock.advance('1m');
    const stopped = poolOf(app).stop('flaky');
    closed.resolve();
    await stopped;
    expect(poolOf(app).execution('flaky').status).toBe('error');
    expect(await givenUp()).toBe(0);
  });

  it('is over with the app, and goes on in another one', async () => {
    const first = await boot();
    const second = await boot();
    for (const app of [first, second]) poolOf(app).register(failing(1), { name: 'flaky', restart: 'never' });
    await settle();
    expect(await givenUp()).toBe(1);
    await first.close();
    expect(await givenUp()).toBe(1);
    await second.close();
    expect(await givenUp()).toBe(0);
  });
});

describe('Times', () => {
  it('tell how long attempts lasted, in seconds', async () => {
    const app = await boot();
    poolOf(app).register({ run: async (ctx: WorkerContext) => ctx.sleep('2.5s') }, { name: 'timed' });
    await clock.advance('3s');
    const samples = await scrape();
    expect(samples.get('worker_attempt_duration_seconds_sum{worker="timed"}')).toBe(2.5);
    expect(samples.get('worker_attempt_duration_seconds_count{worker="timed"}')).toBe(1);
    expect(samples.get('worker_attempt_duration_seconds_bucket{le="1",worker="timed"}')).toBe(0);
    expect(samples.get('worker_attempt_duration_seconds_bucket{le="5",worker="timed"}')).toBe(1);
  });

  it('tell when a worker is due to restart, and 0 once it has', async () => {
    const app = await boot();
    const nextRestart = async () =>
      (await scrape()).get('worker_next_restart_timestamp_seconds{worker="flaky"}');
    poolOf(app).register(failing(1), {
      name: 'flaky',
      maxAttempts: 2,
      backoff: { initial: '30s', jitter: false },
    });
    await settle();
    expect(await nextRestart()).toBe(clock.now() / 1000 + 30);
    await clock.advance('30s');
    expect(await nextRestart()).toBe(0);
  });

  it('tell when a worker last succeeded, also after later failures', async () => {
    const app = await boot();
    let runs = 0;
    poolOf(app).register(
      {
        run: async (ctx) => {
          await ctx.sleep('10s');
          if (++runs > 1) throw new Error('no more');
        },
      },
      { name: 'fading', restart: 'always', backoff: 'none' },
    );
    await clock.advance('10s');
    const succeededAt = clock.now() / 1000;
    await clock.advance('1m');
    expect(poolOf(app).execution('fading').status).toBe('error');
    expect((await scrape()).get('worker_last_success_timestamp_seconds{worker="fading"}')).toBe(succeededAt);
  });
});
