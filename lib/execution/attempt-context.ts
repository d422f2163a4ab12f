import { type Clock, type Duration, parseDuration } from '../clock/index.js';
import { InvalidOptionError } from '../errors/index.js';
import type { AbortReason, ChildKind, WorkEvent } from '../events/index.js';
import { AttemptAbortedError } from './attempt-aborted-error.js';
import { Cancellation } from './cancellation.js';
import type { WorkLogger } from './work-logger.js';
import type { WorkTracer } from './work-tracer.js';

/** What all kinds of work are given while they run. */
export interface WorkContext {
  readonly kind: ChildKind;
  /** Name of the worker or queue. */
  readonly name: string;
  /** Id of this attempt (UUIDv7, or what `idGenerator` makes). Each restart has a new one. */
  readonly executionId: string;
  /** 1 for the first attempt, one more after each consecutive failure. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /**
   * Aborts when this attempt is to end; its reason is an `AttemptAbortedError`. Pass it on to whatever takes a
   * signal.
   */
  readonly signal: AbortSignal;
  /** Aborts when the app begins to shut down; never sooner and never for another reason. */
  readonly shutdown: AbortSignal;
  /** Names this execution on each of its lines. */
  readonly logger: WorkLogger;
  readonly tracer: WorkTracer;
  /**
   * A stopwatch lap: records the time since the last mark, or since the start, under the scope of this work and
   * `action`. Keep actions few: each becomes a time series. Once work marks, the segment up to the end of the
   * attempt is recorded too, as `end`.
   */
  mark(action: string): void;
  /**
   * Waits. Rejects with the signal's reason as soon as the attempt is told to end, so that a loop which sleeps
   * needs no other check.
   */
  sleep(duration: Duration): Promise<void>;
  /** Says "still making progress" to `stallTimeout`. Call it from the work, never from a timer beside it. */
  heartbeat(): void;
}

/** What a pool lends to all attempts that run in it. */
export interface AttemptEnvironment {
  readonly clock: Clock;
  readonly logger: WorkLogger;
  readonly tracer: WorkTracer;
  readonly shutdown: AbortSignal;
  emit(event: WorkEvent): void;
}

/** What names one attempt, in a log line, a span or an event. */
export interface AttemptIdentity {
  readonly kind: ChildKind;
  readonly name: string;
  readonly executionId: string;
  /** Name of the task, where it is one of a queue's. */
  readonly task?: string | undefined;
  /** Id of the job, where it is one of a queue's. */
  readonly jobId?: string | undefined;
}

/** Whoever keeps the work running, as its attempts see it. */
export interface AttemptObserver {
  /** The worker, queue or consumer that it belongs to. */
  readonly child: { readonly kind: ChildKind; readonly name: string };
  /** Name of the task, where it is one of a queue's. */
  readonly task?: string;
  /** Id of the job, where it is one of a queue's. */
  readonly jobId?: string;
  /** What marks are recorded under. */
  readonly scope: string;
  readonly maxAttempts: number;
  readonly environment: AttemptEnvironment;
  /** Set once one of its attempts has marked: from then on the last segment of each is recorded too. */
  marks: boolean;
  /** Id of the attempt that is under way. Asked for once per attempt, and only where somebody wants to know. */
  identify(): string;
  /** Called on `ctx.heartbeat()`. */
  beat(): void;
  /** Called once, when the attempt is told to end. */
  aborted(reason: AbortReason, attempt: AttemptContext): void;
  /** Called for each mark, instead of an event being made of it. */
  marked?(attempt: AttemptContext, action: string, durationMs: number, outcome: 'success' | 'error'): void;
}

/** One attempt's context. The executor makes exactly one per attempt. */
export class AttemptContext implements WorkContext {
  readonly #observer: AttemptObserver;
  #executionId: string | undefined;
  /** Made when something asks for it; an attempt that waits for nothing goes without. */
  #cancellation: Cancellation | undefined;
  #ended = false;
  #lastMark: number;
  #logger: WorkLogger | undefined;
  #work: Promise<unknown> | undefined;

  constructor(
    observer: AttemptObserver,
    readonly attempt: number,
    /** By the monotonic clock. */
    readonly startedAt: number = observer.environment.clock.monotonic(),
  ) {
    this.#observer = observer;
    this.#lastMark = startedAt;
  }

  /** @internal */
  get observer(): AttemptObserver {
    return this.#observer;
  }

