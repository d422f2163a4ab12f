/**
 * A span, as far as a worker needs one: the part of OpenTelemetry's `Span` that is spelled out here, so that the
 * root entry's types need no peer.
 */
export interface WorkSpan {
  setAttribute(key: string, value: string | number | boolean): unknown;
  addEvent(name: string, attributes?: Record<string, string | number | boolean>): unknown;
  recordException(exception: Error | string): void;
  end(): void;
}

/** Starts spans: OpenTelemetry's `Tracer` with `WorkerTracingModule`, otherwise one that records nothing. */
export interface WorkTracer {
  startSpan(name: string): WorkSpan;
  /** Runs `fn` with a new span that is the active one meanwhile. `fn` ends the span. */
  startActiveSpan<Result>(name: string, fn: (span: WorkSpan) => Result): Result;
}

const noSpan: WorkSpan = {
  setAttribute: () => noSpan,
  addEvent: () => noSpan,
  recordException: () => {},
  end: () => {},
};

/** Records nothing. */
export const noTracer: WorkTracer = {
  startSpan: () => noSpan,
  startActiveSpan: (_name, fn) => fn(noSpan),
};
