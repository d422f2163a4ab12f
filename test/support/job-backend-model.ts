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

/** When something was done, by the backend's clock. */
export interface Moment {
  readonly at: number;
  /** What the store lets go of by itself, it may have judged by a time from here on. The same as `at` where it does not. */
  readonly since: number;
}

/** What backends may differ in. */
export interface ModelOptions {
  readonly priority: boolean;
  /** When it is the turn of a job whose lease is over: as when it was due, or when its lease ended. */
  readonly lostTurn: 'due' | 'lease-end';
  /** Whether a lease that is over is void once a claim has gone past its job, for whose limit key there was no place. */
  readonly lapsesWhenPassed: boolean;
}

interface ModelLease {
  /** `undefined`: void. */
  token: string | undefined;
  endsAt: number;
  started: boolean;
  readonly limits: ClaimOptions['limits'];
}

/** From when on it may be so, and from when on it is. */
interface Span {
  readonly from: number;
  readonly to: number;
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
  dueAt: number;
  failures: number;
  deaths: readonly ModelDeath[];
  attempts: readonly ModelAttempt[];
  lease: ModelLease | undefined;
  ended:
    | { readonly state: 'completed' | 'cancelled' | 'dead'; readonly at: number; readonly keptUntil: Span }
    | undefined;
  lastToken: bigint;
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
  paused = false;

  constructor(options: ModelOptions) {
    this.#options = options;
  }

  // What is asked and answered

  enqueued(jobs: readonly NewJob[], answers: readonly EnqueueAnswer[], moment: Moment): void {
    same(answers.length, jobs.length);
    for (const [index, given] of jobs.entries()) {
      const { id, unique } = given;
      const allowed: EnqueueAnswer[] = [];
      const states = statesOf(this.jobs.get(id), moment);
      if (states.some((state) => state !== undefined)) allowed.push({ kind: 'exists', id });
      if (states.includes(undefined)) {
        for (const holder of this.#holdersOf(unique?.key, moment)) {
          allowed.push(holder === undefined ? { kind: 'enqueued', id } : { kind: 'duplicate', id: holder });
        }
      }
      const answer = answers[index]!;
      includes(allowed, answer, `enqueueing ${id}`);
      if (answer.kind === 'exists') continue;
      this.jobs.delete(id);
      if (answer.kind === 'enqueued') this.#add(given, moment);
      if (unique !== undefined) this.#keys.set(unique.key, new Set([answer.id]));
    }
  }

  claimed(jobs: readonly ClaimedJob[], options: ClaimOptions, at: number): void {
    const ids = jobs.map(({ id }) => id);
    const { taken, passed } = this.#expected(options, at);
    same(
      ids,
      taken.map(({ id }) => id),
      'what is claimed',
    );
    this.#goPast(passed, at);
    for (const [index, claim] of jobs.entries()) {
      const job = taken[index]!;
      this.#lose(job, at);
      this.#checkClaimed(job, claim, options.leaseMs, at);
      const { token, leaseEndsAt: endsAt } = claim;
      job.lease = { token, endsAt, started: index < options.limit, limits: options.limits };
      this.claims.push(claim);
    }
  }

  /** Somebody claimed what there was, and gave it back. */
  gaveBack(options: ClaimOptions, at: number): void {
    const { taken, passed } = this.#expected(options, at);
    this.#goPast(passed, at);
    for (const job of taken) {
      this.#lose(job, at);
    }
  }

  /** What a claim is to get for sure. */
  claimable(options: ClaimOptions, at: number): readonly string[] {
    return this.#expected(options, at).taken.map(({ id }) => id);
  }

