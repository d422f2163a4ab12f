import type { AbortReason, ErrorInfo, WorkEvent } from '../events/index.js';
import { EventRing } from './event-ring.js';
import { type ExecutionStatus, nextStatus } from './execution-status.js';

/** What is known of one execution: a fold of its events, and nothing else. */
export class ExecutionRecord {
  id = '';
  status: ExecutionStatus = 'unknown';
  attempt = 0;
  /** Restarts since it was last started. */
  restarts = 0;
  startedAt: number | undefined;
  endedAt: number | undefined;
  nextAttemptAt: number | undefined;
  lastError: ErrorInfo | undefined;
  stopReason: AbortReason | undefined;
  readonly history: EventRing;

  constructor(historySize: number) {
    this.history = new EventRing(historySize);
  }

  apply(event: WorkEvent): void {
    this.status = nextStatus(this.status, event);
    this.id = event.executionId;
    // Marks may come by the thousand and change nothing here; they would push out what matters.
    if (event.type !== 'marked') this.history.add(event);
    switch (event.type) {
      case 'deferred':
        this.nextAttemptAt = event.time + event.delayMs;
        this.stopReason = undefined;
        break;
      case 'started':
        this.attempt = event.attempt;
        this.restarts = event.restart ? this.restarts + 1 : 0;
        this.startedAt = event.time;
        this.endedAt = undefined;
        this.nextAttemptAt = undefined;
        this.stopReason = undefined;
        break;
      case 'stopping':
        this.stopReason = event.reason;
        this.nextAttemptAt = undefined;
        break;
      case 'failed':
        this.lastError = event.error;
        this.endedAt = event.time;
        break;
      case 'cancelled':
        if (event.error !== undefined) this.lastError = event.error;
        this.endedAt = event.time;
        break;
      case 'succeeded':
        this.endedAt = event.time;
        break;
      case 'backoff':
        this.nextAttemptAt = event.time + event.delayMs;
        break;
    }
  }
}
