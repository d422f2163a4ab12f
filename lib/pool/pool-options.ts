import { v7 as uuid } from 'uuid';
import { type Clock, type Duration, formatDuration, systemClock } from '../clock/index.js';
import {
  type Middleware,
  type MiddlewareFunction,
  OptionReader,
  type WorkLogger,
} from '../execution/index.js';
import {
  type ResolvedSupervision,
  resolveSupervision,
  type SupervisionOptions,
  supervisionOptionNames,
} from '../supervision/index.js';

/** A class of middlewares, whose instance Nest provides. */
export type MiddlewareClass = new (...dependencies: never[]) => Middleware;

/** A middleware as it may be listed: a function, an object, or a class that Nest provides. */
export type MiddlewareReference = MiddlewareFunction | Middleware | MiddlewareClass;

export function isMiddlewareClass(listed: MiddlewareReference): listed is MiddlewareClass {
  if (typeof listed !== 'function') return false;
  // `use` may also be a property, which only instances have: then the keyword tells.
  return (
    typeof (listed.prototype as Partial<Middleware> | undefined)?.use === 'function' ||
    Function.prototype.toString.call(listed).startsWith('class')
  );
}

/** Options of the pool, and defaults for all that it runs. */
export interface PoolOptions extends SupervisionOptions {
  /** Time from the begin of shutdown until the pool gives up on what still runs. Default `'25s'`. */
  readonly shutdownTimeout?: Duration;
  /** How long before that deadline running tasks and jobs are aborted. Default `'5s'`, at most `shutdownTimeout`. */
  readonly abortMargin?: Duration;
  /** Makes execution ids. Default: UUIDv7. */
  readonly idGenerator?: () => string;
  /** Events kept per execution. Default 100. */
  readonly historySize?: number;
  /**
   * Options of single workers by their names, over what `@Worker()` says: for what is known only at run time, such
   * as `{ 'outbox-relay': { enabled: config.get('RELAY') } }`.
   */
  readonly workers?: Readonly<Record<string, SupervisionOptions>>;
  /** Around every attempt of every worker and task, the first one outermost. */
  readonly middlewares?: readonly MiddlewareReference[];
  /** Where lifecycle lines go. Default: Nest's `Logger`; the console for a pool that is made by hand. */
  readonly logger?: WorkLogger;
  /** Default: the machine's. A test gives a `FakeClock`. */
  readonly clock?: Clock;
}

/** Pool options, checked and complete. */
export interface ResolvedPoolOptions {
  readonly shutdownTimeoutMs: number;
  readonly abortMarginMs: number;
  readonly idGenerator: () => string;
  readonly historySize: number;
  readonly workers: Readonly<Record<string, SupervisionOptions>>;
  readonly middlewares: readonly MiddlewareReference[];
  readonly logger: WorkLogger | undefined;
  readonly clock: Clock;
  readonly defaults: ResolvedSupervision;
}

export const poolOptionNames: readonly (keyof PoolOptions)[] = [
  ...supervisionOptionNames,
  'shutdownTimeout',
  'abortMargin',
  'idGenerator',
  'historySize',
  'workers',
  'middlewares',
  'logger',
  'clock',
];

/** Checks and completes the options that `owner` gave. Throws `InvalidOptionError`. */
export function resolvePoolOptions(owner: string, options: PoolOptions): ResolvedPoolOptions {
  const reader = new OptionReader(owner, options, poolOptionNames);
  const shutdownTimeoutMs = reader.duration('shutdownTimeout', 25_000);
  const abortMarginMs = reader.duration('abortMargin', Math.min(5_000, shutdownTimeoutMs));
  if (abortMarginMs > shutdownTimeoutMs) {
    reader.refuse(
      'abortMargin',
      `at most shutdownTimeout, which is ${formatDuration(shutdownTimeoutMs)}`,
      'It is a part of that time: lower it, or raise shutdownTimeout.',
    );
  }
  return {
    shutdownTimeoutMs,
    abortMarginMs,
    idGenerator: readFunction(reader, 'idGenerator', uuid),
    historySize: reader.count('historySize', 100),
    workers: readWorkers(owner, reader),
    middlewares: readMiddlewares(reader),
    logger: readShape<WorkLogger | undefined>(reader, 'logger', undefined, loggerMethods),
    clock: readShape<Clock>(reader, 'clock', systemClock, clockMethods),
    defaults: resolveSupervision(owner, reader),
  };
}

const loggerMethods = ['debug', 'log', 'warn', 'error', 'child'];
const clockMethods = ['now', 'monotonic', 'setTimer'];

/** Something that the user gives us to call. */
function readShape<Shape>(
  reader: OptionReader,
  name: string,
  fallback: Shape,
  methods: readonly string[],
): Shape {
  const given = reader.get(name);
  if (given === undefined) return fallback;
  const shape = given as Readonly<Record<string, unknown>> | null;
  if (methods.every((method) => typeof shape?.[method] === 'function')) return given as Shape;
  return reader.refuse(name, `what has the methods ${methods.join('(), ')}()`, 'Give it all of them.');
}

const none: readonly MiddlewareReference[] = [];

/** Reads the list of middlewares from any options that have one. */
export function readMiddlewares(reader: OptionReader): readonly MiddlewareReference[] {
  const given = reader.get('middlewares') ?? none;
  const fits = Array.isArray(given) && given.every((one) => typeof one === 'function' || hasUse(one));
  if (fits) return given as MiddlewareReference[];
  return reader.refuse(
    'middlewares',
    'a list of functions (ctx, next), of objects with use(ctx, next), or of provided classes with that method',
    'Look for an undefined entry: a class that is imported in a circle is undefined while decorators run.',
  );
}

function readWorkers(owner: string, reader: OptionReader): Readonly<Record<string, SupervisionOptions>> {
  const given = reader.get('workers') ?? {};
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return reader.refuse(
      'workers',
      'an object of options by worker name',
      "Write { 'outbox-relay': { enabled: false } }.",
    );
  }
  const all = new OptionReader(owner, given, Object.keys(given), 'workers.');
  for (const [name, options] of Object.entries(given)) {
    if (typeof options !== 'object' || options === null) {
      all.refuse(name, 'an object of supervision options', 'Write for example { enabled: false }.');
    }
    OptionReader.checkNames(owner, options, supervisionOptionNames, `workers.${name}.`);
  }
  return given as Readonly<Record<string, SupervisionOptions>>;
}

function readFunction<Fn>(reader: OptionReader, name: string, fallback: Fn): Fn {
  const given = reader.get(name);
  if (given === undefined) return fallback;
  return typeof given === 'function' ? (given as Fn) : reader.refuse(name, 'a function', 'Pass one.');
}

function hasUse(value: unknown): boolean {
  return typeof (value as { use?: unknown } | null)?.use === 'function';
}
