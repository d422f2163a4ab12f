import {
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type TextMapPropagator,
  trace,
} from '@opentelemetry/api';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  CancelJob,
  getJobQueueToken,
  type Job,
  type JobContext,
  type JobHandlerOptions,
  type JobQueue,
  JobsModule,
  MemoryJobBackend,
  SnoozeJob,
  TaskQueue,
  TaskQueueModule,
  WorkerModule,
} from 'nestjs-worker';
import { WorkerTracingModule, type WorkerTracingOptions } from 'nestjs-worker/opentelemetry';
import { FakeClock } from 'nestjs-worker/testing';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { jobHandler } from '../../support/job-handlers.js';
import { bootContext, bootError, moduleNamed, poolOf, settle, signal } from '../../support/nest.js';
import { activeSpan, parentOf, spansOfThisFile } from './spans.js';

/** As an SDK sets it up. */
const w3c = new CompositePropagator({
  propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
});
const usePropagator = (propagator: TextMapPropagator): void => {
  propagation.disable();
  propagation.setGlobalPropagator(propagator);
};

const spans = spansOfThisFile();
let clock: FakeClock;
let backend: MemoryJobBackend;
beforeEach(() => {
  usePropagator(w3c);
  clock = new FakeClock();
  backend = new MemoryJobBackend({ clock });
});
afterAll(() => propagation.disable());

interface Setup {
  readonly handle?: ((job: Job, ctx: JobContext) => unknown) | undefined;
  readonly handler?: JobHandlerOptions;
  readonly tracing?: WorkerTracingOptions | undefined;
}

const tracingModule = (options: WorkerTracingOptions | undefined): object =>
  options === undefined ? WorkerTracingModule : WorkerTracingModule.register(options);

const boot = async ({ handle, handler, tracing }: Setup = {}) => {
  const app = await bootContext({
    imports: [
      WorkerModule,
      JobsModule.forRoot({ backend, clock }),
      JobsModule.registerQueue({ name: 'mail' }),
      TaskQueueModule.register(),
      tracingModule(tracing) as never,
    ],
    providers: handle === undefined ? [] : [jobHandler('mail', handle, { backoff: 'none', ...handler })],
  });
  await settle();
  return { app, mail: app.get<JobQueue>(getJobQueueToken('mail')) };
};

const rest = async (): Promise<void> => {
  for (let turn = 0; turn < 4; turn++) await settle();
};

const tracer = trace.getTracer('test');

/** Acts inside a span, as a request does, and lets what it has set in motion happen. */
const inRequest = async (act: () => unknown): Promise<Span> => {
  const request = tracer.startSpan('POST /orders');
  await context.with(trace.setSpan(context.active(), request), act);
  request.end();
  await rest();
  return request;
};

const attempts = () => spans.ended('process mail');
/** Of what was enqueued. */
const sent = () => spans.ended('send mail');
const idsOf = (...some: readonly { spanContext(): SpanContext }[]): string[] =>
  some.map((span) => span.spanContext().spanId);
const linksOf = (): (string | undefined)[][] =>
  attempts().map(({ links }) => links.map((link) => link.context.spanId));

