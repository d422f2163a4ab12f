import { Module } from '@nestjs/common';
import { PoolModule } from '../../pool/index.js';
import { AttemptSpansService } from './attempt-spans.service.js';

/**
 * One span per attempt, active while it runs, with its marks as span events, and with the error where it failed.
 * `ctx.tracer` becomes OpenTelemetry's. The span of a task links to the one that was active where it was submitted. Uses the global tracer provider, so that whatever the app has set up
 * (an SDK, an agent) receives the spans.
 */
@Module({ imports: [PoolModule], providers: [AttemptSpansService] })
export class WorkerTracingModule {}
