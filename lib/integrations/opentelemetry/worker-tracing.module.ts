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
 * The span of a task links to the one that was active where it was submitted. So does that of a job, whose
 * headers carry the context from one process to the other, baggage included; `register({ jobs: 'parent' })`
 * makes it a child instead.
 *
 * Uses the global tracer provider and propagator, so that whatever the app has set up (an SDK, an agent)
 * receives the spans. Without a propagator, which an SDK sets up, jobs carry nothing.
 */
@Module({ imports: [PoolModule], providers: [AttemptSpansService] })
export class WorkerTracingModule extends ConfigurableModuleClass {}
