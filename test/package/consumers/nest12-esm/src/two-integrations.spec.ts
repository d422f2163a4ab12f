import { createRequire } from 'node:module';
import type { Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { Worker, WorkerModule, WorkerPoolService } from 'nestjs-worker';
import * as ownTracing from 'nestjs-worker/opentelemetry';
import * as ownMetrics from 'nestjs-worker/prometheus';
import { recordEvents } from 'nestjs-worker/testing';
import { register } from 'prom-client';
import { describe, expect, it } from 'vitest';

const require = createRequire(import.meta.url);
const otherTracing = require('nestjs-worker/opentelemetry') as typeof ownTracing;
const otherMetrics = require('nestjs-worker/prometheus') as typeof ownMetrics;

@Worker({ name: 'flaky', maxAttempts: 2, backoff: 'none' })
class Flaky {
  runs = 0;
  async run(): Promise<void> {
    if (++this.runs === 1) throw new Error('again');
  }
}

/** Runs the worker to its end in an app with these. */
async function runWith(...integrations: Type[]): Promise<void> {
  expect(new Set(integrations).size).toBe(2);
  const testing = await Test.createTestingModule({
    imports: [WorkerModule, ...integrations],
    providers: [Flaky],
  }).compile();
  const app = testing.createNestApplication({ logger: false });
  const succeeded = recordEvents(testing.get(WorkerPoolService)).waitFor('succeeded');
  await app.init();
  await succeeded;
  await app.close();
}

describe('an integration of the ESM and of the CommonJS copy in one app', () => {
  it('makes one span for each attempt', async () => {
    const exporter = new InMemorySpanExporter();
    trace.setGlobalTracerProvider(
      new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    );
    await runWith(ownTracing.WorkerTracingModule, otherTracing.WorkerTracingModule);
    expect(exporter.getFinishedSpans().map((span) => span.attributes['worker.attempt'])).toEqual([1, 2]);
  });

  it('counts each attempt once', async () => {
    await runWith(ownMetrics.WorkerMetricsModule, otherMetrics.WorkerMetricsModule);
    const text = await register.metrics();
    expect(text).toContain('worker_executions_total{worker="flaky",status="started"} 2');
    expect(text).toContain('worker_executions_total{worker="flaky",status="success"} 1');
    expect(text).toContain('worker_attempt_duration_seconds_count{worker="flaky"} 2');
  });
});
