import { type Span, SpanStatusCode } from '@opentelemetry/api';
import type { ErrorInfo } from '../../events/index.js';

/** What the span is about came to a bad end. */
export function markFailed(span: Span, type: string, message: string): void {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
}

/** The same, with the error that it was. */
export function markThrown(span: Span, error: ErrorInfo): void {
  span.recordException({ ...error, stack: error.stack ?? '' });
  markFailed(span, error.name, error.message);
}
