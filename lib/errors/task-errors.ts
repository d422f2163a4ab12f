import { WorkError } from './work-error.js';

/** Why a task ended without a result; the words of `AbortReason`, and `dropped`: it made room for a newer one. */
type InterruptReason = 'shutdown' | 'stop-requested' | 'timeout' | 'stalled' | 'lease-lost' | 'dropped';

/**
 * Throw it (or a subclass) from a task to say: this failure is final, do not try again. The task ends at once, and
 * its `done` rejects with this error.
 */
export class DiscardError extends WorkError {
  readonly code = 'DISCARD';

  constructor(message = 'Discarded: not to be tried again.', options?: ErrorOptions) {
    super(message, options);
  }
}

/** What `task.done` rejects with when the task was cancelled, dropped, or cut off by a shutdown. */
export class TaskInterruptedError extends WorkError {
  readonly code = 'TASK_INTERRUPTED';

  constructor(
    task: string,
    queue: string,
    readonly reason: InterruptReason,
    /** What the task was at: `while it waited for its turn`. */
    where: string,
    options?: ErrorOptions,
  ) {
    super(`Task "${task}" in queue "${queue}" was ${texts[reason]} ${where}; it has no result.`, options);
  }
}

export class TaskQueueFullError extends WorkError {
  readonly code = 'TASK_QUEUE_FULL';
  // Nest answers a request with it: version 11 looks at `statusCode`, version 12 for the shape of an http-errors error.
  readonly statusCode = 503;
  readonly status = 503;
  /** The message is for the log, and not for whoever sent the request. */
  readonly expose = false;

  constructor(queue: string, maxQueued: number) {
    super(
      `Task queue "${queue}" is full: ${maxQueued} tasks wait already. Try again later, raise maxQueued or ` +
        "concurrency, or set overflow to 'wait' or 'drop-oldest'.",
    );
  }
}

export class TaskQueueClosedError extends WorkError {
  readonly code = 'TASK_QUEUE_CLOSED';
  // Nest answers a request with it: version 11 looks at `statusCode`, version 12 for the shape of an http-errors error.
  readonly statusCode = 503;
  readonly status = 503;
  /** The message is for the log, and not for whoever sent the request. */
  readonly expose = false;

  constructor(queue: string, what: 'has shut down' | 'is shutting down, and the task is to run later') {
    super(`Task queue "${queue}" ${what}: it takes no such task any more. Nothing of the task was run.`);
  }
}

const texts: Record<InterruptReason, string> = {
  shutdown: 'interrupted by the shutdown',
  'stop-requested': 'cancelled',
  timeout: 'interrupted by its timeout',
  stalled: 'interrupted for stalling',
  'lease-lost': 'interrupted, since its lease was lost,',
  dropped: 'dropped to make room for a newer one',
};
