import type { INestApplicationContext } from '@nestjs/common';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import { register, Registry } from 'prom-client';
import {
  CancelJob,
  DiscardJob,
  getJobQueueToken,
  type Job,
  type JobBackend,
  type JobContext,
  type JobHandlerOptions,
  type JobQueue,
  type JobQueueOptions,
  JobsModule,
  MemoryJobBackend,
  SnoozeJob,
} from 'nestjs-worker';
import { jobMetricNames, WorkerMetricsModule } from 'nestjs-worker/prometheus';
import { FakeClock } from 'nestjs-worker/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FaultyBackend } from '../../support/fake-jobs.js';
import { jobHandler } from '../../support/job-handlers.js';
import { bootContext, bootHttp, moduleNamed, settle, signal } from '../../support/nest.js';
import { metricNamesOf, scrape } from './samples.js';

let clock: FakeClock;
let memory: MemoryJobBackend;
beforeEach(() => {
  clock = new FakeClock();
  memory = new MemoryJobBackend({ clock });
});
afterEach(() => register.clear());

interface Setup {
  readonly handle?: (job: Job<string>, ctx: JobContext) => unknown;
  readonly handler?: JobHandlerOptions;
  readonly queue?: Partial<JobQueueOptions>;
  readonly backend?: JobBackend;
  readonly metrics?: object;
}

/** An app that runs the jobs of "mail", and only enqueues those of "audit". */
const modules = ({ handle = () => {}, handler = {}, queue = {}, backend = memory, metrics }: Setup = {}) => ({
  imports: [
    JobsModule.forRoot({ backend, clock }),
    JobsModule.registerQueue({ name: 'mail', ...queue }, { name: 'audit' }),
    (metrics ?? WorkerMetricsModule) as never,
  ],
  providers: [jobHandler('mail', handle, { backoff: 'none', ...handler })],
});

const boot = async (setup?: Setup) => {
  const app = await bootContext(modules(setup));
  await settle();
  const queueOf = (name: string) => app.get<JobQueue<string>>(getJobQueueToken(name));
  return { app, mail: queueOf('mail'), audit: queueOf('audit') };
};

/** Closes an app whose jobs end when they are told to. */
const close = async (app: INestApplicationContext): Promise<void> => {
  const closed = app.close();
  await clock.advance('30s');
  await closed;
};

/** Lets jobs that are due be taken, run and settled. */
const rest = async (): Promise<void> => {
  for (let turn = 0; turn < 4; turn++) await settle();
};

const of = async (metric: string, registry?: Registry): Promise<number | undefined> =>
  (await scrape(registry)).get(`${metric}{queue="mail"}`);

const outcomes = async (registry?: Registry): Promise<Record<string, number | undefined>> => {
  const samples = await scrape(registry);
  return Object.fromEntries(
    ['succeeded', 'failed', 'timed-out', 'cancelled', 'snoozed'].map((word) => [
      word,
      samples.get(`job_attempts_total{queue="mail",outcome="${word}"}`),
    ]),
  );
};

const none = { succeeded: 0, failed: 0, 'timed-out': 0, cancelled: 0, snoozed: 0 };

const backendGauges = [
  'job_ready',
  'job_scheduled',
  'job_active',
  'job_dead',
  'job_oldest_ready_age_seconds',
  'job_paused',
];

const plainJob = { queue: 'mail', name: '', payload: undefined, due: { inMs: 0 }, priority: 0 } as const;

/** Does what its payload says. */
const obey = async ({ payload }: Job<string>, ctx: JobContext): Promise<void> => {
  if (payload === 'fail') throw new Error('down');
  if (payload === 'discard') throw new DiscardJob('no such address');
  if (payload === 'snooze') throw new SnoozeJob('1h');
  if (payload === 'cancel') throw new CancelJob();
  if (payload === 'hang') await ctx.sleep('1 day');
};

