import { type CancelTimer, wait } from '../clock/index.js';
import { type AbortReason, type ChildKind, toErrorInfo, type WorkEvent } from '../events/index.js';
import {
  AttemptContext,
  type AttemptEnvironment,
  type AttemptObserver,
  Cancellation,
  execute,
  ExecutionRecord,
  type Handler,
  type Outcome,
} from '../execution/index.js';
import { delayAfter } from './backoff.js';
import { decide, RestartState } from './restart-policy.js';
import { defaultBackoff, type ResolvedSupervision } from './supervision-options.js';

/** What a supervisor needs from the one who runs it. */
export interface SupervisorEnvironment extends AttemptEnvironment {
  generateId(): string;
  /** Given up on, with `onExhausted: 'shutdown'`. */
  escalate(name: string): void;
  /** User code failed beside the work: reported once, and of no consequence to it. */
  report(what: string, error: unknown): void;
}

/** What to keep running, and how. */
export interface SupervisorSpec {
  readonly kind: ChildKind;
  readonly name: string;
  readonly handler: Handler;
  readonly policy: ResolvedSupervision;
  readonly historySize: number;
  readonly environment: SupervisorEnvironment;
}

/**
 * Keeps one thing running: waits out the deferral, runs attempts one after another, waits between them as the
 * policy says, and gives up when it says so.
 *
 *     unknown ──▶ deferred ──▶ running ──▶ success | error
 *                    │      ┌────▶│ └──▶ stalled ──▶ (ended) ──▶ backoff | error
 *                    │      │     │         └──▶ stuck ──▶ (ended, if ever)
 *                    │   backoff ◀┘
 *                    ▼      ▼     ▼
 *                cancelled  cancelled  stopping ──▶ cancelled | success | error | stuck
 *
 * `start()` and `stop()` may be called in any order and any number of times; the last call wins. An attempt
 * never runs beside another one of the same supervisor: a new start waits for the old attempt to end.
 */
export class Supervisor implements AttemptObserver {
  readonly kind: ChildKind;
  readonly name: string;
  readonly environment: SupervisorEnvironment;
  readonly record: ExecutionRecord;
  readonly policy: ResolvedSupervision;
  readonly #handler: Handler;
  #state: RestartState;
  /** Settles when nothing runs any more; `undefined` while nothing does. Never rejects. */
  #running: Promise<void> | undefined;
  /** Set while it is to stop, or has been stopped. */
  #stopReason: AbortReason | undefined;
  #startAgain = false;
  /** What is waited for between attempts. */
  #pause: Cancellation | undefined;
  #attempt: AttemptContext | undefined;
  #lastBeat = 0;
  #cancelStallTimer: CancelTimer | undefined;
  #cancelGraceTimer: CancelTimer | undefined;

  constructor({ kind, name, handler, policy, historySize, environment }: SupervisorSpec) {
    this.kind = kind;
    this.name = name;
    this.environment = environment;
    this.policy = this.#withSafeBackoff(policy);
    this.record = new ExecutionRecord(historySize);
    this.#handler = handler;
    this.#state = new RestartState(this.policy);
  }

  get maxAttempts(): number {
    return this.policy.maxAttempts;
  }

  /** True from `start()` until nothing of it runs any more. */
  get active(): boolean {
    return this.#running !== undefined;
  }

  get restartsInWindow(): number {
    return this.#state.restartsInWindow(this.environment.clock.monotonic());
  }

  /** Tells that it exists. Call once, before anything else. */
  register(): void {
    this.record.id = this.environment.generateId();
    this.#emit({ type: 'registered', enabled: this.policy.enabled, ...this.#stamp() });
  }

