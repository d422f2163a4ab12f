import type { CancelTimer } from '../clock/index.js';
import { type AbortReason, type ChildKind, toErrorInfo, type WorkEvent } from '../events/index.js';
import {
  AttemptContext,
  type AttemptEnvironment,
  type AttemptObserver,
  execute,
  ExecutionRecord,
  type Handler,
  type Outcome,
} from '../execution/index.js';
import { decide, RestartState, withSafeBackoff } from './restart-policy.js';
import { StallWatch } from './stall-watch.js';
import type { ResolvedSupervision } from './supervision-options.js';

/** What a supervisor needs from the one who runs it. */
export interface SupervisorEnvironment extends AttemptEnvironment {
  generateId(): string;
  /** Runs `fn` outside of any request's or attempt's async context. */
  inScope<Result>(fn: () => Result): Result;
  /** Given up on, with `onExhausted: 'shutdown'`. */
  escalate(name: string): void;
  /** User code failed beside the work: reported once, and of no consequence to it. */
  report(what: string, error: unknown): void;
}

/** What is kept running. */
export interface Supervised {
  readonly kind: ChildKind;
  readonly name: string;
  /** What an attempt runs. Asked for once, at the first one. */
  handler(): Handler;
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
 *                cancelled  cancelled  stopping ──▶ cancelled | error | stuck
 *
 * `start()` and `stop()` may be called in any order and any number of times; the last call wins. An attempt
 * never runs beside another one of the same supervisor: a new start waits for the old attempt to end.
 *
 * It steps from one callback to the next instead of awaiting: each promise costs, and so does each that waits.
 */
export class Supervisor implements AttemptObserver {
  readonly environment: SupervisorEnvironment;
  readonly record: ExecutionRecord;
  readonly policy: ResolvedSupervision;
  marks = false;
  readonly #supervised: Supervised;
  #handler: Handler | undefined;
  #state: RestartState;
  #active = false;
  /** Set while it is to stop. */
  #stopReason: AbortReason | undefined;
  /** Started anew while it was stopping: begins once it has ended. */
  #startAgain = false;
  /** Set once it is certain that no attempt follows and only the last events are to be told. */
  #over = false;
  /** Set once it was told of as left behind: that is told once. */
  #orphaned = false;
  #onEnded: (() => void)[] | undefined;
  #attempt: AttemptContext | undefined;
  /** Ends what is waited for between attempts. */
  #cancelPause: CancelTimer | undefined;
  #stallWatch: StallWatch | undefined;
  #cancelGraceTimer: CancelTimer | undefined;

  constructor(
    supervised: Supervised,
    policy: ResolvedSupervision,
    environment: SupervisorEnvironment,
    historySize: number,
  ) {
    this.#supervised = supervised;
    this.environment = environment;
    this.policy = withSafeBackoff(policy, (error) =>
      environment.report(`the backoff function of "${supervised.name}"`, error),
    );
    this.record = new ExecutionRecord(historySize);
    this.#state = new RestartState(this.policy);
  }

  get kind(): ChildKind {
    return this.#supervised.kind;
  }

  get name(): string {
    return this.#supervised.name;
  }

  get child(): Supervised {
    return this.#supervised;
  }

  get scope(): string {
    return this.name;
  }

  get maxAttempts(): number {
    return this.policy.maxAttempts;
  }

  /** True from `start()` until nothing of it runs any more. */
  get active(): boolean {
    return this.#active;
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
    if (this.#active) {
      this.#startAgain = this.#over || this.#stopReason !== undefined;
      return;
    }
    this.#active = true;
    // The id that it was registered with is its first attempt's; each later attempt has a new one.
    if (this.record.status !== 'unknown') this.#begin();
    const { deferredStartMs } = this.policy;
    if (deferredStartMs === 0) return this.#runSoon();
    this.#emit({ type: 'deferred', delayMs: deferredStartMs, ...this.#stamp() });
    this.#runAfter(deferredStartMs, false);
  }

