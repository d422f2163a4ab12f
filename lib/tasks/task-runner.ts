import type { AbortReason } from '../events/index.js';
import { AttemptContext, execute, type Handler, newScope, type Outcome } from '../execution/index.js';
import type { UnitEnvironment } from '../pool/index.js';
import { Backlog, type BacklogHost, newTask } from './backlog.js';
import type { CarriedRun } from './carried-run.js';
import { LinkedList } from './linked-list.js';
import type { QueuedTask } from './queued-task.js';
import { SignalWatch } from './signal-watch.js';
import { cancelled, TaskEnds } from './task-ends.js';
import { isLater, type ResolvedTaskOptions } from './task-options.js';
import type { RunningTask } from './task.js';

// So long may tasks follow each other before the event loop gets its turn.
const yieldAfterMs = 10;
const slowMs = 1;
const startsBetweenLooks = 64;
const readingsSaved = 31;

/** Runs the tasks that are due, a few at a time and in order. */
export class TaskRunner implements BacklogHost {
  readonly kind = 'task-queue';
  readonly backlog: Backlog;
  readonly ends: TaskEnds;
  readonly #running = new LinkedList<QueuedTask>();
  /** The tasks with everything that is around them; the tasks themselves where nothing is. */
  #handler: Handler | undefined;
  /** How many attempts may still begin: any number while the queue is open, none while it is held. */
  #allowance = 0;
  #concurrency: number;
  #stuck = 0;
  #leftBehind = 0;
  /** Attempts that have ended, and of which it is not certain yet what follows. */
  #deciding = 0;
  #pumpIsDue = false;
  #saturatedSince: number | undefined;
  /** How long attempts kept the processor busy as they began, since the event loop last had its turn for this queue. */
  #busyMs = 0;
  #isYielding = false;
  /** Whether the last attempt took its time, as one does that keeps the processor busy, or waits. */
  #isSlow = false;
  #starts = 0;
  #yieldedAt = 0;
  #lastReading = 0;
  #readings = 0;
  /** Told whenever nothing runs. */
  onStandstill: () => void = () => {};

