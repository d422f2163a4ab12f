import type { Duration } from '../clock/index.js';
import { type Middleware, type MiddlewareFunction, OptionReader } from '../execution/index.js';
import {
  type MiddlewareClass,
  type MiddlewareReference,
  type PoolOptions,
  readMiddlewares,
} from '../pool/index.js';
import {
  resolveTaskPolicy,
  type TaskPolicy,
  taskPolicyNames,
  type TaskPolicyOptions,
} from './task-options.js';
import type { TaskContext } from './task.js';

/** What happens to a task that finds the queue full: it is refused, it waits for room, or the oldest one goes. */
export type Overflow = 'reject' | 'wait' | 'drop-oldest';

/** Options of one queue, and how its tasks are tried unless they say otherwise. */
export interface TaskQueueModuleOptions extends TaskPolicyOptions {
  /** Stable name, used in logs, metrics and to inject it. Default `'default'`. */
  readonly name?: string;
  /** How many tasks run at a time. Default 10; `Infinity` is allowed. Can be changed at run time. */
  readonly concurrency?: number;
  /** How many tasks may wait, for their turn or for a time. Default 100 000; `Infinity` is allowed. */
  readonly maxQueued?: number;
  /** What happens when there is no more room. Default `'reject'`. */
  readonly overflow?: Overflow;
  /** False: nothing runs but by `dispatch()`, or after `start()`. Default `true`. */
  readonly autoStart?: boolean;
  /** Whether a task runs in the async context of whoever submitted it (request id, nestjs-cls, baggage). Default `true`. */
  readonly carryContext?: boolean;
  /** Degraded, for health, once tasks have waited for a place without a break for so long. Default `'1m'`. */
  readonly degradedAfter?: Duration;
  /** Around each attempt, inside of the pool's middlewares, the first one outermost. */
  readonly middlewares?: readonly TaskMiddlewareReference[];
}

/** Is around each attempt of a task, see `Middleware`. */
export type TaskMiddleware = Middleware<TaskContext>;

/** A middleware as a queue may list it: a function, an object, or a class that Nest provides. */
export type TaskMiddlewareReference = MiddlewareFunction<TaskContext> | TaskMiddleware | MiddlewareClass;

type OwnPoolOptions = Pick<
  PoolOptions,
  'shutdownTimeout' | 'abortMargin' | 'idGenerator' | 'historySize' | 'logger' | 'clock'
>;

/** Options of a queue that is made by hand: what a Nest app gives to its pool is given to the queue itself. */
export interface TaskQueueOptions extends TaskQueueModuleOptions, OwnPoolOptions {}

/** Queue options, checked and complete. */
export interface ResolvedTaskQueueOptions {
  readonly name: string;
  readonly concurrency: number;
  readonly maxQueued: number;
  readonly overflow: Overflow;
  readonly autoStart: boolean;
  readonly carryContext: boolean;
  readonly degradedAfterMs: number;
  readonly middlewares: readonly MiddlewareReference[];
  readonly policy: TaskPolicy;
}

export const queueOptionNames: readonly (keyof TaskQueueModuleOptions)[] = [
  ...taskPolicyNames,
  'name',
  'concurrency',
  'maxQueued',
  'overflow',
  'autoStart',
  'carryContext',
  'degradedAfter',
  'middlewares',
];

export const poolOptionNames: readonly (keyof OwnPoolOptions)[] = [
  'shutdownTimeout',
  'abortMargin',
  'idGenerator',
  'historySize',
  'logger',
  'clock',
];

export const defaultQueueName = 'default';

/** The part of a queue's options that is its own pool's. */
export function poolOptionsOf(options: TaskQueueOptions): PoolOptions {
  // What is no object is refused with the rest.
  const given = poolOptionNames.filter((name) => (options as TaskQueueOptions | null)?.[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, options[name]]));
}

/** Checks the options of a queue and completes them. Throws `InvalidOptionError`. */
export function resolveTaskQueueOptions(
  options: TaskQueueModuleOptions,
  report: (what: string, error: unknown) => void,
): ResolvedTaskQueueOptions {
  const name: unknown = (options as TaskQueueModuleOptions | null)?.name ?? defaultQueueName;
  const owner = `task queue "${String(name)}"`;
  const reader = new OptionReader(owner, options, [...queueOptionNames, ...poolOptionNames]);
  if (typeof name !== 'string' || name.trim() === '') {
    return reader.refuse('name', 'a text that is not empty', "Name the queue, as in { name: 'mail' }.");
  }
  return {
    name,
    concurrency: readConcurrency(reader, 10),
    maxQueued: reader.count('maxQueued', 100_000, { infinite: true }),
    overflow: readOverflow(reader),
    autoStart: reader.flag('autoStart', true),
    carryContext: reader.flag('carryContext', true),
    degradedAfterMs: reader.duration('degradedAfter', 60_000, { infinite: true }),
    middlewares: readMiddlewares(reader),
    policy: resolveTaskPolicy(owner, reader, report),
  };
}

function readOverflow(reader: OptionReader): Overflow {
  const overflow = reader.oneOf<Overflow>('overflow', 'reject', ['reject', 'wait', 'drop-oldest']);
  if (overflow === 'drop-oldest' && reader.get('maxQueued') === 0) {
    reader.refuse('overflow', "'reject' or 'wait' beside maxQueued: 0", 'None waits that could be dropped.');
  }
  return overflow;
}

/** Reads a concurrency that is set at run time. Throws `InvalidOptionError`. */
export function checkConcurrency(queue: string, concurrency: number): number {
  const owner = `task queue "${queue}"`;
  return readConcurrency(new OptionReader(owner, { concurrency }, ['concurrency']));
}

function readConcurrency(reader: OptionReader, fallback = 1): number {
  return reader.count('concurrency', fallback, { min: 1, infinite: true });
}
