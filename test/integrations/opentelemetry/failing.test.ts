import { SpanStatusCode } from '@opentelemetry/api';
import type { SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { WorkerModule } from 'nestjs-worker';
import { WorkerTracingModule } from 'nestjs-worker/opentelemetry';
import { FakeClock } from 'nestjs-worker/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { bootContext, LogRecorder, poolOf, recordEventsOf, settle, signal } from '../../support/nest.js';
import { activeSpan, spansOfThisFile } from './spans.js';

let broken: boolean;
const breaking: SpanProcessor = {
  onStart: () => {
    if (broken) throw new Error('processor is broken');
  },
  onEnd: () => undefined,
  forceFlush: async () => undefined,
  shutdown: async () => undefined,
};
const spans = spansOfThisFile(breaking);
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
  broken = false;
});

async function boot(logger = new LogRecorder()) {
  const app = await bootContext(
    { imports: [WorkerModule.forRoot({ clock, shutdownTimeout: '10s' }), WorkerTracingModule] },
    { logger },
  );
  return { app, pool: poolOf(app), recorder: recordEventsOf(app), logger };
}

describe('A span processor that throws in onStart', () => {
  it('costs the span and not the work; it is counted, and logged once', async () => {
    broken = true;
    const active: unknown[] = [];
    const { pool, recorder, logger } = await boot();
    pool.register(
      {
        run: async () => {
          active.push(activeSpan());
          return 'done';
        },
      },
      { name: 'relay' },
    );
    await settle();
    expect(active).toEqual([undefined]);
    expect(pool.execution('relay').status).toBe('success');
    expect(recorder.of('failed')).toEqual([]);
    expect(pool.snapshot().isolatedErrors).toBe(1);
    expect(logger.texts('error')).toEqual([
      expect.stringMatching(/^starting a span failed; the work goes on/),
    ]);
    expect(spans.ended()).toEqual([]);
  });

  it('is forgotten once it has been mended: the next attempt has its span', async () => {
    broken = true;
    let runs = 0;
    const { pool, logger } = await boot();
    pool.register(
      {
        run: async () => {
          broken = ++runs < 2;
          throw new Error(`failure ${runs}`);
        },
      },
      { name: 'relay', maxAttempts: 3, backoff: { initial: '1s', factor: 1, jitter: false } },
    );
    await settle();
    await clock.advance('1s');
    await clock.advance('1s');
    expect(runs).toBe(3);
    expect(pool.snapshot().isolatedErrors).toBe(2);
    expect(logger.texts('error').filter((text) => text.startsWith('starting a span'))).toHaveLength(1);
    expect(spans.ended()).toMatchObject([
      { attributes: { 'worker.attempt': 3 }, status: { code: SpanStatusCode.ERROR, message: 'failure 3' } },
    ]);
  });
});

describe('The span of an attempt that is orphaned', () => {
  it('is ended with an error at the deadline, and once', async () => {
    const finish = signal();
    const { app, pool, recorder } = await boot();
    pool.register({ run: async () => finish.promise }, { name: 'deaf' });
    await settle();
    const close = app.close();
    await clock.advance('9s');
    expect(spans.ended()).toEqual([]);
    await clock.advance('1s');
    await close;
    expect(recorder.of('orphaned')).toHaveLength(1);
    const expected = [
      {
        name: 'worker deaf',
        attributes: { Worker: 'deaf' },
        status: { code: SpanStatusCode.ERROR, message: expect.stringMatching(/left behind/) as string },
      },
    ];
    expect(spans.ended()).toMatchObject(expected);
    finish.resolve();
    await settle();
    expect(pool.execution('deaf').status).toBe('cancelled');
    expect(spans.ended()).toMatchObject(expected);
    expect(spans.ended()).toHaveLength(spans.begun);
  });
});