  extended(claim: ClaimedJob, leaseMs: number, accepted: boolean, { at }: Moment): void {
    const lease = this.#heldBy(claim)?.lease;
    if (lease === undefined) {
      this.#hearOf(claim);
      return same(accepted, false, 'a lost lease is extended');
    }
    const job = this.jobs.get(claim.id)!;
    same(accepted, lease.endsAt > at || this.#hasRoom(job, lease.limits, at), `${job.id} is extended`);
    if (accepted) {
      lease.started = true;
      lease.endsAt = at + leaseMs;
    } else {
      lease.token = undefined;
      lease.started = false;
    }
  }

  settled(settlement: Settlement, accepted: boolean, moment: Moment): void {
    const job = this.#heldBy(settlement.job);
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
        job.dueAt = at + settlement.delayMs;
        return;
      case 'released':
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
    const youngest = Math.max(...gone.map(({ ended }) => ended!.at));
    for (const { id, ended } of this.dead) atLeast(ended!.at, youngest, `when ${id} died, which was kept,`);
  }

  get dead(): readonly ModelJob[] {
    return [...this.jobs.values()].filter(({ ended }) => ended?.state === 'dead');
  }

  deleted(id: string, answer: DeleteAnswer, moment: Moment): void {
    const job = this.jobs.get(id);
    const states = statesOf(job, moment);
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
    const states = statesOf(job, moment);
    const allowed = states.map((state): CancelAnswer => {
      if (state === undefined) return 'unknown';
      if (state === 'active') return 'active';
      return state === 'ready' || state === 'scheduled' ? 'cancelled' : 'ended';
    });
    // Of a job whose lease is over, somebody may be running it still.
    if (job?.lease !== undefined && states.includes('ready')) allowed.push('active');
    includes(allowed, answer, `cancelling ${id}`);
    if (job === undefined || answer === 'ended' || answer === 'unknown') return;
    if (job.lease?.started === true) addAttempt(job, 'cancelled', undefined);
    job.lease = undefined;
    this.#end(job, 'cancelled', keepMs, moment);
    if (keepMs === 0) this.jobs.delete(id);
  }

  retried(id: string, answer: RetryAnswer, moment: Moment): void {
    const job = this.jobs.get(id);
    const allowed = statesOf(job, moment).map((state): RetryAnswer => {
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
    job.dueAt = moment.at;
    if (wasDead) this.#holdKey(job, moment);
  }

  counted(counts: QueueCounts, dueWithinMs: number, { at }: Moment): void {
    same(counts.paused, this.paused);
    const all = [...this.jobs.values()];
    for (const state of ['ready', 'scheduled', 'active', 'dead'] as const) {
      same(counts[state], all.filter((job) => stateAt(job, at) === state).length, `${state} jobs`);
    }
    const later = all.filter((job) => stateAt(job, at) === 'scheduled');
    same(counts.dueWithin, later.filter(({ dueAt }) => dueAt <= at + dueWithinMs).length, 'due soon');
    const ages = all.filter((job) => isClaimable(job, at)).map((job) => at - this.#turn(job));
    same(counts.oldestReadyAgeMs, Math.max(0, ...ages), 'the age of the oldest');
    for (const kind of ['completed', 'failed'] as const) {
      const since = (minutes: number): number =>
        this.#ended.filter((end) => end.kind === kind && end.at > at - minutes * 60_000).length;
      const sum = counts.throughput.reduce((total, bucket) => total + bucket[kind], 0);
      atLeast(sum, since(58), kind);
      atMost(sum, since(62), kind);
    }
  }

  /** Of each job, in what states whoever looked at that moment may have found it, and where among those of its state. */
  toBeFound(moment: Moment): { id: string; states: readonly (JobState | undefined)[]; place: string }[] {
    return [...this.jobs.values()].map((job) => {
      const { id, lastToken } = job;
      return { id, states: statesOf(job, moment), place: `${lastToken} ${this.#turn(job)}` };
    });
  }

  /** All that is stored of a job that was ever enqueued. */
  told(id: string, stored: StoredJob | undefined, moment: Moment): void {
    const job = this.jobs.get(id);
    includes(statesOf(job, moment), stored?.state, `the state of ${id}`);
    if (stored === undefined || job === undefined) return;
    same(stored.failures, job.failures, `failures of ${id}`);
    this.#checkDeaths(job, stored, moment.at);
    same(Buffer.from(stored.payload ?? []).toString(), Buffer.from(job.given.payload ?? []).toString());
    if (job.ended === undefined) same(stored.dueAt, job.dueAt, `when ${id} is due`);
    else same(stored.endedAt, job.ended.at, `when ${id} ended`);
    if (stored.state === 'active') same(stored.leaseEndsAt, job.lease?.endsAt, `the end of its lease`);
  }

  // What follows from it

  /** What a claim is to get, and what it goes past, since there is no place for it. */
  #expected(options: ClaimOptions, at: number): { taken: readonly ModelJob[]; passed: readonly ModelJob[] } {
    const { limit, prefetch, limits } = options;
    const active = this.#active(at);
    const room = Math.min(limit + prefetch, (limits?.concurrency ?? Infinity) - active.length);
    const taken: ModelJob[] = [];
    const passed: ModelJob[] = [];
    if (this.paused) return { taken, passed };
    const inTurn = [...this.jobs.values()]
      .filter((job) => isClaimable(job, at))
      .toSorted((a, b) => this.#compare(a, b));
    for (const job of inTurn) {
      if (taken.length >= room) break;
      const held = [...active, ...taken].filter(
        (other) => other.given.limitKey === job.given.limitKey,
      ).length;
      const isHeldUp = job.given.limitKey !== undefined && held >= (limits?.perKey ?? Infinity);
      if (isHeldUp) passed.push(job);
      else taken.push(job);
    }
    return { taken, passed };
  }

  #compare(a: ModelJob, b: ModelJob): number {
    const byPriority = this.#options.priority ? b.given.priority - a.given.priority : 0;
    return byPriority || this.#turn(a) - this.#turn(b) || (a.id < b.id ? -1 : 1);
  }

  /** By what a job is put in order, among those of its priority. */
  #turn({ lease, dueAt }: ModelJob): number {
    return lease === undefined || this.#options.lostTurn === 'due' ? dueAt : lease.endsAt;
  }

  #active(at: number): readonly ModelJob[] {
    return [...this.jobs.values()].filter(({ lease }) => lease !== undefined && lease.endsAt > at);
  }

  /** Whether limits leave a place for a job that is not held. */
  #hasRoom({ given: { limitKey } }: ModelJob, limits: ClaimOptions['limits'], at: number): boolean {
    const active = this.#active(at);
    const held = active.filter(({ given }) => given.limitKey === limitKey).length;
    return (
      active.length < (limits?.concurrency ?? Infinity) &&
      (limitKey === undefined || held < (limits?.perKey ?? Infinity))
    );
  }

