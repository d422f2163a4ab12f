import { context, propagation, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import type { SpanProcessor } from '@opentelemetry/sdk-trace-base';
import {
  getJobQueueToken,
  type Job,
  type JobMiddleware,
  type JobQueue,
  type JobQueueOptions,
  JobsModule,
  MemoryJobBackend,
  WorkerModule,
} from 'nestjs-worker';
import { WorkerTracingModule, type WorkerTracingOptions } from 'nestjs-worker/opentelemetry';
import { FakeClock } from 'nestjs-worker/testing';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { rejectionOf } from '../../support/fake-job-queue.js';
import { jobHandler } from '../../support/job-handlers.js';
import { bootContext, poolOf, settle } from '../../support/nest.js';
import { activeSpan, parentOf, spansOfThisFile } from './spans.js';

let broken: 'onStart' | 'onEnd' | undefined;
const breaking: SpanProcessor = {
  onStart: () => {
    if (broken === 'onStart') throw new Error('processor is broken');
  },
  onEnd: () => {
    if (broken === 'onEnd') throw new Error('processor is broken');
  },
  forceFlush: async () => undefined,
  shutdown: async () => undefined,
};
const spans = spansOfThisFile(breaking);
let clock: FakeClock;
let backend: MemoryJobBackend;
beforeEach(() => {
  broken = undefined;
  propagation.disable();
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  clock = new FakeClock();
  backend = new MemoryJobBackend({ clock });
});
afterAll(() => propagation.disable());

const tracer = trace.getTracer('test');

interface Setup {
  readonly tracing?: WorkerTracingOptions;
  readonly queue?: Partial<JobQueueOptions>;
  readonly handle?: (job: Job) => unknown;
}

async function boot({ tracing, queue, handle }: Setup = {}) {
  const module = tracing === undefined ? WorkerTracingModule : WorkerTracingModule.register(tracing);
  const app = await bootContext({
    imports: [
      WorkerModule.forRoot({ clock }),
      JobsModule.forRoot({ backend }),
      JobsModule.registerQueue({ name: 'mail', ...queue }),
      module as never,
    ],
    providers: handle === undefined ? [] : [jobHandler('mail', handle)],
  });
  await settle();
  return { app, mail: app.get<JobQueue>(getJobQueueToken('mail')) };
}

/** Acts inside of a span, and answers it. */
async function inRequest(act: () => Promise<unknown>): Promise<Span> {
  const request = tracer.startSpan('POST /orders');
  await context.with(trace.setSpan(context.active(), request), act);
  request.end();
  await settle();
  return request;
}

const sent = () => spans.ended('send mail');
const headersOf = async (): Promise<(string | undefined)[]> => {
  const { jobs } = await backend.list('mail', { state: 'ready', limit: 2_000 });
  return jobs.map(({ headers }) => headers?.['traceparent']);
};

describe('The span of enqueueing a job', () => {
  it('is a child of what was active, by the conventions for messaging, and what the job carries', async () => {
    const { mail } = await boot();
    let after: string | undefined;
    const request = await inRequest(async () => {
      await mail.enqueue({}, { id: 'one', name: 'welcome' });
      after = activeSpan()?.spanContext().spanId;
    });
    expect(sent()).toHaveLength(1);
    const [span] = sent();
    expect(span?.kind).toBe(SpanKind.PRODUCER);
    expect(span?.status.code).toBe(SpanStatusCode.UNSET);
    expect(span?.attributes).toEqual({
      'messaging.system': 'nestjs-worker',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'mail',
      'messaging.message.id': 'one',
      'job.backend': 'memory',
      'job.name': 'welcome',
    });
    const { traceId, spanId } = request.spanContext();
    expect(parentOf(span!)).toBe(spanId);
    expect(await headersOf()).toEqual([`00-${traceId}-${span!.spanContext().spanId}-01`]);
    expect(after).toBe(spanId);
  });

  it('lasts until the job is stored', async () => {
    const { mail } = await boot();
    let enqueued!: Promise<unknown>;
    await inRequest(async () => {
      enqueued = mail.enqueue({});
      expect(sent()).toEqual([]);
    });
    await enqueued;
    expect(sent()).toHaveLength(1);
  });

  it('says of a duplicate of which job it is one', async () => {
    const { mail } = await boot();
    await inRequest(async () => {
      await mail.enqueue({}, { id: 'one', unique: { key: 'k' } });
      await mail.enqueue({}, { id: 'one' });
      await mail.enqueue({}, { id: 'two', unique: { key: 'k' } });
    });
    expect(
      sent().map(({ attributes }) => [attributes['messaging.message.id'], attributes['job.duplicate_of']]),
    ).toEqual([
      ['one', undefined],
      ['one', undefined],
      [undefined, 'one'],
    ]);
  });

  it('is an error where it failed, which is what the caller gets', async () => {
    const { mail } = await boot({ queue: { schema: z.number() } });
    await inRequest(async () => {
      expect(await rejectionOf(mail.enqueue('x'))).toMatchObject({ code: 'JOB_PAYLOAD_INVALID' });
      expect(await rejectionOf(mail.enqueue(1, { id: 'no good' }))).toMatchObject({ code: 'INVALID_OPTION' });
      backend.enqueue = () => Promise.reject(new Error('gone'));
      expect(await rejectionOf(mail.enqueue(1, { id: 'one' }))).toMatchObject({ code: 'JOB_ENQUEUE_FAILED' });
    });
    expect(sent().map(({ status }) => status.code)).toEqual([1, 2, 3].map(() => SpanStatusCode.ERROR));
    expect(sent().map(({ attributes }) => attributes['error.type'])).toEqual([
      'InvalidPayloadError',
      'InvalidOptionError',
      'EnqueueError',
    ]);
    expect(sent()[2]?.attributes).toMatchObject({ 'messaging.message.id': 'one' });
    expect(sent()[2]?.events.map(({ name }) => name)).toEqual(['exception']);
    expect(spans.begun).toBe(spans.ended().length);
  });

  it('is around the middlewares, and there is one', async () => {
    const active: unknown[] = [];
    const audit: JobMiddleware = {
      enqueue: (_, next) => {
        active.push(activeSpan()?.spanContext().spanId);
        return next();
      },
    };
    const { mail } = await boot({ queue: { middlewares: [audit] } });
    await inRequest(() => mail.enqueue({}));
    expect(active).toEqual(sent().map((span) => span.spanContext().spanId));
    await inRequest(() => mail.enqueueMany([1, 2, 3]));
    expect(sent()).toHaveLength(2);
    expect(active.slice(1)).toEqual([1, 2, 3].map(() => sent()[1]?.spanContext().spanId));
  });

  it('is in the same trace where its schema takes its time', async () => {
    const schema = z.number().refine((value) => Promise.resolve(value > 0));
    const { mail } = await boot({ queue: { schema } });
    await inRequest(() => mail.enqueue(1));
    expect(await headersOf()).toEqual([expect.stringContaining(sent()[0]!.spanContext().spanId)]);
  });
});

describe('The span of enqueueing many', () => {
  it('is one for all, whatever their number, and says how many they are', async () => {
    const { mail } = await boot();
    const source = async function* (): AsyncGenerator<number> {
      for (let index = 0; index < 1_200; index++) {
        if (index % 100 === 0) await Promise.resolve();
        yield index;
      }
    };
    const request = await inRequest(() => mail.enqueueMany(source(), { name: 'welcome' }));
    expect(sent()).toHaveLength(1);
    const [span] = sent();
    expect(span).toMatchObject({ kind: SpanKind.PRODUCER, status: { code: SpanStatusCode.UNSET } });
    expect(span?.attributes).toMatchObject({ 'messaging.batch.message_count': 1_200, 'job.name': 'welcome' });
    expect(span?.attributes).not.toHaveProperty('messaging.message.id');
    expect(parentOf(span!)).toBe(request.spanContext().spanId);
    const { traceId, spanId } = span!.spanContext();
    const headers = await headersOf();
    expect(headers).toHaveLength(1_200);
    expect(new Set(headers)).toEqual(new Set([`00-${traceId}-${spanId}-01`]));
  });

  it('is an error where some may not be stored', async () => {
    const { mail } = await boot();
    backend.enqueue = () => Promise.reject(new Error('gone'));
    await inRequest(async () => {
      expect(await rejectionOf(mail.enqueueMany([1, 2]))).toMatchObject({ code: 'JOB_ENQUEUE_FAILED' });
    });
    expect(sent()).toMatchObject([
      { status: { code: SpanStatusCode.ERROR }, attributes: { 'error.type': 'EnqueueError' } },
    ]);
  });
});

describe('Which enqueueing has a span', () => {
  const both = async (mail: JobQueue): Promise<void> => {
    await mail.enqueue(1);
    await mail.enqueueMany([2, 3]);
  };

  it('is that inside of another', async () => {
    const { mail } = await boot({ tracing: { enqueueing: 'inside' } });
    await both(mail);
    expect(spans.begun).toBe(0);
    expect(await headersOf()).toEqual([undefined, undefined, undefined]);
    await inRequest(() => both(mail));
    expect(sent()).toHaveLength(2);
  });

  it('is all of it by option, and then an attempt links to it', async () => {
    const { mail } = await boot({ tracing: { enqueueing: 'always' }, handle: () => {} });
    await both(mail);
    for (let turn = 0; turn < 4; turn++) await settle();
    expect(sent()).toHaveLength(2);
    expect(sent().map(parentOf)).toEqual([undefined, undefined]);
    const [one, many] = sent().map((span) => span.spanContext().spanId);
    expect(spans.ended('process mail').map(({ links }) => links[0]?.context.spanId)).toEqual([
      one,
      many,
      many,
    ]);
  });

  it('is none of it by option, and then jobs carry what is active', async () => {
    const { mail } = await boot({ tracing: { enqueueing: 'never' } });
    const request = await inRequest(() => both(mail));
    expect(sent()).toEqual([]);
    const { traceId, spanId } = request.spanContext();
    expect(await headersOf()).toEqual([1, 2, 3].map(() => `00-${traceId}-${spanId}-01`));
  });
});

describe('A span processor that throws', () => {
  it.each(['onStart', 'onEnd'] as const)('in %s costs the span, and not the job', async (part) => {
    const { app, mail } = await boot({ tracing: { enqueueing: 'always' } });
    broken = part;
    expect(await mail.enqueue({}, { id: 'one' })).toEqual({ id: 'one', status: 'enqueued' });
    expect(await mail.enqueueMany([1, 2])).toHaveLength(2);
    broken = undefined;
    expect(poolOf(app).snapshot().isolatedErrors).toBe(2);
  });
});
