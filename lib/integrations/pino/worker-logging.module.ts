import { Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { PoolModule } from '../../pool/index.js';
import { PinoBindingsService } from './pino-bindings.service.js';

/**
 * Puts `worker` and `workerExecutionID` on every line that is logged inside a run, by the worker or by
 * anything it calls; `queue`, `task` and `taskExecutionID` inside a task, beside the fields of the request
 * that submitted it; and `queue`, `jobID` and `jobExecutionID` inside an attempt at a job. Through
 * `PinoLogger` or, after `app.useLogger(app.get(Logger))`, through Nest's `Logger`.
 *
 * Needs `LoggerModule.forRoot()` of nestjs-pino 4, or 5.1 and later, in the app; else it is a boot error
 * (`PeerNotFoundError`).
 */
@Module({ imports: [PoolModule, DiscoveryModule], providers: [PinoBindingsService] })
export class WorkerLoggingModule {}
