import { type Context, context as otel, type Span, SpanKind, trace, type Tracer } from '@opentelemetry/api';
import { type EnqueueError, isWorkError } from '../../errors/index.js';
import { toErrorInfo } from '../../events/index.js';
import type { AroundEnqueueing, EnqueueCall, EnqueuedJob, JobRegistry } from '../../jobs/index.js';
import type { Pool } from '../../pool/index.js';
import { markThrown } from './failed-span.js';
import { messagingAttributes } from './messaging-attributes.js';

type Answer = EnqueuedJob | readonly EnqueuedJob[];

/**
 * Opens a span around each call that enqueues, for one job or for many. Its context is what the jobs carry along. A
 * tracer that fails costs the span, never the call.
 */
export class EnqueueSpans {
  readonly #pool: Pool;
  readonly #registry: JobRegistry;
  readonly #tracer: Tracer;
  /** Whether there is a span where none is active, too. */
  readonly #always: boolean;

  constructor(pool: Pool, registry: JobRegistry, tracer: Tracer, always: boolean) {
    this.#pool = pool;
    this.#registry = registry;
    this.#tracer = tracer;
    this.#always = always;
  }

  readonly around: AroundEnqueueing = (call, run) => {
    const from = otel.active();
    if (!this.#always && trace.getSpan(from) === undefined) return run();
    const span = this.#begin(call, from);
    return span === undefined ? run() : this.#within(trace.setSpan(from, span), span, run);
  };

  #begin({ queue, name }: EnqueueCall, from: Context): Span | undefined {
    try {
      const backend = this.#registry.connection?.capabilities.name;
      const attributes = messagingAttributes({ operation: 'send', queue, name, backend });
      return this.#tracer.startSpan(`send ${queue}`, { kind: SpanKind.PRODUCER, attributes }, from);
    } catch (error) {
      this.#pool.report('starting a span', error);
      return undefined;
    }
  }

  async #within<Result extends Answer>(
    context: Context,
    span: Span,
    run: () => Promise<Result>,
  ): Promise<Result> {
    try {
      const answer = await otel.with(context, run);
      this.#end(span, () => noteAnswer(span, answer));
      return answer;
    } catch (error) {
      this.#end(span, () => noteError(span, error));
      throw error;
    }
  }

  #end(span: Span, note: () => void): void {
    try {
      try {
        note();
      } finally {
        span.end();
      }
    } catch (error) {
      this.#pool.report('ending a span', error);
    }
  }
}

function noteAnswer(span: Span, answer: Answer): void {
  if (isMany(answer)) span.setAttribute('messaging.batch.message_count', answer.length);
  // Nothing was sent: it is the id of another job.
  else if (answer.status === 'duplicate') span.setAttribute('job.duplicate_of', answer.id);
  else span.setAttribute('messaging.message.id', answer.id);
}

function noteError(span: Span, error: unknown): void {
  markThrown(span, toErrorInfo(error));
  if (!isWorkError(error, 'JOB_ENQUEUE_FAILED')) return;
  const { ids } = error as unknown as EnqueueError;
  if (ids.length === 1) span.setAttribute('messaging.message.id', ids[0]!);
}

function isMany(answer: Answer): answer is readonly EnqueuedJob[] {
  return Array.isArray(answer);
}