describe('An attempt at a job', () => {
  it('is one span of its own trace, by the conventions for messaging, linked to where it was enqueued', async () => {
    let seen: { job: Job; ctx: JobContext; active: string | undefined } | undefined;
    const { mail } = await boot({
      handle: (job, ctx) => {
        seen = { job, ctx, active: activeSpan()?.spanContext().spanId };
        tracer.startSpan('send').end();
      },
      handler: { name: 'welcome' },
    });
    const request = await inRequest(() => mail.enqueue({}, { id: 'one', name: 'welcome' }));
    const { traceId } = request.spanContext();
    const [spanId] = idsOf(...sent());
    expect(seen?.job.headers).toEqual({ traceparent: `00-${traceId}-${spanId}-01` });
    expect(attempts()).toHaveLength(1);
    const [span] = attempts();
    expect(span).toMatchObject({
      kind: SpanKind.CONSUMER,
      attributes: {
        'messaging.system': 'nestjs-worker',
        'messaging.operation.name': 'process',
        'messaging.operation.type': 'process',
        'messaging.destination.name': 'mail',
        'messaging.message.id': 'one',
        'job.backend': 'memory',
        'job.name': 'welcome',
        'job.attempt': 1,
        Queue: 'mail',
        JobID: 'one',
        JobExecutionID: seen?.ctx.executionId,
      },
      links: [{ context: { traceId, spanId } }],
      status: { code: SpanStatusCode.UNSET },
    });
    expect(parentOf(span!)).toBeUndefined();
    expect(span!.spanContext().traceId).not.toBe(traceId);
    expect(span!.spanContext().spanId).toBe(seen?.active);
    const [inner] = spans.ended('send');
    expect(parentOf(inner!)).toBe(seen?.active);
    expect(inner?.attributes).toEqual({ Queue: 'mail', JobID: 'one', JobExecutionID: seen?.ctx.executionId });
  });

  it("is a child of the enqueuer's span by option, also where the module is imported plain as well", async () => {
    const both = moduleNamed('Tracing', {
      imports: [WorkerTracingModule, WorkerTracingModule.register({ jobs: 'parent' })],
    });
    for (const tracing of [WorkerTracingModule.register({ jobs: 'parent' }), both]) {
      spans.reset();
      const app = await bootContext({
        imports: [
          JobsModule.forRoot({ clock }),
          JobsModule.registerQueue({ name: 'mail' }),
          tracing as never,
        ],
        providers: [jobHandler('mail', () => {})],
      });
      const request = await inRequest(() => app.get<JobQueue>(getJobQueueToken('mail')).enqueue({}));
      const [span] = attempts();
      expect(parentOf(span!)).toBe(idsOf(...sent())[0]);
      expect(span?.spanContext().traceId).toBe(request.spanContext().traceId);
      expect(span?.links).toEqual([]);
    }
  });

  it('may be in another process than the one that enqueues', async () => {
    const web = await boot();
    const worker = await boot({ handle: () => {} });
    expect(worker.app).not.toBe(web.app);
    await inRequest(() => web.mail.enqueueMany([1, 2, 3]));
    expect(sent()).toHaveLength(1);
    expect(linksOf()).toEqual([1, 2, 3].map(() => idsOf(...sent())));
  });

  it('has the baggage of whoever enqueued it', async () => {
    let tenant: string | undefined;
    const { mail } = await boot({
      handle: () => {
        tenant = propagation.getActiveBaggage()?.getEntry('tenant')?.value;
      },
    });
    const baggage = propagation.createBaggage({ tenant: { value: 'acme' } });
    await context.with(propagation.setBaggage(context.active(), baggage), () => mail.enqueue({}));
    await rest();
    expect(tenant).toBe('acme');
    expect(linksOf()).toEqual([[]]);
  });

  it('links to nothing where it was enqueued outside of any span, and carries nothing', async () => {
    const headers: unknown[] = [];
    const { mail } = await boot({ handle: (job) => headers.push(job.headers) });
    await mail.enqueue({});
    await mail.enqueueMany([1]);
    await rest();
    expect(headers).toEqual([{}, {}]);
    expect(linksOf()).toEqual([[], []]);
    expect(sent()).toEqual([]);
  });

  it('links to what the headers say that it was given by hand', async () => {
    const { mail } = await boot({ handle: () => {} });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await inRequest(() => mail.enqueue({}, { headers: { traceparent } }));
    expect(linksOf()).toEqual([['b7ad6b7169203331']]);
    await inRequest(() => mail.enqueue({}, { headers: { traceparent: 'nonsense' } }));
    expect(linksOf()[1]).toEqual([]);
  });

  it('links to the span of the worker, the task or the job that enqueued it', async () => {
    const { app, mail } = await boot({
      handle: async ({ id }) => void (id === 'of-worker' && (await mail.enqueue({}, { id: 'of-job' }))),
    });
    poolOf(app).register({ run: async () => mail.enqueue({}, { id: 'of-worker' }) }, { name: 'relay' });
    app.get(TaskQueue).submit(async () => mail.enqueue({}, { id: 'of-task' }), { name: 'chore' });
    await rest();
    const parents = new Map(sent().map((span) => [span.spanContext().spanId, parentOf(span)]));
    const byId = Object.fromEntries(
      attempts().map((span) => [
        span.attributes.JobID,
        [span.spanContext().spanId, parents.get(span.links[0]?.context.spanId ?? '')],
      ]),
    );
    const idOf = (name: string): string | undefined => spans.ended(name)[0]?.spanContext().spanId;
    expect(byId['of-worker']?.[1]).toBe(idOf('worker relay'));
    expect(byId['of-task']?.[1]).toBe(idOf('task chore'));
    expect(byId['of-job']?.[1]).toBe(byId['of-worker']?.[0]);
  });

  it('carries nothing, and is traced all the same, in an app that has no propagator', async () => {
    propagation.disable();
    const { mail } = await boot({ handle: () => {} });
    await inRequest(() => mail.enqueue({}));
    expect(linksOf()).toEqual([[]]);
  });
});

