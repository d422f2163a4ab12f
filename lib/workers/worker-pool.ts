import { Observable } from 'rxjs';
import { type Duration, parseDuration } from '../clock/index.js';
import {
  InvalidOptionError,
  WorkerDisabledError,
  WorkerNotFoundError,
  WorkerStuckError,
  WorkerWithoutRunError,
} from '../errors/index.js';
import type { WorkEvent } from '../events/index.js';
import { type Closable, isPool, Pool, type PoolSnapshot, type StopReport } from '../pool/index.js';
import type { ResolvedSupervision } from '../supervision/index.js';
import { IsolatedObservable } from './isolated-observable.js';
import type { RunnableWorker } from './runnable-worker.js';
import { WorkerChild } from './worker-child.js';
import type { WorkerExecution } from './worker-execution.js';
import { resolveWorkerOptions, type WorkerOptions, type WorkerPoolOptions } from './worker-options.js';

/** How a worker is registered. */
export interface WorkerRegistration {
  readonly name: string;
  /** Who declared it: `OutboxRelay in AppModule`. */
  readonly origin: string;
  /** Its options as they stand after defaults. Times in milliseconds. */
  readonly options: ResolvedSupervision;
}

export interface StopOptions {
  /** How long to wait before giving up. Default: the pool's `shutdownTimeout`. */
  readonly timeout?: Duration;
}

/**
 * Workers under supervision, without Nest: whoever makes the pool starts and stops it. In a Nest app inject
 * `WorkerPoolService`, which is this and follows the life of the app.
 */
export class WorkerPool {
  /** @internal */
  readonly pool: Pool;

  /** Throws `InvalidOptionError`. */
  constructor(options?: WorkerPoolOptions);
  /** @internal */
  constructor(pool: Pool);
  constructor(options: WorkerPoolOptions | Pool = {}) {
    this.pool = isPool(options) ? options : new Pool(options);
  }

  /**
   * Everything that happens to work in this pool, as it happens. It never completes and never fails; what a
   * subscriber throws is counted and logged, and disturbs nobody.
   */
  get events$(): Observable<WorkEvent> {
    return new IsolatedObservable<WorkEvent>(
      (subscriber) => {
        const tell = (event: WorkEvent): void => subscriber.next(Object.freeze(event));
        const offs = [this.pool.events.on(tell), this.pool.unitEvents.on(tell)];
        return () => offs.forEach((off) => off());
      },
      (error) => this.pool.report('a subscriber of events$', error),
    );
  }

  /**
   * Adds a worker by hand; it starts at once if the pool runs. Throws `InvalidOptionError`,
   * `WorkerWithoutRunError`, `DuplicateNameError`, or `PoolStoppingError` once shutdown has begun.
   */
  register(worker: RunnableWorker, options: WorkerOptions = {}, origin = describe(worker)): WorkerExecution {
    if (typeof (worker as Partial<RunnableWorker> | null)?.run !== 'function')
      throw new WorkerWithoutRunError(origin);
    const className = worker.constructor?.name ?? '';
    const resolved = resolveWorkerOptions(options, className, origin, this.pool.options);
    const child = new WorkerChild(this.pool, worker, resolved, origin);
    this.pool.add(child);
    return child.snapshot();
  }

  registrations(): readonly WorkerRegistration[] {
    return Object.freeze(this.workers().map(registrationOf));
  }

  /** Throws `WorkerNotFoundError`. */
  registration(name: string): WorkerRegistration {
    return registrationOf(this.#child(name));
  }

  /** All workers as they stand now, in the order of their registration. */
  executions(): readonly WorkerExecution[] {
    return Object.freeze(this.workers().map((child) => child.snapshot()));
  }

  /** Throws `WorkerNotFoundError`. */
  execution(name: string): WorkerExecution {
    return this.#child(name).snapshot();
  }

  /** The pool and all that it runs, as it stands now. */
  snapshot(): PoolSnapshot {
    return this.pool.snapshot();
  }

  /**
   * Starts all workers in the order of their registration, or the one named; what runs already goes on. Throws
   * `WorkerNotFoundError`, `WorkerDisabledError` or `WorkerStuckError` for a name, and `PoolStoppingError` once
   * the app shuts down.
   */
  start(name?: string): void {
    if (name === undefined) return this.startAll();
    const child = this.#child(name);
    if (!child.enabled) throw new WorkerDisabledError(name);
    const { status, id } = child.snapshot();
    if (status === 'stuck') throw new WorkerStuckError(name, id);
    this.pool.startChild(child);
  }

  /**
   * Stops all workers, or the one named, and answers once they have ended, or once the time is over with those
   * that have not. Throws `WorkerNotFoundError`.
   */
  async stop(name?: string, options: StopOptions = {}): Promise<StopReport> {
    const timeoutMs = readTimeout(options);
    return name === undefined ? this.stopAll(timeoutMs) : this.pool.stopOnly([this.#child(name)], timeoutMs);
  }

  /** Stops a worker, waits for its end, and starts it again with a fresh count of attempts. Throws as both do. */
  async restart(name: string, options: StopOptions = {}): Promise<void> {
    const child = this.#child(name);
    if (!child.enabled) throw new WorkerDisabledError(name);
    const stopped = this.pool.stopOnly([child], readTimeout(options));
    // Asked for now and not after its end, so that whoever stops it meanwhile has the last word.
    this.pool.startChild(child);
    const { orphans } = await stopped;
    if (orphans.length === 0) return;
    // The caller is told that it did not start: then it must not do so later either.
    await this.pool.stopOnly([child], 0);
    throw new WorkerStuckError(name, child.snapshot().id);
  }

  /** The app to close when a worker with `onExhausted: 'shutdown'` is given up on. */
  attachApp(app: Closable): void {
    this.pool.attachApp(app);
  }

  /** @internal All of it: whoever made the pool owns it. */
  protected startAll(): void {
    this.pool.start();
  }

  /** @internal */
  protected stopAll(timeoutMs?: number): Promise<StopReport> {
    return this.pool.stop(timeoutMs);
  }

  /** @internal */
  protected workers(): WorkerChild[] {
    return [...this.pool.children()].filter((child) => child.kind === 'worker') as WorkerChild[];
  }

  #child(name: string): WorkerChild {
    const child = this.pool.child('worker', name);
    if (child !== undefined) return child as WorkerChild;
    throw new WorkerNotFoundError(
      name,
      this.workers().map((known) => known.name),
    );
  }
}

function registrationOf({ name, origin, options }: WorkerChild): WorkerRegistration {
  return Object.freeze({ name, origin, options: Object.freeze({ ...options.supervision }) });
}

function readTimeout({ timeout }: StopOptions): number | undefined {
  if (timeout === undefined) return undefined;
  const timeoutMs = parseDuration(timeout);
  if (timeoutMs !== undefined && timeoutMs >= 0) return timeoutMs;
  throw new InvalidOptionError({
    owner: 'stop()',
    option: 'timeout',
    given: timeout,
    accepted: "a number of milliseconds or a string like '500ms' or '10s'",
    cure: 'Give a length of time.',
  });
}

function describe(worker: unknown): string {
  const name = (worker as object | null | undefined)?.constructor?.name;
  return name === undefined || name === 'Object'
    ? 'a worker registered by hand'
    : `${name}, registered by hand`;
}