describe('the metrics of a job queue', () => {
  it('have every series at 0 before anything has happened, with their kinds', async () => {
    await boot({ queue: { concurrency: 3 } });
    expect(await outcomes()).toEqual(none);
    const samples = await scrape();
    const counters = ['leases_lost', 'given_up', 'quarantined', 'pushed_out', 'released'].map(
      (name) => `job_${name}_total`,
    );
    const zero = [...counters, 'job_running', 'job_stuck', ...backendGauges];
    for (const name of zero) expect([name, samples.get(`${name}{queue="mail"}`)]).toEqual([name, 0]);
    for (const queue of ['mail', 'audit']) {
      for (const name of ['enqueued', 'duplicates', 'enqueue_failures'])
        expect(samples.get(`job_${name}_total{queue="${queue}"}`)).toBe(0);
    }
    for (const name of ['wait_seconds', 'duration_seconds', 'life_time_seconds', 'claim_size'])
      expect([name, samples.get(`job_${name}_count{queue="mail"}`)]).toEqual([name, 0]);
    expect(samples.get('job_concurrency{queue="mail"}')).toBe(3);
    expect(samples.get('job_backend_up{backend="memory"}')).toBe(1);
    const kinds = (await register.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)]);
    expect(Object.fromEntries(kinds)).toMatchObject({
      job_enqueued_total: 'counter',
      job_ready: 'gauge',
      job_dead: 'gauge',
      job_wait_seconds: 'histogram',
      job_mark_duration_seconds: 'histogram',
    });
    const names = await metricNamesOf();
    expect(Object.values(jobMetricNames).filter((name) => !names.includes(name))).toEqual([]);
    // As OpenMetrics has it, a counter and a gauge must differ by more than the ending.
    const families = names.map((name) => name.replace(/_total$/, ''));
    expect(new Set(families).size).toBe(families.length);
  });

  it('tell of a queue that this process only enqueues into what all processes know', async () => {
    const { audit } = await boot();
    await audit.enqueueMany(['a', 'b']);
    const samples = await scrape();
    expect(samples.get('job_enqueued_total{queue="audit"}')).toBe(2);
    expect(samples.get('job_ready{queue="audit"}')).toBe(2);
    expect([...samples.keys()].filter((key) => key.includes('queue="audit"'))).toHaveLength(
      3 + backendGauges.length,
    );
  });

  it('count jobs and attempts by how they ended', async () => {
    const { mail } = await boot({ handle: obey, handler: { maxAttempts: 2, timeout: '1s' } });
    await mail.enqueueMany(['', 'fail', 'discard', 'snooze', 'cancel', 'hang']);
    await rest();
    expect(await of('job_running')).toBe(1);
    expect(await of('job_active')).toBe(1);
    await clock.advance('1s');
    await clock.advance('1s');
    await rest();
    expect(await of('job_enqueued_total')).toBe(6);
    expect(await outcomes()).toEqual({ succeeded: 1, failed: 3, 'timed-out': 2, cancelled: 1, snoozed: 1 });
    expect(await of('job_given_up_total')).toBe(3);
    const samples = await scrape();
    expect(backendGauges.map((name) => samples.get(`${name}{queue="mail"}`))).toEqual([0, 1, 0, 3, 0, 0]);
    expect(samples.get('job_running{queue="mail"}')).toBe(0);
    expect(samples.get('job_duration_seconds_count{queue="mail"}')).toBe(8);
    expect(samples.get('job_duration_seconds_sum{queue="mail"}')).toBe(2);
    // All but the one that sleeps on.
    expect(samples.get('job_life_time_seconds_count{queue="mail"}')).toBe(5);
    expect(samples.get('job_life_time_seconds_sum{queue="mail"}')).toBe(2);
  });

  it('count what was not stored, and what nobody knows of', async () => {
    const backend = new FaultyBackend(memory);
    const { audit } = await boot({ backend });
    await audit.enqueue('a', { id: 'one', unique: { key: 'k' } });
    await audit.enqueue('a', { id: 'one' });
    await audit.enqueue('a', { unique: { key: 'k' } });
    backend.break('hangs', 'enqueue');
    const [refused] = await Promise.allSettled([audit.enqueueMany(['b', 'c']), clock.advance('5s')]);
    expect(refused).toMatchObject({ reason: { code: 'JOB_ENQUEUE_FAILED' } });
    const samples = await scrape();
    expect(samples.get('job_enqueued_total{queue="audit"}')).toBe(1);
    expect(samples.get('job_duplicates_total{queue="audit"}')).toBe(2);
    expect(samples.get('job_enqueue_failures_total{queue="audit"}')).toBe(2);
  });

  it('tell what waits and for how long, and how long it waited', async () => {
    const gate = signal();
    const { mail } = await boot({ handle: () => gate.promise });
    await mail.pause();
    await mail.enqueueMany(['a', 'b']);
    await mail.enqueue('c', { delay: '1h' });
    await clock.advance('90s');
    const waiting = await scrape();
    expect(backendGauges.map((name) => waiting.get(`${name}{queue="mail"}`))).toEqual([2, 1, 0, 0, 90, 1]);
    await mail.resume();
    await rest();
    const running = await scrape();
    expect(backendGauges.map((name) => running.get(`${name}{queue="mail"}`))).toEqual([0, 1, 2, 0, 0, 0]);
    expect(running.get('job_running{queue="mail"}')).toBe(2);
    await clock.advance('2s');
    gate.resolve();
    await rest();
    const samples = await scrape();
    expect(samples.get('job_wait_seconds_sum{queue="mail"}')).toBe(180);
    expect(samples.get('job_wait_seconds_bucket{le="60",queue="mail"}')).toBe(0);
    expect(samples.get('job_wait_seconds_bucket{le="600",queue="mail"}')).toBe(2);
    expect(samples.get('job_duration_seconds_sum{queue="mail"}')).toBe(4);
    expect(samples.get('job_life_time_seconds_sum{queue="mail"}')).toBe(184);
    expect(samples.get('job_claim_size_count{queue="mail"}')).toBe(1);
    expect(samples.get('job_claim_size_sum{queue="mail"}')).toBe(2);
    expect(samples.get('job_running{queue="mail"}')).toBe(0);
  });

  it('time marks under the name of the handler, and of the queue where it has none', async () => {
    const handle = async (_: Job, ctx: JobContext): Promise<void> => {
      await ctx.sleep('2s');
      ctx.mark('fetched');
      await ctx.sleep('3s');
      throw new DiscardJob('no paper');
    };
    const { mail } = await boot({ handle, handler: { name: 'print' } });
    await mail.enqueue('', { name: 'print' });
    await clock.advance('5s');
    const samples = await scrape();
    const mark = (action: string, outcome: string): number | undefined =>
      samples.get(
        `job_mark_duration_seconds_sum{queue="mail",scope="print",action="${action}",outcome="${outcome}"}`,
      );
    expect(mark('fetched', 'success')).toBe(2);
    expect(mark('end', 'error')).toBe(3);
  });

  it('count a lease that is lost', async () => {
    const { mail } = await boot({ handle: obey });
    const { id } = await mail.enqueue('hang');
    await rest();
    expect(await mail.delete([id])).toEqual(['active']);
    await rest();
    expect(await of('job_leases_lost_total')).toBe(1);
    expect(await outcomes()).toEqual({ ...none, cancelled: 1 });
    expect(await of('job_life_time_seconds_count')).toBe(0);
  });

  it('count a job that is stuck, until it ends', async () => {
    const gate = signal();
    const { mail } = await boot({ handle: () => gate.promise, handler: { timeout: '1s', abortGrace: '2s' } });
    await mail.enqueue('');
    await clock.advance('3s');
    expect(await of('job_stuck')).toBe(1);
    expect(await of('job_running')).toBe(1);
    gate.resolve();
    await rest();
    expect(await of('job_stuck')).toBe(0);
    expect(await of('job_running')).toBe(0);
  });

  it('count jobs that kill, and dead ones that are pushed out', async () => {
    // Another process takes it, and is never heard of again.
    await memory.enqueue([{ ...plainJob, id: 'killer' }]);
    const claim = { limit: 1, prefetch: 0, leaseMs: 1_000, waitMs: 0, signal: new AbortController().signal };
    expect(await memory.claim('mail', claim)).toHaveLength(1);
    const { mail } = await boot({ handle: obey, handler: { maxDead: 1 }, queue: { quarantineAfter: 1 } });
    await clock.advance('1s');
    await rest();
    expect(await of('job_quarantined_total')).toBe(1);
    expect(await of('job_given_up_total')).toBe(1);
    expect(await outcomes()).toEqual(none);
    expect(await of('job_pushed_out_total')).toBe(0);
    await mail.enqueue('discard');
    await rest();
    expect(await of('job_given_up_total')).toBe(2);
    expect(await of('job_quarantined_total')).toBe(1);
    expect(await of('job_pushed_out_total')).toBe(1);
    expect(await of('job_dead')).toBe(1);
  });

  it('count what was claimed and handed back before it began', async () => {
    const gate = signal();
    let runs = 0;
    const { mail } = await boot({
      handle: () => (++runs > 40 ? gate.promise : undefined),
      queue: { concurrency: 1 },
    });
    // Runs that take no time have jobs claimed ahead.
    await mail.enqueueMany(Array.from({ length: 300 }, () => ''));
    await vi.waitUntil(() => runs === 41);
    await clock.advance('600ms');
    expect(await outcomes()).toEqual({ ...none, succeeded: 40 });
    expect(await of('job_released_total')).toBeGreaterThan(0);
    gate.resolve();
    await vi.waitUntil(async () => (await outcomes()).succeeded === 300);
    expect(await of('job_claim_size_sum')).toBeGreaterThan(300);
  });
});