  /** Tells it to end, and answers when it has. How long that may take is the caller's business, see `abandon()`. */
  stop(reason: AbortReason): Promise<void> {
    this.#startAgain = false;
    if (!this.#active) return Promise.resolve();
    const ended = new Promise<void>((resolve) => (this.#onEnded ??= []).push(resolve));
    if (this.#stopReason === undefined && !this.#over) {
      this.#stopReason = reason;
      this.#emit({ type: 'stopping', reason, ...this.#stamp() });
      if (this.#cancelPause !== undefined) this.#cancelledBetweenAttempts(reason);
      else this.#attempt?.abort(reason);
    }
    return ended;
  }

  /** The time to stop is over: says so, and waits for it no longer. */
  abandon(): void {
    this.#startAgain = false;
    if (!this.#active || this.#stopReason === undefined || this.#orphaned) return;
    this.#orphaned = true;
    // It may never end: nothing of ours goes on waiting for that.
    this.#cancelGraceTimer?.();
    this.#emit({ type: 'orphaned', reason: this.#stopReason, ...this.#stamp() });
  }

  identify(): string {
    return this.record.id;
  }

  beat(): void {
    this.#stallWatch?.beat();
  }

  aborted(reason: AbortReason): void {
    this.#stallWatch?.stop();
    // A shutdown has a deadline of its own, kept by the pool.
    if (reason === 'shutdown') return;
    const graceMs = this.policy.abortGraceMs;
    this.#cancelGraceTimer = this.environment.clock.setTimer(
      () => this.#emit({ type: 'stuck', reason, graceMs, ...this.#stamp() }),
      graceMs,
    );
  }

  /** Not the first time: counts from the beginning, under a new id. */
  #begin(): void {
    this.#state = new RestartState(this.policy);
    this.record.id = this.environment.generateId();
  }

  /** Not at once: whoever starts several must not have the first one's code run, and perhaps stop them all, between. */
  #runSoon(): void {
    let cancelled = false;
    this.#cancelPause = () => {
      cancelled = true;
    };
    queueMicrotask(() => {
      if (cancelled) return;
      this.#cancelPause = undefined;
      this.#runAttempt(false);
    });
  }

  #runAfter(delayMs: number, restart: boolean): void {
    // A listener that was just told of the delay may have stopped it.
    if (this.#stopReason !== undefined) return this.#cancelledBetweenAttempts(this.#stopReason);
    // A timer keeps the async context that it is set in, and here that is the one where the last attempt ended.
    const begin = (): void => {
      this.#cancelPause = undefined;
      this.#runAttempt(restart);
    };
    this.#cancelPause = this.environment.inScope(() => this.environment.clock.setTimer(begin, delayMs));
  }

  #cancelledBetweenAttempts(reason: AbortReason): void {
    this.#cancelPause?.();
    this.#cancelPause = undefined;
    this.#emit({ type: 'cancelled', reason, durationMs: 0, ...this.#stamp() });
    this.#end();
  }