  get executionId(): string {
    return (this.#executionId ??= this.#observer.identify());
  }

  /** Name of the task, where it is one of a queue's. */
  get task(): string | undefined {
    return this.#observer.task;
  }

  /** Id of the job, where it is one of a queue's. */
  get jobId(): string | undefined {
    return this.#observer.jobId;
  }

  get kind(): ChildKind {
    return this.#observer.child.kind;
  }

  get name(): string {
    return this.#observer.child.name;
  }

  get maxAttempts(): number {
    return this.#observer.maxAttempts;
  }

  get signal(): AbortSignal {
    return this.#cancel().signal;
  }

  get shutdown(): AbortSignal {
    return this.#observer.environment.shutdown;
  }

  get logger(): WorkLogger {
    return (this.#logger ??= this.#observer.environment.logger.child(logFields(this)));
  }

  get tracer(): WorkTracer {
    return this.#observer.environment.tracer;
  }

  /** @internal */
  get clock(): Clock {
    return this.#observer.environment.clock;
  }

  /** @internal Why the attempt was told to end; `undefined` while it was not. */
  get abortedFor(): AttemptAbortedError | undefined {
    return this.#cancellation?.reason;
  }

  mark(action: string): void {
    this.#observer.marks = true;
    this.#lap(action, 'success');
  }

  sleep(duration: Duration): Promise<void> {
    const delayMs = parseDuration(duration);
    const slept =
      delayMs === undefined ? Promise.reject(invalidSleep(this.name, duration)) : this.#wait(delayMs);
    // One that nobody waits for, such as the loser of a race, must not end the process when the attempt is aborted.
    slept.catch(ignore);
    return slept;
  }

  heartbeat(): void {
    // Not when something that an ended attempt left behind calls it: the next one would never stall.
    if (!this.#ended && this.#cancellation?.aborted !== true) this.#observer.beat();
  }

  /** @internal Calls `listener` when the attempt is told to end, or has ended. */
  onOver(listener: () => void): void {
    this.#cancel().onAbort(listener);
  }

  /** @internal The work while it runs inside of middlewares, which may end before it does. */
  get work(): Promise<unknown> | undefined {
    return this.#work;
  }

  /** @internal Runs the work that middlewares are around. */
  follow(handler: (context: WorkContext) => unknown): Promise<unknown> {
    const work = (async () => handler(this))();
    const ended = (): void => {
      this.#work = undefined;
    };
    work.then(ended, ended);
    this.#work = work;
    return work;
  }

  /** @internal Tells the attempt to end. */
  abort(reason: AbortReason, detail = ''): void {
    const cancellation = this.#cancel();
    if (cancellation.aborted) return;
    cancellation.abort(new AttemptAbortedError(reason, abortMessage(this, reason, detail)));
    this.#observer.aborted(reason, this);
  }

  /** @internal The attempt has ended. */
  end(outcome: 'success' | 'error'): void {
    this.#ended = true;
    this.#cancellation?.end();
    if (this.#observer.marks) this.#lap('end', outcome);
  }

  #cancel(): Cancellation {
    if (this.#cancellation === undefined) {
      this.#cancellation = new Cancellation();
      if (this.#ended) this.#cancellation.end();
    }
    return this.#cancellation;
  }

  // What an ended attempt has left behind goes no further: it waits for ever, and holds no timer.
  #wait(delayMs: number): Promise<void> {
    const cancellation = this.#cancel();
    return new Promise((resolve, reject) => {
      const interrupt = (): void => {
        if (cancellation.reason !== undefined) reject(cancellation.reason);
      };
      if (cancellation.aborted) return interrupt();
      const cancelTimer = this.clock.setTimer(() => {
        off();
        resolve();
      }, delayMs);
      const off = cancellation.onAbort(() => {
        cancelTimer();
        interrupt();
      });
    });
  }

  #lap(action: string, outcome: 'success' | 'error'): void {
    const observer = this.#observer;
    const now = observer.environment.clock.monotonic();
    const durationMs = now - this.#lastMark;
    this.#lastMark = now;
    if (observer.marked === undefined) this.tellMark(action, durationMs, outcome);
    else observer.marked(this, action, durationMs, outcome);
  }

  /** @internal Makes an event of a mark. */
  tellMark(action: string, durationMs: number, outcome: 'success' | 'error'): void {
    const { child, task, jobId, scope, environment } = this.#observer;
    environment.emit({
      type: 'marked',
      kind: child.kind,
      name: child.name,
      executionId: this.executionId,
      time: environment.clock.now(),
      scope,
      action,
      durationMs,
      outcome,
      ...(task !== undefined && { task }),
      ...(jobId !== undefined && { jobId }),
    });
  }
}

const ignore = (): void => {};

/** The fields that name an execution in a log line. */
export function logFields(identity: AttemptIdentity): Readonly<Record<string, string>> {
  const { kind, name, executionId, task, jobId } = identity;
  if (kind === 'worker') return { worker: name, workerExecutionID: executionId };
  if (jobId !== undefined) return { queue: name, jobID: jobId, jobExecutionID: executionId };
  return task === undefined ? { queue: name } : { queue: name, task, taskExecutionID: executionId };
}

const reasonTexts: Record<AbortReason, string> = {
  shutdown: 'the application is shutting down',
  'stop-requested': 'it was told to stop',
  timeout: 'it ran longer than its timeout',
  stalled: 'it gave no heartbeat for its stallTimeout',
  'lease-lost': 'its lease was lost',
};

function abortMessage(context: AttemptContext, reason: AbortReason, detail: string): string {
  const { kind, name, task, jobId } = context;
  const unit = task !== undefined ? `task "${task}" in ` : jobId !== undefined ? `job ${jobId} in ` : '';
  const what = `Attempt ${context.attempt} of ${unit}${kind} "${name}"`;
  return `${what} was aborted: ${reasonTexts[reason]}${detail && ` (${detail})`}.`;
}

function invalidSleep(name: string, given: unknown): InvalidOptionError {
  return new InvalidOptionError({
    owner: `ctx.sleep() in "${name}"`,
    option: 'duration',
    given,
    accepted: "a number of milliseconds or a string like '500ms', '3s' or '10m'",
    cure: `Write for example ctx.sleep('1s').`,
  });
}