  constructor(
    readonly name: string,
    concurrency: number,
    readonly maxQueued: number,
    readonly plain: ResolvedTaskOptions,
    readonly environment: UnitEnvironment,
  ) {
    this.#concurrency = concurrency;
    this.backlog = new Backlog(this);
    const signals = new SignalWatch((task, reason) => void this.cancel(task, reason));
    this.ends = new TaskEnds(environment, signals, () => this.#pumpSoon());
  }

  get concurrency(): number {
    return this.#concurrency;
  }

  set concurrency(concurrency: number) {
    this.#concurrency = concurrency;
    this.#pumpSoon();
  }

  get running(): number {
    return this.#running.length;
  }

  /** Of those that run: told to end, and did not. */
  get stuck(): number {
    return this.#stuck;
  }

  /** Attempts that ran into their timeout with `overlap`, and have not ended. */
  get leftBehind(): number {
    return this.#leftBehind;
  }

  /** Nothing runs and nothing is due: what is left waits for a time. */
  get quiet(): boolean {
    const { ready, waiting } = this.backlog;
    const settling = this.ends.afters + this.#deciding;
    return this.#running.length === 0 && ready === 0 && waiting === 0 && settling === 0;
  }

  /** Nothing that may begin is left, and nothing runs. */
  get dispatched(): boolean {
    return this.#running.length === 0 && (this.#allowance === 0 || this.backlog.ready === 0);
  }

  /** How many more tasks that are due, or `later` ones, fit in. Those that can begin at once take no room. */
  room(later: boolean): number {
    const { ready, delayed } = this.backlog;
    const free = this.#allowance === 0 ? 0 : Math.max(0, this.#concurrency - this.#running.length);
    const left = this.maxQueued - delayed - Math.max(0, ready - free);
    // Where nothing may wait, what is to run later takes a place: there would never be room for it.
    const counts = later && this.maxQueued > 0;
    return counts || ready >= free ? left : left + free - ready;
  }

  /** Whether one more such task fits in. Those of its kind that wait for room go first. */
  hasRoom(later: boolean): boolean {
    return this.room(later) > 0 && !this.backlog.isAwaited(later);
  }

  /** For how long every place has been taken while tasks wait, in milliseconds. */
  get saturatedMs(): number {
    const since = this.#saturatedSince;
    return since === undefined ? 0 : this.environment.clock.monotonic() - since;
  }

  /** How long the one that has waited longest has been due, in milliseconds. */
  get oldestDueMs(): number {
    const oldest = this.backlog.oldestDueAt;
    return oldest === Infinity ? 0 : Math.max(0, this.environment.clock.monotonic() - oldest);
  }

  /** Lets any number of attempts begin, or none. */
  set open(open: boolean) {
    this.#allowance = open ? Infinity : 0;
    if (open) this.#pumpSoon();
    else this.#saturatedSince = undefined;
  }

  /** Lets as many attempts begin as are due now. */
  admitDue(): void {
    this.backlog.takeDue(this.environment.clock.monotonic());
    if (this.#allowance !== Infinity) this.#allowance = this.backlog.ready;
    this.#pumpSoon();
  }

  /** The tasks that run, the longest first, at most `count` of them. */
  longest(count: number): RunningTask[] {
    const now = this.environment.clock.monotonic();
    const shown: RunningTask[] = [];
    for (const { id, name, status, attempts, attempt } of this.#running) {
      if (shown.length === count) break;
      const runningMs = now - (attempt?.startedAt ?? now);
      shown.push(Object.freeze({ id, name, status, attempt: attempts, runningMs }));
    }
    return shown;
  }

  /** Takes in what nobody wants to hear of again, and what has no options of its own. There is room. */
  addPlain(run: Handler | CarriedRun): void {
    this.ends.tally.enqueued++;
    this.backlog.addPlain(run, this.#nowish());
  }

  /** Takes a task in. Whether there is room is the caller's to know. */
  add(run: Handler | CarriedRun, options: ResolvedTaskOptions, fits: boolean): QueuedTask {
    const { signal, notBefore, delayMs } = options;
    const { clock } = this.environment;
    const now = isLater(options) ? clock.monotonic() : this.#nowish();
    const task = newTask(this, run, options, now);
    task.held = true;
    const aborted = signal !== undefined && !this.ends.signals.add(task, signal);
    this.ends.tally.enqueued++;
    if (aborted) {
      this.#cancelAtOnce(task, cancelled('stop-requested', signal.reason));
      return task;
    }
    task.dueAt = now + (notBefore === undefined ? delayMs : Math.max(0, notBefore - clock.now()));
    if (fits) this.backlog.add(task, now);
    else {
      this.backlog.addWaiting(task);
      if (this.#allowance > 0) this.#saturatedSince ??= now;
    }
    return task;
  }

  cancel(task: QueuedTask, reason: unknown): boolean {
    if (task.settled) return false;
    if (task.status === 'running') {
      // It may be told to end already, for its timeout, or be ending at this moment: then it is not tried again.
      task.isCancelled = true;
      task.cancelledFor = reason;
      task.attempt?.abort('stop-requested');
      return true;
    }
    const { status } = task;
    this.#cancelWaiting(task, cancelled('stop-requested', reason), () => this.backlog.drop(task, status));
    return true;
  }

  /** Makes room by giving up the task that is wanted least. */
  dropOne(): void {
    const task = this.backlog.takeLeastWanted();
    // Nobody hears of it before the task that it makes room for is in.
    if (task !== undefined) this.#cancelAtOnce(task, cancelled('dropped'));
  }

  /** Tasks are tried again as they say, or, for `reason`, not at all. */
  set noRetries(reason: AbortReason | undefined) {
    this.ends.noRetries = reason;
  }

  /** Gives up what waits for a time. Answers how many tasks that were. */
  giveUpDelayed(reason: AbortReason): number {
    return this.#giveUp(this.backlog.takeDelayed(this.environment.clock.monotonic()), reason);
  }

  /** Gives up everything that does not run. Answers how many tasks that were. */
  giveUpQueued(reason: AbortReason): number {
    return this.#giveUp(this.backlog.takeAll(), reason);
  }

  abortRunning(reason: AbortReason): void {
    // All that run now: ending one may begin another.
    for (const { attempt } of Array.from(this.#running)) attempt?.abort(reason);
  }

  /** Settles what still runs, and waits for it no longer. Answers the tasks that were left behind. */
  abandonRunning(reason: AbortReason): QueuedTask[] {
    const orphans = Array.from(this.#running);
    for (const task of orphans) {
      task.cancelGraceTimer?.();
      this.ends.events.orphaned(task, reason);
      if (task.settled) continue;
      this.#stuck++;
      this.ends.settle(task, cancelled(reason, task.cancelledFor), 'stuck');
    }
    return orphans;
  }

  onReady(): void {
    if (this.#running.length < this.#concurrency) {
      if (!this.#pumpIsDue) this.#pumpSoon();
    } else if (this.#saturatedSince === undefined && this.#allowance > 0) {
      this.#saturatedSince = this.environment.clock.monotonic();
    }
  }

  attemptAborted(task: QueuedTask, reason: AbortReason): void {
    const { attempt } = task;
    // A shutdown has a deadline of its own.
    if (attempt === undefined || reason === 'shutdown') return;
    if (reason === 'timeout' && task.options.overlap) return this.#leaveBehind(task, attempt);
    const graceMs = task.options.abortGraceMs;
    const { clock } = this.environment;
    task.cancelGraceTimer = this.environment.inScope(() =>
      clock.setTimer(() => this.#declareStuck(task, attempt, reason), graceMs),
    );
  }

  attemptMarked(
    task: QueuedTask,
    attempt: AttemptContext,
    action: string,
    durationMs: number,
    outcome: 'success' | 'error',
  ): void {
    this.ends.tally.marked(task.scope, action, outcome, durationMs);
    if (this.environment.wants('marked')) attempt.tellMark(action, durationMs, outcome);
  }

  /** Not at once: whoever submits a task must not have it run under his feet. */
  #pumpSoon(): void {
    if (this.#pumpIsDue) return;
    this.#pumpIsDue = true;
    this.#readings = 0;
    // In the queue's own scope: what is set in motion here goes on for as long as there are tasks.
    this.environment.inScope(() => queueMicrotask(this.#duePump));
  }

  readonly #duePump = (): void => {
    this.#pumpIsDue = false;
    this.#pump(this.environment.clock.monotonic());
  };

  /** Begins what may begin. Only ever called where nothing of it is under way: by a microtask, a timer, an end. */
  #pump(now: number): void {
    const { backlog } = this;
    let startedAt = now;
    if (backlog.waiting > 0) this.#letIn(now);
    while (backlog.ready > 0 && this.#running.length < this.#concurrency && this.#allowance > 0) {
      if (this.#mustYield(startedAt)) return this.#yield();
      this.#allowance--;
      this.#begin(backlog.next()!, startedAt);
      const goesOn = backlog.ready > 0 && this.#running.length < this.#concurrency;
      // What has taken no time so far is not asked how long it took.
      if (!goesOn && !this.#isSlow) break;
      const begunAt = startedAt;
      startedAt = this.environment.clock.monotonic();
      this.#busyMs += startedAt - begunAt;
    }
    if (backlog.waiting > 0) this.#letIn(startedAt);
    if ((backlog.ready === 0 && backlog.waiting === 0) || this.#allowance === 0)
      this.#saturatedSince = undefined;
    else this.#saturatedSince ??= startedAt;
    if (this.#running.length === 0) this.onStandstill();
  }

  #mustYield(now: number): boolean {
    if (this.#busyMs >= yieldAfterMs) return true;
    return ++this.#starts % startsBetweenLooks === 0 && now - this.#yieldedAt >= yieldAfterMs;
  }

  /** Goes on after the event loop had its turn: timers, requests and a shutdown do not wait for an endless queue. */
  #yield(): void {
    this.#pumpIsDue = true;
    this.#isYielding = true;
    this.environment.inScope(() =>
      setImmediate(() => {
        this.#isYielding = false;
        this.#busyMs = 0;
        this.#yieldedAt = this.environment.clock.monotonic();
        this.#duePump();
      }),
    );
  }

  /** Those that are due first: one that is to run later may wait for a day while there are places for them. */
  #letIn(now: number): void {
    const { backlog } = this;
    for (const later of [false, true])
      while (backlog.isAwaited(later) && this.room(later) > 0) backlog.letIn(later, now);
  }

  #begin(task: QueuedTask, now: number): void {
    task.status = 'running';
    const attempt = new AttemptContext(task, ++task.attempts, now);
    task.attempt = attempt;
    this.#running.push(task);
    this.ends.tally.waited(now - task.dueAt);
    this.ends.events.started(task);
    this.#handler ??= this.environment.around(runTask);
    const handler = this.#handler === runTask ? task.run! : this.#handler;
    const { carried } = task;
    const { timeoutMs, maxAttempts } = task.options;
    // Each attempt has a scope of its own: a context that one enters for good must not be that of another.
    const scope =
      carried === undefined ? newScope() : maxAttempts > 1 ? carried.runInAsyncScope(newScope) : carried;
    execute(handler, attempt, timeoutMs, this.#attemptEnded, scope);
  }

  readonly #attemptEnded = (outcome: Outcome, attempt: AttemptContext): void => {
    const task = attempt.observer as QueuedTask;
    // One that was left behind after its timeout.
    if (task.attempt !== attempt) {
      this.#leftBehind--;
      return;
    }
    task.cancelGraceTimer?.();
    const now = this.environment.clock.monotonic();
    this.#isSlow = now - attempt.startedAt >= slowMs;
    if (task.settled) {
      // One that was stuck: its task has settled, and what is left to tell is that the attempt has ended.
      this.#stuck--;
      this.ends.lateEnd(task, outcome, attempt, now);
      task.unstick();
      task.attempt = undefined;
      this.#running.remove(task);
    } else this.#ended(task, outcome, attempt, now);
    // One that is due already may be there to let the event loop have its turn.
    if (!this.#pumpIsDue) this.#pump(now);
  };

  #ended(task: QueuedTask, outcome: Outcome, attempt: AttemptContext, now: number): void {
    task.attempt = undefined;
    this.#running.remove(task);
    this.#deciding++;
    const delayMs = this.ends.attemptEnded(task, outcome, attempt, now);
    this.#deciding--;
    if (delayMs === undefined) return;
    task.renew();
    task.dueAt = now + delayMs;
    this.backlog.add(task, now);
  }

  /** Its attempt ran into its timeout and may go on beside the next one. */
  #leaveBehind(task: QueuedTask, attempt: AttemptContext): void {
    const outcome: Outcome = { kind: 'timed-out', error: attempt.abortedFor };
    this.#leftBehind++;
    this.#ended(task, outcome, attempt, this.environment.clock.monotonic());
    this.#pumpSoon();
  }

  /** It does not end: whoever waits for it is told so, and its place stays taken. */
  #declareStuck(task: QueuedTask, attempt: AttemptContext, reason: AbortReason): void {
    if (task.attempt !== attempt || task.settled) return;
    this.#stuck++;
    this.ends.events.stuck(task, reason, task.options.abortGraceMs);
    const outcome =
      reason === 'timeout'
        ? { kind: 'timed-out' as const, error: attempt.abortedFor }
        : cancelled(reason, task.cancelledFor);
    this.ends.settle(task, outcome, 'stuck');
  }

  #giveUp(tasks: Iterable<QueuedTask>, reason: AbortReason): number {
    let count = 0;
    for (const task of tasks) {
      // One that was cancelled by what was told of another.
      if (task.settled) continue;
      this.#cancelWaiting(task, cancelled(reason));
      count++;
    }
    return count;
  }

  /** `leave` takes it out of the backlog, where it is in that still. */
  #cancelWaiting(task: QueuedTask, outcome: ReturnType<typeof cancelled>, leave?: () => void): void {
    task.settle(outcome, 'cancelled');
    leave?.();
    this.ends.count(task, outcome);
    this.ends.tellCancelled(task, outcome);
    this.#pumpSoon();
  }

  /** In the middle of a submission, which is to be over before anybody hears of it. */
  #cancelAtOnce(task: QueuedTask, outcome: ReturnType<typeof cancelled>): void {
    task.settle(outcome, 'cancelled');
    this.ends.count(task, outcome);
    this.environment.inScope(() => queueMicrotask(() => this.ends.tellCancelled(task, outcome)));
    this.#pumpSoon();
  }

  /**
   * The time, or that of a moment ago. While a pump is due in a microtask, all that comes comes in one go, before
   * anything can run: then the clock is read for some of them only.
   */
  #nowish(): number {
    if (!this.#pumpIsDue || this.#isYielding || --this.#readings < 0) {
      this.#lastReading = this.environment.clock.monotonic();
      this.#readings = readingsSaved;
    }
    return this.#lastReading;
  }
}

/** The work that middlewares are around. */
const runTask: Handler = (context) => {
  const attempt = context as AttemptContext;
  const { run: task } = attempt.observer as QueuedTask;
  // A middleware that goes on after its task was given up has nothing left to run.
  return task === undefined ? Promise.reject(attempt.abortedFor) : task(context);
};
