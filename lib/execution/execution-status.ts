import type { WorkEvent } from '../events/index.js';

/**
 * Where an execution stands:
 * - `unknown`: registered, never started;
 * - `deferred`: waits for its `deferredStart`;
 * - `running`: an attempt is under way;
 * - `backoff`: waits for its next attempt;
 * - `stalled`: gave no heartbeat; its attempt was aborted and has not ended yet;
 * - `stuck`: was aborted and did not end in time; it runs on, and nothing of its name is started beside it;
 * - `stopping`: was told to stop and has not ended yet;
 * - `success`: ended by itself, and is not to be restarted;
 * - `error`: ended with an error, and is not restarted any more;
 * - `cancelled`: ended by a stop;
 * - `disabled`: not run in this process.
 */
export type ExecutionStatus =
  | 'unknown'
  | 'deferred'
  | 'running'
  | 'backoff'
  | 'stalled'
  | 'stuck'
  | 'stopping'
  | 'success'
  | 'error'
  | 'cancelled'
  | 'disabled';

const statusAfter: Partial<Record<WorkEvent['type'], ExecutionStatus>> = {
  deferred: 'deferred',
  started: 'running',
  stalled: 'stalled',
  stuck: 'stuck',
  stopping: 'stopping',
  succeeded: 'success',
  failed: 'error',
  cancelled: 'cancelled',
  backoff: 'backoff',
  exhausted: 'error',
  orphaned: 'stuck',
};

/** The state machine: the status after an event. */
export function nextStatus(status: ExecutionStatus, event: WorkEvent): ExecutionStatus {
  if (event.type === 'registered') return event.enabled ? status : 'disabled';
  // What did not end when it was told to does not become well by being told again.
  if (event.type === 'stopping' && status === 'stuck') return 'stuck';
  return statusAfter[event.type] ?? status;
}
