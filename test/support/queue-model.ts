import type { Overflow, TaskEnd, TaskStatus } from 'nestjs-worker';

/** What a task of the model does, and how it is tried. */
export interface Spec {
  readonly priority: number;
  /** Until it is due. */
  readonly delayMs: number;
  readonly maxAttempts: number;
  readonly timeoutMs: number | undefined;
  /** Of each attempt; the last one holds for those after it. */
  readonly plans: readonly {
    readonly lastsMs: number;
    readonly fails: boolean;
    readonly backoffMs: number;
  }[];
  /** Whether it ends when it is told to. */
  readonly obedient: boolean;
}

type Attempt = Exclude<TaskEnd, 'dropped'>;

export class ModelTask {
  status: TaskStatus = 'queued';
  attempts = 0;
  dueAt = 0;
  end: TaskEnd | undefined;
  isCancelled = false;
  /** Of the attempt under way. */
  abortedFor: 'timeout' | 'stop-requested' | 'shutdown' | undefined;
  endsAt = Infinity;
  timesOutAt = Infinity;
  stuckAt = Infinity;

  constructor(
    readonly index: number,
    readonly spec: Spec,
  ) {}

  get plan(): Spec['plans'][number] {
    return this.spec.plans[Math.min(this.attempts, this.spec.plans.length) - 1]!;
  }

  get settled(): boolean {
    return this.end !== undefined;
  }
}

/**
 * What a queue should do, in the plainest way: lists that are searched from end to end, and a time that goes from
 * one thing that comes due to the next. No two things may come due at one time.
 */
export class QueueModel {
  now = 0;
  concurrency: number;
  paused = false;
  phase: 'open' | 'stopping' | 'aborting' | 'abandoned' | 'closed' = 'open';
  enqueued = 0;
  readonly completed: Record<TaskEnd, number> = {
    succeeded: 0,
    failed: 0,
    'timed-out': 0,
    cancelled: 0,
    dropped: 0,
  };
  readonly attempts: Record<Attempt, number> = { succeeded: 0, failed: 0, 'timed-out': 0, cancelled: 0 };
  /** Tasks whose attempts have begun, in order. */
  readonly begun: number[] = [];
  ready: ModelTask[] = [];
  delayed: ModelTask[] = [];
  waiting: ModelTask[] = [];
  running: ModelTask[] = [];
  mostRunning = 0;
  /** What ends at this very moment. */
  #ending: ModelTask[] = [];
  #abortAt = Infinity;
  #deadline = Infinity;
  #startAgain = false;
  /** Told to shut down once more; that takes no more than a moment. */
  #stopsAgain = false;

  constructor(
    private readonly options: {
      readonly concurrency: number;
      readonly maxQueued: number;
      readonly overflow: Overflow;
      readonly abortGraceMs: number;
      readonly shutdownTimeoutMs: number;
      readonly abortMarginMs: number;
    },
  ) {
    this.concurrency = options.concurrency;
  }

  get stuck(): number {
    return this.running.filter(({ settled }) => settled).length;
  }

  /** Answers how a task is refused, if it is. */
  refuses(spec: Spec): 'TASK_QUEUE_CLOSED' | 'TASK_QUEUE_FULL' | undefined {
    if (this.phase !== 'open' && (this.phase !== 'stopping' || spec.delayMs > 0)) return 'TASK_QUEUE_CLOSED';
    return !this.#hasRoom(spec.delayMs > 0) && this.options.overflow === 'reject'
      ? 'TASK_QUEUE_FULL'
      : undefined;
  }

  add(task: ModelTask): void {
    const fits = this.#hasRoom(task.spec.delayMs > 0);
    if (!fits && this.options.overflow === 'drop-oldest') this.#dropOne();
    this.enqueued++;
    task.dueAt = this.now + task.spec.delayMs;
    if (!fits && this.options.overflow === 'wait') this.#put(task, this.waiting, 'waiting');
    else this.#admit(task);
  }

  cancel(task: ModelTask): boolean {
    if (task.settled) return false;
    if (task.status === 'running') {
      task.isCancelled = true;
      this.#abort(task, 'stop-requested');
    } else {
      this.#leave(task);
      this.#settle(task, 'cancelled', 'cancelled');
    }
    return true;
  }