describe('the gauges of what all processes share', () => {
  it('cost one call to the backend per scrape, for all queues and for scrapes at one time', async () => {
    const backend = new FaultyBackend(memory);
    await boot({ backend });
    await scrape();
    expect(backend.calls.counts).toBe(1);
    const [first, second] = await Promise.all([scrape(), scrape()]);
    expect(backend.calls.counts).toBe(2);
    for (const samples of [first, second]) expect(samples.get('job_ready{queue="audit"}')).toBe(0);
    await scrape();
    expect(backend.calls.counts).toBe(3);
  });

  const present = (samples: ReadonlyMap<string, number>): string[] =>
    backendGauges.filter((name) => [...samples.keys()].some((key) => key.startsWith(`${name}{`)));

  it.each(['hangs', 'fails'] as const)(
    'are missing while the backend %s, and the scrape is not',
    async (how) => {
      const backend = new FaultyBackend(memory);
      const { app, mail } = await boot({ backend, handle: obey });
      await mail.enqueue('hang');
      await rest();
      expect(present(await scrape())).toEqual(backendGauges);
      backend.break(how, 'counts');
      const reading = scrape();
      const another = scrape();
      await clock.advance('2s');
      for (const samples of await Promise.all([reading, another])) {
        expect(present(samples)).toEqual([]);
        expect(samples.get('job_backend_up{backend="memory"}')).toBe(0);
        expect(samples.get('job_running{queue="mail"}')).toBe(1);
      }
      expect(backend.calls.counts).toBe(2);
      backend.mend();
      const samples = await scrape();
      expect(present(samples)).toEqual(backendGauges);
      expect(samples.get('job_backend_up{backend="memory"}')).toBe(1);
      expect(samples.get('job_active{queue="mail"}')).toBe(1);
      await close(app);
    },
  );

  it('are missing where the backend has not been reached yet', async () => {
    const backend = new FaultyBackend(memory);
    backend.break('hangs', 'open');
    const { app } = await boot({ backend });
    const reading = scrape();
    await clock.advance('2s');
    const samples = await reading;
    expect(present(samples)).toEqual([]);
    expect(samples.get('job_backend_up{backend="memory"}')).toBe(0);
    expect(backend.calls.counts).toBe(0);
    await close(app);
  });

  it('do not make the scrape fail where a backend answers what is none', async () => {
    const backend = Object.assign(new FaultyBackend(memory), {
      counts: async () => [{ queue: 'mail' }] as never,
    });
    await boot({ backend });
    const samples = await scrape();
    expect(present(samples)).toEqual([]);
    expect(await outcomes()).toEqual(none);
  });

  it('are not there in an app without job queues', async () => {
    await bootContext({ imports: [JobsModule.forRoot({ backend: memory, clock }), WorkerMetricsModule] });
    const keys = [...(await scrape()).keys()];
    expect(keys.filter((key) => key.startsWith('job_'))).toEqual([]);
  });

  it('are not added up where two apps of a process share the registry, and go with the last of them', async () => {
    const first = await boot({ handle: obey });
    const second = await boot({ handle: obey });
    await first.audit.enqueue('a');
    await second.mail.enqueue('hang');
    await rest();
    const samples = await scrape();
    expect(samples.get('job_ready{queue="audit"}')).toBe(1);
    expect(samples.get('job_active{queue="mail"}')).toBe(1);
    expect(samples.get('job_backend_up{backend="memory"}')).toBe(1);
    // What the processes do themselves is.
    expect(samples.get('job_concurrency{queue="mail"}')).toBe(20);
    expect(samples.get('job_running{queue="mail"}')).toBe(1);
    await close(first.app);
    expect(await of('job_concurrency')).toBe(10);
    expect(await of('job_running')).toBe(1);
    expect(await of('job_active')).toBe(1);
    await close(second.app);
    const after = await scrape();
    expect(present(after)).toEqual([]);
    expect([...after.keys()].filter((key) => key.startsWith('job_backend_up'))).toEqual([]);
    expect(after.get('job_enqueued_total{queue="audit"}')).toBe(1);
    expect(after.get('job_running{queue="mail"}')).toBe(0);
  });

  it('are gone where the backend answers after the app has closed', async () => {
    const gate = signal();
    const backend = new FaultyBackend(memory);
    const { counts } = backend;
    const asked = signal();
    Object.assign(backend, {
      counts: async (...args: Parameters<typeof counts>) => {
        asked.resolve();
        await gate.promise;
        return counts(...args);
      },
    });
    const { app } = await boot({ backend });
    const reading = scrape();
    await asked.promise;
    await app.close();
    gate.resolve();
    expect(present(await reading)).toEqual([]);
    expect(present(await scrape())).toEqual([]);
  });
});

