import { SpanStatusCode } from '@opentelemetry/api';
import {
  type RunnableWorker,
  Worker,
  type WorkerContext,
  WorkerModule,
  type WorkerOptions,
} from 'nestjs-worker';
import { WorkerTracingModule } from 'nestjs-worker/opentelemetry';
import { FakeClock } from 'nestjs-worker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { bootContext, happened, poolOf, recordEventsOf, settle, UntilAborted } from '../../support/nest.js';
import { parentOf, spansOfThisFile } from './spans.js';

const spans = spansOfThisFile();
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});

async function boot(worker: RunnableWorker, options: WorkerOptions = {}) {
  const app = await bootContext({ imports: [WorkerModule.forRoot({ clock }), WorkerTracingModule] });
  poolOf(app).register(worker, { name: 'relay', ...options });
  await settle();
  return { app, pool: poolOf(app) };
}

describe('An attempt', () => {
  it('is one span, named after the worker, with who it is', async () => {
    const { pool } = await boot({ run: async () => undefined });
    const [span] = spans.ended();
    expect(spans.ended()).toHaveLength(1);
    expect(span).toMatchObject({
      name: 'worker relay',
      attributes: {
        Worker: 'relay',
        WorkerExecutionID: pool.execution('relay').id,
        'worker.attempt': 1,
      },
      status: { code: SpanStatusCode.UNSET },
      instrumentationScope: { name: 'nestjs-worker' },
    });
    expect(parentOf(span!)).toBeUndefined();
  });

  it('of a declared worker is one, too', async () => {
    @Worker({ name: 'declared' })
    class Declared implements RunnableWorker {
      async run(): Promise<void> {}
    }
    const app = await bootContext({
      imports: [WorkerModule, WorkerTracingModule],
      providers: [Declared],
    });
    await happened(app, 'succeeded');
    expect(spans.ended().map(({ name }) => name)).toEqual(['worker declared']);
  });

  it('that fails has the status and the exception on its span, each attempt on its own', async () => {
    let runs = 0;
    const { pool } = await boot(
      {
        run: async () => {
          throw new RangeError(`failure ${++runs}`);
        },
      },
      { maxAttempts: 2, backoff: { initial: '1s' } },
    );
    const firstId = pool.execution('relay').id;
    await clock.advance('1s');
    const found = spans.ended('worker relay');
    expect(found.map(({ attributes }) => attributes['worker.attempt'])).toEqual([1, 2]);
    expect(found.map(({ attributes }) => attributes.WorkerExecutionID)).toEqual([
      firstId,
      pool.execution('relay').id,
    ]);
    found.forEach((span, index) => {
      expect(span.status).toEqual({ code: SpanStatusCode.ERROR, message: `failure ${index + 1}` });
      expect(span.events).toMatchObject([
        {
          name: 'exception',
          attributes: {
            'exception.type': 'RangeError',
            'exception.message': `failure ${index + 1}`,
            'exception.stacktrace': expect.stringContaining('attempt-spans.test') as string,
          },
        },
      ]);
    });
    expect(new Set(found.map((span) => span.spanContext().traceId)).size).toBe(2);
  });

  it('that fails with no error at all has the exception all the same', async () => {
    await boot({ run: async () => Promise.reject('just a text') });
    expect(spans.ended()[0]).toMatchObject({
      status: { code: SpanStatusCode.ERROR, message: 'just a text' },
      events: [{ name: 'exception', attributes: { 'exception.message': 'just a text' } }],
    });
  });

  it('that runs into its timeout is an error, also where it returns', async () => {
    await boot({ run: async (ctx) => ctx.sleep('1 day').catch(() => 'fine') }, { timeout: '5s' });
    expect(spans.ended()).toEqual([]);
    await clock.advance('5s');
    expect(spans.ended()[0]).toMatchObject({
      status: {
        code: SpanStatusCode.ERROR,
        message: expect.stringContaining('longer than its timeout') as string,
      },
      events: [{ name: 'exception', attributes: { 'exception.type': 'ATTEMPT_ABORTED' } }],
    });
  });

  it('that a middleware makes fail is an error, as is one that never reaches the work', async () => {
    await boot(new UntilAborted(), {
      middlewares: [
        async () => {
          throw new Error('not allowed');
        },
      ],
    });
    expect(spans.ended('worker relay')[0]?.status).toEqual({
      code: SpanStatusCode.ERROR,
      message: 'not allowed',
    });
  });

  it('that is stopped is no error, and says why it ended', async () => {
    const { pool } = await boot(new UntilAborted());
    await pool.stop('relay');
    expect(spans.ended()[0]).toMatchObject({
      status: { code: SpanStatusCode.UNSET },
      attributes: { 'worker.stop_reason': 'stop-requested' },
      events: [],
    });
  });

  it('has its marks as events on its span, the closing segment included', async () => {
    await boot({
      run: async (ctx) => {
        await ctx.sleep('2s');
        ctx.mark('fetch');
        await ctx.sleep('3s');
        ctx.mark('store');
        throw new Error('no');
      },
    });
    await clock.advance('5s');
    expect(spans.ended()[0]?.events.map(({ name, attributes }) => [name, attributes])).toMatchObject([
      ['fetch', { 'worker.mark.duration_ms': 2000, outcome: 'success' }],
      ['store', { 'worker.mark.duration_ms': 3000, outcome: 'success' }],
      ['end', { 'worker.mark.duration_ms': 0, outcome: 'error' }],
      ['exception', {}],
    ]);
  });

  it('ends its span after each of 100 restarts: none is left open, and none is inside another', async () => {
    let runs = 0;
    const { app } = await boot(
      {
        run: async (ctx: WorkerContext) => {
          ctx.tracer.startSpan('step').end();
          if (++runs <= 100) throw new Error('again');
        },
      },
      { maxAttempts: Infinity, backoff: 'none' },
    );
    const recorder = recordEventsOf(app);
    await clock.advance('1s');
    await recorder.waitFor('succeeded');
    expect(spans.ended('worker relay')).toHaveLength(101);
    expect(spans.ended('worker relay').map(parentOf)).toEqual(Array(101).fill(undefined));
    expect(spans.ended('step')).toHaveLength(101);
    expect(spans.begun).toBe(202);
    expect(spans.ended()).toHaveLength(spans.begun);
  });

  it('during deferral or backoff is none: waiting has no span', async () => {
    const { app } = await boot(new UntilAborted(), { deferredStart: '1h' });
    await app.close();
    expect(spans.begun).toBe(0);
  });
});
