import { register } from 'prom-client';
import { type RunnableWorker, WorkerModule, type WorkerOptions } from 'nestjs-worker';
import { WorkerMetricsModule, type WorkerMetricsOptions } from 'nestjs-worker/prometheus';
import { FakeClock } from 'nestjs-worker/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { bootContext, poolOf } from '../../support/nest.js';
import { scrape } from './samples.js';

afterEach(() => register.clear());

const marking: RunnableWorker = {
  run: async (ctx) => {
    await ctx.sleep('2s');
    ctx.mark('fetch');
    await ctx.sleep('3s');
    ctx.mark('store');
    await ctx.sleep('1s');
  },
};

async function samplesAfter(
  worker: RunnableWorker,
  options: WorkerMetricsOptions = {},
  workerOptions: WorkerOptions = {},
) {
  const clock = new FakeClock();
  const app = await bootContext({
    imports: [WorkerModule.forRoot({ clock }), WorkerMetricsModule.register(options)],
  });
  poolOf(app).register(worker, { name: 'relay', ...workerOptions });
  await clock.advance('1m');
  const samples = await scrape();
  return (suffix: string, action: string, outcome = 'success', more = '') =>
    samples.get(
      `worker_mark_duration_seconds${suffix}{${more}worker="relay",action="${action}",outcome="${outcome}"}`,
    );
}

describe('Marks', () => {
  it('are a histogram of the segments, the closing one included', async () => {
    const sample = await samplesAfter(marking);
    expect([sample('_sum', 'fetch'), sample('_sum', 'store'), sample('_sum', 'end')]).toEqual([2, 3, 1]);
    expect(sample('_count', 'fetch')).toBe(1);
    expect([
      sample('_bucket', 'fetch', 'success', 'le="1",'),
      sample('_bucket', 'fetch', 'success', 'le="5",'),
    ]).toEqual([0, 1]);
  });

  it('have buckets of your own', async () => {
    const sample = await samplesAfter(marking, { markBuckets: [2.5] });
    expect([
      sample('_bucket', 'fetch', 'success', 'le="2.5",'),
      sample('_bucket', 'store', 'success', 'le="2.5",'),
      sample('_bucket', 'store', 'success', 'le="+Inf",'),
    ]).toEqual([1, 0, 1]);
    expect(sample('_bucket', 'fetch', 'success', 'le="5",')).toBeUndefined();
  });

  it('are a summary with quantiles by option', async () => {
    const sample = await samplesAfter(marking, { marks: 'summary' });
    expect([sample('_sum', 'fetch'), sample('_sum', 'store'), sample('_sum', 'end')]).toEqual([2, 3, 1]);
    for (const quantile of ['0.5', '0.9', '0.99']) {
      expect(sample('', 'store', 'success', `quantile="${quantile}",`)).toBe(3);
    }
    expect(sample('_bucket', 'store', 'success', 'le="5",')).toBeUndefined();
  });

  it.each(['histogram', 'summary'] as const)('include the segment that failed (%s)', async (marks) => {
    const sample = await samplesAfter(
      {
        run: async (ctx) => {
          await ctx.sleep('2s');
          ctx.mark('fetch');
          await ctx.sleep('4s');
          throw new Error('cannot store');
        },
      },
      { marks },
    );
    expect(sample('_sum', 'fetch')).toBe(2);
    expect(sample('_sum', 'end', 'error')).toBe(4);
    expect(sample('_count', 'end')).toBeUndefined();
  });

  it('include the segment that ran into the timeout', async () => {
    const sample = await samplesAfter(
      {
        run: async (ctx) => {
          ctx.mark('fetch');
          await ctx.sleep('1 day');
        },
      },
      {},
      { timeout: '5s' },
    );
    expect(sample('_sum', 'end', 'error')).toBe(5);
  });

  it('add up over attempts', async () => {
    let runs = 0;
    const sample = await samplesAfter(
      {
        run: async (ctx) => {
          await ctx.sleep('2s');
          ctx.mark('fetch');
          if (++runs < 3) throw new Error('again');
        },
      },
      {},
      { maxAttempts: 3, backoff: 'none' },
    );
    expect([sample('_count', 'fetch'), sample('_sum', 'fetch')]).toEqual([3, 6]);
    expect([sample('_count', 'end', 'error'), sample('_count', 'end')]).toEqual([2, 1]);
  });

  it('are not there for a worker that makes none', async () => {
    const sample = await samplesAfter({ run: async () => undefined });
    expect(sample('_count', 'end')).toBeUndefined();
  });
});
