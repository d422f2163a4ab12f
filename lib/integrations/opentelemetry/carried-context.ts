import { type Context, context as otel, propagation, ROOT_CONTEXT } from '@opentelemetry/api';

type Headers = Readonly<Record<string, string>>;

const made = new WeakMap<Context, Headers>();

/**
 * What a job carries of the trace, and the baggage, of whoever enqueues it here and now; `undefined` for
 * nothing. In the form of the propagator that the app has set up: W3C's (`traceparent`, `tracestate`,
 * `baggage`) unless it wants another.
 */
export function carriedHeaders(): Headers | undefined {
  const active = otel.active();
  let headers = made.get(active);
  // A hundred thousand jobs may be enqueued in one context.
  if (headers !== undefined) return headers;
  headers = {};
  propagation.inject(active, headers);
  if (Object.keys(headers).length === 0) return undefined;
  made.set(active, Object.freeze(headers));
  return headers;
}

/** The context that a job was enqueued in, as far as it was carried along. */
export function carriedContext(headers: Headers): Context {
  return propagation.extract(ROOT_CONTEXT, headers);
}
