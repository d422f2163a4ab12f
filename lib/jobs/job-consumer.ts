import type { CancelTimer } from '../clock/index.js';
import { PoolStoppingError } from '../errors/index.js';
import { type AbortReason, toErrorInfo, type WorkEvent } from '../events/index.js';
import {
  ExecutionRecord,
  type ExecutionStatus,
  type Middleware,
  type MiddlewareFunction,
} from '../execution/index.js';
import { type Child, type Pool, type StopRequest, unitEnvironmentOf } from '../pool/index.js';
import { type ConsumerOptions, hasLimits } from './consumer-options.js';
import { ConsumptionWatch } from './consumption-watch.js';
import type { JobConnection } from './job-connection.js';
import { JobConsumerSnapshot } from './job-consumer-snapshot.js';
import type { JobHandlerEntry } from './job-handler-entry.js';
import { JobIntake } from './job-intake.js';
import { isAround, isClaimMiddleware, type JobMiddleware } from './job-middleware.js';
import { JobRunner, type RunEnd } from './job-runner.js';
import type { JobContext } from './job.js';

const namedOrphans = 10;

/** Set while it is to stop. */
interface Stopping {
  readonly reason: AbortReason;
  abortAt: number;
}

/**
 * Takes jobs of one queue and runs them, as the pool sees it. Told to stop it takes no more, hands back what has not
 * begun, and lets what runs go on until it must be aborted.
 */
