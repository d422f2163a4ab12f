import type { AbortReason, ErrorInfo, WorkEvent, WorkEventType } from '../events/index.js';
import type { ExecutionStatus } from '../execution/index.js';
import type { ChildSnapshot } from '../pool/index.js';
import type { Supervisor } from '../supervision/index.js';

/** Where a worker stands. */
export type WorkerStatus = ExecutionStatus;

/** What is known of a worker at one moment. Nothing that happens later changes it. */
export class WorkerExecution implements ChildSnapshot {
  readonly kind = 'worker';
  readonly name: string;
  /** Id of the current attempt, or of the last one. Each restart has a new one. */
  readonly id: string;
  readonly status: WorkerStatus;
  /** Number of the current attempt: 1, and one more for each consecutive failure. 0 before the first. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Milliseconds that its start is deferred by. */
  readonly deferredStart: number;
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  readonly nextAttemptAt: Date | undefined;
  /** Restarts since it was last started. */
  readonly restarts: number;
  /** Restarts within the window of `restartLimit`; without one, within the last hour, counted up to 100. */
  readonly restartsInWindow: number;
  readonly lastError: ErrorInfo | undefined;
  readonly stopReason: AbortReason | undefined;
  /** True with `onExhausted: 'ignore'`: giving up on it does not turn health down. */
  readonly ignorable: boolean;
  /** The last events, oldest first; marks are not among them. */
  readonly events: readonly WorkEvent[];
  /** How many older events fell out of `events`. */
  readonly eventsDropped: number;

  /** @internal The pool makes it. */
  constructor(supervisor: Supervisor) {
    const { record, policy } = supervisor;
    const { events, dropped } = record.history.history();
    this.name = supervisor.name;
    this.id = record.id;
    this.status = record.status;
    this.attempt = record.attempt;
    this.maxAttempts = policy.maxAttempts;
    this.deferredStart = policy.deferredStartMs;
    this.startedAt = dateOf(record.startedAt);
    this.endedAt = dateOf(record.endedAt);
    this.nextAttemptAt = dateOf(record.nextAttemptAt);
    this.restarts = record.restarts;
    this.restartsInWindow = supervisor.restartsInWindow;
    this.lastError = record.lastError;
    this.stopReason = record.stopReason;
    this.ignorable = policy.onExhausted === 'ignore';
    this.events = events;
    this.eventsDropped = dropped;
    Object.freeze(this);
  }

  /** Whether an event of that type is among `events`. */
  hasEvent(type: WorkEventType): boolean {
    return this.events.some((event) => event.type === type);
  }

  /** JSON knows no Infinity: it is written as a text, not as null. */
  toJSON(): object {
    const events = this.events.map((event) =>
      event.type === 'started' ? { ...event, maxAttempts: textOfInfinity(event.maxAttempts) } : event,
    );
    return Object.assign({}, this, { maxAttempts: textOfInfinity(this.maxAttempts), events });
  }
}

function textOfInfinity(count: number): number | string {
  return Number.isFinite(count) ? count : 'Infinity';
}

function dateOf(time: number | undefined): Date | undefined {
  return time === undefined ? undefined : new Date(time);
}
