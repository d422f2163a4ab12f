import { type Middleware, OptionReader } from '../execution/index.js';
import {
  type MiddlewareReference,
  type PoolOptions,
  readMiddlewares,
  type ResolvedPoolOptions,
} from '../pool/index.js';
import {
  type ResolvedSupervision,
  resolveSupervision,
  type SupervisionOptions,
  supervisionOptionNames,
} from '../supervision/index.js';

/** Is around each attempt of a worker, see `Middleware`. */
export type WorkerMiddleware = Middleware;

/** Options of one worker; what is not given comes from the pool. */
export interface WorkerOptions extends SupervisionOptions {
  /** Stable name, used in logs, metrics and calls. Default: the name of the class. */
  readonly name?: string;
  /** Around each attempt, inside of the pool's middlewares, the first one outermost. */
  readonly middlewares?: readonly MiddlewareReference[];
}

/** Options of the pool, and defaults for all workers. */
export type WorkerPoolOptions = PoolOptions;

/** Worker options, checked and complete. */
export interface ResolvedWorkerOptions {
  readonly name: string;
  readonly middlewares: readonly MiddlewareReference[];
  readonly supervision: ResolvedSupervision;
}

export const workerOptionNames: readonly (keyof WorkerOptions)[] = [
  ...supervisionOptionNames,
  'name',
  'middlewares',
];

/** Checks the options of a worker of class `className`, declared by `origin`. Throws `InvalidOptionError`. */
export function resolveWorkerOptions(
  options: WorkerOptions,
  className: string,
  origin: string,
  pool: ResolvedPoolOptions,
): ResolvedWorkerOptions {
  const name: unknown = options.name ?? className;
  const owner = `worker "${typeof name === 'string' ? name : className}" (${origin})`;
  const configured =
    typeof name === 'string' && Object.hasOwn(pool.workers, name) ? pool.workers[name] : undefined;
  const reader = new OptionReader(
    owner,
    configured === undefined ? options : { ...options, ...configured },
    workerOptionNames,
  );
  if (typeof name !== 'string' || name.trim() === '') {
    return reader.refuse(
      'name',
      'a text that is not empty',
      "Name the worker, as in @Worker({ name: 'outbox-relay' }).",
    );
  }
  return {
    name,
    middlewares: readMiddlewares(reader),
    supervision: resolveSupervision(owner, reader, pool.defaults),
  };
}
