import type { WorkEvent } from '../events/index.js';
import {
  type AttemptEnvironment,
  composeMiddlewares,
  type Handler,
  type LogFields,
  type Middleware,
  type MiddlewareFunction,
} from '../execution/index.js';
import type { Pool } from '../pool/index.js';

/** What tasks need from the one who owns their queue. */
export interface TaskEnvironment extends AttemptEnvironment {
  generateId(): string;
  /** Runs `fn` outside of any request's or attempt's async context. */
  inScope<Result>(fn: () => Result): Result;
  /** User code failed beside the work: reported once, and of no consequence to it. */
  report(what: string, error: unknown, fields?: LogFields): void;
  /** Whether anybody wants events of that type. */
  wants(type: WorkEvent['type']): boolean;
  /** All middlewares around `run`, or `run` itself where there are none. */
  around(run: Handler): Handler;
}

/**
 * What a pool gives to tasks, read when it is needed: the options of an app's pool are known later than its queues are
 * made. `middlewares` are those around the tasks, inside of the integrations'.
 */
export function environmentOf(
  pool: Pool,
  middlewares: () => readonly (Middleware | MiddlewareFunction)[],
): TaskEnvironment {
  return {
    get clock() {
      return pool.clock;
    },
    get logger() {
      return pool.logger;
    },
    get tracer() {
      return pool.tracer;
    },
    get shutdown() {
      return pool.shutdown;
    },
    emit: (event) => pool.unitEvents.emit(event),
    wants: (type) => pool.unitEvents.wants(type),
    generateId: () => pool.generateId(),
    inScope: (fn) => pool.inScope(fn),
    report: (what, error, fields) => pool.report(what, error, fields),
    around: (run) => composeMiddlewares([...pool.around, ...middlewares()], run),
  };
}
