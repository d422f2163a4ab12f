import { type AbortReason, type ErrorInfo, toErrorInfo } from '../events/index.js';
import { type AttemptContext, execute, newScope, type Outcome } from '../execution/index.js';
import type { UnitEnvironment } from '../pool/index.js';
import { type ConsumerOptions, hasLimits } from './consumer-options.js';
import type { ClaimedJob, ClaimOptions, SettleAnswer, Settlement } from './job-backend.js';
import type { JobConnection } from './job-connection.js';
import { JobEvents } from './job-events.js';
import type { JobHandlerEntry } from './job-handler-entry.js';
import { JobHandlers } from './job-handlers.js';
import { type JobAttemptContext, JobRun, type JobRunHost } from './job-run.js';
import { JobTally } from './job-tally.js';
import { JobsAtHand } from './jobs-at-hand.js';
import { LeaseHolder } from './lease-holder.js';
import type { PayloadCodec } from './payload-codec.js';
import { RunTimes } from './run-times.js';
import { type JobOutcome, jobOutcome, putOff, settlementFor } from './settlement.js';
import { Settler, type SettlerHost } from './settler.js';
import { SuspectGate } from './suspect-gate.js';
import { suspectsOf } from './suspects.js';

/** How a job that was run by itself ended. */
export type RunEnd = JobOutcome['kind'] | 'quarantined';

interface AwaitedRun {
  end: RunEnd;
  resolve(end: RunEnd): void;
}

/**
 * Runs claimed jobs, a few at a time: holds their leases while it does, and tells the backend what became of each.
 * Which jobs it is given, and when, is the consumer's to say.
 */
export class JobRunner implements JobRunHost, SettlerHost {
  readonly kind = 'job-consumer';
  readonly tally = new JobTally();
  readonly leases: LeaseHolder;
  readonly settler: Settler;
  readonly #options: ConsumerOptions;
  readonly #handlers: JobHandlers;
  readonly #events: JobEvents;
  readonly #running = new Map<ClaimedJob, JobRun>();
  readonly #times = new RunTimes();
  /** Whoever waits for a job to be settled. */
  readonly #awaited = new Map<ClaimedJob, AwaitedRun>();
  readonly #atHand: JobsAtHand;
  readonly #gate: SuspectGate;
  #stuck = 0;
  #silentUntil = -Infinity;
  #tookAt = 0;
  /** Whether jobs may begin. What is claimed while it is not is handed back. */
  #open = false;
  lastError: ErrorInfo | undefined;
  /** Told when jobs may be wanted. */
  onHungry: () => void = () => {};
  /** Told when jobs have come. */
  onTook: () => void = () => {};
  /** Whether settlements are to claim nothing: a claim is under way already, or each is to be one of its own. */
  claimsAlone: () => boolean = () => false;
  /** Whether middlewares are around the claims, and are to see how many jobs will be started. */
  hasClaimMiddlewares = false;
  /** Told when nothing runs any more. */
  onStandstill: () => void = () => {};

