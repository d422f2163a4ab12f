import { WorkerModule } from 'nestjs-worker';
import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { WorkerSpanProcessor, WorkerTracingModule } from 'nestjs-worker/opentelemetry';
import { WorkerLoggingModule } from 'nestjs-worker/pino';
import { WorkerMetricsModule } from 'nestjs-worker/prometheus';
import { RedisJobBackend } from 'nestjs-worker/redis';
import { WorkerHealthIndicator, WorkerHealthModule } from 'nestjs-worker/terminus';
import { FakeClock, recordEvents, stressStartStop } from 'nestjs-worker/testing';
import { createThreads, inThread } from 'nestjs-worker/threads';
import { expect, it } from 'vitest';

it('each sub-path can be imported', () => {
  expect([
    WorkerModule,
    WorkerSpanProcessor,
    WorkerTracingModule,
    WorkerLoggingModule,
    WorkerMetricsModule,
    RedisJobBackend,
    BullMqJobBackend,
    WorkerHealthIndicator,
    WorkerHealthModule,
    FakeClock,
    recordEvents,
    stressStartStop,
    createThreads,
    inThread,
  ]).toEqual(Array.from({ length: 14 }, () => expect.any(Function)));
});
