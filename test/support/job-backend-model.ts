import assert from 'node:assert/strict';
import { inspect, isDeepStrictEqual } from 'node:util';
import {
  type CancelAnswer,
  type ClaimedJob,
  type ClaimOptions,
  type DeleteAnswer,
  deathsAt,
  type EnqueueAnswer,
  historyLimit,
  type JobAttempt,
  type JobState,
  type NewJob,
  type QueueCounts,
  type RetryAnswer,
  type Settlement,
  type StoredJob,
} from '../../lib/jobs/index.js';
import { Arrivals, isBefore, type Place, type Turn } from './job-backend-model-order.js';
import { after, always, exactly, hasCome, type Moment, type Span } from './job-backend-model-time.js';

export type { Moment } from './job-backend-model-time.js';

/** What backends may differ in. */
export interface ModelOptions {
  readonly priority: boolean;
  /** As in the capabilities. In order of arrival, what comes due joins when the next claim looks, of whoever. */
  readonly order: 'due' | 'arrival';
  /** Whether tokens are numbers that grow. If not, each is given once. */
  readonly fencing: boolean;
  /**
   * With `client`, a call does what it does bit by bit, at times that nobody knows but that they lie between when it was
   * made and when it was answered. With `backend`, all at once, and when is known.
   */
  readonly clock: 'backend' | 'client';
  /** Milliseconds by which the times that a store tells, or goes by, may differ from the clock. Default 0. */
  readonly slackMs?: number;
  /**
   * When it is the turn of a job whose lease is over. In order of due times: as when it was due, or when its lease ended.
   * In order of arrival: first, or some time, at the latest when a claim would find nothing else.
   */
  readonly lostTurn: 'due' | 'lease-end' | 'first' | 'some-time';
  /**
   * When a lease that is over is void, although nobody else has the job: never, once a claim has gone past the job, for
   * whose limit key there was no place, or some time.
   */
  readonly lapses: 'never' | 'when-passed' | 'some-time';
}

/** What is known of how a claim came to what it got. */
export interface ClaimCourse {
  /** Whether what it got was taken in the order in which it is told, or each thing when there was nothing before it, or neither. */
  readonly order: 'told' | 'any' | 'none';
  /** Whether it took all that it could. */
  readonly isComplete: boolean;
  /** Whether it would have looked further before it went away with nothing. */
  readonly isLast: boolean;
  /** These may have come too late for it. */
  readonly late: ReadonlySet<string>;
}

/** All at once. */
const atOnce: ClaimCourse = { order: 'told', isComplete: true, isLast: true, late: new Set() };

interface ModelLease {
  /** `undefined`: void. */
  token: string | undefined;
  endsAt: Span;
  started: boolean;
  readonly claimedAt: number;
  readonly limits: ClaimOptions['limits'];
}

/** Of whoever held a job by that token: when it is taken to have been, at the earliest and at the latest. */
interface ModelDeath extends Span {
  readonly token: string | undefined;
}

interface ModelAttempt {
  readonly outcome: JobAttempt['outcome'];
  readonly token: string | undefined;
}

interface ModelJob {
  readonly id: string;
  readonly given: NewJob;
  /** When its unique key is free, at the latest. */
  readonly keyUntil: Span;
  dueAt: Span;
  /** `undefined`: it has not come to wait yet. */
  place: Place | undefined;
  failures: number;
  deaths: readonly ModelDeath[];
  attempts: readonly ModelAttempt[];
  lease: ModelLease | undefined;
  ended:
    | { readonly state: 'completed' | 'cancelled' | 'dead'; at: Span; readonly keptUntil: Span }
    | undefined;
  lastToken: bigint;
  claims: number;
}

/**
 * What a backend is to answer: a list of jobs, gone through from the first to the last. Told of each call and its answer,
 * in the order in which the backend came to them, it fails where the answer is none that the contract allows.
 */
