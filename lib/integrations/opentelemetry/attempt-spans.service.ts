import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import {
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanStatusCode,
  trace,
  type Tracer,
  context as otel,
} from '@opentelemetry/api';
import type { WorkEvent } from '../../events/index.js';
import type { MiddlewareFunction, WorkContext } from '../../execution/index.js';
import { type Pool, POOL } from '../../pool/index.js';
import type { TaskContext } from '../../tasks/index.js';
import { spanAttributes } from './span-attributes.js';

/** Opens a span around each attempt, and closes it by what is told of the attempt's end. */
@Injectable()
export class AttemptSpansService implements OnModuleInit, OnApplicationShutdown {
  /** Resolves through the global provider at each call, also one that is registered later. */
  readonly #tracer: Tracer = trace.getTracer('nestjs-worker');
  readonly #open = new Map<string, Span>();
  readonly #off: (() => void)[] = [];

  constructor(@Inject(POOL) private readonly pool: Pool) {}

  onModuleInit(): void {
    // Two copies of this package in one app make one span for an attempt.
    if (!this.pool.claim(Symbol.for('nestjs-worker:tracing'))) return;
    this.pool.useTracer(this.#tracer);
    this.pool.use(this.#around);
    const note = (event: WorkEvent): void => this.#note(event);
    this.#off.push(this.pool.events.on(note), this.pool.unitEvents.on(note));
  }

  onApplicationShutdown(): void {
    this.#off.forEach((off) => off());
    // Of attempts that never ended.
    this.#open.forEach((span) => span.end());
    this.#open.clear();
  }

  readonly #around: MiddlewareFunction = (ctx, next) => {
    // What a task was submitted in goes with it (baggage, say), but for the span, which may be over by now.
    const around = ctx.kind === 'task-queue' ? otel.active() : ROOT_CONTEXT;
    const span = this.#startSpan(ctx, trace.getSpanContext(around));
    return span === undefined ? next() : otel.with(trace.setSpan(around, span), next);
  };

  // A tracer that fails costs the span, never the work.
  #startSpan(ctx: WorkContext, submitter: SpanContext | undefined): Span | undefined {
    try {
      const { task } = ctx as Partial<TaskContext>;
      const [name, attempt] =
        task === undefined ? [`${ctx.kind} ${ctx.name}`, 'worker.attempt'] : [`task ${task}`, 'task.attempt'];
      const attributes = { ...spanAttributes(ctx), [attempt]: ctx.attempt };
      const links = submitter === undefined ? [] : [{ context: submitter }];
      const span = this.#tracer.startSpan(name, { attributes, links }, ROOT_CONTEXT);
      this.#open.set(ctx.executionId, span);
      return span;
    } catch (error) {
      this.pool.report('starting a span', error);
      return undefined;
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
        span.recordException({ ...event.error, stack: event.error.stack ?? '' });
        span.setStatus({ code: SpanStatusCode.ERROR, message: event.error.message });
        break;
      case 'orphaned':
        span.setStatus({ code: SpanStatusCode.ERROR, message: 'left behind: it did not end in time' });
        break;
      case 'cancelled':
        span.setAttribute('worker.stop_reason', event.reason);
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
