import type { Span } from '@opentelemetry/api';
import { currentContext } from '../../execution/index.js';
import { spanAttributes } from './span-attributes.js';

/**
 * Puts `Worker` and `WorkerExecutionID` on every span that is started inside a run, `Queue`, `Task` and
 * `TaskExecutionID` inside a task, and `Queue`, `JobID` and `JobExecutionID` inside an attempt at a job. Add
 * it to the span processors of your tracer provider; it fits the `SpanProcessor` of the OpenTelemetry SDK,
 * versions 1 and 2.
 */
export class WorkerSpanProcessor {
  onStart(span: Span): void {
    const ctx = currentContext();
    if (ctx !== undefined) span.setAttributes(spanAttributes(ctx));
  }

  onEnd(): void {}

  async forceFlush(): Promise<void> {}

  async shutdown(): Promise<void> {}
}
