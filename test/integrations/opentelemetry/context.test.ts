import { Injectable } from '@nestjs/common';
import { trace } from '@opentelemetry/api';
import { currentTracer, type RunnableWorker, Worker, type WorkerContext, WorkerModule } from 'nestjs-worker';
import { WorkerTracingModule } from 'nestjs-worker/opentelemetry';
import { describe, expect, it } from 'vitest';
import { bootContext, happened, poolOf, recordEventsOf, settle, UntilAborted } from '../../support/nest.js';
import { activeSpan, parentOf, spansOfThisFile } from './spans.js';

const spans = spansOfThisFile();
const tracer = trace.getTracer('app');

/** Something that is instrumented and knows nothing of workers. */
@Injectable()
class Service {
  async query(): Promise<void> {
    await tracer.startActiveSpan('query', async (span) => {
      await settle();
      tracer.startSpan('parse').end();
      span.end();
    });
  }
}

@Worker({ name: 'relay' })
class Relay implements RunnableWorker {
  constructor(private readonly service: Service) {}

  async run(ctx: WorkerContext): Promise<void> {
    ctx.tracer.startSpan('by ctx.tracer').end();
    ctx.tracer.startActiveSpan('active by ctx.tracer', (span) => {
      tracer.startSpan('inside of it').end();
      span.end();
    });
    await settle();
    currentTracer()?.startSpan('by currentTracer()').end();
    await this.service.query();
    setImmediate(() => tracer.startSpan('by a callback').end());
    await settle();
  }
}

const imports = [WorkerModule, WorkerTracingModule];

describe('A span that is started inside a run', () => {
  it("has the attempt's span above it, also in a service and after awaits", async () => {
    const app = await bootContext({ imports, providers: [Service, Relay] });
    await happened(app, 'succeeded');
    const idOf = (name: string) => spans.ended(name)[0]?.spanContext().spanId;
    const tree = Object.fromEntries(spans.ended().map((span) => [span.name, parentOf(span)]));
    const attempt = idOf('worker relay');
    expect(attempt).toBeDefined();
    expect(tree).toEqual({
      'by ctx.tracer': attempt,
      'active by ctx.tracer': attempt,
      'inside of it': idOf('active by ctx.tracer'),
      'by currentTracer()': attempt,
      query: attempt,
      parse: idOf('query'),
      'by a callback': attempt,
      'worker relay': undefined,
    });
    expect(new Set(spans.ended().map((span) => span.spanContext().traceId)).size).toBe(1);
  });

  it('names worker and execution, by WorkerSpanProcessor', async () => {
    const app = await bootContext({ imports, providers: [Service, Relay] });
    await happened(app, 'succeeded');
    const { id } = poolOf(app).execution('relay');
    expect(spans.ended()).toHaveLength(8);
    for (const { name, attributes } of spans.ended()) {
      expect([name, attributes]).toMatchObject([name, { Worker: 'relay', WorkerExecutionID: id }]);
    }
  });

  it('names its own worker where many run at once', async () => {
    const app = await bootContext({ imports, providers: [Service] });
    const service = app.get(Service);
    const names = Array.from({ length: 20 }, (_, index) => `worker-${index}`);
    const recorder = recordEventsOf(app);
    for (const name of names) {
      poolOf(app).register(
        {
          run: async () => {
            for (let round = 0; round < 3; round++) await service.query();
          },
        },
        { name },
      );
    }
    await Promise.all(names.map((name) => recorder.waitFor('succeeded', { name })));
    for (const name of names) {
      const [attempt] = spans.ended(`worker ${name}`);
      const own = spans.ended('query').filter(({ attributes }) => attributes.Worker === name);
      expect(own.map(parentOf)).toEqual(Array(3).fill(attempt?.spanContext().spanId));
    }
  });
});

describe('A span that is started outside of any run', () => {
  it('is named after none', async () => {
    const app = await bootContext({ imports, providers: [Service] });
    poolOf(app).register(new UntilAborted(), { name: 'idle' });
    await happened(app, 'started');
    await app.get(Service).query();
    expect(spans.ended('query')[0]?.attributes).toEqual({});
    expect(parentOf(spans.ended('query')[0]!)).toBeUndefined();
  });
});

describe('A worker that is (re)started inside the span of a request', () => {
  const inRequest = async (act: () => unknown): Promise<string> =>
    tracer.startActiveSpan('GET /admin', async (span) => {
      await act();
      span.end();
      return span.spanContext().traceId;
    });

  it.each<[string, (pool: ReturnType<typeof poolOf>) => unknown]>([
    ['restart', async (pool) => pool.restart('relay')],
    ['stop and start', async (pool) => pool.stop('relay').then(() => pool.start('relay'))],
    ['register', (pool) => pool.register(new UntilAborted(), { name: 'relay-2' })],
  ])('by %s is not part of it', async (_how, act) => {
    const app = await bootContext({ imports });
    poolOf(app).register(new UntilAborted(), { name: 'relay' });
    await happened(app, 'started');
    await settle();
    const requestTrace = await inRequest(() => act(poolOf(app)));
    await settle();
    await app.close();
    expect(spans.ended('GET /admin')).toHaveLength(1);
    const attempts = spans.ended().filter(({ name }) => name.startsWith('worker '));
    expect(attempts).toHaveLength(2);
    for (const attempt of attempts) {
      expect(parentOf(attempt)).toBeUndefined();
      expect(attempt.spanContext().traceId).not.toBe(requestTrace);
    }
  });

  it('does not end up as the active span of the request', async () => {
    const app = await bootContext({ imports });
    poolOf(app).register(new UntilAborted(), { name: 'relay' });
    await happened(app, 'started');
    await tracer.startActiveSpan('GET /admin', async (span) => {
      await poolOf(app).restart('relay');
      expect(activeSpan()).toBe(span);
      span.end();
    });
    expect(spans.ended('GET /admin')[0]?.attributes).toEqual({});
  });
});
