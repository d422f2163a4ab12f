import { AsyncResource } from 'node:async_hooks';
import { setMaxListeners } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { v7 as uuid } from 'uuid';
import type { Clock } from '../clock/index.js';
import {
  DuplicateNameError,
  ignoreRejection,
  InvalidOptionError,
  MiddlewareNotFoundError,
  PoolConfiguredLateError,
  PoolOptionsConflictError,
  PoolStoppingError,
} from '../errors/index.js';
import {
  type AbortReason,
  type ChildKind,
  EventEmitter,
  type ListenerFailure,
  type WorkEvent,
} from '../events/index.js';
import {
  Cancellation,
  consoleLogger,
  type LogFields,
  type LogLevel,
  type Middleware,
  type MiddlewareFunction,
  noTracer,
  type WorkLogger,
  type WorkTracer,
} from '../execution/index.js';
import type { SupervisorEnvironment } from '../supervision/index.js';
import type { Child, ChildSnapshot } from './child.js';
import { type Closable, shutDownApplication } from './application-shutdown.js';
import { isLogged, loggedOfUnits, logLifecycle } from './lifecycle-log.js';
import {
  isMiddlewareClass,
  type MiddlewareClass,
  type MiddlewareReference,
  type PoolOptions,
  type ResolvedPoolOptions,
  resolvePoolOptions,
} from './pool-options.js';
import type { Quiescence } from './quiescence.js';
import { stopChildren, type StopReport } from './stop-children.js';

const brand = Symbol.for('nestjs-worker:pool-brand:v1');

/** Whether `value` is a pool, of this copy of the package or of another that is loaded. */
export function isPool(value: object): value is Pool {
  return brand in value;
}

/** Where a pool stands. `closed` is for ever: the app that it belonged to has shut down. */
export type PoolStatus = 'idle' | 'started' | 'draining' | 'stopped' | 'closed';

/** All that is known of a pool at one moment. */
export interface PoolSnapshot {
  readonly status: PoolStatus;
  /** True as soon as shutdown has begun. */
  readonly draining: boolean;
  /** How often user code beside the work (listeners, loggers, backoff functions, id generators) has thrown. */
  readonly isolatedErrors: number;
  readonly children: readonly ChildSnapshot[];
}

/**
 * All children of an app, and the only thing that starts and stops them.
 *
 * `start()` and `stop()` may be called in any order and any number of times; the last call wins. Stopping has one
 * time budget for all children, after which those that still run are named and left behind.
 */
export class Pool implements SupervisorEnvironment {
  /** Tells a pool of either copy of this package. */
  readonly [brand] = true;
  /** About children. */
  readonly events: EventEmitter<WorkEvent>;
  /** About single tasks and jobs, of which there may be a million a minute: made only where somebody wants them. */
  readonly unitEvents: EventEmitter<WorkEvent>;
  readonly #children = new Map<string, Child>();
  readonly #around: MiddlewareFunction[] = [];
  readonly #reported = new Set<string>();
  readonly #claimed = new Set<symbol | object>();
  // Work must not inherit the async context of whoever happened to start it: a request's id, another worker's log
  // fields. What runs in here has the context that the pool was made in.
  readonly #scope = new AsyncResource('nestjs-worker');
  #configuredBy: PoolOptions | undefined;
  #options: ResolvedPoolOptions;
  #logger: WorkLogger;
  #tracer: WorkTracer = noTracer;
  #status: PoolStatus = 'idle';
  #shutdown = newShutdown();
  #closed = false;
  #escalated = false;
  /** Ends every stop that still waits. */
  readonly #cutShort = new Cancellation();
  #draining: Promise<StopReport> | undefined;
  #closing: Promise<StopReport> | undefined;
  #startAgain = false;
  #isolatedErrors = 0;
  #app: Closable | undefined;

