import { context, propagation, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  getTaskQueueToken,
  type TaskQueue,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  WorkerModule,
} from 'nestjs-worker';
import { WorkerTracingModule } from 'nestjs-worker/opentelemetry';
import { FakeClock } from 'nestjs-worker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { bootContext, poolOf, signal } from '../../support/nest.js';
import { activeSpan, parentOf, spansOfThisFile } from './spans.js';

const spans = spansOfThisFile();
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});

const boot = async (options: TaskQueueModuleOptions = {}) => {
  const app = await bootContext({
    imports: [
      WorkerModule.forRoot({ clock }),
      WorkerTracingModule,
      TaskQueueModule.register({ name: 'mail', ...options }),
    ],
  });
  return { app, queue: app.get<TaskQueue>(getTaskQueueToken('mail')) };
};

const tracer = trace.getTracer('test');

describe('An attempt of a task', () => {
  it('is one span of its own trace, with who it is, linked to where it was submitted', async () => {
    const { queue } = await boot();
    const request = tracer.startSpan('POST /orders');
    const task = context.with(trace.setSpan(context.active(), request), () =>
      queue.enqueue(
        async () => {
          tracer.startSpan('send').end();
          return activeSpan()?.spanContext().spanId;
        },
        { name: 'confirm' },
      ),
    );
    request.end();
    const active = await task.done;
    const [span] = spans.ended('task confirm');
    expect(span?.spanContext().spanId).toBe(active);
    expect(span).toMatchObject({
      attributes: { Queue: 'mail', Task: 'confirm', TaskExecutionID: task.id, 'task.attempt': 1 },
      links: [{ context: { spanId: request.spanContext().spanId } }],
      status: { code: SpanStatusCode.UNSET },
    });
    expect(parentOf(span!)).toBeUndefined();
    const [inner] = spans.ended('send');
    expect(parentOf(inner!)).toBe(active);
    expect(inner?.attributes).toMatchObject({ Queue: 'mail', Task: 'confirm', TaskExecutionID: task.id });
  });

  it('has the baggage of whoever submitted it, and none where the context is not carried', async () => {
    const read = async (queue: TaskQueue): Promise<string | undefined> => {
      const baggage = propagation.createBaggage({ tenant: { value: 'acme' } });
      return context.with(
        propagation.setBaggage(context.active(), baggage),
        () => queue.enqueue(async () => propagation.getActiveBaggage()?.getEntry('tenant')?.value).done,
      );
    };
    expect(await read((await boot()).queue)).toBe('acme');
    expect(await read((await boot({ carryContext: false })).queue)).toBeUndefined();
  });

  it('has a span for each try, with the marks, and the error where it failed', async () => {
    const { queue } = await boot({ maxAttempts: 2, backoff: 'none' });
    const task = queue.enqueue(
      async (ctx) => {
        ctx.mark('read');
        if (ctx.attempt === 1) throw new RangeError('too far');
      },
      { name: 'walk' },
    );
    await task.done;
    const [first, second] = spans.ended('task walk');
    expect(first?.status).toMatchObject({ code: SpanStatusCode.ERROR, message: 'too far' });
    expect(first?.events.map(({ name }) => name)).toEqual(['read', 'end', 'exception']);
    expect(second?.status.code).toBe(SpanStatusCode.UNSET);
    expect(second?.attributes['task.attempt']).toBe(2);
    expect(first?.attributes.TaskExecutionID).not.toBe(second?.attributes.TaskExecutionID);
  });

  it('links to the span of the worker or the task that submitted it', async () => {
    const { app, queue } = await boot();
    poolOf(app).register(
      {
        run: async () =>
          queue.submit(async () => queue.submit(async () => {}, { name: 'third' }), { name: 'second' }),
      },
      { name: 'first' },
    );
    await clock.settle();
    await queue.onIdle();
    const idOf = (name: string): string | undefined => spans.ended(name)[0]?.spanContext().spanId;
    expect(spans.ended('task second')[0]?.links[0]?.context.spanId).toBe(idOf('worker first'));
    expect(spans.ended('task third')[0]?.links[0]?.context.spanId).toBe(idOf('task second'));
    expect(parentOf(spans.ended('task third')[0]!)).toBeUndefined();
  });

  it('ends its span also when it is left behind', async () => {
    const { app, queue } = await boot();
    queue.submit(() => new Promise<void>(() => {}), { name: 'hang' });
    await clock.settle();
    const closed = app.close();
    await clock.advance('25s');
    await closed;
    expect(spans.ended('task hang')[0]?.status).toMatchObject({ code: SpanStatusCode.ERROR });
    expect(spans.begun).toBe(spans.ended().length);
  });

  const stuckAfter = { timeout: '1s', abortGrace: '2s' } as const;

  it('ends its span when it ends, long after its task was given up as stuck', async () => {
    const { queue } = await boot(stuckAfter);
    const gate = signal();
    const task = queue.enqueue(() => gate.promise, { name: 'hang' });
    await clock.advance('3s');
    expect(task.status).toBe('stuck');
    await expect(task.done).rejects.toThrow(/timeout/i);
    expect(spans).toMatchObject({ begun: 1 });
    expect(spans.ended()).toEqual([]);
    gate.resolve();
    await queue.onIdle();
    expect(spans.ended('task hang')).toHaveLength(1);
    expect(spans.ended('task hang')[0]?.status.code).toBe(SpanStatusCode.ERROR);
  });

  it('ends its span at its end too where it was cancelled, and stuck, and fails', async () => {
    const { queue } = await boot(stuckAfter);
    const gate = signal();
    const task = queue.enqueue(() => gate.promise, { name: 'hang', timeout: Infinity });
    await clock.settle();
    task.cancel();
    await clock.advance('2s');
    expect(task.status).toBe('stuck');
    expect(spans.ended()).toEqual([]);
    gate.reject(new Error('torn'));
    await queue.onIdle();
    expect(spans.ended('task hang')).toHaveLength(1);
    expect(spans.begun).toBe(1);
  });

  it('ends its span with the app, where it is stuck for good', async () => {
    const { app, queue } = await boot(stuckAfter);
    const forever = new Promise<void>(() => {});
    const task = queue.enqueue(() => forever, { name: 'hang' });
    await clock.advance('3s');
    expect(task.status).toBe('stuck');
    queue.submit(async () => {}, { name: 'walk' });
    await clock.settle();
    const closed = app.close();
    await clock.advance('25s');
    await closed;
    expect(spans.ended('task hang')).toHaveLength(1);
    expect(spans.ended('task hang')[0]?.status.code).toBe(SpanStatusCode.ERROR);
    expect(spans.begun).toBe(2);
    expect(spans.ended()).toHaveLength(2);
  });

  it('ends its span once where it is left behind, and the next runs beside it', async () => {
    const { queue } = await boot({ timeout: '1s', overlap: true, maxAttempts: 2, backoff: 'none' });
    const gate = signal();
    const task = queue.enqueue(async ({ attempt }) => (attempt === 1 ? gate.promise : undefined), {
      name: 'hang',
    });
    await clock.advance('1s');
    await task.done;
    expect(spans.ended('task hang').map(({ status }) => status.code)).toEqual([
      SpanStatusCode.ERROR,
      SpanStatusCode.UNSET,
    ]);
    gate.resolve();
    await queue.onIdle();
    expect(spans.ended()).toHaveLength(2);
    expect(spans.begun).toBe(2);
  });
});
