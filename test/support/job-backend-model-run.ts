import assert from 'node:assert/strict';
import type { ClaimedJob, ClaimOptions, JobState, NewJob, Settlement } from 'nestjs-worker';
import type { ConformanceSubject } from 'nestjs-worker/testing';
import { systemClock } from '../../lib/clock/index.js';
import { JobBackendModel } from './job-backend-model.js';
import { includes, same } from './job-backend-model-checks.js';
import type { ModelOptions } from './job-backend-model-options.js';
import type { Moment } from './job-backend-model-time.js';

export type CommandName =
  | 'enqueue'
  | 'claim'
  | 'wait'
  | 'abort'
  | 'extend'
  | 'settle'
  | 'advance'
  | 'delete'
  | 'cancel'
  | 'retry'
  | 'pause'
  | 'count'
  | 'list'
  | 'look';

/** Milliseconds that schedules are made of. */
export interface ScheduleTimes {
  readonly delays: readonly number[];
  readonly leases: readonly number[];
  readonly advances: readonly number[];
  readonly ttls: readonly number[];
  readonly keeps: readonly number[];
}

export interface JobModelOptions extends ModelOptions {
  readonly make: () => ConformanceSubject | Promise<ConformanceSubject>;
  readonly times: ScheduleTimes;
  /** The commands to use. Default: all. */
  readonly commands?: readonly CommandName[];
  readonly limits: { readonly concurrency: boolean; readonly perKey: boolean };
  /** Lets a waiting claim that is to be answered now come to be: turns of the event loop, or a few milliseconds. */
  readonly settle: () => Promise<unknown>;
  /** How often that is done before a claim that could be answered counts as forgotten. */
  readonly patience: number;
  /**
   * Makes a call, and tells of each exchange with the store that comes of it when it was, by the store's clock. The store
   * has one at a time, and they are told in that order. Without it, time stands still while a call is made, and a claim
   * that waits is answered after the call that makes it possible; unless `clock` is `client`, where a call takes as long as
   * it takes, and nothing is to be told.
   */
  readonly watch?: <Result>(call: () => Promise<Result>, onExchange: (at: number) => void) => Promise<Result>;
}

export const queue = 'model';
const farMs = 1_000_000_000;

/** With the store: the `number`-th of all. */
interface Exchange extends Moment {
  readonly number: number;
}

interface Waiting {
  readonly options: ClaimOptions;
  /** When it was called. */
  readonly from: number;
  readonly abort: () => void;
  /** What the model has not been told of yet. */
  readonly exchanges: Exchange[];
  jobs: readonly ClaimedJob[] | undefined;
}

/** By so much what the store lets go of by itself may be off, in ms: it does not count parts of one. */
const roundingMs = 1;

/**
 * Where nobody knows when during a call something is done, nothing is called while a claim waits that may get something
 * within that time: what both come to would depend on who is first.
 */
const quietMs = 50;

const none: ReadonlySet<string> = new Set();

/** A backend, the model of it, and what the commands do to both. */
export class ModelRun {
  readonly model: JobBackendModel;
  readonly ids: string[] = [];
  readonly #options: JobModelOptions;
  readonly #subject: ConformanceSubject;
  #waiting: Waiting | undefined;
  #last: Exchange = { number: 0, from: -Infinity, at: -Infinity, since: -Infinity };
  #timers = 0;

  private constructor(subject: ConformanceSubject, options: JobModelOptions) {
    this.#subject = subject;
    this.#options = options;
    this.model = new JobBackendModel(options);
    assert.ok(
      options.watch === undefined || options.clock === 'backend',
      'watch() tells the time of the backend',
    );
  }

  static async open(options: JobModelOptions): Promise<ModelRun> {
    const run = new ModelRun(await options.make(), options);
    const setTimer =
      run.#subject.setTimer ?? ((callback, delayMs) => systemClock.setTimer(callback, delayMs));
    await run.backend.open({
      onRevoked: () => {},
      onConnection: () => {},
      warn: () => {},
      setTimer: (callback, delayMs) => {
        run.#timers++;
        let isOver = false;
        const over = (): void => {
          if (!isOver) run.#timers--;
          isOver = true;
        };
        const cancel = setTimer(() => {
          over();
          callback();
        }, delayMs);
        return () => {
          over();
          cancel();
        };
      },
    });
    return run;
  }

  get backend() {
    return this.#subject.backend;
  }

  async now(): Promise<number> {
    return Math.floor(await this.#subject.now());
  }

  /** Whether nobody knows when, during a call, something is done. */
  get #isLoose(): boolean {
    return this.#options.clock === 'client';
  }

  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  /** A claim that was given at some time, good or stale. */
  claim(which: number): ClaimedJob | undefined {
    // Late ones more often than those of long ago.
    const { claims } = this.model;
    return claims[claims.length - 1 - (which % Math.min(claims.length, 8))];
  }

