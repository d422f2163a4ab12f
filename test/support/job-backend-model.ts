import assert from 'node:assert/strict';
import type {
  CancelAnswer,
  ClaimedJob,
  ClaimOptions,
  DeleteAnswer,
  EnqueueAnswer,
  JobState,
  NewJob,
  QueueCounts,
  RetryAnswer,
  Settlement,
  StoredJob,
} from '../../lib/jobs/index.js';
import { atLeast, atMost, includes, learnt, same } from './job-backend-model-checks.js';
import {
  addAttempt,
  checkDeaths,
  claimableFrom,
  hasLapsed,
  hearOf,
  isAmong,
  livingStatesOf,
  lose,
  type ModelJob,
  nowhere,
  statesOf,
} from './job-backend-model-job.js';
import { ModelKeys } from './job-backend-model-keys.js';
import { allAtOnce, type ClaimCourse, type ModelOptions } from './job-backend-model-options.js';
import { Arrivals } from './job-backend-model-order.js';
import { ModelQueue } from './job-backend-model-queue.js';
import { after, exactly, hasCome, type Moment, type Span } from './job-backend-model-time.js';

/**
 * What a backend is to answer: a list of jobs, gone through from the first to the last. Told of each call and its answer,
 * in the order in which the backend came to them, it fails where the answer is none that the contract allows.
 */
export class JobBackendModel {
  readonly jobs = new Map<string, ModelJob>();
  /** All claims ever given. */
  readonly claims: ClaimedJob[] = [];
  readonly #keys: ModelKeys;
  readonly #queue: ModelQueue;
  readonly #ended: { readonly at: number; readonly kind: 'completed' | 'failed' }[] = [];
  readonly #options: ModelOptions;
  readonly #slackMs: number;
  readonly #arrivals = new Arrivals();
  readonly #tokens = new Set<string>();
  paused = false;

  constructor(options: ModelOptions) {
    const { order, lostTurn } = options;
    const fit = order === 'due' ? ['due', 'lease-end'] : ['first', 'some-time'];
    assert.ok(fit.includes(lostTurn), `in order of ${order}, lostTurn is none of ${fit.join()}`);
    this.#options = options;
    this.#slackMs = options.slackMs ?? 0;
    this.#keys = new ModelKeys(this.jobs, options);
    this.#queue = new ModelQueue(this.jobs, options);
  }

  // What is asked and answered

