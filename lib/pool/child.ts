import type { AbortReason, ChildKind, ErrorInfo } from '../events/index.js';
import type { ExecutionStatus } from '../execution/index.js';
import type { Quiescence } from './quiescence.js';

/** How a child is to stop. Times are those of the pool's monotonic clock. */
export interface StopRequest {
  readonly reason: AbortReason;
  /** When work that may finish (tasks, jobs) is to be aborted after all. Loops are aborted at once. */
  readonly abortAt: number;
  /** When the pool gives up waiting. */
  readonly deadline: number;
  /** Settles when everything that may still submit work to a child that drains last has ended. */
  readonly feedersEnded: Promise<void>;
  /** Shared by those that drain last, which may feed one another: over when all of them are idle at one moment. */
  readonly quiescence: Quiescence;
}

/** What is known of any child. */
export interface ChildSnapshot {
  readonly kind: ChildKind;
  readonly name: string;
  readonly status: ExecutionStatus;
  /** Whether giving up on it leaves health alone. */
  readonly ignorable: boolean;
  /** True while it works but does not keep up. */
  readonly degraded?: boolean;
  readonly lastError?: ErrorInfo | undefined;
}

/**
 * Anything that the pool keeps running. `start()` and `stop()` may be called in any order and any number of
 * times, none of them throws, and a child holds no timer or handle once it is not active.
 */
export interface Child {
  readonly kind: ChildKind;
  readonly name: string;
  /** Who declared it, for error messages: `OutboxRelay in AppModule`. */
  readonly origin: string;
  /** `first`: takes in work, and ends as soon as it is told to. `last`: is fed by those, and ends after them. */
  readonly drains: 'first' | 'last';
  /** True from `start()` until nothing of it runs any more. */
  readonly active: boolean;
  readonly status: ExecutionStatus;
  /** Whether giving up on it leaves health alone. */
  readonly ignorable: boolean;
  /** True while it works but does not keep up. */
  readonly degraded?: boolean;
  /** Tells that it exists, by an event. Called once. */
  register(): void;
  start(): void;
  /** Settles when nothing of it runs any more. */
  stop(request: StopRequest): Promise<void>;
  /** The deadline of the shutdown has passed: say so once, let go of what can be let go, and be waited for no longer. */
  abandon(): void;
  snapshot(): ChildSnapshot;
}