  constructor(options: PoolOptions = {}, owner = 'new WorkerPool()') {
    this.#options = resolvePoolOptions(owner, options);
    this.#logger = this.#options.logger ?? consoleLogger;
    const onFailure = ({ error, event }: ListenerFailure<WorkEvent>): void =>
      this.report(`a listener of "${event.type}" events`, error);
    this.events = new EventEmitter(onFailure);
    this.unitEvents = new EventEmitter(onFailure);
    // In the pool's scope: a line about one worker must not carry the log fields of another that stopped it.
    const log = (event: WorkEvent): unknown =>
      isLogged(event, this.#logger)
        ? this.#scope.runInAsyncScope(logLifecycle, undefined, event, this.#logger)
        : undefined;
    this.events.on(log);
    this.unitEvents.on(log, loggedOfUnits);
  }

  get options(): ResolvedPoolOptions {
    return this.#options;
  }

  get status(): PoolStatus {
    return this.#status;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  get logger(): WorkLogger {
    return this.#logger;
  }

  get tracer(): WorkTracer {
    return this.#tracer;
  }

  get shutdown(): AbortSignal {
    return this.#shutdown.signal;
  }

  /** True as soon as shutdown has begun; false again once a stopped pool may be started anew. */
  get draining(): boolean {
    return this.#draining !== undefined || this.#closed;
  }

  /** How often user code beside the work has thrown. */
  get isolatedErrors(): number {
    return this.#isolatedErrors;
  }

  /** Middlewares of integrations, around the attempts of all kinds of work; outside of those from options. */
  get around(): readonly MiddlewareFunction[] {
    return this.#around;
  }

  /** Turns a listed middleware class into its instance. With Nest, the explorer puts injection here. */
  instantiate: (middleware: MiddlewareClass, owner: string) => Middleware = (middleware, owner) => {
    if (middleware.length > 0) throw new MiddlewareNotFoundError(middleware.name, owner);
    return new middleware();
  };

  /** What a listed middleware stands for. Throws `MiddlewareNotFoundError`. */
  middleware(listed: MiddlewareReference, owner: string): Middleware | MiddlewareFunction {
    if (!isMiddlewareClass(listed)) return listed;
    const instance: Partial<Middleware> | null | undefined = this.instantiate(listed, owner);
    if (typeof instance?.use === 'function') return instance as Middleware;
    throw new InvalidOptionError({
      owner,
      option: 'middlewares',
      given: instance,
      accepted: `what has a method use(ctx, next) in the place of ${listed.name}`,
      cure: 'Give the class that method; a test may override it with { use: (ctx, next) => next() }.',
    });
  }

  /**
   * Gives the pool its options, before anything was added to it. A second set that differs from the first is
   * refused with `PoolOptionsConflictError`.
   */
  configure(options: PoolOptions, owner: string): void {
    const previous = this.#configuredBy;
    if (previous !== undefined) {
      const differing = differingKeys(previous, options);
      if (differing.length > 0) throw new PoolOptionsConflictError(differing);
      return;
    }
    if (this.#children.size > 0)
      throw new PoolConfiguredLateError(owner, [...this.#children.values()][0]!.name);
    this.#options = resolvePoolOptions(owner, options);
    this.#configuredBy = options;
    this.#logger = this.#options.logger ?? this.#logger;
  }

  /** Puts `middleware` around every attempt, inside of those added before. Before the pool has started. */
  use(middleware: MiddlewareFunction): void {
    this.#around.push(middleware);
  }

  /** Sends lifecycle lines and `ctx.logger` there, unless the options named a logger. */
  useLogger(logger: WorkLogger): void {
    this.#logger = this.#options.logger ?? logger;
  }

  useTracer(tracer: WorkTracer): void {
    this.#tracer = tracer;
  }

  /** The app to close when something with `onExhausted: 'shutdown'` is given up on. */
  attachApp(app: Closable): void {
    this.#app = app;
  }

  /**
   * True for the first one that asks for a role: where two copies of this package are in one app, one of them
   * ties the pool to the app, and one of them finds its workers.
   */
  claim(role: symbol | object): boolean {
    if (this.#claimed.has(role)) return false;
    this.#claimed.add(role);
    return true;
  }

  /** Adds a child, and starts it if the pool runs. Throws `DuplicateNameError` or `PoolStoppingError`. */
  add(child: Child): void {
    if (this.draining) throw new PoolStoppingError(`Adding ${child.kind} "${child.name}"`);
    const key = keyOf(child.kind, child.name);
    const namesake = this.#children.get(key);
    if (namesake !== undefined)
      throw new DuplicateNameError(child.kind, child.name, namesake.origin, child.origin);
    this.#children.set(key, child);
    child.register();
    if (this.#status === 'started') this.startChild(child);
  }

  /** The child of that kind and name, if there is one. */
  child(kind: ChildKind, name: string): Child | undefined {
    return this.#children.get(keyOf(kind, name));
  }

  /** All children in the order in which they were added. */
  *children(): Iterable<Child> {
    yield* this.#children.values();
  }

  /** Starts all children, in the order in which they were added. While the pool drains: once it has. */
  start(): void {
    if (this.#closed) throw new PoolStoppingError('Starting the pool');
    if (this.#draining !== undefined) {
      this.#startAgain = true;
      return;
    }
    this.#status = 'started';
    for (const child of this.#children.values()) {
      // Somebody who was told of a start may have stopped everything.
      if (this.draining) return;
      this.startChild(child);
    }
  }

  /** Starts one child, whether the pool runs or not. Throws `PoolStoppingError` while it shuts down. */
  startChild(child: Child): void {
    if (this.draining) throw new PoolStoppingError(`Starting ${child.kind} "${child.name}"`);
    if (this.#shutdown.signal.aborted) this.#shutdown = newShutdown();
    this.inScope(() => child.start());
  }

  /** Stops some children; the others go on. Answers after `timeoutMs` at the latest. */
  stopOnly(
    children: readonly Child[],
    timeoutMs = this.#options.shutdownTimeoutMs,
    quiescence?: Quiescence,
  ): Promise<StopReport> {
    return this.inScope(() => this.#stop(children, 'stop-requested', timeoutMs, quiescence));
  }

  /**
   * Stops all children within one time budget, and answers with those that did not end. Never rejects. A second
   * call while the first is under way gets the first one's answer. `quiescence`: of a stop that this is part of.
   */
  stop(timeoutMs = this.#options.shutdownTimeoutMs, quiescence?: Quiescence): Promise<StopReport> {
    this.#startAgain = false;
    // There before the first child is told: whoever that wakes up finds the pool draining, and can join in.
    if (this.#draining === undefined) {
      let end!: (report: StopReport) => void;
      this.#draining = new Promise((resolve) => (end = resolve));
      void this.inScope(() => this.#drain(timeoutMs, quiescence)).then(end);
    }
    return this.#draining;
  }

  /** Stops for ever: nothing starts any more. However often it is called, there is one drain and one time budget. */
  close(): Promise<StopReport> {
    this.#closed = true;
    this.#closing ??= this.inScope(() => this.#close());
    return this.#closing;
  }

  snapshot(): PoolSnapshot {
    return Object.freeze({
      status: this.#status,
      draining: this.draining,
      isolatedErrors: this.#isolatedErrors,
      children: Object.freeze([...this.#children.values()].map((child) => child.snapshot())),
    });
  }

  emit(event: WorkEvent): void {
    this.events.emit(event);
  }

  generateId(): string {
    try {
      const id: unknown = this.#options.idGenerator();
      if (typeof id === 'string' && id !== '') return id;
      ignoreRejection(id);
      throw new TypeError(`it answered ${typeof id === 'string' ? 'an empty text' : typeof id}, not an id`);
    } catch (error) {
      this.report('the idGenerator', error);
      return uuid();
    }
  }

  escalate(name: string): void {
    if (this.#escalated) return;
    this.#escalated = true;
    this.say(
      'error',
      `Shutting down the application: "${name}" is exhausted and has onExhausted: 'shutdown'`,
    );
    void this.inScope(() => shutDownApplication(this.#app, this));
  }

  /** Counts a failure of user code that runs beside the work, and logs the first one of each `what`. */
  report(what: string, error: unknown, fields?: LogFields): void {
    this.#isolatedErrors++;
    if (this.#reported.has(what)) return;
    this.#reported.add(what);
    this.say('error', `${what} failed; the work goes on, further failures are counted`, {
      ...fields,
      err: error,
    });
  }

  /** Runs `fn` outside of any request's or attempt's async context. */
  inScope<Result>(fn: () => Result): Result {
    return this.#scope.runInAsyncScope(fn);
  }

  /** Logs, come what may. Where the logger itself fails there is nobody left to tell. */
  say(level: LogLevel, message: string, fields?: LogFields): void {
    try {
      ignoreRejection(this.inScope(() => this.#logger[level](message, fields)));
    } catch {}
  }

  async #drain(timeoutMs: number, quiescence: Quiescence | undefined): Promise<StopReport> {
    this.#status = 'draining';
    this.#shutdown.abort();
    const report = await this.#stop([...this.#children.values()], 'shutdown', timeoutMs, quiescence);
    this.#status = 'stopped';
    this.#draining = undefined;
    if (this.#startAgain) {
      this.#startAgain = false;
      this.start();
    }
    return report;
  }

  /** A stop that is under way may have been given more time than the app has. */
  async #close(): Promise<StopReport> {
    const { clock, shutdownTimeoutMs } = this.#options;
    const cancelTimer = clock.setTimer(() => this.#cutShort.end(), shutdownTimeoutMs);
    const report = await this.stop();
    cancelTimer();
    this.#cutShort.end();
    this.#status = 'closed';
    return report;
  }

  #stop(
    children: readonly Child[],
    reason: AbortReason,
    timeoutMs: number,
    quiescence?: Quiescence,
  ): Promise<StopReport> {
    const { abortMarginMs, clock } = this.#options;
    const cutShort = this.#cutShort;
    const report = (what: string, error: unknown): void => this.report(what, error);
    return stopChildren(children, { reason, timeoutMs, abortMarginMs, clock, cutShort, quiescence, report });
  }
}

function newShutdown(): AbortController {
  const controller = new AbortController();
  // Any number of attempts may listen; Node warns of a leak at eleven.
  setMaxListeners(0, controller.signal);
  return controller;
}

function keyOf(kind: ChildKind, name: string): string {
  return `${kind}:${name}`;
}

function differingKeys(a: PoolOptions, b: PoolOptions): string[] {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof PoolOptions>;
  return [...keys].filter((key) => !isDeepStrictEqual(a[key], b[key]));
}