  start(): void {
    if (!this.policy.enabled) return;
    if (this.#running !== undefined) {
      this.#startAgain = this.#stopReason !== undefined;
      return;
    }
    this.#stopReason = undefined;
    this.#state = new RestartState(this.policy);
    // Begins in a turn of its own, so that whoever starts it is not held up by the first steps of user code.
    this.#running = Promise.resolve()
      .then(() => this.#supervise())
      .catch((error: unknown) => this.environment.report(`the supervisor of "${this.name}"`, error))
      .then(() => {
        this.#running = undefined;
        if (!this.#startAgain) return;
        this.#startAgain = false;
        this.start();
      });
  }

  /**
   * Tells it to end, and answers when it has. How long that may take is the caller's business, see `abandon()`.
   */
  stop(reason: AbortReason): Promise<void> {
    this.#startAgain = false;
    if (this.#running === undefined) return Promise.resolve();
    if (this.#stopReason === undefined) {
      this.#stopReason = reason;
      this.#emit({ type: 'stopping', reason, ...this.#stamp() });
      this.#pause?.end();
      this.#attempt?.abort(reason);
    }
    return this.#running;
  }

  /** The time to stop is over: says so, and waits for it no longer. */
  abandon(): void {
    this.#startAgain = false;
    if (this.#running === undefined || this.#stopReason === undefined) return;
    this.#emit({ type: 'orphaned', reason: this.#stopReason, ...this.#stamp() });
  }

  beat(): void {
    if (this.policy.stallTimeoutMs !== undefined) this.#lastBeat = this.environment.clock.monotonic();
  }

  aborted(reason: AbortReason): void {
    // A stop has its own deadline, kept by the one who asked for it.
    if (reason === 'shutdown' || reason === 'stop-requested') return;
    const graceMs = this.policy.abortGraceMs;
    this.#cancelGraceTimer = this.environment.clock.setTimer(
      () => this.#emit({ type: 'stuck', reason, graceMs, ...this.#stamp() }),
      graceMs,
    );
  }

  async #supervise(): Promise<void> {
    if (this.#stopReason !== undefined) return this.#cancelled();
    if (this.policy.deferredStartMs > 0) {
      this.record.id = this.environment.generateId();
      this.#emit({ type: 'deferred', delayMs: this.policy.deferredStartMs, ...this.#stamp() });
      if (!(await this.#waited(this.policy.deferredStartMs))) return;
    }
    for (let restart = false; ; restart = true) {
      const again = await this.#runOnce(restart);
      if (again === undefined || !(await this.#waited(again))) return;
    }
  }

  /** Waits; answers false, having said so, when it was told to stop meanwhile. */
  async #waited(delayMs: number): Promise<boolean> {
    if (this.#stopReason === undefined) {
      this.#pause = new Cancellation();
      await wait(this.environment.clock, delayMs, this.#pause);
      this.#pause = undefined;
    }
    if (this.#stopReason === undefined) return true;
    this.#cancelled();
    return false;
  }

  #cancelled(): void {
    const reason = this.#stopReason ?? 'stop-requested';
    this.#emit({ type: 'cancelled', reason, durationMs: 0, ...this.#stamp() });
  }

  /** Runs one attempt to its end; answers the milliseconds until the next one, or nothing when there is none. */
  async #runOnce(restart: boolean): Promise<number | undefined> {
    const { clock } = this.environment;
    // The id that a deferral was announced with is the first attempt's.
    const id = restart || this.policy.deferredStartMs === 0 ? this.environment.generateId() : this.record.id;
    const attempt = new AttemptContext(this, id, this.#state.failures + 1);
    this.record.id = id;
    this.#attempt = attempt;
    this.#emit({
      type: 'started',
      attempt: attempt.attempt,
      maxAttempts: this.policy.maxAttempts,
      restart,
      ...this.#stamp(),
    });
    // A listener may have stopped it by now.
    if (this.#stopReason !== undefined) attempt.abort(this.#stopReason);
    this.#watchForStall(attempt);

    const outcome = await execute(this.#handler, attempt, this.policy.timeoutMs);

    this.#attempt = undefined;
    this.#cancelStallTimer?.();
    this.#cancelGraceTimer?.();
    const now = clock.monotonic();
    const durationMs = now - attempt.startedAt;
    if (this.#stopReason !== undefined) {
      this.#emitEnd(this.#stoppedOutcome(outcome), durationMs, attempt);
      return undefined;
    }
    this.#emitEnd(outcome, durationMs, attempt);
    return this.#follow(outcome, durationMs, now);
  }

  #follow(outcome: Outcome, uptimeMs: number, now: number): number | undefined {
    const decision = decide(this.policy, this.#state, outcome, uptimeMs, now, Math.random());
    switch (decision.kind) {
      case 'finished':
        return undefined;
      case 'restart':
        this.#emit({
          type: 'backoff',
          delayMs: decision.delayMs,
          attempt: this.#state.failures + 1,
          ...this.#stamp(),
        });
        return decision.delayMs;
      case 'exhausted':
        this.#emit({
          type: 'exhausted',
          because: decision.because,
          attempts: this.#state.failures,
          ...this.#stamp(),
        });
        if (this.policy.onExhausted === 'shutdown') this.environment.escalate(this.name);
        return undefined;
    }
  }

  /** A loop that returns because it was told to was cancelled; what it returned is of no interest. */
  #stoppedOutcome(outcome: Outcome): Outcome {
    const reason = this.#stopReason;
    return outcome.kind === 'succeeded' && reason !== undefined ? { kind: 'cancelled', reason } : outcome;
  }

  #emitEnd(outcome: Outcome, durationMs: number, attempt: AttemptContext): void {
    switch (outcome.kind) {
      case 'succeeded':
        return this.#emit({ type: 'succeeded', durationMs, ...this.#stamp() });
      case 'cancelled':
        return this.#emit({ type: 'cancelled', reason: outcome.reason, durationMs, ...this.#stamp() });
      case 'failed':
      case 'timed-out': {
        const abortedFor = attempt.abortedFor?.reason;
        return this.#emit({
          type: 'failed',
          durationMs,
          error: toErrorInfo(outcome.error),
          ...(abortedFor !== undefined && { abortedFor }),
          ...this.#stamp(),
        });
      }
    }
  }

  #watchForStall(attempt: AttemptContext): void {
    const { stallTimeoutMs } = this.policy;
    if (stallTimeoutMs === undefined) return;
    const { clock } = this.environment;
    this.#lastBeat = attempt.startedAt;
    // One timer per silence, not one per heartbeat: a heartbeat only notes the time.
    const check = (): void => {
      const silentMs = clock.monotonic() - this.#lastBeat;
      if (silentMs < stallTimeoutMs) {
        this.#cancelStallTimer = clock.setTimer(check, stallTimeoutMs - silentMs);
        return;
      }
      if (attempt.abortedFor !== undefined) return;
      this.#emit({ type: 'stalled', silentMs, ...this.#stamp() });
      attempt.abort('stalled', `no heartbeat for ${Math.round(silentMs)} ms`);
    };
    this.#cancelStallTimer = clock.setTimer(check, stallTimeoutMs);
  }

  #withSafeBackoff(policy: ResolvedSupervision): ResolvedSupervision {
    const { backoff } = policy;
    if (typeof backoff !== 'function') return policy;
    const safe = (failures: number, error: unknown): number => {
      try {
        return delayAfter(backoff, failures, error, 0);
      } catch (thrown) {
        this.environment.report(`the backoff function of "${this.name}"`, thrown);
        return delayAfter(defaultBackoff, failures, error, 0);
      }
    };
    return { ...policy, backoff: safe };
  }

  #stamp(): Pick<WorkEvent, 'kind' | 'name' | 'executionId' | 'time'> {
    return {
      kind: this.kind,
      name: this.name,
      executionId: this.record.id,
      time: this.environment.clock.now(),
    };
  }

  #emit(event: WorkEvent): void {
    Object.freeze(event);
    this.record.apply(event);
    this.environment.emit(event);
  }
}