describe('the metrics of a job queue, registered with options', () => {
  it('are in that registry, with the prefix and the buckets, and marks as a summary', async () => {
    const registry = new Registry();
    const options = {
      registry,
      prefix: 'shop',
      jobBuckets: [2, 4],
      jobLifeBuckets: [7],
      marks: 'summary' as const,
    };
    const handle = async (_: Job, ctx: JobContext): Promise<void> => {
      await ctx.sleep('3s');
      ctx.mark('slept');
    };
    const { mail } = await boot({ handle, metrics: WorkerMetricsModule.register(options) });
    await mail.enqueue('');
    await clock.advance('3s');
    await rest();
    const samples = await scrape(registry);
    const bucket = (metric: string, le: string): number | undefined =>
      samples.get(`shop_job_${metric}_bucket{le="${le}",queue="mail"}`);
    expect([bucket('duration_seconds', '2'), bucket('duration_seconds', '4')]).toEqual([0, 1]);
    expect([bucket('wait_seconds', '2'), bucket('life_time_seconds', '7')]).toEqual([1, 1]);
    expect(
      samples.get(
        'shop_job_mark_duration_seconds{quantile="0.5",queue="mail",scope="mail",action="slept",outcome="success"}',
      ),
    ).toBe(3);
    expect(await register.metrics()).not.toContain('job_');
  });

  it('are whole in two registries of one app', async () => {
    const [a, b] = [new Registry(), new Registry()];
    const metrics = moduleNamed('Metrics', {
      imports: [a, b].map((registry, index) =>
        moduleNamed(`Of${index}`, { imports: [WorkerMetricsModule.register({ registry })] }),
      ),
    });
    const { mail } = await boot({ handle: obey, metrics });
    await mail.enqueueMany(['', 'discard']);
    await rest();
    await scrape(a);
    for (const registry of [a, b]) {
      expect(await outcomes(registry)).toEqual({ ...none, succeeded: 1, failed: 1 });
      expect(await of('job_duration_seconds_count', registry)).toBe(2);
      expect(await of('job_dead', registry)).toBe(1);
    }
  });

  it('count once where the module is imported plain as well', async () => {
    const metrics = moduleNamed('Metrics', {
      imports: [WorkerMetricsModule, WorkerMetricsModule.register({})],
    });
    const { app, mail } = await boot({ metrics });
    await mail.enqueue('');
    await rest();
    // Also where nobody reads them before the app closes.
    await app.close();
    expect(await outcomes()).toEqual({ ...none, succeeded: 1 });
    expect(await of('job_enqueued_total')).toBe(1);
  });

  it('are served over HTTP, and say how they are to be read', async () => {
    const prometheus = PrometheusModule.register({ global: true, defaultMetrics: { enabled: false } });
    const metrics = moduleNamed('Metrics', { imports: [prometheus, WorkerMetricsModule] });
    const { url } = await bootHttp(modules({ metrics }));
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toContain('# TYPE job_ready gauge');
    expect(text).toMatch(/# HELP job_ready .*max by \(queue\)/);
    expect(text).toContain('job_ready{queue="mail"} 0');
    expect(text).toContain('job_attempts_total{queue="mail",outcome="timed-out"} 0');
  });
});