describe('The span of an attempt at a job', () => {
  const endOf = (index = 0) => {
    const span = attempts()[index];
    return {
      status: span?.status.code,
      attributes: span?.attributes,
      events: span?.events.map(({ name }) => name),
    };
  };

  it('has the marks and the error where it failed, and each attempt has one', async () => {
    const { mail } = await boot({
      handle: async (_, ctx) => {
        ctx.mark('read');
        if (ctx.attempt === 1) throw new RangeError('too far');
      },
    });
    await inRequest(() => mail.enqueue({}));
    expect(attempts()[0]?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'too far' });
    expect(endOf(0)).toMatchObject({
      attributes: { 'error.type': 'RangeError', 'job.attempt': 1 },
      events: ['read', 'end', 'exception'],
    });
    expect(endOf(1)).toMatchObject({ status: SpanStatusCode.UNSET, attributes: { 'job.attempt': 2 } });
    expect(endOf(1).attributes).not.toHaveProperty('error.type');
    expect(endOf(0).attributes?.JobExecutionID).not.toBe(endOf(1).attributes?.JobExecutionID);
    expect(linksOf()).toEqual([1, 2].map(() => idsOf(...sent())));
  });

  it('is no error where the job was snoozed', async () => {
    const { mail } = await boot({
      handle: () => {
        throw new SnoozeJob('1h');
      },
    });
    await inRequest(() => mail.enqueue({}));
    expect(endOf()).toMatchObject({
      status: SpanStatusCode.UNSET,
      attributes: { 'job.snoozed_ms': 3_600_000 },
      events: [],
    });
    expect(spans.begun).toBe(spans.ended().length);
  });

  it('is no error where the job was cancelled by its handler', async () => {
    const { mail } = await boot({
      handle: () => {
        throw new CancelJob('not wanted');
      },
    });
    await inRequest(() => mail.enqueue({}));
    expect(endOf()).toMatchObject({
      status: SpanStatusCode.UNSET,
      attributes: { 'worker.stop_reason': 'by-handler' },
    });
  });

  it('is an error where the lease was lost: what it ended with is dropped', async () => {
    const { mail } = await boot({ handle: (_, ctx) => ctx.sleep('1 day') });
    await inRequest(() => mail.enqueue({}, { id: 'one' }));
    await mail.delete(['one']);
    await rest();
    expect(endOf()).toMatchObject({
      status: SpanStatusCode.ERROR,
      attributes: { 'worker.stop_reason': 'lease-lost', 'error.type': 'lease-lost' },
    });
  });

  it('is an error where it ran into its timeout', async () => {
    const { mail } = await boot({
      handle: (_, ctx) => ctx.sleep('1 day'),
      handler: { timeout: '1s', maxAttempts: 1 },
    });
    await inRequest(() => mail.enqueue({}));
    await clock.advance('1s');
    expect(endOf()).toMatchObject({
      status: SpanStatusCode.ERROR,
      attributes: { 'error.type': 'AbortError' },
    });
  });

  it('is no error where it was interrupted by the shutdown', async () => {
    const { app, mail } = await boot({ handle: (_, ctx) => ctx.sleep('1 day') });
    await inRequest(() => mail.enqueue({}));
    const closed = app.close();
    await clock.advance('30s');
    await closed;
    expect(endOf()).toMatchObject({
      status: SpanStatusCode.UNSET,
      attributes: { 'worker.stop_reason': 'shutdown' },
    });
  });

  it('ends also where it is left behind', async () => {
    const gate = signal();
    const { app, mail } = await boot({ handle: () => gate.promise });
    await inRequest(() => mail.enqueue({}));
    const closed = app.close();
    await clock.advance('30s');
    await closed;
    expect(endOf()).toMatchObject({ status: SpanStatusCode.ERROR, attributes: { 'error.type': 'orphaned' } });
    gate.resolve();
    await rest();
    expect(spans.begun).toBe(spans.ended().length);
  });

  it('ends when the attempt does, long after it was found to be stuck', async () => {
    const gate = signal();
    const { mail } = await boot({
      handle: () => gate.promise,
      handler: { timeout: '1s', abortGrace: '2s', maxAttempts: 1 },
    });
    await inRequest(() => mail.enqueue({}));
    await clock.advance('10s');
    expect(attempts()).toEqual([]);
    gate.resolve();
    await rest();
    expect(attempts()).toHaveLength(1);
    expect(endOf().status).toBe(SpanStatusCode.ERROR);
  });
});

