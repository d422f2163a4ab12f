import { ConfigurableModuleBuilder, Module } from '@nestjs/common';
import { PoolModule } from '../../pool/index.js';
import { AttemptSpansService, WORKER_TRACING_OPTIONS } from './attempt-spans.service.js';
import type { WorkerTracingOptions } from './worker-tracing-options.js';

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<WorkerTracingOptions>({
  optionsInjectionToken: WORKER_TRACING_OPTIONS,
}).build();

/**
 * One span per attempt, active while it runs, with its marks as span events, and with the error where it
 * failed. `ctx.tracer` becomes OpenTelemetry's. Import it plain, or once with `register(options)` or
 * `registerAsync()`.
 *
 * The span of a task links to the one that was active where it was submitted. Enqueueing jobs inside of a span
 * makes one of its own, of kind PRODUCER, for all jobs of the call; their headers carry its context from one
 * process to the other, baggage included, and the span of each attempt links to it; `register({ jobs: 'parent' })`
 * makes that a child instead. `register({ enqueueing })` says which calls have a span.
 *
 * Uses the global tracer provider and propagator, so that whatever the app has set up (an SDK, an agent)
 * receives the spans. Without a propagator, which an SDK sets up, jobs carry nothing.
 */
@Module({ imports: [PoolModule], providers: [AttemptSpansService] })
export class WorkerTracingModule extends ConfigurableModuleClass {}
