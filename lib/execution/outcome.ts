import type { AbortReason } from '../events/index.js';
import type { AttemptAbortedError } from './attempt-aborted-error.js';

/** How an attempt ended. A value, never an exception: nothing is thrown from one layer to the next. */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'timed-out'; readonly error: unknown }
  | { readonly kind: 'cancelled'; readonly reason: AbortReason };

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
      return cancelled ? { kind: 'cancelled', reason: abortedFor.reason } : { kind: 'failed', error };
  }
}

// Asked only once our signal has aborted: before that, an AbortError is somebody else's and a failure. After it,
// the name alone must do, since many libraries throw an AbortError of their own that does not lead back to the
// signal's reason.
function isCancellation(error: unknown, reason: AttemptAbortedError): boolean {
  let current: unknown = error;
  for (let depth = 0; depth < 8 && typeof current === 'object' && current !== null; depth++) {
    if (current === reason || (current as Error).name === 'AbortError') return true;
    current = (current as Error).cause;
  }
  return false;
}