  #goPast(jobs: readonly ModelJob[], at: number): void {
    if (this.#options.lapsesWhenPassed) for (const job of jobs) this.#lose(job, at);
  }

  /** Its lease is over, if it has one: whoever held it does no more. */
  #lose(job: ModelJob, at: number): void {
    const { lease } = job;
    job.lease = undefined;
    if (lease?.started !== true) return;
    job.deaths = [...job.deaths, { token: lease.token, from: lease.endsAt, to: at }];
    addAttempt(job, 'died', lease.token);
  }

  /** Whoever had that token is alive. */
  #hearOf({ id, token }: ClaimedJob): void {
    const job = this.jobs.get(id);
    const death = job?.deaths.find((one) => one.token === token);
    if (job === undefined || death === undefined) return;
    job.deaths = job.deaths.filter((one) => one !== death);
    job.attempts = job.attempts.map((one) => (one.token === token ? { token, outcome: 'lost' } : one));
  }

  #checkClaimed(job: ModelJob, claim: ClaimedJob, leaseMs: number, at: number): void {
    same(claim.claimedAt, at, `when ${job.id} is claimed`);
    same(claim.leaseEndsAt, at + leaseMs, `the end of its lease`);
    same(claim.dueAt, job.dueAt, `when ${job.id} is due`);
    same(claim.failures, job.failures, `failures of ${job.id}`);
    this.#checkDeaths(job, claim, at);
    same(BigInt(claim.token) > job.lastToken, true, 'whether tokens grow');
    job.lastToken = BigInt(claim.token);
  }

  #checkDeaths({ id, deaths, attempts }: ModelJob, stored: StoredJob, at: number): void {
    let [least, most] = [0, 0];
    let last = { from: 0, to: 0 };
    for (const death of deaths) {
      least = deathsAt(death.to, least, last.from) + 1;
      most = deathsAt(death.from, most, last.to) + 1;
      last = death;
    }
    atLeast(stored.deaths, deathsAt(at, least, last.from), `deaths of ${id}`);
    atMost(stored.deaths, deathsAt(at, most, last.to), `deaths of ${id}`);
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

  #add(given: NewJob, { at, since }: Moment): void {
    const ttlMs = given.unique?.ttlMs ?? Infinity;
    this.jobs.set(given.id, {
      id: given.id,
      given,
      keyUntil: { from: since + ttlMs, to: at + ttlMs },
      dueAt: 'at' in given.due ? given.due.at : at + given.due.inMs,
      failures: 0,
      deaths: [],
      attempts: [],
      lease: undefined,
      ended: undefined,
      lastToken: -1n,
    });
  }

  #end(job: ModelJob, state: 'completed' | 'cancelled' | 'dead', keepMs: number, moment: Moment): void {
    same(job.ended, undefined, `how ${job.id} has ended`);
    const { at, since } = moment;
    job.ended = { state, at, keptUntil: { from: since + keepMs, to: at + keepMs } };
    this.#freeKey(job);
  }

  #holdersOf(key: string | undefined, { at, since }: Moment): ReadonlySet<string | undefined> {
    const holders = (key === undefined ? undefined : this.#keys.get(key)) ?? [undefined];
    const possible = [...holders].flatMap((id) => {
      const { from, to } = (id === undefined ? undefined : this.jobs.get(id)?.keyUntil) ?? always;
      if (to <= since) return [undefined];
      return from <= at ? [id, undefined] : [id];
    });
    return new Set(possible);
  }

  #holdKey(job: ModelJob, moment: Moment): void {
    const key = job.given.unique?.key;
    if (key === undefined || job.keyUntil.to <= moment.at) return;
    const holders = [...this.#holdersOf(key, moment)];
    this.#keys.set(key, new Set(holders.map((holder) => holder ?? job.id)));
  }

  #freeKey({ id, given: { unique } }: ModelJob): void {
    const holders = unique && this.#keys.get(unique.key);
    if (holders === undefined) return;
    const others = [...holders].map((holder) => (holder === id ? undefined : holder));
    this.#keys.set(unique!.key, new Set(others));
  }
}

const always: Span = { from: -Infinity, to: -Infinity };

function addAttempt(job: ModelJob, outcome: ModelAttempt['outcome'], token: string | undefined): void {
  job.attempts = [...job.attempts, { outcome, token }].slice(-historyLimit);
}

function isClaimable({ ended, lease, dueAt }: ModelJob, at: number): boolean {
  return ended === undefined && (lease === undefined ? dueAt : lease.endsAt) <= at;
}

function stateAt(job: ModelJob, at: number): JobState {
  const { ended, lease, dueAt } = job;
  if (ended !== undefined) return ended.state;
  if (lease !== undefined) return lease.endsAt > at ? 'active' : 'ready';
  return dueAt <= at ? 'ready' : 'scheduled';
}

/** What somebody may have found who looked at that moment. */
function statesOf(job: ModelJob | undefined, { at, since }: Moment): readonly (JobState | undefined)[] {
  if (job === undefined) return [undefined];
  const { from, to } = job.ended?.keptUntil ?? { from: Infinity, to: Infinity };
  if (to <= since) return [undefined];
  const state = stateAt(job, at);
  return from <= at ? [state, undefined] : [state];
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