  shutdown(): void {
    this.#startAgain = false;
    if (this.phase === 'abandoned')
      this.#deadline = Math.min(this.#deadline, this.now + this.options.shutdownTimeoutMs);
    if (this.phase === 'closed') this.#stopsAgain = true;
    if (this.phase !== 'open') return;
    this.phase = 'stopping';
    this.#deadline = this.now + this.options.shutdownTimeoutMs;
    this.#abortAt = this.#deadline - this.options.abortMarginMs;
    this.#giveUp([...this.waiting.filter(({ dueAt }) => dueAt > this.now), ...this.delayed]);
  }

  start(): void {
    if (this.phase === 'closed' && !this.#stopsAgain) this.phase = 'open';
    else if (this.phase !== 'open') this.#startAgain = true;
  }

  /** Everything that happens at this moment. */
  settle(): void {
    this.#pump();
    for (let task = this.#ending.shift(); task !== undefined; task = this.#ending.shift()) {
      this.#ended(task);
      this.#pump();
    }
    this.#stopsAgain = false;
    if (this.phase === 'closed' && this.#startAgain) {
      this.phase = 'open';
      this.#startAgain = false;
    }
    const quiet = this.running.length + this.ready.length + this.waiting.length === 0;
    if (this.phase === 'open' || this.phase === 'closed' || !quiet) return;
    this.phase = this.#startAgain ? 'open' : 'closed';
    this.#startAgain = false;
    this.#abortAt = this.#deadline = Infinity;
  }

  advance(byMs: number): void {
    const target = this.now + byMs;
    for (;;) {
      const next = this.#next();
      if (next.at > target) break;
      this.now = next.at;
      next.happens();
      this.settle();
    }
    this.now = target;
  }

  #next(): { readonly at: number; happens(): void } {
    const all = [
      { at: this.#abortAt, happens: () => this.#abortAll() },
      { at: this.#deadline, happens: () => this.#abandon() },
      ...this.delayed.map((task) => ({ at: task.dueAt, happens: () => this.#comesDue(task) })),
      ...this.running.flatMap((task) => [
        { at: task.endsAt, happens: () => this.#ends(task) },
        { at: task.timesOutAt, happens: () => this.#abort(task, 'timeout') },
        { at: task.stuckAt, happens: () => this.#isStuck(task) },
      ]),
    ];
    return all.reduce((first, other) => (other.at < first.at ? other : first));
  }

  get #isOpen(): boolean {
    return this.phase === 'open' ? !this.paused : this.phase !== 'closed';
  }

  /** Those that are due and can begin at once take no room, and are of no help to one that is to run later. */
  #roomFor(later: boolean): number {
    const free = this.#isOpen ? Math.max(0, this.concurrency - this.running.length) : 0;
    const waiting = Math.max(0, this.ready.length - free);
    const left = this.options.maxQueued - this.delayed.length - waiting;
    const counts = later && this.options.maxQueued > 0;
    return counts ? left : left + Math.max(0, free - this.ready.length);
  }

  #hasRoom(later: boolean): boolean {
    return this.#roomFor(later) > 0 && this.#awaited(later).length === 0;
  }

  #awaited(later: boolean): ModelTask[] {
    return this.waiting.filter(({ spec }) => spec.delayMs > 0 === later);
  }

  #put(task: ModelTask, list: ModelTask[], status: TaskStatus): void {
    task.status = status;
    list.push(task);
  }

  #admit(task: ModelTask): void {
    if (task.dueAt <= this.now) this.#put(task, this.ready, 'queued');
    else this.#put(task, this.delayed, task.attempts === 0 ? 'deferred' : 'backoff');
  }

  #leave(task: ModelTask): void {
    const without = (list: ModelTask[]): ModelTask[] => list.filter((other) => other !== task);
    this.ready = without(this.ready);
    this.delayed = without(this.delayed);
    this.waiting = without(this.waiting);
    this.running = without(this.running);
  }

  #settle(task: ModelTask, end: TaskEnd, status: TaskStatus): void {
    if (task.settled) throw new Error(`Task ${task.index} of the model has settled twice.`);
    task.end = end;
    task.status = status;
    this.completed[end]++;
  }

