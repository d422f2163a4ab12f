import { trace } from '@opentelemetry/api';
import { currentTracer, WorkerModule } from 'nestjs-worker';
import { WorkerSpanProcessor, WorkerTracingModule } from 'nestjs-worker/opentelemetry';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bootContext, happened, poolOf } from '../../support/nest.js';
import { Spans } from './spans.js';

describe('WorkerTracingModule', () => {
  it('does no harm in an app that has set up no SDK, and begins with the SDK that comes later', async () => {
    const app = await bootContext({ imports: [WorkerModule, WorkerTracingModule] });
    poolOf(app).register({ run: async (ctx) => ctx.tracer.startSpan('step').end() }, { name: 'early' });
    await happened(app, 'succeeded', 'early');

    expect(trace.getActiveSpan()).toBeUndefined();
    const spans = new Spans();
    onTestFinished(() => spans.shutdown());
    poolOf(app).register({ run: async () => undefined }, { name: 'late' });
    await happened(app, 'succeeded', 'late');
    expect(spans.ended().map(({ name }) => name)).toEqual(['worker late']);
  });
});

describe('Without WorkerTracingModule', () => {
  it('ctx.tracer takes everything and records nothing', async () => {
    const app = await bootContext({ imports: [WorkerModule] });
    let result: unknown;
    poolOf(app).register(
      {
        run: async (ctx) => {
          const span = ctx.tracer.startSpan('nothing');
          span.setAttribute('a', 1);
          span.addEvent('b');
          span.recordException('c');
          span.end();
          result = currentTracer()?.startActiveSpan('nothing', () => 'passed through');
        },
      },
      { name: 'relay' },
    );
    await happened(app, 'succeeded');
    expect(result).toBe('passed through');
  });
});

describe('WorkerSpanProcessor', () => {
  it('has nothing to flush', async () => {
    const processor = new WorkerSpanProcessor();
    expect(await Promise.all([processor.forceFlush(), processor.shutdown()])).toEqual([undefined, undefined]);
    expect(processor.onEnd()).toBeUndefined();
  });
});