  #runAttempt(restart: boolean): void {
    if (restart) this.record.id = this.environment.generateId();
    const attempt = new AttemptContext(this, this.#state.failures + 1);
    this.#attempt = attempt;
    const { maxAttempts, timeoutMs } = this.policy;
    this.#emit({
      type: 'started',
      kind: this.kind,
      name: this.name,
      executionId: attempt.executionId,
      time: this.environment.clock.now(),
      attempt: attempt.attempt,
      maxAttempts,
      restart,
    });
    // A listener may have stopped it by now, before there was an attempt to abort.
    if (this.#stopReason !== undefined) attempt.abort(this.#stopReason);
    this.#watchForStall(attempt);
    this.#handler ??= this.#supervised.handler();
    execute(this.#handler, attempt, timeoutMs, this.#attemptEnded);
  }

  readonly #attemptEnded = (outcome: Outcome, attempt: AttemptContext): void => {
    this.#attempt = undefined;
    this.#stallWatch?.stop();
    this.#stallWatch = undefined;
    this.#cancelGraceTimer?.();
    const now = this.environment.clock.monotonic();
    const durationMs = now - attempt.startedAt;
    const stopped = this.#stopReason;
    if (stopped !== undefined) {
      // A loop that returns because it was told to was cancelled; what it returned is of no interest.
      this.#emitOutcome(
        outcome.kind === 'succeeded' ? { kind: 'cancelled', reason: stopped } : outcome,
        durationMs,
        attempt,
      );
      return this.#end();
    }
    // Decided before it is told: a listener that starts or stops it finds it settled what comes next.
    const decision = decide(this.policy, this.#state, outcome, durationMs, now, Math.random());
    this.#over = decision.kind !== 'restart';
    this.#emitOutcome(outcome, durationMs, attempt);
    if (decision.kind === 'restart') {
      const { delayMs } = decision;
      if (this.#stopReason !== undefined) return this.#cancelledBetweenAttempts(this.#stopReason);
      this.#emit({
        type: 'backoff',
        kind: this.kind,
        name: this.name,
        executionId: attempt.executionId,
        time: this.environment.clock.now(),
        delayMs,
        attempt: this.#state.failures + 1,
      });
      return this.#runAfter(delayMs, true);
    }
    if (decision.kind === 'exhausted') {
      this.#emit({
        type: 'exhausted',
        because: decision.because,
        attempts: this.#state.failures,
        ...this.#stamp(),
      });
      if (this.policy.onExhausted === 'shutdown') this.environment.escalate(this.name);
    }
    this.#end();
  };

  #end(): void {
    this.#active = false;
    this.#orphaned = false;
    this.#over = false;
    this.#stopReason = undefined;
    const waiting = this.#onEnded;
    this.#onEnded = undefined;
    waiting?.forEach((resolve) => resolve());
    if (!this.#startAgain) return;
    this.#startAgain = false;
    // The attempt that ends here may have entered some async context for good.
    this.environment.inScope(() => this.start());
  }

  #emitOutcome(outcome: Outcome, durationMs: number, attempt: AttemptContext): void {
    const time = this.environment.clock.now();
    switch (outcome.kind) {
      case 'succeeded':
        return this.#emit({
          type: 'succeeded',
          kind: this.kind,
          name: this.name,
          executionId: attempt.executionId,
          time,
          durationMs,
        });
      case 'cancelled':
        return this.#emit({
          type: 'cancelled',
          reason: outcome.reason,
          durationMs,
          ...(outcome.error !== undefined && { error: toErrorInfo(outcome.error) }),
          ...this.#stamp(),
        });
      case 'failed':
      case 'timed-out': {
        const abortedFor = attempt.abortedFor?.reason;
        const error = toErrorInfo(outcome.error);
        return this.#emit({
          type: 'failed',
          durationMs,
          error,
          ...(abortedFor && { abortedFor }),
          ...this.#stamp(),
        });
      }
    }
  }

  #watchForStall(attempt: AttemptContext): void {
    const { stallTimeoutMs } = this.policy;
    if (stallTimeoutMs === undefined || attempt.abortedFor !== undefined) return;
    this.#stallWatch = new StallWatch(this.environment.clock, stallTimeoutMs, (silentMs) => {
      this.#emit({ type: 'stalled', silentMs, ...this.#stamp() });
      attempt.abort('stalled', `no heartbeat for ${Math.round(silentMs)} ms`);
    });
  }

  // Spread last into an event: V8 takes a hundred times as long for an object that begins with a spread.
  #stamp(): Pick<WorkEvent, 'kind' | 'name' | 'executionId' | 'time'> {
    return {
      kind: this.kind,
      name: this.name,
      executionId: this.record.id,
      time: this.environment.clock.now(),
    };
  }

  #emit(event: WorkEvent): void {
    this.record.apply(event);
    this.environment.emit(event);
  }
}
