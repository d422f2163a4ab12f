import { Injectable } from '@nestjs/common';
import { InjectMetric, PrometheusModule } from '@willsoto/nestjs-prometheus';
import { type Counter, register, Registry } from 'prom-client';
import { type RunnableWorker, Worker, WorkerModule } from 'nestjs-worker';
import { WorkerMetricsModule, type WorkerMetricsOptions, workerMetricNames } from 'nestjs-worker/prometheus';
import { FakeClock } from 'nestjs-worker/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { bootContext, bootHttp, happened, moduleNamed, platforms, settle } from '../../support/nest.js';
import { executionsOf, metricNamesOf, scrape } from './samples.js';

@Worker({ name: 'relay' })
class Relay implements RunnableWorker {
  async run(): Promise<void> {}
}

const providers = [Relay];

/** PrometheusModule without the metrics of the process, which have timers and observers of their own. */
const prometheus = (options: Parameters<typeof PrometheusModule.register>[0] = {}) =>
  PrometheusModule.register({ global: true, defaultMetrics: { enabled: false }, ...options });

afterEach(() => {
  register.clear();
  register.setDefaultLabels({});
});

describe('WorkerMetricsModule.register()', () => {
  it('puts a prefix before each name', async () => {
    const app = await bootContext({
      imports: [WorkerModule, WorkerMetricsModule.register({ prefix: 'shop' })],
      providers,
    });
    await happened(app, 'succeeded');
    expect(await metricNamesOf()).toEqual(
      expect.arrayContaining(Object.values(workerMetricNames).map((name) => `shop_${name}`)),
    );
    expect(await executionsOf('relay', register, 'shop_worker_executions_total')).toMatchObject({
      started: 1,
      success: 1,
    });
  });

  it('registers in a registry of your own, and nowhere else', async () => {
    const registry = new Registry();
    const app = await bootContext({
      imports: [WorkerModule, WorkerMetricsModule.register({ registry })],
      providers,
    });
    await happened(app, 'succeeded');
    expect(await metricNamesOf()).toEqual([]);
    expect(await executionsOf('relay', registry)).toMatchObject({ started: 1, success: 1 });
  });

  it('has buckets of your own for attempts', async () => {
    const app = await bootContext({
      imports: [WorkerModule, WorkerMetricsModule.register({ attemptBuckets: [7, 8] })],
      providers,
    });
    await happened(app, 'succeeded');
    const buckets = [...(await scrape()).keys()].filter((key) =>
      key.includes('attempt_duration_seconds_bucket'),
    );
    expect(buckets.map((key) => /le="([^"]+)"/.exec(key)?.[1])).toEqual(['7', '8', '+Inf']);
  });
});

describe('WorkerMetricsModule.registerAsync()', () => {
  @Injectable()
  class Config {
    readonly namespace = 'shop';
    create(): WorkerMetricsOptions {
      return { prefix: this.namespace };
    }
  }
  const configModule = moduleNamed('ConfigModule', { providers: [Config], exports: [Config] });

  it.each([
    [
      'useFactory',
      WorkerMetricsModule.registerAsync({
        imports: [configModule],
        inject: [Config],
        useFactory: async (config: Config) => Promise.resolve({ prefix: config.namespace }),
      }),
    ],
    ['useClass', WorkerMetricsModule.registerAsync({ useClass: Config })],
    ['useExisting', WorkerMetricsModule.registerAsync({ imports: [configModule], useExisting: Config })],
  ])('takes its options by %s', async (_form, metrics) => {
    await bootContext({ imports: [WorkerModule, metrics], providers });
    expect(await metricNamesOf()).toContain('shop_worker_executions_total');
  });
});