  #dropOne(): void {
    const lowest = Math.min(...this.ready.map(({ spec }) => spec.priority));
    const soonest = Math.min(...this.delayed.map(({ dueAt }) => dueAt));
    const task =
      this.ready.find(({ spec }) => spec.priority === lowest) ??
      this.delayed.find(({ dueAt }) => dueAt === soonest);
    if (task === undefined) return;
    this.#leave(task);
    this.#settle(task, 'dropped', 'cancelled');
  }

  #giveUp(tasks: readonly ModelTask[]): void {
    for (const task of tasks) {
      this.#leave(task);
      this.#settle(task, 'cancelled', 'cancelled');
    }
  }

  #comesDue(task: ModelTask): void {
    this.#leave(task);
    this.#put(task, this.ready, 'queued');
  }

  #pump(): void {
    for (const later of [false, true]) {
      while (this.#awaited(later).length > 0 && this.#roomFor(later) > 0) {
        const task = this.#awaited(later)[0]!;
        this.#leave(task);
        this.#admit(task);
      }
    }
    while (this.ready.length > 0 && this.running.length < this.concurrency && this.#isOpen) {
      const highest = Math.max(...this.ready.map(({ spec }) => spec.priority));
      this.#begin(this.ready.find(({ spec }) => spec.priority === highest)!);
    }
  }

  #begin(task: ModelTask): void {
    this.#leave(task);
    this.#put(task, this.running, 'running');
    this.mostRunning = Math.max(this.mostRunning, this.running.length);
    this.begun.push(task.index);
    task.attempts++;
    task.abortedFor = undefined;
    const { lastsMs } = task.plan;
    task.endsAt = this.now + lastsMs;
    task.timesOutAt = this.now + (task.spec.timeoutMs ?? Infinity);
    if (lastsMs === 0) this.#ends(task);
  }

  #ends(task: ModelTask): void {
    task.endsAt = task.timesOutAt = task.stuckAt = Infinity;
    this.#ending.push(task);
  }

  #abort(task: ModelTask, reason: NonNullable<ModelTask['abortedFor']>): void {
    if (task.abortedFor !== undefined) return;
    task.abortedFor = reason;
    task.timesOutAt = Infinity;
    if (task.spec.obedient) this.#ends(task);
    else if (reason !== 'shutdown') task.stuckAt = this.now + this.options.abortGraceMs;
  }

  #outcome(task: ModelTask): Attempt {
    const { fails } = task.plan;
    // The obedient throw what their signal says.
    const cut = task.abortedFor !== undefined && task.spec.obedient;
    if (task.abortedFor === undefined) return fails ? 'failed' : 'succeeded';
    if (task.abortedFor === 'timeout') return 'timed-out';
    return fails || cut ? 'cancelled' : 'succeeded';
  }

  #ended(task: ModelTask): void {
    const outcome = this.#outcome(task);
    this.#leave(task);
    this.attempts[outcome]++;
    if (task.settled) task.status = task.end === 'cancelled' ? 'cancelled' : 'error';
    else if (outcome === 'succeeded') this.#settle(task, outcome, 'success');
    else if (outcome === 'cancelled') this.#settle(task, outcome, 'cancelled');
    else if (task.attempts >= task.spec.maxAttempts) this.#settle(task, outcome, 'error');
    else if (task.isCancelled || this.phase !== 'open') this.#settle(task, 'cancelled', 'cancelled');
    else {
      task.dueAt = this.now + task.plan.backoffMs;
      this.#admit(task);
    }
  }

  #isStuck(task: ModelTask): void {
    task.stuckAt = Infinity;
    this.#settle(task, task.abortedFor === 'timeout' ? 'timed-out' : 'cancelled', 'stuck');
  }

  #abortAll(): void {
    this.#abortAt = Infinity;
    this.phase = 'aborting';
    this.#giveUp([...this.ready, ...this.waiting]);
    for (const task of this.running) this.#abort(task, 'shutdown');
  }

  #abandon(): void {
    this.#deadline = Infinity;
    if (this.phase === 'abandoned') return;
    this.phase = 'abandoned';
    for (const task of this.running) {
      task.stuckAt = Infinity;
      if (!task.settled) this.#settle(task, 'cancelled', 'stuck');
    }
  }
}
