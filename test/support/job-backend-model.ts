import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import {
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

/** When something was done, by the backend's clock: between these. The same, where that clock stands still. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** What backends may differ in. */
export interface ModelOptions {
  readonly priority: boolean;
  /** When it is the turn of a job whose lease is over: as when it was due, or when its lease ended. */
  readonly lostTurn: 'due' | 'lease-end';
  /** Whether a lease that is over may be void already when the limit of its key keeps its job from being claimed. */
  readonly mayLapse: boolean;
}

interface ModelLease {
  /** `undefined`: void. */
  token: string | undefined;
  endsAt: number;
  started: boolean;
  readonly limits: ClaimOptions['limits'];
}

interface ModelJob {
  readonly id: string;
  readonly given: NewJob;
  /** When its unique key is free, at the latest. */
  readonly keyUntil: Window;
  dueAt: number;
  failures: number;
  /** How many at least, and at most: by when it is taken to have died. */
  deaths: { least: number; most: number; leastAt: number; mostAt: number };
  outcomes: JobAttempt['outcome'][];
  lease: ModelLease | undefined;
  ended: { readonly state: 'completed' | 'cancelled' | 'dead'; readonly keptUntil: number } | undefined;
  lastToken: bigint;
}

type Answer<Value> = { readonly is: Value } | 'either';

/**
 * What a backend is to answer: a list of jobs, gone through from the first to the last. Told of each call and its answer,
 * it fails where the answer is none that the contract allows.
 */
export class JobBackendModel {
  readonly jobs = new Map<string, ModelJob>();
  /** All claims ever given. */
  readonly claims: ClaimedJob[] = [];
  readonly keys = new Map<string, string>();
  /** Ends that were accepted, by id of the job: for each life of it, one. */
  readonly completions = new Map<string, number>();
  readonly #ended: { readonly at: number; readonly kind: 'completed' | 'failed' }[] = [];
  readonly #options: ModelOptions;
  paused = false;
  #deathOrder: string[] = [];

  constructor(options: ModelOptions) {
    this.#options = options;
  }

  // What is asked and answered

  enqueued(jobs: readonly NewJob[], answers: readonly EnqueueAnswer[], stored: StoredMap, at: Window): void {
    same(answers.length, jobs.length);
    for (const [index, given] of jobs.entries()) {
      const answer = answers[index]!;
      const exists = this.#exists(given.id, at);
      if (exists !== 'either' && exists.is) {
        same(answer, { kind: 'exists', id: given.id });
        continue;
      }
      if (exists === 'either' && answer.kind === 'exists') continue;
      const holder = this.#holderOf(given.unique?.key, at);
      if (holder !== 'either' && holder.is !== undefined) {
        same(answer, { kind: 'duplicate', id: holder.is });
        continue;
      }
      if (holder === 'either' && answer.kind === 'duplicate') continue;
      same(answer, { kind: 'enqueued', id: given.id });
      const job = stored.get(given.id);
      assert.ok(job !== undefined, `${given.id} was enqueued and is stored`);
      this.#add(given, job, at);
    }
  }

  claimed(jobs: readonly ClaimedJob[], options: ClaimOptions, at: Window): void {
    const { limit, prefetch, leaseMs, limits } = options;
    if (this.paused) return same(jobs, []);
    const perKey = limits?.perKey ?? Infinity;
    const most = limits?.concurrency ?? Infinity;
    const room = (held: number): number => Math.max(0, Math.min(limit + prefetch, most - held));
    atMost(jobs.length, room(this.#active(at.to).length));
    const atLeast = room(this.#active(at.from).length);
    const isFull = (key: string | undefined, then: number): boolean =>
      key !== undefined && this.#active(then).filter(({ given }) => given.limitKey === key).length >= perKey;
    const taken: string[] = [];
    for (const [index, claim] of jobs.entries()) {
      const job = this.jobs.get(claim.id);
      same(job !== undefined && this.#isClaimable(job, at.to), true, `${claim.id} can be claimed`);
      if (job === undefined) continue;
      excludes(taken, claim.id, 'no job twice');
      same(isFull(job.given.limitKey, at.to), false, `the key of ${claim.id} is full`);
      for (const other of this.jobs.values()) {
        if (taken.includes(other.id) || !this.#isClaimable(other, at.from)) continue;
        if (isFull(other.given.limitKey, at.from)) continue;
        if (other !== job && this.#precedes(other, job)) assert.fail(`${other.id} goes before ${job.id}`);
      }
      this.#checkClaimed(job, claim, leaseMs, at);
      taken.push(claim.id);
      job.lease = { token: claim.token, endsAt: claim.leaseEndsAt, started: index < limit, limits };
      this.claims.push(claim);
    }
    if (jobs.length >= atLeast) return;
    for (const job of this.jobs.values()) {
      if (taken.includes(job.id) || !this.#isClaimable(job, at.from)) continue;
      if (!isFull(job.given.limitKey, at.from)) assert.fail(`${job.id} was left behind`);
    }
  }

  /** Whether a claim would get something for sure. */
  couldClaim({ limits }: ClaimOptions, at: Window): boolean {
    if (this.paused || this.#active(at.from).length >= (limits?.concurrency ?? Infinity)) return false;
    const perKey = limits?.perKey ?? Infinity;
    return [...this.jobs.values()].some((job) => {
      const { limitKey } = job.given;
      const held = this.#active(at.from).filter(({ given }) => given.limitKey === limitKey).length;
      return this.#isClaimable(job, at.from) && (limitKey === undefined || held < perKey);
    });
  }

  extended(
    claim: ClaimedJob,
    leaseMs: number,
    accepted: boolean,
    stored: StoredJob | undefined,
    at: Window,
  ): void {
    const job = this.#heldBy(claim);
    if (job?.lease === undefined) return same(accepted, false, 'a lost lease is not extended');
    const { lease } = job;
    const isOver = lease.endsAt <= at.to;
    if (!isOver) same(accepted, true, `the lease of ${job.id} is extended`);
    else if (!this.#mayDiffer(job)) {
      const [exceeds, doesNot] = [this.#exceeds(job, at.to), !this.#exceeds(job, at.from)];
      if (exceeds && lease.endsAt <= at.from) same(accepted, false, `there is no room for ${job.id}`);
      else if (doesNot) same(accepted, true, `there is room for ${job.id}`);
    }
    if (!accepted) {
      lease.token = undefined;
      return;
    }
    lease.started = true;
    same(stored?.state, 'active');
    lease.endsAt = this.#within(stored?.leaseEndsAt, leaseMs, at);
  }

  settled(settlement: Settlement, accepted: boolean, stored: StoredJob | undefined, at: Window): number {
    const job = this.#heldBy(settlement.job);
    if (job === undefined) {
      same(accepted, false, `${settlement.kind} of ${settlement.job.id} with a token that no longer holds`);
      return 0;
    }
    if (this.#mayDiffer(job) && job.lease!.endsAt <= at.to && !accepted) {
      job.lease!.token = undefined;
      return 0;
    }
    same(accepted, true, `${settlement.kind} of ${job.id}`);
    job.lease = undefined;
    const attempt = 'attempt' in settlement ? settlement.attempt : undefined;
    if (attempt !== undefined) job.outcomes = [...job.outcomes, attempt.outcome].slice(-historyLimit);
    if (attempt?.outcome === 'failed') this.#ended.push({ at: at.to, kind: 'failed' });
    switch (settlement.kind) {
      case 'scheduled':
        job.failures = settlement.failures;
        job.dueAt = this.#within(stored?.dueAt, settlement.delayMs, at);
        return 0;
      case 'released':
        return 0;
      case 'dead':
        job.failures = settlement.failures;
        this.#end(job, 'dead', Infinity);
        this.#deathOrder.push(job.id);
        return this.#pushOut(settlement.maxDead);
      default:
        if (settlement.kind === 'completed') this.#ended.push({ at: at.to, kind: 'completed' });
        if (settlement.kind === 'completed') {
          this.completions.set(job.id, (this.completions.get(job.id) ?? 0) + 1);
        }
        if (settlement.keepMs > 0) same(stored?.state ?? settlement.kind, settlement.kind);
        this.#end(job, settlement.kind, (stored?.endedAt ?? at.to) + settlement.keepMs);
        if (settlement.keepMs === 0) this.jobs.delete(job.id);
        return 0;
    }
  }

  deleted(id: string, answer: DeleteAnswer, at: Window): void {
    const states = this.#states(id, at);
    const allowed = states.map((state): DeleteAnswer => {
      if (state === undefined) return 'unknown';
      return state === 'active' ? 'active' : 'deleted';
    });
    // Of a job whose lease is over, somebody may be running it still.
    if (this.jobs.get(id)?.lease !== undefined && states.includes('ready')) allowed.push('active');
    includes(allowed, answer, `deleting ${id}, which is ${states.join()}`);
    const job = this.jobs.get(id);
    if (job !== undefined) this.#freeKey(job);
    this.jobs.delete(id);
    this.#deathOrder = this.#deathOrder.filter((other) => other !== id);
  }

  retried(id: string, answer: RetryAnswer, stored: StoredJob | undefined, at: Window): void {
    const allowed = this.#states(id, at).map((state): RetryAnswer => {
      if (state === undefined) return 'unknown';
      if (state === 'ready' || state === 'active') return state;
      return state === 'completed' || state === 'cancelled' ? 'ended' : 'retried';
    });
    includes(allowed, answer, `retrying ${id}`);
    const job = this.jobs.get(id);
    if (answer !== 'retried' || job === undefined) return;
    this.#deathOrder = this.#deathOrder.filter((other) => other !== id);
    const wasDead = job.ended !== undefined;
    job.ended = undefined;
    job.failures = 0;
    job.deaths = noDeaths();
    job.dueAt = this.#within(stored?.dueAt, 0, at);
    if (wasDead) this.#holdKey(job, at);
  }

  counted(counts: QueueCounts, dueWithinMs: number, at: Window): void {
    same(counts.paused, this.paused);
    for (const state of ['ready', 'scheduled', 'active', 'dead'] as const) {
      const all = [...this.jobs.keys()].map((id) => this.#states(id, at));
      const least = all.filter((states) => states.every((other) => other === state)).length;
      const most = all.filter((states) => states.includes(state)).length;
      atLeast(counts[state], least, `${state} jobs`);
      atMost(counts[state], most, `${state} jobs`);
    }
    const scheduled = [...this.jobs.values()].filter(
      ({ lease, ended }) => lease === undefined && ended === undefined,
    );
    const due = (from: number, to: number): number =>
      scheduled.filter(({ dueAt }) => dueAt > from && dueAt <= to + dueWithinMs).length;
    atLeast(counts.dueWithin, due(at.to, at.from));
    atMost(counts.dueWithin, due(at.from, at.to));
    const waiting = scheduled.map(({ dueAt }) => dueAt);
    if (![...this.jobs.values()].some((job) => job.lease !== undefined && job.lease.endsAt <= at.to)) {
      const age = (then: number): number =>
        Math.max(0, ...waiting.filter((dueAt) => dueAt <= then).map((d) => then - d));
      atLeast(counts.oldestReadyAgeMs, age(at.from));
      atMost(counts.oldestReadyAgeMs, age(at.to));
    }
    for (const kind of ['completed', 'failed'] as const) {
      const since = (minutes: number): number =>
        this.#ended.filter((end) => end.kind === kind && end.at > at.to - minutes * 60_000).length;
      const sum = counts.throughput.reduce((total, bucket) => total + bucket[kind], 0);
      atLeast(sum, since(58), kind);
      atMost(sum, since(62), kind);
    }
  }

  listed(state: JobState, jobs: readonly StoredJob[], at: Window): void {
    const ids = jobs.map(({ id }) => id);
    same(new Set(ids).size, ids.length, 'none is listed twice');
    for (const id of this.jobs.keys()) {
      const states = this.#states(id, at);
      if (states.every((other) => other === state)) includes(ids, id, `${state} jobs`);
      if (!states.includes(state)) excludes(ids, id, `${state} jobs`);
    }
    for (const id of ids) same(this.jobs.has(id), true, `${id} is known`);
  }

  /** All that is stored of a job that was ever enqueued. */
  told(id: string, stored: StoredJob | undefined, at: Window): void {
    includes(this.#states(id, at), stored?.state, `the state of ${id}`);
    const job = this.jobs.get(id);
    if (stored === undefined || job === undefined) return;
    same(stored.failures, job.failures, `failures of ${id}`);
    same(
      stored.history.map(({ outcome }) => outcome),
      job.outcomes,
      `the history of ${id}`,
    );
    same(Buffer.from(stored.payload ?? []).toString(), Buffer.from(job.given.payload ?? []).toString());
    if (job.ended === undefined) same(stored.dueAt, job.dueAt);
  }

  // What follows from it

  /** What a call that was made just now may have found. */
  #states(id: string, { from, to }: Window): (JobState | undefined)[] {
    const job = this.jobs.get(id);
    return [stateAt(job, from), stateAt(job, to)];
  }

  #exists(id: string, at: Window): Answer<boolean> {
    const [before, after] = this.#states(id, at);
    return (before === undefined) === (after === undefined) ? { is: after !== undefined } : 'either';
  }

  #holderOf(key: string | undefined, { from, to }: Window): Answer<string | undefined> {
    const id = key === undefined ? undefined : this.keys.get(key);
    const job = id === undefined ? undefined : this.jobs.get(id);
    if (job === undefined || job.keyUntil.to <= from) return { is: undefined };
    return job.keyUntil.from <= to ? 'either' : { is: id };
  }

  #add(given: NewJob, stored: StoredJob, at: Window): void {
    const ttlMs = given.unique?.ttlMs ?? Infinity;
    const job: ModelJob = {
      id: given.id,
      given,
      keyUntil: { from: at.from + ttlMs, to: at.to + ttlMs },
      dueAt: 'at' in given.due ? given.due.at : this.#within(stored.dueAt, given.due.inMs, at),
      failures: 0,
      deaths: noDeaths(),
      outcomes: [],
      lease: undefined,
      ended: undefined,
      lastToken: -1n,
    };
    this.jobs.set(given.id, job);
    if (given.unique !== undefined) this.keys.set(given.unique.key, given.id);
  }

  #isClaimable({ ended, lease, dueAt }: ModelJob, at: number): boolean {
    return ended === undefined && (lease === undefined ? dueAt : lease.endsAt) <= at;
  }

  #active(at: number): readonly ModelJob[] {
    return [...this.jobs.values()].filter(({ lease }) => lease !== undefined && lease.endsAt > at);
  }

  #precedes(a: ModelJob, b: ModelJob): boolean {
    if (this.#options.priority && a.given.priority !== b.given.priority)
      return a.given.priority > b.given.priority;
    const [ofA, ofB] = [this.#turn(a), this.#turn(b)];
    return ofA.to === ofB.from ? a.id < b.id && ofA.from === ofB.to : ofA.to < ofB.from;
  }

  /** By what a job is put in order, among those of its priority: at the earliest, and at the latest. */
  #turn(job: ModelJob): Window {
    const { lease, dueAt } = job;
    if (lease === undefined || this.#options.lostTurn === 'due') return { from: dueAt, to: dueAt };
    return { from: this.#mayDiffer(job) ? dueAt : lease.endsAt, to: lease.endsAt };
  }

  #checkClaimed(job: ModelJob, claim: ClaimedJob, leaseMs: number, at: Window): void {
    const { lease } = job;
    if (lease?.started === true) {
      const { least, most, leastAt, mostAt } = job.deaths;
      job.deaths = {
        least: deathsAt(at.to, least, leastAt) + 1,
        most: deathsAt(at.from, most, mostAt) + 1,
        leastAt: lease.endsAt,
        mostAt: at.to,
      };
      job.outcomes = [...job.outcomes, 'died' as const].slice(-historyLimit);
    }
    atLeast(claim.claimedAt, at.from);
    atMost(claim.claimedAt, at.to);
    atLeast(claim.claimedAt, job.dueAt, 'never before it is due');
    atMost(Math.abs(claim.leaseEndsAt - claim.claimedAt - leaseMs), 1);
    same(claim.failures, job.failures);
    const { least, most, leastAt, mostAt } = job.deaths;
    atLeast(claim.deaths, deathsAt(at.to, least, leastAt));
    atMost(claim.deaths, deathsAt(at.from, most, mostAt));
    same(
      claim.history.map(({ outcome }) => outcome),
      job.outcomes,
    );
    same(BigInt(claim.token) > job.lastToken, true, 'tokens grow');
    job.lastToken = BigInt(claim.token);
  }

  #heldBy({ id, token }: ClaimedJob): ModelJob | undefined {
    const job = this.jobs.get(id);
    return job?.lease?.token === token ? job : undefined;
  }

  #mayDiffer(job: ModelJob): boolean {
    return this.#options.mayLapse && job.given.limitKey !== undefined;
  }

  /** Whether the limits under which a job was claimed, whose lease is over, leave no place for it. */
  #exceeds({ given: { limitKey }, lease }: ModelJob, at: number): boolean {
    const active = this.#active(at);
    if (active.length >= (lease?.limits?.concurrency ?? Infinity)) return true;
    const held = active.filter(({ given }) => given.limitKey === limitKey).length;
    return limitKey !== undefined && held >= (lease?.limits?.perKey ?? Infinity);
  }

  #end(job: ModelJob, state: 'completed' | 'cancelled' | 'dead', keptUntil: number): void {
    same(job.ended, undefined, `${job.id} ends once`);
    job.ended = { state, keptUntil };
    this.#freeKey(job);
  }

  #pushOut(maxDead: number): number {
    const gone = this.#deathOrder.splice(0, Math.max(0, this.#deathOrder.length - maxDead));
    for (const id of gone) this.jobs.delete(id);
    return gone.length;
  }

  #holdKey(job: ModelJob, at: Window): void {
    const key = job.given.unique?.key;
    if (key === undefined || job.keyUntil.to <= at.from) return;
    const holder = this.#holderOf(key, at);
    if (holder !== 'either' && holder.is === undefined) this.keys.set(key, job.id);
  }

  #freeKey({ id, given: { unique } }: ModelJob): void {
    if (unique !== undefined && this.keys.get(unique.key) === id) this.keys.delete(unique.key);
  }

  /** A time that the backend has told lies so long after the call. */
  #within(time: number | undefined, afterMs: number, at: Window): number {
    atLeast(time, at.from + afterMs);
    atMost(time, at.to + afterMs);
    return time!;
  }
}

export type StoredMap = ReadonlyMap<string, StoredJob>;

const noDeaths = (): ModelJob['deaths'] => ({ least: 0, most: 0, leastAt: 0, mostAt: 0 });

function stateAt(job: ModelJob | undefined, at: number): JobState | undefined {
  if (job === undefined) return undefined;
  const { ended, lease, dueAt } = job;
  if (ended !== undefined) return ended.keptUntil <= at ? undefined : ended.state;
  if (lease !== undefined) return lease.endsAt > at ? 'active' : 'ready';
  return dueAt <= at ? 'ready' : 'scheduled';
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

function includes(all: readonly unknown[], one: unknown, what: string): void {
  if (!all.includes(one)) assert.fail(`${what}: ${inspect(one)} is not in ${inspect(all)}`);
}

function excludes(all: readonly unknown[], one: unknown, what: string): void {
  if (all.includes(one)) assert.fail(`${what}: ${inspect(one)} is in ${inspect(all)}`);
}
