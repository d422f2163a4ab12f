import { context, type Span as ApiSpan, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { WorkerSpanProcessor } from 'nestjs-worker/opentelemetry';
import { afterAll, beforeEach } from 'vitest';

/** The real SDK, as an app would set it up, with what it has exported and what it has begun. */
export class Spans {
  readonly #exporter = new InMemorySpanExporter();
  readonly #contextManager = new AsyncLocalStorageContextManager().enable();
  readonly #provider: BasicTracerProvider;
  begun = 0;

  /** `first`: processors that are asked before those of ours. */
  constructor(...first: SpanProcessor[]) {
    const counting: SpanProcessor = {
      onStart: () => void this.begun++,
      onEnd: () => undefined,
      forceFlush: async () => undefined,
      shutdown: async () => undefined,
    };
    this.#provider = new BasicTracerProvider({
      spanProcessors: [
        ...first,
        new WorkerSpanProcessor(),
        counting,
        new SimpleSpanProcessor(this.#exporter),
      ],
    });
    context.setGlobalContextManager(this.#contextManager);
    trace.setGlobalTracerProvider(this.#provider);
  }

  ended(name?: string): ReadableSpan[] {
    return this.#exporter.getFinishedSpans().filter((span) => name === undefined || span.name === name);
  }

  reset(): void {
    this.#exporter.reset();
    this.begun = 0;
  }

  async shutdown(): Promise<void> {
    trace.disable();
    context.disable();
    this.#contextManager.disable();
    await this.#provider.shutdown();
  }
}

/** Sets the SDK up for the tests of a file. */
export function spansOfThisFile(...first: SpanProcessor[]): Spans {
  const spans = new Spans(...first);
  beforeEach(() => spans.reset());
  afterAll(() => spans.shutdown());
  return spans;
}

/** Id of the span that `span` was started in, if any. */
export function parentOf(span: ReadableSpan): string | undefined {
  return span.parentSpanContext?.spanId;
}

export function activeSpan(): ApiSpan | undefined {
  return trace.getActiveSpan();
}
