import type { ErrorInfo } from './error-info.js';

/** What the pool keeps running. */
export type ChildKind = 'worker' | 'task-queue' | 'job-consumer';

/**
 * Why an attempt was told to end:
 * - `shutdown`: the app is closing;
 * - `stop-requested`: somebody stopped this one, by name;
 * - `timeout`: it ran longer than its `timeout`;
 * - `stalled`: it gave no heartbeat for its `stallTimeout`;
 * - `lease-lost`: somebody else holds the job now, or it was deleted or cancelled.
 */
export type AbortReason = 'shutdown' | 'stop-requested' | 'timeout' | 'stalled' | 'lease-lost';

/** Why something ended before its end: it was aborted, or dropped to make room for another. */
export type CancelReason = AbortReason | 'dropped';

/** Why something is not restarted any more. */
export type ExhaustedBecause = 'max-attempts' | 'restart-limit' | 'restart-never';

interface Base<Type extends string> {
  readonly type: Type;
  readonly kind: ChildKind;
  /** Name of the worker or queue. */
  readonly name: string;
  /** The attempt that this belongs to. Each restart has a new one. */
  readonly executionId: string;
  /** When it happened, in milliseconds since the epoch. */
  readonly time: number;
  /** Name of the task, where the event is about one task and not about its queue. */
  readonly task?: string;
  /** Id of the job, where the event is about one job and not about its consumer. */
  readonly jobId?: string;
}

/** Added to the pool. */
interface Registered extends Base<'registered'> {
  readonly enabled: boolean;
}
/** Waits for its `deferredStart`. */
interface Deferred extends Base<'deferred'> {
  readonly delayMs: number;
}
/** An attempt began. */
interface Started extends Base<'started'> {
  /** 1 for the first attempt, and again for the first one after the count was reset. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** False for the first attempt after a start. */
  readonly restart: boolean;
}
/** A stopwatch lap inside an attempt ended. Not kept in the history. */
interface Marked extends Base<'marked'> {
  readonly scope: string;
  /** What `ctx.mark()` was given; `end` for the segment between the last mark and the end of the attempt. */
  readonly action: string;
  readonly durationMs: number;
  readonly outcome: 'success' | 'error';
}
/** No heartbeat for `stallTimeout`; the attempt was aborted. */
interface Stalled extends Base<'stalled'> {
  readonly silentMs: number;
}
/** The attempt was aborted and did not end within `abortGrace`. */
interface Stuck extends Base<'stuck'> {
  readonly reason: AbortReason;
  readonly graceMs: number;
}
/** Told to stop. */
interface Stopping extends Base<'stopping'> {
  readonly reason: AbortReason;
}
/** The attempt ended well. */
interface Succeeded extends Base<'succeeded'> {
  readonly durationMs: number;
}
/** The attempt ended with an error, or was ended for taking too long or for stalling. */
interface Failed extends Base<'failed'> {
  readonly durationMs: number;
  readonly error: ErrorInfo;
  /** Set when the attempt was aborted for this. */
  readonly abortedFor?: AbortReason;
  /** Of a task or job that is to be tried again: number of its next attempt, and when that is due. */
  readonly retry?: { readonly attempt: number; readonly delayMs: number };
  /** Why a task that has attempts left is not tried again all the same. */
  readonly interrupted?: AbortReason;
}
/** Ended by a stop, in an attempt or while waiting for one. Not a failure. */
interface Cancelled extends Base<'cancelled'> {
  readonly durationMs: number;
  /** `by-handler`: a job's handler said so (`CancelJob`). */
  readonly reason: CancelReason | 'by-handler';
  /** What the attempt threw on being told to end, unless that was the cancellation itself. */
  readonly error?: ErrorInfo;
}
/** The attempt at a job ended with "not now": the job is due again in `delayMs`. Not a failure. */
interface Snoozed extends Base<'snoozed'> {
  readonly durationMs: number;
  readonly delayMs: number;
}
/** The next attempt is due in `delayMs`. */
interface Backoff extends Base<'backoff'> {
  readonly delayMs: number;
  /** Number of the next attempt. */
  readonly attempt: number;
}
/** Given up on: not restarted any more. */
interface Exhausted extends Base<'exhausted'> {
  readonly because: ExhaustedBecause;
  /** Consecutive failed attempts. */
  readonly attempts: number;
}
/** Still ran when the time to stop was over; the pool gave up waiting. */
interface Orphaned extends Base<'orphaned'> {
  readonly reason: AbortReason;
  /** Of a task queue or a job consumer: the first of its tasks or jobs that still ran. */
  readonly tasks?: readonly string[];
}

/** All facts about supervised work, by type. Events are frozen plain data, told after they happened. */
export interface WorkEventMap {
  registered: Registered;
  deferred: Deferred;
  started: Started;
  marked: Marked;
  stalled: Stalled;
  stuck: Stuck;
  stopping: Stopping;
  succeeded: Succeeded;
  failed: Failed;
  cancelled: Cancelled;
  snoozed: Snoozed;
  backoff: Backoff;
  exhausted: Exhausted;
  orphaned: Orphaned;
}

export type WorkEventType = keyof WorkEventMap;
export type WorkEvent = WorkEventMap[WorkEventType];
