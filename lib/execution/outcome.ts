import type { AbortReason } from '../events/index.js';
import type { AttemptAbortedError } from './attempt-aborted-error.js';

/** How an attempt ended. A value, never an exception: nothing is thrown from one layer to the next. */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'timed-out'; readonly error: unknown }
  /** `error`: what the code threw on being told to end, where that was more than "I was told to end". */
  | { readonly kind: 'cancelled'; readonly reason: AbortReason; readonly error?: unknown };

/** The attempt's code returned `value`. */
export function outcomeOfValue(value: unknown, abortedFor: AttemptAbortedError | undefined): Outcome {
  switch (abortedFor?.reason) {
    case 'timeout':
      return { kind: 'timed-out', error: abortedFor };
    case 'stalled':
      return { kind: 'failed', error: abortedFor };
    case 'lease-lost':
      return { kind: 'cancelled', reason: 'lease-lost' };
    default:
      return { kind: 'succeeded', value };
  }
}

/** The attempt's code threw `error`. */
export function outcomeOfError(error: unknown, abortedFor: AttemptAbortedError | undefined): Outcome {
  if (abortedFor === undefined) return { kind: 'failed', error };
  const cancelled = isCancellation(error, abortedFor);
  switch (abortedFor.reason) {
    case 'timeout':
      return { kind: 'timed-out', error: cancelled ? abortedFor : error };
    case 'stalled':
      return { kind: 'failed', error: cancelled ? abortedFor : error };
    default:
      // Whatever it is: a connection that was closed under it, a query that was cut off. It was interrupted.
      return { kind: 'cancelled', reason: abortedFor.reason, ...(!cancelled && { error }) };
  }
}

// Asked only once our signal has aborted: before that, an AbortError is somebody else's and a failure. After it,
// the name alone must do, since many libraries throw an AbortError of their own that does not lead back to the
// signal's reason.
function isCancellation(error: unknown, reason: AttemptAbortedError): boolean {
  try {
    return leadsTo(error, reason, 8);
  } catch {
    // It throws when it is looked at.
    return false;
  }
}

function leadsTo(error: unknown, reason: AttemptAbortedError, depth: number): boolean {
  if (typeof error !== 'object' || error === null || depth === 0) return false;
  const { name, cause, errors } = error as Partial<AggregateError>;
  return (
    error === reason ||
    name === 'AbortError' ||
    leadsTo(cause, reason, depth - 1) ||
    (Array.isArray(errors) && errors.length > 0 && errors.every((one) => leadsTo(one, reason, depth - 1)))
  );
}
