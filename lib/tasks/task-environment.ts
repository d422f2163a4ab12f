import type { WorkEvent } from '../events/index.js';
import type { AttemptEnvironment, Handler } from '../execution/index.js';

/** What tasks need from the one who owns their queue. */
export interface TaskEnvironment extends AttemptEnvironment {
  generateId(): string;
  /** Runs `fn` outside of any request's or attempt's async context. */
  inScope<Result>(fn: () => Result): Result;
  /** User code failed beside the work: reported once, and of no consequence to it. */
  report(what: string, error: unknown): void;
  /** Whether anybody wants events of that type. */
  wants(type: WorkEvent['type']): boolean;
  /** All middlewares around `run`, or `run` itself where there are none. */
  around(run: Handler): Handler;
}
