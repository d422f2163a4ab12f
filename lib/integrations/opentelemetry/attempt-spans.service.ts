import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit, Optional } from '@nestjs/common';
import {
  type Context,
  context as otel,
  ROOT_CONTEXT,
  type Span,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import type { WorkEvent } from '../../events/index.js';
import type { MiddlewareFunction, WorkContext } from '../../execution/index.js';
import { type JobContext, type JobRegistry, jobRegistryOf } from '../../jobs/index.js';
import { type Pool, POOL } from '../../pool/index.js';
import { attemptSpan } from './attempt-span.js';
import { carriedContext, carriedHeaders } from './carried-context.js';
import { EnqueueSpans } from './enqueue-spans.js';
import { markFailed, markThrown } from './failed-span.js';
import {
  type ResolvedTracingOptions,
  resolveTracingOptions,
  type WorkerTracingOptions,
} from './worker-tracing-options.js';

export const WORKER_TRACING_OPTIONS: unique symbol = Symbol.for(
  'nestjs-worker:worker-tracing-options',
) as never;

/** The options that an app was given, which may import the module plain as well. */
const given = new WeakMap<Pool, ResolvedTracingOptions>();

/** Opens a span around each attempt, and closes it by what is told of the attempt's end; and one around what enqueues. */
@Injectable()
export class AttemptSpansService implements OnModuleInit, OnApplicationShutdown {
  /** Resolves through the global provider at each call, also one that is registered later. */
  readonly #tracer: Tracer = trace.getTracer('nestjs-worker');
  readonly #open = new Map<string, Span>();
  readonly #off: (() => void)[] = [];
  readonly #registry: JobRegistry;

  constructor(
    @Inject(POOL) private readonly pool: Pool,
    @Optional() @Inject(WORKER_TRACING_OPTIONS) options?: WorkerTracingOptions,
  ) {
    this.#registry = jobRegistryOf(pool);
    if (options !== undefined) given.set(pool, resolveTracingOptions(options));
  }

  onModuleInit(): void {
    // Two copies of this package in one app make one span for an attempt.
    if (!this.pool.claim(Symbol.for('nestjs-worker:tracing'))) return;
    this.pool.useTracer(this.#tracer);
    this.pool.use(this.#around);
    this.#registry.headerProviders.push(carriedHeaders);
    this.#traceEnqueueing();
    const note = (event: WorkEvent): void => this.#note(event);
    this.#off.push(this.pool.events.on(note), this.pool.unitEvents.on(note));
  }

  onApplicationShutdown(): void {
    this.#off.forEach((off) => off());
    // Of attempts that never ended.
    this.#open.forEach((span) => span.end());
    this.#open.clear();
  }

  #traceEnqueueing(): void {
    const enqueueing = given.get(this.pool)?.enqueueing;
    if (enqueueing === 'never') return;
    const spans = new EnqueueSpans(this.pool, this.#registry, this.#tracer, enqueueing === 'always');
    this.#registry.aroundEnqueueing.push(spans.around);
  }

  readonly #around: MiddlewareFunction = (ctx, next) => {
    const within = this.#begin(ctx);
    return within === undefined ? next() : otel.with(within, next);
  };

  /** The context for the attempt to run in. A tracer that fails costs the span, never the work. */
  #begin(ctx: WorkContext): Context | undefined {
    try {
      const from = this.#cameFrom(ctx);
      const submitter = trace.getSpanContext(from);
      const isParent = ctx.kind === 'job-consumer' && given.get(this.pool)?.jobs === 'parent';
      const { name, ...options } = attemptSpan(ctx, this.#registry.connection?.capabilities.name);
      const links = submitter === undefined || isParent ? [] : [{ context: submitter }];
      const span = this.#tracer.startSpan(name, { ...options, links }, isParent ? from : ROOT_CONTEXT);
      this.#open.set(ctx.executionId, span);
      return trace.setSpan(from, span);
    } catch (error) {
      this.pool.report('starting a span', error);
      return undefined;
    }
  }

  /**
   * What work was submitted in goes with it (baggage, say): a task has it around itself, a job carries it
   * along. The span that is in it may be over by now.
   */
  #cameFrom(ctx: WorkContext): Context {
    if (ctx.kind === 'worker') return ROOT_CONTEXT;
    if (ctx.kind === 'task-queue') return otel.active();
    try {
      return carriedContext((ctx as JobContext).job.headers);
    } catch (error) {
      this.pool.report('reading the trace context of a job', error);
      return ROOT_CONTEXT;
    }
  }

  // The end is told by the supervisor: only it knows that an attempt which returned was over its time.
  #note(event: WorkEvent): void {
    const span = this.#open.get(event.executionId);
    if (span === undefined) return;
    switch (event.type) {
      case 'marked':
        span.addEvent(event.action, { 'worker.mark.duration_ms': event.durationMs, outcome: event.outcome });
        return;
      case 'failed':
        markThrown(span, event.error);
        break;
      case 'orphaned':
        markFailed(span, 'orphaned', 'left behind: it did not end in time');
        break;
      case 'cancelled':
        span.setAttribute('worker.stop_reason', event.reason);
        // Whatever it did, another process does it too.
        if (event.reason === 'lease-lost')
          markFailed(span, event.reason, 'its lease was lost: what it ended with is dropped');
        break;
      case 'snoozed':
        span.setAttribute('job.snoozed_ms', event.delayMs);
        break;
      case 'succeeded':
        break;
      default:
        return;
    }
    this.#open.delete(event.executionId);
    span.end();
  }
}
