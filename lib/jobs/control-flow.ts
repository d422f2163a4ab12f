import type { Duration } from '../clock/index.js';
import { DiscardError, WorkError } from '../errors/index.js';

/**
 * Throw it (or a subclass) from a job's handler to say: this failure is final, do not try again. The job goes to the
 * dead ones at once, with this error.
 */
export class DiscardJob extends DiscardError {}

/**
 * Throw it from a job's handler to say: not now. The job is due again after `duration`; that counts as no failure
 * and takes no attempt.
 */
export class SnoozeJob extends WorkError {
  readonly code = 'SNOOZE';

  constructor(
    /** From now. What is no duration makes the attempt fail. */
    readonly duration: Duration,
    message = `Snoozed for ${String(duration)}.`,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Throw it from a job's handler to say: the job is no longer wanted. It ends as cancelled, which is no failure. */
export class CancelJob extends WorkError {
  readonly code = 'CANCEL';

  constructor(message = 'Cancelled by its handler.', options?: ErrorOptions) {
    super(message, options);
  }
}
