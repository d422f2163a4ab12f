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
  readonly exporter = new InMemorySpanExporter();
  begun = 0;

  constructor() {
    const counting: SpanProcessor = {
      onStart: () => void this.begun++,
      onEnd: () => undefined,
      forceFlush: async () => undefined,
      shutdown: async () => undefined,
    };
    const provider = new BasicTracerProvider({
      spanProcessors: [new WorkerSpanProcessor(), counting, new SimpleSpanProcessor(this.exporter)],
    });
    const contextManager = new AsyncLocalStorageContextManager().enable();
    context.setGlobalContextManager(contextManager);
    trace.setGlobalTracerProvider(provider);
    beforeEach(() => {
      this.exporter.reset();
      this.begun = 0;
    });
    afterAll(async () => {
      trace.disable();
      context.disable();
      contextManager.disable();
      await provider.shutdown();
    });
  }

  ended(name?: string): ReadableSpan[] {
    return this.exporter.getFinishedSpans().filter((span) => name === undefined || span.name === name);
  }
}

/** Id of the span that `span` was started in, if any. */
export function parentOf(span: ReadableSpan): string | undefined {
  return span.parentSpanContext?.spanId;
}

export function activeSpan(): ApiSpan | undefined {
  return trace.getActiveSpan();
}