  constructor(
    connection: JobConnection,
    options: ConsumerOptions,
    entries: readonly JobHandlerEntry[],
    readonly environment: UnitEnvironment,
  ) {
    this.#options = options;
    this.#handlers = new JobHandlers(options, entries, environment);
    this.#events = new JobEvents(options.queue, environment);
    this.leases = new LeaseHolder(connection, options, (jobs) => this.#lose(jobs));
    this.settler = new Settler(connection, this);
    this.#atHand = new JobsAtHand(environment, {
      onTurn: () => this.#pump(),
      onOld: (jobs) => {
        this.#times.reset();
        this.handBack(jobs);
      },
    });
    this.#gate = new SuspectGate(suspectsOf(connection.pool), options.quarantineAfter, {
      admitted: (job) => this.#admitted(job),
      putOff: (job) => this.#putOff(job),
      refused: (job) => this.handBack([job]),
      renew: (job) => this.#renew(connection, job),
    });
  }

  get name(): string {
    return this.#options.queue;
  }

  get queue(): string {
    return this.#options.queue;
  }

  get codec(): PayloadCodec {
    return this.#options.codec;
  }

  get callTimeoutMs(): number {
    return this.#options.callTimeoutMs;
  }

  /** How many may run at a time. */
  get concurrency(): number {
    return this.#options.concurrency;
  }

  get running(): number {
    return this.#running.size;
  }

  /** Claimed jobs that wait for a slot. */
  get atHand(): number {
    return this.#atHand.length + this.#gate.waiting;
  }

  /** Of those that run: told to end, and did not. */
  get stuck(): number {
    return this.#stuck;
  }

  get free(): number {
    return Math.max(0, this.#options.concurrency - this.#running.size - this.atHand);
  }

  /** Since when slots are free and no job has come, by the monotonic clock; `undefined` while that is not so. */
  get hungrySince(): number | undefined {
    return this.#open && this.free > 0 ? this.#tookAt : undefined;
  }

  get runs(): Iterable<JobRun> {
    return this.#running.values();
  }

  set open(open: boolean) {
    this.#open = open;
    this.#tookAt = this.environment.clock.monotonic();
    if (!open) this.handBack([...this.#atHand.takeAll(), ...this.#gate.takeWaiting()]);
  }

  /** What to claim next; `undefined` where there is enough to do, or a settlement that is on its way claims as well. */
  wanted(): ClaimOptions | undefined {
    return this.settler.isActive ? undefined : this.#wanted(0);
  }

  /** The same for a settlement itself, where others have asked for so many. */
  wantedToo(asked: number): ClaimOptions | undefined {
    return this.claimsAlone() ? undefined : this.#wanted(asked);
  }

  #wanted(asked: number): ClaimOptions | undefined {
    if (!this.#open) return undefined;
    const { concurrency, leaseMs, limits } = this.#options;
    const taken = this.#running.size + this.atHand + asked;
    const limit = Math.max(0, concurrency - taken);
    const waiting = Math.max(0, taken - concurrency);
    // Those at hand would hold places, and use up the rate, that somebody else could run by.
    const prefetch = hasLimits(this.#options) ? 0 : this.#times.prefetch;
    // Half of it gone: not one claim for each that is.
    const more = waiting * 2 <= prefetch ? prefetch - waiting : 0;
    if (limit + more === 0) return undefined;
    const claim = { limit, prefetch: more, leaseMs, limits };
    return this.hasClaimMiddlewares ? claim : this.#gate.claiming(claim);
  }

  took(jobs: readonly ClaimedJob[], sentAt: number): void {
    if (jobs.length === 0) return;
    this.tally.claimed(jobs.length);
    // An answer that was on its way for longer than the lease: somebody else may have them.
    const isOver = this.environment.clock.monotonic() - sentAt >= this.#options.leaseMs;
    if (!this.#open || isOver) return this.handBack(jobs);
    this.leases.hold(jobs, sentAt);
    this.#tookAt = this.environment.clock.monotonic();
    this.onTook();
    this.#atHand.add(this.#gate.admit(jobs));
    this.#pump();
  }

  settled(
    settlements: readonly Settlement[],
    { accepted, pushedOut }: Pick<SettleAnswer, 'accepted' | 'pushedOut'>,
    repeated: boolean,
  ): void {
    const jobs = settlements.map(({ job }) => job);
    this.leases.letGo(jobs);
    this.#gate.letGo(jobs);
    this.tally.pushedOut += pushedOut;
    if (pushedOut > 0) this.#tellPushedOut();
    settlements.forEach(({ kind, job }, index) => {
      if (this.#awaited.size > 0) this.#tellEnd(job);
      if (accepted[index] !== true) {
        if (!repeated && kind !== 'released') this.#tellLost(job);
        return;
      }
      if (kind === 'dead') this.tally.dead++;
    });
  }

  gaveUp(job: ClaimedJob): void {
    this.leases.letGo([job]);
    this.#gate.letGo([job]);
    this.#tellEnd(job);
  }

  settlerIdle(): void {
    if (this.#open) this.onHungry();
  }

  abortRunning(reason: AbortReason): void {
    for (const { context } of Array.from(this.#running.values())) context.abort(reason);
  }

  /** Runs this one, whether jobs may begin or not. Answers how its attempt ended, once the backend knows. */
  runOne(job: ClaimedJob, sentAt: number): Promise<RunEnd> {
    return new Promise((resolve) => {
      this.#awaited.set(job, { end: 'quarantined', resolve });
      this.tally.claimed(1);
      this.leases.hold([job], sentAt);
      this.#gate.runsAnyway(job);
      this.#begin(job);
    });
  }

  /** Waits for what still runs no longer. Answers the runs that were left behind. */
  abandonRunning(reason: AbortReason): JobRun[] {
    const orphans = [...this.#running.values()];
    this.#gate.letGoOfAll();
    for (const run of orphans) {
      run.cancelGraceTimer?.();
      this.#events.orphaned(run, reason);
      if (!run.isStuck) this.#stuck++;
      run.isStuck = true;
    }
    for (const [job, awaited] of this.#awaited) {
      awaited.end = 'cancelled';
      this.#tellEnd(job);
    }
    return orphans;
  }

  attemptAborted(run: JobRun, reason: AbortReason): void {
    // A shutdown has a deadline of its own.
    if (reason === 'shutdown') return;
    const graceMs = run.entry.abortGraceMs;
    const { clock } = this.environment;
    run.cancelGraceTimer = this.environment.inScope(() =>
      clock.setTimer(() => this.#declareStuck(run, reason, graceMs), graceMs),
    );
  }

  attemptMarked(run: JobRun, action: string, durationMs: number, outcome: 'success' | 'error'): void {
    this.tally.marked(run.scope, action, outcome, durationMs);
    if (this.environment.wants('marked')) run.context.tellMark(action, durationMs, outcome);
  }

  progressed({ claimed }: JobRun, value: unknown): void {
    this.leases.progress(claimed, this.#encode(value));
  }

  #pump(): void {
    const { concurrency } = this.#options;
    while (this.#running.size < concurrency) {
      const job = this.#atHand.next();
      if (job === undefined) return;
      this.#begin(job);
    }
    this.#atHand.watch();
  }

  /** They are claimed, and are not to be run here, or not now. */
  handBack(jobs: readonly ClaimedJob[]): void {
    this.tally.released += jobs.length;
    for (const job of jobs) this.settler.add({ kind: 'released', job });
  }

  #admitted(job: ClaimedJob): void {
    const { queue } = this;
    this.environment.say(
      'warn',
      `Job ${job.id} of queue "${queue}" was running ${job.deaths} times when its process died: it runs with no other such job beside it`,
      { queue, jobID: job.id },
    );
    this.#atHand.add([job]);
    this.#pump();
  }

  #putOff(job: ClaimedJob): void {
    this.tally.released++;
    this.settler.add(putOff(job, Math.random()));
  }

  async #renew(connection: JobConnection, job: ClaimedJob): Promise<boolean> {
    const { queue, leaseMs } = this.#options;
    const [isHeld] = await connection.call('to a renewal of leases', leaseMs / 3, (backend) =>
      backend.extend(queue, [{ job, leaseMs }]),
    );
    return isHeld === true;
  }

  #begin(job: ClaimedJob): void {
    const { clock } = this.environment;
    const entry = this.#handlers.entryFor(job.name);
    if (job.deaths >= this.#options.quarantineAfter) return this.#quarantine(job, entry);
    const run = new JobRun(this, job, entry, clock.monotonic());
    this.#running.set(job, run);
    this.tally.waited(job.claimedAt - job.dueAt);
    this.#events.started(run);
    // Each attempt has a scope of its own: a context that one enters for good must not be that of another.
    const scope = this.environment.inScope(newScope);
    execute(this.#handlers.handlerOf(entry), run.context, entry.timeoutMs, this.#attemptEnded, scope);
  }

  readonly #attemptEnded = (ended: Outcome, context: AttemptContext): void => {
    const { run } = context as JobAttemptContext;
    const { claimed, entry } = run;
    const { clock } = this.environment;
    run.cancelGraceTimer?.();
    if (run.isStuck) this.#stuck--;
    this.#running.delete(claimed);
    const durationMs = clock.monotonic() - context.startedAt;
    const endedAt = clock.now();
    const outcome = jobOutcome(ended);
    this.tally.attemptEnded(outcome.kind, durationMs);
    const awaited = this.#awaited.get(claimed);
    if (awaited !== undefined) awaited.end = outcome.kind;
    this.#times.add(durationMs, this.#options.concurrency);
    const times = { startedAt: endedAt - durationMs, endedAt };
    const settlement = settlementFor(
      outcome,
      claimed,
      entry,
      times,
      Math.random(),
      this.#resultOf(outcome, run),
    );
    if (outcome.kind === 'failed' || outcome.kind === 'timed-out')
      this.lastError = toErrorInfo(outcome.error);
    this.#events.ended(run, outcome, settlement, durationMs);
    const { kind } = settlement;
    if (kind !== 'scheduled' && kind !== 'released') {
      this.tally.ended(claimed.claimedAt - claimed.createdAt + durationMs);
    }
    this.settler.add(settlement);
    this.#pump();
    if (this.#running.size === 0) this.onStandstill();
  };

  /** What an attempt that succeeded returned, as it is to be stored. */
  #resultOf(outcome: JobOutcome, { entry, claimed }: JobRun): Uint8Array | undefined {
    if (outcome.kind !== 'succeeded' || entry.keepCompletedMs === 0) return undefined;
    try {
      return this.#encode(outcome.value);
    } catch (error) {
      // The work is done: to do it again would not make its result any better.
      this.environment.report(`encoding a result of queue "${this.queue}"`, error, { jobID: claimed.id });
      return undefined;
    }
  }

  #encode(value: unknown): Uint8Array | undefined {
    const bytes: unknown = this.codec.encode(value);
    if (bytes === undefined || bytes instanceof Uint8Array) return bytes;
    throw new TypeError(`the codec ${this.codec.name} gave no Uint8Array`);
  }

  #quarantine(job: ClaimedJob, { maxDead }: JobHandlerEntry): void {
    const { queue } = this;
    const error = `The process that ran it died ${job.deaths} times; retry it once the cause is known.`;
    this.tally.quarantined++;
    this.tally.ended(job.claimedAt - job.createdAt);
    this.environment.say('error', `Job ${job.id} of queue "${queue}" is quarantined: ${error}`, {
      queue,
      jobID: job.id,
    });
    this.settler.add({ kind: 'dead', job, cause: 'quarantined', failures: job.failures, error, maxDead });
  }

  #lose(jobs: readonly ClaimedJob[]): void {
    const lost = new Set(jobs);
    this.#atHand.drop(lost);
    for (const job of jobs) {
      const run = this.#running.get(job);
      if (run === undefined) {
        this.#gate.letGo([job]);
        continue;
      }
      this.#tellLost(job);
      run.context.abort('lease-lost');
    }
  }

  #tellEnd(job: ClaimedJob): void {
    const awaited = this.#awaited.get(job);
    this.#awaited.delete(job);
    awaited?.resolve(awaited.end);
  }

  #tellLost(job: ClaimedJob): void {
    this.tally.leasesLost++;
    const { queue } = this;
    this.environment.say(
      'warn',
      `Job ${job.id} of queue "${queue}": its lease was lost; what it ends with is dropped`,
      {
        queue,
        jobID: job.id,
      },
    );
  }

  /** Once a minute at most: each dead job beyond the bound pushes out another. */
  #tellPushedOut(): void {
    const now = this.environment.clock.monotonic();
    if (now < this.#silentUntil) return;
    this.#silentUntil = now + 60_000;
    const { queue } = this;
    this.environment.say(
      'warn',
      `Queue "${queue}" has more dead jobs than maxDead: the oldest were pushed out, ${this.tally.pushedOut} so far`,
      { queue },
    );
  }

  #declareStuck(run: JobRun, reason: AbortReason, graceMs: number): void {
    run.isStuck = true;
    this.#stuck++;
    this.#gate.letGo([run.claimed]);
    this.#events.stuck(run, reason, graceMs);
  }
}