  enqueued(jobs: readonly NewJob[], answers: readonly EnqueueAnswer[], moment: Moment): void {
    same(answers.length, jobs.length);
    for (const [index, given] of jobs.entries()) {
      const { id, unique } = given;
      const allowed: EnqueueAnswer[] = [];
      const states = statesOf(this.jobs.get(id), moment, this.#slackMs);
      if (states.some((state) => state !== undefined)) allowed.push({ kind: 'exists', id });
      if (states.includes(undefined)) {
        for (const holder of this.#keys.holdersOf(unique?.key, moment)) {
          allowed.push(holder === undefined ? { kind: 'enqueued', id } : { kind: 'duplicate', id: holder });
        }
      }
      const answer = answers[index]!;
      includes(allowed, answer, `enqueueing ${id}`);
      if (answer.kind === 'exists') continue;
      const isAgain = this.jobs.delete(id);
      if (answer.kind === 'enqueued') this.#add(given, isAgain, moment);
      if (unique !== undefined) this.#keys.isHeldBy(unique.key, answer.id);
    }
  }

  claimed(
    jobs: readonly ClaimedJob[],
    options: ClaimOptions,
    moment: Moment,
    course: ClaimCourse = allAtOnce,
  ): void {
    this.#comeDue(moment);
    if (jobs.length > 0) this.#seen(Math.max(...jobs.map(({ claimedAt }) => claimedAt)));
    if (this.paused) same(jobs.length, 0, 'what is claimed of a paused queue');
    const { taken, passed } = this.#queue.judged(jobs, options, moment, {
      ...course,
      isComplete: course.isComplete && !this.paused,
    });
    this.#goPast(passed, moment);
    for (const [index, claim] of jobs.entries()) {
      const job = taken[index]!;
      lose(job, moment);
      this.#checkClaimed(job, claim, options.leaseMs, moment);
      const { token, leaseEndsAt, claimedAt } = claim;
      const started = index < options.limit;
      // It may have begun a little later.
      const isAtOnce = this.#options.clock === 'backend';
      const endsAt = { from: leaseEndsAt, to: isAtOnce ? leaseEndsAt : moment.at + options.leaseMs };
      job.lease = { token, endsAt, started, claimedAt, limits: options.limits };
      job.claims++;
      this.claims.push(claim);
    }
  }

  /** Somebody claimed what there was, and gave it back. */
  gaveBack(options: ClaimOptions, moment: Moment): void {
    if (this.paused) return;
    const { taken, passed } = this.#queue.expected(options, moment);
    this.#goPast(passed, moment);
    for (const job of taken) {
      lose(job, moment);
      job.place = { ...(job.place ?? nowhere), isFirst: true };
    }
  }

  /** Somebody may have claimed what there was, and given it back. */
  mayHaveGivenBack(moment: Moment): void {
    this.#comeDue(moment);
    for (const { job } of this.#queue.claimable(moment)) {
      if (job.place?.isFirst === false) job.place = { ...job.place, isFirst: undefined };
    }
  }

  /** What a claim is to get for sure. */
  claimable(options: ClaimOptions, moment: Moment): readonly string[] {
    return this.paused ? [] : this.#queue.expected(options, moment).taken.map(({ id }) => id);
  }

  /** How long until it is known of each job whether it can be claimed, of those that may be so within that time. */
  settlesIn(withinMs: number, { at }: Moment): number | undefined {
    const slackMs = this.#slackMs;
    const times = [...this.jobs.values()]
      .filter(({ ended }) => ended === undefined)
      .map((job) => claimableFrom(job))
      .filter(({ from, to }) => to + slackMs > at && from - slackMs <= at + withinMs)
      .map(({ to }) => to + slackMs - at);
    return times.length === 0 ? undefined : Math.max(...times);
  }

  extended(claim: ClaimedJob, leaseMs: number, accepted: boolean, moment: Moment): void {
    const job = this.#stillHeldBy(claim, accepted, moment);
    if (job?.lease === undefined) {
      hearOf(this.jobs.get(claim.id), claim.token);
      return same(accepted, false, 'a lost lease is extended');
    }
    const { lease } = job;
    const isOver = hasCome(lease.endsAt, moment, this.#slackMs);
    const hasRoom = isOver === 'no' || this.#queue.hasRoom(job, lease.limits, moment);
    if (isOver !== 'maybe' || hasRoom) same(accepted, hasRoom, `${job.id} is extended`);
    if (accepted) {
      lease.started = true;
      lease.endsAt = after(moment, leaseMs);
    } else {
      lease.token = undefined;
      lease.started = false;
    }
  }

  settled(settlement: Settlement, accepted: boolean, moment: Moment): void {
    this.#comeDue(moment);
    const job = this.#stillHeldBy(settlement.job, accepted, moment);
    same(accepted, job !== undefined, `${settlement.kind} of ${settlement.job.id} is accepted`);
    if (job === undefined) return hearOf(this.jobs.get(settlement.job.id), settlement.job.token);
    const { at } = moment;
    job.lease = undefined;
    const attempt = 'attempt' in settlement ? settlement.attempt : undefined;
    if (attempt !== undefined) addAttempt(job, attempt.outcome, undefined);
    if (attempt?.outcome === 'failed') this.#ended.push({ at, kind: 'failed' });
    switch (settlement.kind) {
      case 'scheduled':
        job.failures = settlement.failures;
        job.dueAt = after(moment, settlement.delayMs);
        job.place =
          settlement.delayMs > 0
            ? undefined
            : { isFirst: false, arrival: this.#fromNowOn(moment), cameDue: false };
        return;
      case 'released':
        job.place = { ...(job.place ?? nowhere), isFirst: true };
        return;
      case 'dead':
        job.failures = settlement.failures;
        this.#end(job, 'dead', Infinity, moment);
        return;
      default:
        if (settlement.kind === 'completed') this.#ended.push({ at, kind: 'completed' });
        this.#end(job, settlement.kind, settlement.keepMs, moment);
        if (settlement.keepMs === 0) this.jobs.delete(job.id);
    }
  }

  /** The oldest of the dead have given way; which ones of the same age, is told by who is `left`. */
  pushedOut(count: number, maxDead: number | undefined, left: ReadonlySet<string>): void {
    const dead = this.dead;
    same(count, Math.max(0, dead.length - (maxDead ?? Infinity)), 'how many are pushed out');
    const gone = dead.filter(({ id }) => !left.has(id));
    same(gone.length, count, 'how many dead jobs are gone');
    for (const { id } of gone) this.jobs.delete(id);
    const youngest = Math.max(...gone.map(({ ended }) => ended!.at.from));
    for (const { id, ended } of this.dead)
      atLeast(ended!.at.to, youngest, `when ${id} died, which was kept,`);
  }

  get dead(): readonly ModelJob[] {
    return [...this.jobs.values()].filter(({ ended }) => ended?.state === 'dead');
  }

  deleted(id: string, answer: DeleteAnswer, moment: Moment): void {
    const job = this.jobs.get(id);
    const states = statesOf(job, moment, this.#slackMs);
    const allowed = states.map((state): DeleteAnswer => {
      if (state === undefined) return 'unknown';
      return state === 'active' ? 'active' : 'deleted';
    });
    // Of a job whose lease is over, somebody may be running it still.
    if (job?.lease !== undefined && states.includes('ready')) allowed.push('active');
    includes(allowed, answer, `deleting ${id}`);
    if (job !== undefined) this.#keys.free(job);
    this.jobs.delete(id);
  }

  cancelled(id: string, keepMs: number, answer: CancelAnswer, moment: Moment): void {
    const job = this.jobs.get(id);
    const states = statesOf(job, moment, this.#slackMs);
    const allowed = states.map((state): CancelAnswer => {
      if (state === undefined) return 'unknown';
      if (state === 'active') return 'active';
      return state === 'ready' || state === 'scheduled' ? 'cancelled' : 'ended';
    });
    // Of a job whose lease is over, somebody may be running it still.
    if (job?.lease !== undefined && states.includes('ready')) allowed.push('active');
    includes(allowed, answer, `cancelling ${id}`);
    if (job === undefined || answer === 'ended' || answer === 'unknown') return;
    if (answer === 'cancelled' && this.#mayHaveLapsed(job, moment)) lose(job, moment);
    if (job.lease?.started === true) addAttempt(job, 'cancelled', undefined);
    job.lease = undefined;
    this.#end(job, 'cancelled', keepMs, moment);
    if (keepMs === 0) this.jobs.delete(id);
  }

  retried(id: string, answer: RetryAnswer, moment: Moment): void {
    const job = this.jobs.get(id);
    this.#comeDue(moment);
    const allowed = statesOf(job, moment, this.#slackMs).map((state): RetryAnswer => {
      if (state === undefined) return 'unknown';
      if (state === 'ready' || state === 'active') return state;
      return state === 'completed' || state === 'cancelled' ? 'ended' : 'retried';
    });
    includes(allowed, answer, `retrying ${id}`);
    if (answer !== 'retried' || job === undefined) return;
    const wasDead = job.ended !== undefined;
    job.ended = undefined;
    job.failures = 0;
    job.deaths = [];
    job.dueAt = after(moment, 0);
    const { from, to } = this.#arrivals.next();
    const isAtOnce = this.#options.clock === 'backend';
    job.place = {
      isFirst: false,
      arrival: { from: isAtOnce ? from : this.#arrivals.begin(moment), to },
      cameDue: false,
    };
    if (wasDead) this.#keys.hold(job, moment);
  }

  counted(counts: QueueCounts, dueWithinMs: number, moment: Moment): void {
    same(counts.paused, this.paused);
    const all = [...this.jobs.values()];
    const between = (count: number, isSo: (job: ModelJob) => 'yes' | 'no' | 'maybe', what: string): void => {
      const answers = all.map(isSo);
      const sure = answers.filter((answer) => answer === 'yes').length;
      atLeast(count, sure, what);
      atMost(count, sure + answers.filter((answer) => answer === 'maybe').length, what);
    };
    for (const state of ['ready', 'scheduled', 'active', 'dead'] as const) {
      between(
        counts[state],
        (job) => isAmong(state, livingStatesOf(job, moment, this.#slackMs)),
        `${state} jobs`,
      );
    }
    const isDueSoon = (job: ModelJob): 'yes' | 'no' | 'maybe' => {
      const isLater = isAmong('scheduled', livingStatesOf(job, moment, this.#slackMs));
      const { from, at } = moment;
      const isSoon = hasCome(job.dueAt, { from: from + dueWithinMs, at: at + dueWithinMs }, this.#slackMs);
      return isLater === 'yes' ? isSoon : isLater === 'no' || isSoon === 'no' ? 'no' : 'maybe';
    };
    between(counts.dueWithin, isDueSoon, 'due soon');
    this.#queue.checkOldest(counts.oldestReadyAgeMs, moment);
    for (const kind of ['completed', 'failed'] as const) {
      const since = (minutes: number): number =>
        this.#ended.filter((end) => end.kind === kind && end.at > moment.at - minutes * 60_000).length;
      const sum = counts.throughput.reduce((total, bucket) => total + bucket[kind], 0);
      atLeast(sum, since(58), kind);
      atMost(sum, since(62), kind);
    }
  }

  /**
   * Of each job, in what states whoever looked at that moment may have found it, and where among those of its state;
   * `undefined`: it may be moved at any time.
   */
  toBeFound(
    moment: Moment,
  ): { id: string; states: readonly (JobState | undefined)[]; place: string | undefined }[] {
    return [...this.jobs.values()].map((job) => {
      const { id, claims } = job;
      const { from, to } = this.#queue.dueSince(job);
      const place = this.#mayHaveLapsed(job, moment) ? undefined : `${claims} ${from} ${to}`;
      return { id, states: statesOf(job, moment, this.#slackMs), place };
    });
  }

  /** All that is stored of a job that was ever enqueued. */
  told(id: string, stored: StoredJob | undefined, moment: Moment): void {
    const job = this.jobs.get(id);
    includes(statesOf(job, moment, this.#slackMs), stored?.state, `the state of ${id}`);
    if (stored === undefined || job === undefined) return;
    if (this.#mayHaveLapsed(job, moment) && hasLapsed(job, stored)) lose(job, moment);
    same(stored.failures, job.failures, `failures of ${id}`);
    checkDeaths(job, stored, moment);
    same(Buffer.from(stored.payload ?? []).toString(), Buffer.from(job.given.payload ?? []).toString());
    if (job.ended === undefined) job.dueAt = learnt(stored.dueAt, job.dueAt, `when ${id} is due`);
    else job.ended.at = learnt(stored.endedAt, job.ended.at, `when ${id} ended`);
    if (stored.state !== 'active') return;
    // Whoever reckons it by what is left of it may be off by as long as the call took.
    const { from, to } = job.lease!.endsAt;
    const off = moment.at - moment.from + this.#slackMs;
    const end = { from: from - off, to: to + off };
    learnt(stored.leaseEndsAt, end, 'the end of its lease');
  }

  // What follows from it

  #goPast(jobs: readonly ModelJob[], moment: Moment): void {
    if (this.#options.lapses === 'when-passed') for (const job of jobs) lose(job, moment);
  }

  #mayHaveLapsed({ ended, lease }: ModelJob, moment: Moment): boolean {
    if (this.#options.lapses !== 'some-time' || ended !== undefined || lease === undefined) return false;
    return hasCome(lease.endsAt, moment, this.#slackMs) !== 'no';
  }

  /** The job that whoever has that claim holds; an answer may show that its lease is void by now. */
  #stillHeldBy(claim: ClaimedJob, accepted: boolean, moment: Moment): ModelJob | undefined {
    const job = this.#heldBy(claim);
    if (job === undefined || accepted || !this.#mayHaveLapsed(job, moment)) return job;
    lose(job, moment);
    return undefined;
  }

  // In order of arrival

  #fromNowOn(moment: Moment): Span {
    return { from: this.#arrivals.begin(moment), to: Infinity };
  }

  /** What is due, or may be, may have come to wait. */
  #comeDue(moment: Moment): void {
    const arrival = this.#fromNowOn(moment);
    for (const job of this.jobs.values()) {
      if (job.ended !== undefined || job.lease !== undefined || job.place !== undefined) continue;
      if (hasCome(job.dueAt, moment, this.#slackMs) === 'no') continue;
      job.place = { isFirst: false, arrival, cameDue: true };
    }
  }

  /** A claim looked at that time: what was due has come to wait by now. */
  #seen(at: number): void {
    const { to } = this.#arrivals.next();
    for (const job of this.jobs.values()) {
      if (job.ended !== undefined || job.lease !== undefined || job.place?.arrival.to !== Infinity) continue;
      if (hasCome(job.dueAt, { from: at, at }, this.#slackMs) !== 'yes') continue;
      job.place = { ...job.place, arrival: { ...job.place.arrival, to } };
    }
  }

  #checkClaimed(job: ModelJob, claim: ClaimedJob, leaseMs: number, moment: Moment): void {
    const { id, token, claimedAt } = claim;
    learnt(claimedAt, { from: moment.from, to: moment.at }, `when ${id} is claimed`);
    same(claim.leaseEndsAt, claimedAt + leaseMs, `the end of its lease`);
    job.dueAt = learnt(claim.dueAt, job.dueAt, `when ${id} is due`);
    same(claim.failures, job.failures, `failures of ${id}`);
    checkDeaths(job, claim, moment);
    same(this.#tokens.has(`${id} ${token}`), false, `whether ${token} was given before`);
    this.#tokens.add(`${id} ${token}`);
    if (!this.#options.fencing) return;
    same(BigInt(token) > job.lastToken, true, 'whether tokens grow');
    job.lastToken = BigInt(token);
  }

  #heldBy({ id, token }: ClaimedJob): ModelJob | undefined {
    const job = this.jobs.get(id);
    return job?.lease?.token === token ? job : undefined;
  }

  #add(given: NewJob, isAgain: boolean, moment: Moment): void {
    this.#comeDue(moment);
    const { at, since } = moment;
    const { due } = given;
    const ttlMs = given.unique?.ttlMs ?? Infinity;
    const dueAt = 'at' in due ? exactly(due.at) : after(moment, due.inMs);
    const isDue = 'at' in due ? hasCome(dueAt, moment, 0) : due.inMs > 0 ? 'no' : 'yes';
    // One whose id was free only now may be stored after the others.
    const isExact = isDue === 'yes' && (this.#options.clock === 'backend' || !isAgain);
    const arrival = isExact ? this.#arrivals.next() : this.#fromNowOn(moment);
    this.jobs.set(given.id, {
      id: given.id,
      given,
      keyUntil: { from: since + ttlMs, to: at + ttlMs },
      dueAt,
      place: isDue === 'no' ? undefined : { isFirst: false, arrival, cameDue: false },
      failures: 0,
      deaths: [],
      attempts: [],
      lease: undefined,
      ended: undefined,
      lastToken: -1n,
      claims: 0,
    });
  }

  #end(job: ModelJob, state: 'completed' | 'cancelled' | 'dead', keepMs: number, moment: Moment): void {
    same(job.ended, undefined, `how ${job.id} has ended`);
    const { at, since } = moment;
    job.ended = { state, at: after(moment, 0), keptUntil: { from: since + keepMs, to: at + keepMs } };
    this.#keys.free(job);
  }
}