  /** An id that was given at some time: mostly that of a job that is there still. */
  id(which: number): string {
    const ids = which % 4 === 0 ? this.ids : [...this.model.jobs.keys()];
    return ids[ids.length - 1 - (which % (ids.length || 1))] ?? 'unknown';
  }

  async enqueue(jobs: readonly NewJob[]): Promise<void> {
    const ids = jobs.map(({ id }) => id);
    this.ids.push(...ids);
    const [answers, [moment]] = await this.#call(() => this.backend.enqueue(jobs));
    await this.#reach(moment);
    this.model.enqueued(jobs, answers, moment);
    await this.look(ids);
  }

  async claimNow(options: ClaimOptions): Promise<void> {
    const { signal } = new AbortController();
    const [jobs, moments] = await this.#call(() =>
      this.backend.claim(queue, { ...options, waitMs: 0, signal }),
    );
    await this.#claimed(jobs, options, moments);
  }

  async wait(options: ClaimOptions): Promise<void> {
    const from = this.#isLoose ? await this.now() : -Infinity;
    const controller = new AbortController();
    const claim = (): Promise<readonly ClaimedJob[]> =>
      this.backend.claim(queue, { ...options, waitMs: farMs * 1_000, signal: controller.signal });
    const waiting: Waiting = {
      options,
      from,
      abort: () => controller.abort(),
      exchanges: [],
      jobs: undefined,
    };
    this.#watch(claim, (exchange) => waiting.exchanges.push(exchange)).then(
      (jobs) => (waiting.jobs = jobs),
      () => (waiting.jobs = []),
    );
    this.#waiting = waiting;
  }

  /** Calls the waiting claim off; what it got just before that is its. */
  async abort(): Promise<void> {
    await this.#becomesQuiet();
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    waiting.abort();
    await this.#hasEnded(waiting);
    await this.#catchUp();
    this.#waiting = undefined;
    if (this.#isLoose) this.model.mayHaveGivenBack(momentAt(await this.now()));
  }

  async extend(claims: readonly ClaimedJob[], leaseMs: number): Promise<void> {
    const extensions = claims.map((job) => ({ job, leaseMs }));
    const [answers, [moment]] = await this.#call(() => this.backend.extend(queue, extensions));
    await this.#reach(moment);
    same(answers.length, claims.length);
    claims.forEach((job, index) => this.model.extended(job, leaseMs, answers[index]!, moment));
    await this.look(claims.map(({ id }) => id));
  }

  /** Of dead jobs, `maxDead` are kept. */
  async settle(
    settlements: readonly Settlement[],
    maxDead: number | undefined,
    thenClaim: ClaimOptions | undefined,
  ): Promise<void> {
    const [answer, moments] = await this.#call(() => this.backend.settle(queue, settlements, thenClaim));
    const isAlone = this.#waiting === undefined;
    await this.#reach(moments[0]);
    const { accepted, pushedOut } = answer;
    same(accepted.length, settlements.length);
    settlements.forEach((settlement, index) => this.model.settled(settlement, accepted[index]!, moments[0]));
    const anyDied = settlements.some(({ kind }, index) => kind === 'dead' && accepted[index]!);
    const dead = this.model.dead.map(({ id }) => id);
    const stored = await this.backend.get(queue, dead);
    const left = dead.filter((_, index) => stored[index] !== undefined);
    this.model.pushedOut(pushedOut, anyDied ? maxDead : undefined, new Set(left));
    if (thenClaim === undefined) same(answer.claimed, []);
    else if (this.#isLoose) {
      const late = new Set(settlements.map(({ job: { id } }) => id));
      const order = isAlone ? 'any' : 'none';
      const course = { order, isComplete: isAlone, isLast: false, late } as const;
      this.model.claimed(answer.claimed, thenClaim, moments[0], course);
    } else await this.#claimed(answer.claimed, thenClaim, moments);
    await this.look(settlements.map(({ job: { id } }) => id));
  }

  async advance(ms: number): Promise<void> {
    await this.#subject.advance(ms);
  }

  async delete(ids: readonly string[]): Promise<void> {
    const [answers, [moment]] = await this.#call(() => this.backend.delete(queue, ids));
    await this.#reach(moment);
    same(answers.length, ids.length);
    ids.forEach((id, index) => this.model.deleted(id, answers[index]!, moment));
  }

  async cancel(ids: readonly string[], keepMs: number): Promise<void> {
    const [answers, [moment]] = await this.#call(() => this.backend.cancel(queue, ids, { keepMs }));
    await this.#reach(moment);
    same(answers.length, ids.length);
    ids.forEach((id, index) => this.model.cancelled(id, keepMs, answers[index]!, moment));
    await this.look(ids);
  }

  async retry(ids: readonly string[]): Promise<void> {
    const [answers, moments] = await this.#call(() => this.backend.retry(queue, ids));
    // What it reads before that changes nothing.
    const moment = moments.at(-1)!;
    await this.#reach(moment);
    same(answers.length, ids.length);
    ids.forEach((id, index) => this.model.retried(id, answers[index]!, moment));
    await this.look(ids);
  }

  async pause(paused: boolean): Promise<void> {
    const [, [moment]] = await this.#call(() => this.backend.pause(queue, paused));
    await this.#reach(moment);
    this.model.paused = paused;
  }

  async count(dueWithinMs: number): Promise<void> {
    const [[counts], [moment]] = await this.#call(() => this.backend.counts([queue], { dueWithinMs }));
    await this.#reach(moment);
    this.model.counted(counts!, dueWithinMs, moment);
  }

  async list(state: JobState, limit: number): Promise<void> {
    const listed: string[] = [];
    const found = new Map<
      string,
      { readonly states: Set<JobState | undefined>; readonly places: Set<string | undefined> }
    >();
    let cursor: string | undefined;
    do {
      const [page, [moment]] = await this.#call(() => this.backend.list(queue, { state, limit, cursor }));
      await this.#reach(moment);
      listed.push(...page.jobs.map(({ id }) => id));
      for (const { id, states, place } of this.model.toBeFound(moment)) {
        const known = found.get(id);
        found.set(id, {
          states: new Set([...(known?.states ?? []), ...states]),
          places: new Set([...(known?.places ?? []), place]),
        });
      }
      if (listed.length > 10_000) assert.fail('a list has an end');
      ({ cursor } = page);
    } while (cursor !== undefined);
    for (const id of listed) same(found.get(id)?.states.has(state), true, `whether ${id} is ${state}`);
    for (const [id, { states, places }] of found) {
      // What a waiting claim has moved meanwhile may be missed, or found twice.
      if (!states.has(state) || places.size > 1 || places.has(undefined)) continue;
      const times = listed.filter((other) => other === id).length;
      includes(states.size === 1 ? [1] : [0, 1], times, `how often ${id} is among those that are ${state}`);
    }
  }

  async look(ids: readonly string[] = this.ids): Promise<void> {
    const all = [...new Set(ids)];
    const [stored, [moment]] = await this.#call(() => this.backend.get(queue, all));
    await this.#reach(moment);
    all.forEach((id, index) => this.model.told(id, stored[index], moment));
  }

  /** After each command: a waiting claim that could be answered has been. */
  async check(): Promise<void> {
    if (this.#isLoose) return this.#becomesQuiet();
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    let claimable: readonly string[] = [];
    for (let turn = 0; turn < this.#options.patience; turn++) {
      await this.#options.settle();
      await this.#catchUp();
      if (this.#waiting !== waiting) return;
      claimable = this.model.claimable(waiting.options, momentAt(await this.now()));
      if (claimable.length === 0) return;
    }
    assert.fail(`a waiting claim was forgotten, which was to get ${claimable.join()}`);
  }

  /** Lets a waiting claim get what it can, and what may come for it in a moment. */
  async #becomesQuiet(): Promise<void> {
    if (!this.#isLoose) return;
    for (let turn = 0; ; turn++) {
      await this.#catchUp();
      if (this.#waiting === undefined) return;
      const now = momentAt(await this.now());
      const claimable = this.model.claimable(this.#waiting.options, now);
      const settlesIn = this.model.settlesIn(quietMs, now);
      if (claimable.length > 0) {
        if (turn >= this.#options.patience)
          assert.fail(`a waiting claim was forgotten, which was to get ${claimable.join()}`);
        await this.#options.settle();
      } else if (settlesIn === undefined) {
        return;
      } else {
        await this.advance(settlesIn + 1);
        turn = 0;
      }
    }
  }

  /** Lets everything come to its end, and looks at what is left. */
  async finish(): Promise<void> {
    await this.abort();
    await this.pause(false);
    const unlimited = { limit: 50, prefetch: 0, leaseMs: farMs };
    const { delays, leases } = this.#options.times;
    await this.retry([...new Set(this.ids)]);
    const { slackMs = 0 } = this.#options;
    await this.advance(Math.max(...delays.filter((delay) => delay < farMs), ...leases) + slackMs + 1);
    for (;;) {
      const held = this.model.claims.length;
      await this.claimNow(unlimited);
      const claimed = this.model.claims.slice(held);
      if (claimed.length === 0) break;
      await this.settle(
        claimed.map((job) => ({ kind: 'completed', job, keepMs: 0 })),
        undefined,
        undefined,
      );
    }
    await this.look();
    await this.count(0);
    for (const { ended, lease, dueAt } of this.model.jobs.values()) {
      same(lease, undefined);
      same(ended !== undefined || dueAt.from > (await this.#subject.now()), true);
    }
    await this.close();
    same(this.#timers, 0, 'timers that are left');
  }

  /** Ends it, whatever has happened. */
  async close(): Promise<void> {
    await this.wait({ limit: 1, prefetch: 0, leaseMs: 1 });
    const waiting = this.#waiting;
    await this.backend.close();
    if (waiting !== undefined) await this.#hasEnded(waiting);
    await this.#subject.dispose?.();
  }

  async #hasEnded(waiting: Waiting): Promise<void> {
    for (let turn = 0; turn < this.#options.patience && waiting.jobs === undefined; turn++) {
      await this.#options.settle();
    }
    if (waiting.jobs === undefined) assert.fail('a waiting claim does not end');
  }

  async #claimed(
    jobs: readonly ClaimedJob[],
    options: ClaimOptions,
    moments: readonly Exchange[],
  ): Promise<void> {
    for (const [index, moment] of moments.entries()) {
      await this.#reach(moment);
      // It looks again where there may be more behind what it has gone past.
      const isLast = index === moments.length - 1;
      this.model.claimed(isLast ? jobs : [], options, moment);
    }
  }

  /** Tells the model what the waiting claim did before that. */
  async #reach({ number }: Exchange): Promise<void> {
    if (this.#options.watch !== undefined) await this.#catchUp(number);
  }

  async #catchUp(before = Infinity): Promise<void> {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const { options, exchanges } = waiting;
    if (this.#options.watch === undefined) {
      if (waiting.jobs === undefined) return;
      this.#waiting = undefined;
      if (waiting.jobs.length === 0) return;
      if (!this.#isLoose) {
        this.model.claimed(waiting.jobs, options, momentAt(waiting.jobs[0]!.claimedAt));
        return;
      }
      const moment = { from: waiting.from, at: await this.now(), since: waiting.from };
      const course = { order: 'none', isComplete: false, isLast: true, late: none } as const;
      this.model.claimed(waiting.jobs, options, moment, course);
      return;
    }
    while (exchanges[0] !== undefined && exchanges[0].number < before) {
      const moment = exchanges.shift()!;
      // What the last one has come to takes a turn.
      if (exchanges.length === 0) await new Promise(setImmediate);
      const isOff = exchanges.length === 1 && waiting.jobs?.length === 0;
      if (isOff && this.model.claimable(options, moment).length > 0) {
        // Called off: what it got has gone back.
        exchanges.shift();
        this.model.gaveBack(options, moment);
      } else if (exchanges.length === 0 && waiting.jobs !== undefined) {
        this.#waiting = undefined;
        this.model.claimed(waiting.jobs, options, moment);
      } else {
        this.model.claimed([], options, moment);
      }
    }
  }

  /** Its result, and when there was something to do with the store; for a call that has nothing to do, when it was made. */
  async #call<Result>(
    call: () => Promise<Result>,
  ): Promise<[result: Result, exchanges: readonly [Exchange, ...Exchange[]]]> {
    if (this.#isLoose) {
      await this.#becomesQuiet();
      const from = await this.now();
      const result = await call();
      return [result, [{ number: 0, from, at: await this.now(), since: from }]];
    }
    if (this.#options.watch === undefined) {
      await this.#options.settle();
      await this.#catchUp();
    }
    const at = await this.#subject.now();
    if (this.#options.watch === undefined) return [await call(), [{ number: 0, ...momentAt(at) }]];
    const exchanges: Exchange[] = [];
    const result = await this.#watch(call, ({ since, ...exchange }) =>
      exchanges.push({ ...exchange, since: Math.max(since, at - roundingMs) }),
    );
    const [first = { number: 0, ...momentAt(at) }, ...others] = exchanges;
    return [result, [first, ...others]];
  }

  #watch<Result>(call: () => Promise<Result>, onExchange: (exchange: Exchange) => void): Promise<Result> {
    const { watch } = this.#options;
    if (watch === undefined) return call();
    return watch(call, (at) => {
      // It began when the one before it was over.
      const { number, at: before } = this.#last;
      this.#last = { number: number + 1, from: at, at, since: before - roundingMs };
      onExchange(this.#last);
    });
  }
}

const momentAt = (at: number): Moment => ({ from: at, at, since: at });