export class JobConsumer implements Child {
  readonly kind = 'job-consumer';
  readonly drains = 'first';
  readonly ignorable = false;
  /** Of the queue. */
  readonly name: string;
  readonly runner: JobRunner;
  record = new ExecutionRecord(0);
  readonly #pool: Pool;
  readonly #connection: JobConnection;
  readonly #options: ConsumerOptions;
  readonly #intake: JobIntake;
  readonly #watch: ConsumptionWatch;
  /** Whether jobs may wait for as long as they like: there is a limit, or something around the claims. */
  readonly #mayHoldBack: boolean;
  #middlewares: readonly (Middleware | MiddlewareFunction)[];
  #active = false;
  #startedAt = 0;
  #stopping: Stopping | undefined;
  #cancelAbortTimer: CancelTimer | undefined;
  #startAgain = false;
  #isDrained = false;
  #onEnded: (() => void)[] = [];
  #onStarted: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  constructor(
    pool: Pool,
    connection: JobConnection,
    options: ConsumerOptions,
    entries: readonly JobHandlerEntry[],
    /** Of the queue; those of the pool's options are outside of them. */
    middlewares: readonly (JobMiddleware | MiddlewareFunction<JobContext>)[],
    readonly origin: string,
  ) {
    this.name = options.queue;
    this.#pool = pool;
    this.#connection = connection;
    this.#options = options;
    this.#middlewares = middlewares.filter(isAround);
    const aroundClaims = middlewares.filter(isClaimMiddleware);
    this.#mayHoldBack = hasLimits(options) || aroundClaims.length > 0;
    const environment = unitEnvironmentOf(pool, () => this.#middlewares);
    this.runner = new JobRunner(connection, options, entries, environment);
    this.#intake = new JobIntake(connection, options, aroundClaims, this.runner);
    this.runner.onHungry = () => this.#intake.request();
    this.runner.onTook = () => this.#intake.works();
    this.runner.claimsAlone = () => this.#intake.claimsAlone;
    this.runner.onStandstill = () => this.#endIfDone();
    this.runner.hasClaimMiddlewares = aroundClaims.length > 0;
    this.#watch = new ConsumptionWatch(connection, options, () => this.runner.hungrySince);
  }

  get active(): boolean {
    return this.#active;
  }

  get status(): ExecutionStatus {
    if (this.runner.stuck > 0) return 'stuck';
    const { status } = this.record;
    const unwell = this.#watch.starving || this.#failingMs >= this.#options.callTimeoutMs;
    return status === 'running' && unwell ? 'error' : status;
  }

  get degraded(): boolean {
    return this.#active && this.#failure !== undefined;
  }

  /** For how long something that the backend is asked has failed. */
  get #failingMs(): number {
    return Math.max(this.#connection.unreachableMs, this.#intake.failingMs, this.runner.settler.failingMs);
  }

  get #failure(): unknown {
    return this.#connection.error ?? this.#intake.failure ?? this.runner.settler.failure;
  }

  /** Options of the pool are settled by now. Throws where a middleware of theirs is not provided. */
  register(): void {
    const owner = `job queue "${this.name}" (${this.origin})`;
    const ofPool = this.#pool.options.middlewares.map((one) => this.#pool.middleware(one, owner));
    this.#middlewares = [...ofPool, ...this.#middlewares];
    this.record = new ExecutionRecord(this.#pool.options.historySize);
    this.record.id = this.#pool.generateId();
    this.#emit({ type: 'registered', enabled: true, ...this.#stamp() });
  }

  start(): void {
    if (this.#active) {
      this.#startAgain = this.#stopping !== undefined;
      return;
    }
    this.#active = true;
    this.#isDrained = false;
    this.#startedAt = this.#pool.clock.monotonic();
    this.#connection.open();
    this.runner.settler.open();
    this.runner.leases.open();
    this.#emit({ type: 'started', attempt: 1, maxAttempts: 1, restart: false, ...this.#stamp() });
    if (this.#options.autoStart) {
      this.runner.open = true;
      this.#intake.open();
      if (!this.#mayHoldBack) this.#watch.open();
    }
    this.#onStarted.splice(0).forEach(({ resolve }) => resolve());
  }

  stop({ reason, abortAt }: StopRequest): Promise<void> {
    this.#startAgain = false;
    this.#onStarted.splice(0).forEach(({ reject }) => reject(this.#refusal()));
    if (!this.#active) return Promise.resolve();
    const ended = new Promise<void>((resolve) => this.#onEnded.push(resolve));
    if (this.#stopping !== undefined) {
      // The app closes, and leaves it less time than it was given.
      if (abortAt < this.#stopping.abortAt) this.#abortAt(abortAt);
      return ended;
    }
    this.#stopping = { reason, abortAt };
    this.#emit({ type: 'stopping', reason, ...this.#stamp() });
    this.#watch.close();
    this.runner.open = false;
    this.#abortAt(abortAt);
    void this.#drain();
    return ended;
  }

  abandon(): void {
    this.#startAgain = false;
    const stopping = this.#stopping;
    if (stopping === undefined) return;
    const { reason } = stopping;
    this.#cancelAbortTimer?.();
    this.runner.abortRunning(reason);
    const unsettled = this.runner.settler.close().length;
    if (unsettled > 0) {
      this.#pool.say(
        'warn',
        `Job consumer "${this.name}" could not tell the backend what became of ${unsettled} jobs: they will run again`,
        { queue: this.name },
      );
    }
    // Their leases run out: nothing runs twice before.
    void this.runner.leases.close();
    const orphans = this.runner
      .abandonRunning(reason)
      .map(({ claimed: { name, id } }) => (name ? `${name} (${id})` : id));
    const rest = orphans.length - namedOrphans;
    const tasks = orphans.slice(0, namedOrphans);
    if (rest > 0) tasks.push(`${rest} more`);
    this.#emit({ type: 'orphaned', reason, ...(tasks.length > 0 && { tasks }), ...this.#stamp() });
    this.#onEnded.splice(0).forEach((resolve) => resolve());
  }

  snapshot(): JobConsumerSnapshot {
    const error = this.#failure;
    const lastError = error === undefined ? this.runner.lastError : toErrorInfo(error);
    const { runner, record, status, degraded } = this;
    return new JobConsumerSnapshot({ runner, options: this.#options, record, status, degraded, lastError });
  }

  /**
   * Claims one job, runs it and settles it. Answers how its attempt ended, or `undefined` where none was due. Waits for
   * the start of the app. Rejects with `PoolStoppingError` where that does not come any more, or the app shuts down.
   */
  async runOnce(): Promise<RunEnd | undefined> {
    if (this.#stopping !== undefined || this.#pool.draining) throw this.#refusal();
    if (!this.#active) {
      await new Promise<void>((resolve, reject) => this.#onStarted.push({ resolve, reject }));
    }
    const claimed = await this.#intake.claimOne();
    if (claimed === undefined) return undefined;
    if (!this.#active || this.#stopping !== undefined) {
      this.runner.handBack([claimed.job]);
      throw this.#refusal();
    }
    return this.runner.runOne(claimed.job, claimed.sentAt);
  }

  #refusal(): PoolStoppingError {
    return new PoolStoppingError(`Running one job of queue "${this.name}"`);
  }

  async #drain(): Promise<void> {
    const stopping = this.#stopping;
    await this.#intake.close();
    if (this.#stopping !== stopping) return;
    this.#isDrained = true;
    this.#endIfDone();
  }

  /** Ends once no claim is under way, nothing runs, and the backend knows of everything. */
  #endIfDone(): void {
    if (!this.#isDrained || this.runner.running > 0) return;
    const stopping = this.#stopping;
    void this.runner.settler.onIdle().then(async () => {
      if (this.#stopping !== stopping || stopping === undefined || this.runner.running > 0) return;
      this.#isDrained = false;
      await this.runner.leases.close();
      if (this.#stopping === stopping) this.#end(stopping.reason);
    });
  }

  #end(reason: AbortReason): void {
    this.#cancelAbortTimer?.();
    this.#stopping = undefined;
    this.#active = false;
    const durationMs = this.#pool.clock.monotonic() - this.#startedAt;
    this.#emit({ type: 'cancelled', reason, durationMs, ...this.#stamp() });
    this.#onEnded.splice(0).forEach((resolve) => resolve());
    if (!this.#startAgain) return;
    this.#startAgain = false;
    this.#pool.inScope(() => this.start());
  }

  #abortAt(abortAt: number): void {
    this.#stopping!.abortAt = abortAt;
    this.#cancelAbortTimer?.();
    const { clock } = this.#pool;
    this.#cancelAbortTimer = this.#pool.inScope(() =>
      clock.setTimer(
        () => this.#stopping && this.runner.abortRunning(this.#stopping.reason),
        Math.max(0, abortAt - clock.monotonic()),
      ),
    );
  }

  #stamp(): Pick<WorkEvent, 'kind' | 'name' | 'executionId' | 'time'> {
    return {
      kind: 'job-consumer',
      name: this.name,
      executionId: this.record.id,
      time: this.#pool.clock.now(),
    };
  }

  #emit(event: WorkEvent): void {
    this.record.apply(event);
    this.#pool.emit(event);
  }
}