export class JobBackendModel {
  readonly jobs = new Map<string, ModelJob>();
  /** All claims ever given. */
  readonly claims: ClaimedJob[] = [];
  /** Who holds a unique key: more than one where that is a matter of a moment that nobody knows; `undefined`: nobody. */
  readonly #keys = new Map<string, ReadonlySet<string | undefined>>();
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
  }

  // What is asked and answered

  enqueued(jobs: readonly NewJob[], answers: readonly EnqueueAnswer[], moment: Moment): void {
    same(answers.length, jobs.length);
    for (const [index, given] of jobs.entries()) {
      const { id, unique } = given;
      const allowed: EnqueueAnswer[] = [];
      const states = this.#statesOf(this.jobs.get(id), moment);
      if (states.some((state) => state !== undefined)) allowed.push({ kind: 'exists', id });
      if (states.includes(undefined)) {
        for (const holder of this.#holdersOf(unique?.key, moment)) {
          allowed.push(holder === undefined ? { kind: 'enqueued', id } : { kind: 'duplicate', id: holder });
        }
      }
      const answer = answers[index]!;
      includes(allowed, answer, `enqueueing ${id}`);
      if (answer.kind === 'exists') continue;
      const isAgain = this.jobs.delete(id);
      if (answer.kind === 'enqueued') this.#add(given, isAgain, moment);
      if (unique !== undefined) this.#keys.set(unique.key, new Set([answer.id]));
    }
  }

  claimed(
    jobs: readonly ClaimedJob[],
    options: ClaimOptions,
    moment: Moment,
    course: ClaimCourse = atOnce,
  ): void {
    this.#comeDue(moment);
    if (jobs.length > 0) this.#seen(Math.max(...jobs.map(({ claimedAt }) => claimedAt)));
    const { taken, passed } = this.#judged(jobs, options, moment, course);
    this.#goPast(passed, moment);
    for (const [index, claim] of jobs.entries()) {
      const job = taken[index]!;
      this.#lose(job, moment);
      this.#checkClaimed(job, claim, options.leaseMs, moment);
      const { token, leaseEndsAt, claimedAt } = claim;
      const started = index < options.limit;
      job.lease = { token, endsAt: exactly(leaseEndsAt), started, claimedAt, limits: options.limits };
      job.claims++;
      this.claims.push(claim);
    }
  }

  /** Somebody claimed what there was, and gave it back. */
  gaveBack(options: ClaimOptions, moment: Moment): void {
    const { taken, passed } = this.#expected(options, moment);
    this.#goPast(passed, moment);
    for (const job of taken) {
      this.#lose(job, moment);
      job.place = { ...(job.place ?? nowhere), isFirst: true };
    }
  }

  /** Somebody may have claimed what there was, and given it back. */
  mayHaveGivenBack(moment: Moment): void {
    this.#comeDue(moment);
    for (const { job } of this.#claimable(moment)) {
      if (job.place?.isFirst === false) job.place = { ...job.place, isFirst: undefined };
    }
  }

  /** What a claim is to get for sure. */
  claimable(options: ClaimOptions, moment: Moment): readonly string[] {
    return this.#expected(options, moment).taken.map(({ id }) => id);
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
      this.#hearOf(claim);
      return same(accepted, false, 'a lost lease is extended');
    }
    const { lease } = job;
    const isOver = hasCome(lease.endsAt, moment, this.#slackMs);
    const hasRoom = isOver === 'no' || this.#hasRoom(job, lease.limits, moment);
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
    if (job === undefined) return this.#hearOf(settlement.job);
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
    const states = this.#statesOf(job, moment);
    const allowed = states.map((state): DeleteAnswer => {
      if (state === undefined) return 'unknown';
      return state === 'active' ? 'active' : 'deleted';
    });
    // Of a job whose lease is over, somebody may be running it still.
    if (job?.lease !== undefined && states.includes('ready')) allowed.push('active');
    includes(allowed, answer, `deleting ${id}`);
    if (job !== undefined) this.#freeKey(job);
    this.jobs.delete(id);
  }

  cancelled(id: string, keepMs: number, answer: CancelAnswer, moment: Moment): void {
    const job = this.jobs.get(id);
    const states = this.#statesOf(job, moment);
    const allowed = states.map((state): CancelAnswer => {
      if (state === undefined) return 'unknown';
      if (state === 'active') return 'active';
      return state === 'ready' || state === 'scheduled' ? 'cancelled' : 'ended';
    });
    // Of a job whose lease is over, somebody may be running it still.
    if (job?.lease !== undefined && states.includes('ready')) allowed.push('active');
    includes(allowed, answer, `cancelling ${id}`);
    if (job === undefined || answer === 'ended' || answer === 'unknown') return;
    if (answer === 'cancelled' && this.#mayHaveLapsed(job, moment)) this.#lose(job, moment);
    if (job.lease?.started === true) addAttempt(job, 'cancelled', undefined);
    job.lease = undefined;
    this.#end(job, 'cancelled', keepMs, moment);
    if (keepMs === 0) this.jobs.delete(id);
  }

  retried(id: string, answer: RetryAnswer, moment: Moment): void {
    const job = this.jobs.get(id);
    this.#comeDue(moment);
    const allowed = this.#statesOf(job, moment).map((state): RetryAnswer => {
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
    if (wasDead) this.#holdKey(job, moment);
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
      between(counts[state], (job) => isAmong(state, this.#livingStatesOf(job, moment)), `${state} jobs`);
    }
    const isDueSoon = (job: ModelJob): 'yes' | 'no' | 'maybe' => {
      const isLater = isAmong('scheduled', this.#livingStatesOf(job, moment));
      const { from, at } = moment;
      const isSoon = hasCome(job.dueAt, { from: from + dueWithinMs, at: at + dueWithinMs }, this.#slackMs);
      return isLater === 'yes' ? isSoon : isLater === 'no' || isSoon === 'no' ? 'no' : 'maybe';
    };
    between(counts.dueWithin, isDueSoon, 'due soon');
    this.#checkOldest(counts.oldestReadyAgeMs, moment);
    for (const kind of ['completed', 'failed'] as const) {
      const since = (minutes: number): number =>
        this.#ended.filter((end) => end.kind === kind && end.at > moment.at - minutes * 60_000).length;
      const sum = counts.throughput.reduce((total, bucket) => total + bucket[kind], 0);
      atLeast(sum, since(58), kind);
      atMost(sum, since(62), kind);
    }
  }

  /** Of each job, in what states whoever looked at that moment may have found it, and where among those of its state. */
  toBeFound(moment: Moment): { id: string; states: readonly (JobState | undefined)[]; place: string }[] {
    return [...this.jobs.values()].map((job) => {
      const { id, claims } = job;
      const { from, to } = this.#dueSince(job);
      // It may be moved at any time.
      const moved = this.#mayHaveLapsed(job, moment) ? this.#arrivals.next().to : '';
      return { id, states: this.#statesOf(job, moment), place: `${claims} ${from} ${to} ${moved}` };
    });
  }

  /** All that is stored of a job that was ever enqueued. */
  told(id: string, stored: StoredJob | undefined, moment: Moment): void {
    const job = this.jobs.get(id);
    includes(this.#statesOf(job, moment), stored?.state, `the state of ${id}`);
    if (stored === undefined || job === undefined) return;
    if (this.#mayHaveLapsed(job, moment) && this.#hasLapsed(job, stored)) this.#lose(job, moment);
    same(stored.failures, job.failures, `failures of ${id}`);
    this.#checkDeaths(job, stored, moment);
    same(Buffer.from(stored.payload ?? []).toString(), Buffer.from(job.given.payload ?? []).toString());
    if (job.ended === undefined) job.dueAt = learnt(stored.dueAt, job.dueAt, `when ${id} is due`);
    else job.ended.at = learnt(stored.endedAt, job.ended.at, `when ${id} ended`);
    if (stored.state !== 'active') return;
    const { from, to } = job.lease!.endsAt;
    const end = { from: from - this.#slackMs, to: to + this.#slackMs };
    learnt(stored.leaseEndsAt, end, 'the end of its lease');
  }

  // What follows from it

  /** What can be claimed, and whether for sure. */
  #claimable(moment: Moment): { readonly job: ModelJob; readonly turn: Turn; readonly isSure: boolean }[] {
    return [...this.jobs.values()].flatMap((job) => {
      const isDue = job.ended === undefined ? hasCome(claimableFrom(job), moment, this.#slackMs) : 'no';
      return isDue === 'no' ? [] : [{ job, turn: this.#turnOf(job), isSure: isDue === 'yes' }];
    });
  }

  /** What a claim is to get, and what it goes past, since there is no place for it. */
  #expected(options: ClaimOptions, moment: Moment): { taken: ModelJob[]; passed: ModelJob[] } {
    const { limit, prefetch, limits } = options;
    const active = this.#active(moment);
    const room = Math.min(limit + prefetch, (limits?.concurrency ?? Infinity) - active.length);
    const taken: ModelJob[] = [];
    const passed: ModelJob[] = [];
    if (this.paused) return { taken, passed };
    let left = this.#claimable(moment).filter(({ isSure }) => isSure);
    while (taken.length < room && left.length > 0) {
      const next = left.find(
        (one) => !left.some((other) => other !== one && isBefore(other.turn, one.turn, this.#options)),
      )!;
      left = left.filter((one) => one !== next);
      const isHeldUp = !hasPlace(next.job, limits, [...active, ...taken]);
      (isHeldUp ? passed : taken).push(next.job);
    }
    return { taken, passed };
  }

  /** What was claimed, and what the claim went past. Fails where there was something else to be claimed. */
  #judged(
    jobs: readonly ClaimedJob[],
    options: ClaimOptions,
    moment: Moment,
    { order, isComplete, isLast, late }: ClaimCourse,
  ): { taken: ModelJob[]; passed: ModelJob[] } {
    const { limit, prefetch, limits } = options;
    if (this.paused) same(jobs.length, 0, 'what is claimed of a paused queue');
    // Of those that are claimed at the same time, nobody knows which came first.
    const first = Math.min(...jobs.map(({ claimedAt }) => claimedAt));
    const active = this.#active(moment).filter(({ lease }) => order !== 'none' || lease!.claimedAt < first);
    const room = Math.min(limit + prefetch, (limits?.concurrency ?? Infinity) - active.length);
    atMost(jobs.length, Math.max(0, room), 'how many are claimed');
    const taken: ModelJob[] = [];
    const passed = new Set<ModelJob>();
    let left = this.#claimable(moment);
    const turns: Turn[] = [];
    /** Those before which it is not the turn of `turn`, and for which there was a place. */
    const skipped = (turn: Turn): readonly string[] =>
      left
        .filter(({ isSure, job }) => isSure && !late.has(job.id))
        .filter((other) => isBefore(other.turn, turn, this.#options))
        .filter(({ job }) => {
          const isHeldUp = !hasPlace(job, limits, [...active, ...taken]);
          if (isHeldUp) passed.add(job);
          return !isHeldUp;
        })
        .map(({ job }) => job.id);
    for (const { id } of jobs) {
      const found = left.find(({ job }) => job.id === id);
      if (found === undefined) assert.fail(`${id} is claimed, which is not to be had`);
      left = left.filter((one) => one !== found);
      if (order === 'told') same(skipped(found.turn), [], `what comes before ${id}, which is claimed,`);
      same(hasPlace(found.job, limits, [...active, ...taken]), true, `whether there is a place for ${id}`);
      taken.push(found.job);
      turns.push(found.turn);
    }
    if (order === 'any') for (const turn of turns) same(skipped(turn), [], `what comes before ${turn.id}`);
    if (isComplete && taken.length < room && !this.paused) {
      for (const { job, isSure } of left) {
        const isToBeSeen = job.lease === undefined || this.#options.lostTurn !== 'some-time';
        const isHeldUp = !hasPlace(job, limits, [...active, ...taken]);
        if (isHeldUp) passed.add(job);
        else if (isSure && (isToBeSeen || (isLast && taken.length === 0))) {
          assert.fail(`${job.id} is not claimed, beside ${inspect(jobs.map(({ id }) => id))}`);
        }
      }
    }
    return { taken, passed: [...passed].filter((job) => !taken.includes(job)) };
  }

  #turnOf(job: ModelJob): Turn {
    const { id, given, lease, place = nowhere } = job;
    const isFirst = this.#options.lostTurn === 'first' ? true : undefined;
    return {
      id,
      priority: given.priority,
      due: this.#dueSince(job),
      place: lease === undefined ? place : { ...place, isFirst },
    };
  }

  /** Since when a job counts as due, whether its lease is over or not. */
  #dueSince({ lease, dueAt }: ModelJob): Span {
    return lease !== undefined && this.#options.lostTurn === 'lease-end' ? lease.endsAt : dueAt;
  }

  #checkOldest(ageMs: number, moment: Moment): void {
    const { from, at } = moment;
    const slackMs = this.#slackMs;
    const ready = this.#claimable(moment);
    const ages = ready.map((one) => {
      const since = this.#dueSince(one.job);
      return {
        ...one,
        least: Math.max(0, from - since.to - slackMs),
        most: Math.max(0, at - since.from + slackMs),
      };
    });
    if (this.#options.order === 'due') {
      const sure = ages.filter(({ isSure }) => isSure).map(({ least }) => least);
      atLeast(ageMs, Math.max(0, ...sure), 'the age of the oldest');
      atMost(ageMs, Math.max(0, ...ages.map(({ most }) => most)), 'the age of the oldest');
      return;
    }
    // Those that no claim has seen yet may be looked at apart.
    const isUnseen = ({ lease, place }: ModelJob): boolean =>
      lease !== undefined || place?.arrival.to === Infinity;
    const heads = ages.filter(
      (one) =>
        isUnseen(one.job) ||
        !ages.some(({ turn, job }) => !isUnseen(job) && isBefore(turn, one.turn, this.#options)),
    );
    const isAllowed = heads.some(({ least, most }) => least <= ageMs && ageMs <= most);
    const isNone = ageMs === 0 && !ready.some(({ isSure }) => isSure);
    same(isAllowed || isNone, true, `whether ${ageMs} ms is the age of the head of the queue`);
  }

  /** Those that are held for sure. */
  #active(moment: Moment): readonly ModelJob[] {
    return [...this.jobs.values()].filter(
      ({ lease }) => lease !== undefined && hasCome(lease.endsAt, moment, this.#slackMs) === 'no',
    );
  }

  /** Whether limits leave a place for a job that is not held. */
  #hasRoom(job: ModelJob, limits: ClaimOptions['limits'], moment: Moment): boolean {
    const active = this.#active(moment).filter((other) => other !== job);
    return active.length < (limits?.concurrency ?? Infinity) && hasPlace(job, limits, active);
  }

  #goPast(jobs: readonly ModelJob[], moment: Moment): void {
    if (this.#options.lapses === 'when-passed') for (const job of jobs) this.#lose(job, moment);
  }

  /** Its lease is over, if it has one: whoever held it does no more. */
  #lose(job: ModelJob, { at }: Moment): void {
    const { lease } = job;
    job.lease = undefined;
    if (lease === undefined) return;
    job.place = { ...(job.place ?? nowhere), isFirst: true };
    if (!lease.started) return;
    job.deaths = [...job.deaths, { token: lease.token, from: lease.endsAt.from, to: at }];
    addAttempt(job, 'died', lease.token);
  }

  #mayHaveLapsed({ ended, lease }: ModelJob, moment: Moment): boolean {
    if (this.#options.lapses !== 'some-time' || ended !== undefined || lease === undefined) return false;
    return hasCome(lease.endsAt, moment, this.#slackMs) !== 'no';
  }

  /** Whether what is told of a job shows that its lease is void by now. */
  #hasLapsed({ lease, attempts }: ModelJob, { history }: StoredJob): boolean {
    const outcomes = attempts.map(({ outcome }) => outcome);
    const told = history.map(({ outcome }) => outcome);
    const died = [...outcomes, 'died' as const].slice(-historyLimit);
    return lease?.started === true && !isDeepStrictEqual(told, outcomes) && isDeepStrictEqual(told, died);
  }

  /** The job that whoever has that claim holds; an answer may show that its lease is void by now. */
  #stillHeldBy(claim: ClaimedJob, accepted: boolean, moment: Moment): ModelJob | undefined {
    const job = this.#heldBy(claim);
    if (job === undefined || accepted || !this.#mayHaveLapsed(job, moment)) return job;
    this.#lose(job, moment);
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

  /** Whoever had that token is alive. */
  #hearOf({ id, token }: ClaimedJob): void {
    const job = this.jobs.get(id);
    const death = job?.deaths.find((one) => one.token === token);
    if (job === undefined || death === undefined) return;
    job.deaths = job.deaths.filter((one) => one !== death);
    job.attempts = job.attempts.map((one) => (one.token === token ? { token, outcome: 'lost' } : one));
  }

  #checkClaimed(job: ModelJob, claim: ClaimedJob, leaseMs: number, moment: Moment): void {
    const { id, token, claimedAt } = claim;
    learnt(claimedAt, { from: moment.from, to: moment.at }, `when ${id} is claimed`);
    same(claim.leaseEndsAt, claimedAt + leaseMs, `the end of its lease`);
    job.dueAt = learnt(claim.dueAt, job.dueAt, `when ${id} is due`);
    same(claim.failures, job.failures, `failures of ${id}`);
    this.#checkDeaths(job, claim, moment);
    same(this.#tokens.has(`${id} ${token}`), false, `whether ${token} was given before`);
    this.#tokens.add(`${id} ${token}`);
    if (!this.#options.fencing) return;
    same(BigInt(token) > job.lastToken, true, 'whether tokens grow');
    job.lastToken = BigInt(token);
  }

  #checkDeaths({ id, deaths, attempts }: ModelJob, stored: StoredJob, moment: Moment): void {
    let [least, most] = [0, 0];
    let last = { from: 0, to: 0 };
    for (const death of deaths) {
      least = deathsAt(death.to, least, last.from) + 1;
      most = deathsAt(death.from, most, last.to) + 1;
      last = death;
    }
    atLeast(stored.deaths, deathsAt(moment.at, least, last.from), `deaths of ${id}`);
    atMost(stored.deaths, deathsAt(moment.from, most, last.to), `deaths of ${id}`);
    same(
      stored.history.map(({ outcome }) => outcome),
      attempts.map(({ outcome }) => outcome),
      `the history of ${id}`,
    );
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
    this.#freeKey(job);
  }

  #holdersOf(key: string | undefined, { at, since }: Moment): ReadonlySet<string | undefined> {
    const holders = (key === undefined ? undefined : this.#keys.get(key)) ?? [undefined];
    const possible = [...holders].flatMap((id) => {
      const keyUntil = (id === undefined ? undefined : this.jobs.get(id)?.keyUntil) ?? always;
      const isFree = hasCome(keyUntil, { from: since, at }, this.#slackMs);
      if (isFree === 'yes') return [undefined];
      return isFree === 'maybe' ? [id, undefined] : [id];
    });
    return new Set(possible);
  }

  #holdKey(job: ModelJob, moment: Moment): void {
    const key = job.given.unique?.key;
    const { keyUntil } = job;
    const until = this.#options.clock === 'client' ? keyUntil : exactly(keyUntil.to);
    const isOver = hasCome(until, moment, this.#slackMs);
    if (key === undefined || isOver === 'yes') return;
    const holders = [...this.#holdersOf(key, moment)];
    const maybe = isOver === 'maybe' ? holders : [];
    this.#keys.set(key, new Set([...maybe, ...holders.map((holder) => holder ?? job.id)]));
  }

  #freeKey({ id, given: { unique } }: ModelJob): void {
    const holders = unique && this.#keys.get(unique.key);
    if (holders === undefined) return;
    const others = [...holders].map((holder) => (holder === id ? undefined : holder));
    this.#keys.set(unique!.key, new Set(others));
  }

  /** What somebody may have found who looked at that moment. */
  #statesOf(job: ModelJob | undefined, moment: Moment): readonly (JobState | undefined)[] {
    if (job === undefined) return [undefined];
    const { since, at } = moment;
    const isGone =
      job.ended === undefined ? 'no' : hasCome(job.ended.keptUntil, { from: since, at }, this.#slackMs);
    if (isGone === 'yes') return [undefined];
    const states = this.#livingStatesOf(job, moment);
    return isGone === 'maybe' ? [...states, undefined] : states;
  }

  /** The same, of one that is still stored. */
  #livingStatesOf(job: ModelJob, moment: Moment): readonly JobState[] {
    if (job.ended !== undefined) return [job.ended.state];
    const before = job.lease === undefined ? 'scheduled' : 'active';
    const isReady = hasCome(claimableFrom(job), moment, this.#slackMs);
    if (isReady === 'maybe') return ['ready', before];
    return isReady === 'yes' ? ['ready'] : [before];
  }
}

const nowhere: Place = { isFirst: false, arrival: { from: 0, to: Infinity }, cameDue: false };

function addAttempt(job: ModelJob, outcome: ModelAttempt['outcome'], token: string | undefined): void {
  job.attempts = [...job.attempts, { outcome, token }].slice(-historyLimit);
}

/** From when on somebody else may claim it. */
function claimableFrom({ lease, dueAt }: ModelJob): Span {
  return lease === undefined ? dueAt : lease.endsAt;
}

/** Whether the limit of its key leaves a place for a job beside those. */
function hasPlace(
  { given: { limitKey } }: ModelJob,
  limits: ClaimOptions['limits'],
  held: readonly ModelJob[],
) {
  const others = held.filter(({ given }) => given.limitKey === limitKey);
  return limitKey === undefined || others.length < (limits?.perKey ?? Infinity);
}

function isAmong(state: JobState, states: readonly JobState[]): 'yes' | 'no' | 'maybe' {
  if (!states.includes(state)) return 'no';
  return states.length > 1 ? 'maybe' : 'yes';
}

/** A time that lies in a span, which is known exactly from now on. */
function learnt(time: number | undefined, { from, to }: Span, what: string): Span {
  if (from === to) same(time, from, what);
  else if (time === undefined || !(from <= time && time <= to))
    assert.fail(`${what} is ${time}, not in ${from} to ${to}`);
  return exactly(time!);
}

export function same(actual: unknown, expected: unknown, what = 'it'): void {
  try {
    assert.deepEqual(actual, expected);
  } catch {
    assert.fail(`${what} is ${inspect(actual)}, and not ${inspect(expected)}`);
  }
}

function atLeast(actual: number | undefined, least: number, what = 'it'): void {
  if (actual === undefined || !(actual >= least))
    assert.fail(`${what} is ${actual}, which is less than ${least}`);
}

function atMost(actual: number | undefined, most: number, what = 'it'): void {
  if (actual === undefined || !(actual <= most))
    assert.fail(`${what} is ${actual}, which is more than ${most}`);
}

export function includes(all: readonly unknown[], one: unknown, what: string): void {
  if (!all.some((other) => isDeepStrictEqual(other, one)))
    assert.fail(`${what}: ${inspect(one)} is not in ${inspect(all)}`);
}
