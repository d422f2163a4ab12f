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
import type { Pool } from '../pool/index.js';

type Middlewares = readonly (Middleware | MiddlewareFunction)[];

/** What the runs of a consumer need from the pool. */
export interface JobEnvironment extends AttemptEnvironment {
  generateId(): string;
  /** Runs `fn` outside of any request's or attempt's async context. */
  inScope<Result>(fn: () => Result): Result;
  /** User code failed beside the work: reported once, and of no consequence to it. */
  report(what: string, error: unknown, fields?: LogFields): void;
  say(level: LogLevel, message: string, fields?: LogFields): void;
  /** Whether anybody wants events of that type. */
  wants(type: WorkEvent['type']): boolean;
  /** The middlewares of the integrations, the pool, the queue and the handler around `run`. */
  around(middlewares: Middlewares, run: Handler): Handler;
}

/** What a pool gives to jobs. `middlewares` are those of the pool's options and the queue, settled once it starts. */
export function environmentOf(pool: Pool, middlewares: () => Middlewares): JobEnvironment {
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
    around: (own, run) => composeMiddlewares([...pool.around, ...middlewares(), ...own], run),
  };
}
