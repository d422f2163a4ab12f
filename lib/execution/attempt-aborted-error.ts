import { WorkError } from '../errors/index.js';
import type { AbortReason } from '../events/index.js';

/**
 * The reason of `ctx.signal`. Its `name` is `AbortError`, as of every error that stands for a cancellation, so
 * that code which looks for that name keeps working.
 */
export class AttemptAbortedError extends WorkError {
  readonly code = 'ATTEMPT_ABORTED';

  constructor(
    readonly reason: AbortReason,
    message: string,
  ) {
    super(message);
    this.name = 'AbortError';
  }
}
