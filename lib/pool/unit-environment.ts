import type { WorkEvent } from '../events/index.js';
import {
  type AttemptEnvironment,
  composeMiddlewares,
  type Handler,
  type LogFields,
  type LogLevel,
  type Middleware,
  type MiddlewareFunction,
} from '../execution/index.js';
import type { Pool } from './pool.js';

type Middlewares = readonly (Middleware | MiddlewareFunction)[];

/** What single tasks and jobs need from the pool. */
export interface UnitEnvironment extends AttemptEnvironment {
  generateId(): string;
  /** Runs `fn` outside of any request's or attempt's async context. */
  inScope<Result>(fn: () => Result): Result;
  /** User code failed beside the work: reported once, and of no consequence to it. */
  report(what: string, error: unknown, fields?: LogFields): void;
  say(level: LogLevel, message: string, fields?: LogFields): void;
  /** Whether anybody wants events of that type. */
  wants(type: WorkEvent['type']): boolean;
  /** All middlewares around `run`, `own` innermost; `run` itself where there are none. */
  around(run: Handler, own?: Middlewares): Handler;
}

/**
 * What a pool gives to tasks and jobs, read when it is needed: the options of an app's pool are known later than its
 * queues are made. `middlewares` are those of the pool's options and the queue, inside of the integrations'.
 */
export function unitEnvironmentOf(pool: Pool, middlewares: () => Middlewares): UnitEnvironment {
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
    say: (level, message, fields) => pool.say(level, message, fields),
    around: (run, own = []) => composeMiddlewares([...pool.around, ...middlewares(), ...own], run),
  };
}
