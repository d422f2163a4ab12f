import { randomUUID } from 'node:crypto';
import { Module } from '@nestjs/common';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import { LoggerModule } from 'nestjs-pino';
import { destination } from 'pino';
import { JobsModule, WorkerModule } from 'nestjs-worker';
import { WorkerTracingModule } from 'nestjs-worker/opentelemetry';
import { WorkerLoggingModule } from 'nestjs-worker/pino';
import { WorkerMetricsModule } from 'nestjs-worker/prometheus';
import { CarrierModule } from './carrier/carrier.module.js';
import { IngestModule } from './ingest/ingest.module.js';
import { jobBackend } from './job-backend.js';
import { OperationsModule } from './operations/operations.module.js';
import { RelayModule } from './relay/relay.module.js';

// Nest ends the process by the signal that it got; lines that pino has not written by then would be lost.
const stream = destination({ sync: true });

@Module({
  imports: [
    LoggerModule.forRoot({
      pinoHttp: {
        autoLogging: false,
        // `reqId` and nothing else of a request on each line; on those of its tasks too.
        quietReqLogger: true,
        genReqId: ({ headers }) => headers['x-request-id'] ?? randomUUID(),
        base: null,
        stream,
      },
    }),
    PrometheusModule.register({ global: true }),
    WorkerModule.forRoot({ maxAttempts: Infinity, shutdownTimeout: '20s' }),
    JobsModule.forRoot({ backend: jobBackend() }),
    WorkerLoggingModule,
    WorkerMetricsModule,
    WorkerTracingModule,
    IngestModule,
    RelayModule,
    CarrierModule,
    OperationsModule,
  ],
})
export class AppModule {}