describe('A propagator that throws', () => {
  const broken = (part: 'inject' | 'extract'): TextMapPropagator => ({
    inject: (...args) => (part === 'inject' ? fail() : w3c.inject(...args)),
    extract: (...args) => (part === 'extract' ? fail() : w3c.extract(...args)),
    fields: () => [],
  });
  const fail = (): never => {
    throw new Error('propagator is broken');
  };

  it.each(['inject', 'extract'] as const)(
    'in %s costs the link, and neither the job nor its attempt',
    async (part) => {
      usePropagator(broken(part));
      let runs = 0;
      const { app, mail } = await boot({ handle: () => void runs++ });
      await inRequest(() => mail.enqueueMany([1, 2]));
      expect(runs).toBe(2);
      expect(poolOf(app).snapshot().isolatedErrors).toBe(2);
      expect(linksOf()).toEqual([[], []]);
      expect(spans.begun).toBe(spans.ended().length);
    },
  );
});

describe('What is carried', () => {
  it('is made once for all jobs of a context', async () => {
    let injected = 0;
    usePropagator({
      inject: (...args) => {
        injected++;
        w3c.inject(...args);
      },
      extract: (...args) => w3c.extract(...args),
      fields: () => w3c.fields(),
    });
    const { mail } = await boot();
    await inRequest(() => mail.enqueueMany(Array.from({ length: 1_000 }, (_, index) => index)));
    expect(injected).toBe(1);
    await inRequest(() => mail.enqueue(1));
    expect(injected).toBe(2);
    expect(context.active()).toBe(ROOT_CONTEXT);
  });
});

describe('WorkerTracingModule.register()', () => {
  it('refuses what cannot be meant', async () => {
    const error = await bootError({ imports: [WorkerTracingModule.register({ jobs: 'child' as 'parent' })] });
    expect(error).toMatchObject({ code: 'INVALID_OPTION' });
    expect(error.message).toContain("'link', 'parent'");
    const other = await bootError({
      imports: [WorkerTracingModule.register({ enqueueing: true as never })],
    });
    expect(other).toMatchObject({ code: 'INVALID_OPTION', option: 'enqueueing' });
  });

  it('takes its options by registerAsync(), too', async () => {
    const app = await bootContext({
      imports: [
        JobsModule.forRoot({ clock }),
        JobsModule.registerQueue({ name: 'mail' }),
        WorkerTracingModule.registerAsync({ useFactory: async () => ({ jobs: 'parent' as const }) }),
      ],
      providers: [jobHandler('mail', () => {})],
    });
    await inRequest(() => app.get<JobQueue>(getJobQueueToken('mail')).enqueue({}));
    expect(parentOf(attempts()[0]!)).toBe(idsOf(...sent())[0]);
  });
});