describe('The options of PrometheusModule', () => {
  it('customMetricPrefix comes first', async () => {
    await bootContext({
      imports: [
        prometheus({ customMetricPrefix: 'myapp' }),
        WorkerModule,
        WorkerMetricsModule.register({ prefix: 'shop' }),
      ],
      providers,
    });
    expect(await metricNamesOf()).toContain('myapp_shop_worker_executions_total');
  });

  it('customMetricPrefix applies to a plain import, too, and by registerAsync', async () => {
    await bootContext({
      imports: [
        PrometheusModule.registerAsync({
          global: true,
          useFactory: () => ({ customMetricPrefix: 'myapp', defaultMetrics: { enabled: false } }),
        }),
        WorkerModule,
        WorkerMetricsModule,
      ],
      providers,
    });
    expect(await metricNamesOf()).toContain('myapp_worker_running');
  });

  it('defaultLabels are on every series', async () => {
    const app = await bootContext({
      imports: [prometheus({ defaultLabels: { app: 'shop' } }), WorkerModule, WorkerMetricsModule],
      providers,
    });
    await happened(app, 'succeeded');
    const samples = await scrape();
    expect(samples.get('worker_executions_total{worker="relay",status="success",app="shop"}')).toBe(1);
    expect([...samples.keys()].filter((key) => !key.includes('app="shop"'))).toEqual([]);
  });

  it.each(platforms)('let %s serve the metrics', async (platform) => {
    const { app, url } = await bootHttp(
      { imports: [prometheus({ path: '/internal/metrics' }), WorkerModule, WorkerMetricsModule], providers },
      platform,
    );
    await happened(app, 'succeeded');
    const response = await fetch(`${url}/internal/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain');
    const text = await response.text();
    expect(text).toContain('# TYPE worker_executions_total counter');
    expect(text).toContain('worker_executions_total{worker="relay",status="success"} 1');
  });
});

describe('The metrics', () => {
  @Injectable()
  class Board {
    constructor(
      @InjectMetric(workerMetricNames.executions) readonly executions: Counter,
      @InjectMetric(workerMetricNames.markDuration) readonly marks: unknown,
    ) {}
  }

  it('can be injected with @InjectMetric where the module is imported', async () => {
    const boards = moduleNamed('BoardModule', { imports: [WorkerMetricsModule], providers: [Board] });
    const app = await bootContext({ imports: [WorkerModule, boards], providers });
    await happened(app, 'succeeded');
    const { executions, marks } = app.get(Board, { strict: false });
    expect(marks).toBe(register.getSingleMetric('worker_mark_duration_seconds'));
    const { values } = await executions.get();
    expect(values.find(({ labels }) => labels.status === 'success')?.value).toBe(1);
  });

  it('keep the unprefixed name as their token', async () => {
    const app = await bootContext({
      imports: [WorkerModule, WorkerMetricsModule.register({ prefix: 'shop' })],
      providers: [Relay, Board],
    });
    expect(app.get(Board).executions).toBe(register.getSingleMetric('shop_worker_executions_total'));
  });
});

describe('WorkerMetricsModule imported with options in one module and plain in another', () => {
  it('counts once', async () => {
    const feature = moduleNamed('FeatureModule', { imports: [WorkerMetricsModule] });
    const app = await bootContext({
      imports: [WorkerModule, WorkerMetricsModule.register({ attemptBuckets: [7] }), feature],
      providers,
    });
    await happened(app, 'succeeded');
    expect(await executionsOf('relay')).toMatchObject({ started: 1, success: 1 });
    expect((await scrape()).get('worker_attempt_duration_seconds_count{worker="relay"}')).toBe(1);
  });
});

describe('Two apps in one process', () => {
  it('that share a registry do not collide: both count', async () => {
    @Worker({ name: 'other' })
    class Other extends Relay {}
    const root = { imports: [prometheus(), WorkerModule, WorkerMetricsModule] };
    const one = await bootContext({ ...root, providers });
    const two = await bootContext({ ...root, providers: [Relay, Other] });
    await Promise.all([
      happened(one, 'succeeded'),
      happened(two, 'succeeded', 'relay'),
      happened(two, 'succeeded', 'other'),
    ]);
    expect(await executionsOf('relay')).toMatchObject({ started: 2, success: 2 });
    expect(await executionsOf('other')).toMatchObject({ started: 1, success: 1 });
    expect((await scrape()).get('worker_running{worker="relay"}')).toBe(0);
    await one.close();
    expect(await executionsOf('relay')).toMatchObject({ started: 2, success: 2 });
  });

  it.each(['first', 'last'])(
    'that share a worker of one name keep the times that one of them has to tell, if it boots %s',
    async (turn) => {
      const clock = new FakeClock();
      @Worker({ name: 'relay' })
      class Flaky implements RunnableWorker {
        runs = 0;
        async run(): Promise<void> {
          if (++this.runs > 1) throw new Error('not again');
        }
      }
      const [enabled, restart] = [false, 'always'] as const;
      const policy = { clock, restart, maxAttempts: 5, backoff: { initial: '30s', jitter: false } } as const;
      const active = () =>
        bootContext({ imports: [WorkerModule.forRoot(policy), WorkerMetricsModule], providers: [Flaky] });
      const passive = () =>
        bootContext({
          imports: [WorkerModule.forRoot({ enabled }), WorkerMetricsModule],
          providers: [Flaky],
        });
      const boots = turn === 'first' ? [active, passive] : [passive, active];
      const apps = [await boots[0]!(), await boots[1]!()];
      await settle();
      const succeededAt = clock.now() / 1000;
      const times = async () => {
        const samples = await scrape();
        return ['last_success', 'next_restart'].map((what) =>
          samples.get(`worker_${what}_timestamp_seconds{worker="relay"}`),
        );
      };
      expect(await times()).toEqual([succeededAt, succeededAt + 30]);
      expect(await times()).toEqual([succeededAt, succeededAt + 30]);
      await clock.advance('30s');
      expect(await times()).toEqual([succeededAt, clock.now() / 1000 + 30]);
      await apps[turn === 'first' ? 1 : 0]!.close();
      expect((await times())[0]).toBe(succeededAt);
    },
  );

  it('with registries of their own know nothing of one another', async () => {
    const registries = [new Registry(), new Registry()];
    const apps = await Promise.all(
      registries.map((registry) =>
        bootContext({ imports: [WorkerModule, WorkerMetricsModule.register({ registry })], providers }),
      ),
    );
    await Promise.all(apps.map((app) => happened(app, 'succeeded')));
    for (const registry of registries) {
      expect(await executionsOf('relay', registry)).toMatchObject({ started: 1, success: 1 });
    }
  });

  it('one after the other in one registry, as tests boot them, do not collide either', async () => {
    for (let boot = 1; boot <= 3; boot++) {
      const app = await bootContext({ imports: [WorkerModule, WorkerMetricsModule], providers });
      await happened(app, 'succeeded');
      await app.close();
      expect(await executionsOf('relay')).toMatchObject({ started: boot, success: boot });
    }
  });
});
