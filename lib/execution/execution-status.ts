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

/** The state machine: the status after an event. */
export function nextStatus(status: ExecutionStatus, event: WorkEvent): ExecutionStatus {
  switch (event.type) {
    case 'registered':
      return event.enabled ? status : 'disabled';
    case 'deferred':
      return 'deferred';
    case 'started':
      return 'running';
    case 'stalled':
      return 'stalled';
    case 'stopping':
      // What did not end when it was told to does not become well by being told again.
      return status === 'stuck' ? 'stuck' : 'stopping';
    case 'stuck':
    case 'orphaned':
      return 'stuck';
    case 'succeeded':
      return 'success';
    case 'failed':
    case 'exhausted':
      return 'error';
    case 'cancelled':
      return 'cancelled';
    case 'backoff':
      return 'backoff';
    case 'marked':
    case 'snoozed':
      return status;
  }
}
