import assert from 'node:assert/strict';
import type { ClaimedJob, ClaimOptions, JobState, NewJob, Settlement, StoredJob } from 'nestjs-worker';
import type { ConformanceSubject } from 'nestjs-worker/testing';
import { systemClock } from '../../lib/clock/index.js';
import { JobBackendModel, type ModelOptions, same, type Window } from './job-backend-model.js';

export type CommandName =
  | 'enqueue'
  | 'claim'
  | 'wait'
  | 'abort'
  | 'extend'
  | 'settle'
  | 'advance'
  | 'delete'
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
  /** Milliseconds by which the time that is told may be rounded. */
  readonly rounding: number;
}

export const queue = 'model';
const farMs = 1_000_000_000;

interface Waiting {
  readonly options: ClaimOptions;
  readonly abort: () => void;
  jobs: readonly ClaimedJob[] | undefined;
}

/** A backend, the model of it, and what the commands do to both. */
export class ModelRun {
  readonly model: JobBackendModel;
  readonly ids: string[] = [];
  readonly #options: JobModelOptions;
  readonly #subject: ConformanceSubject;
  #waiting: Waiting | undefined;
  #timers = 0;

  private constructor(subject: ConformanceSubject, options: JobModelOptions) {
    this.#subject = subject;
    this.#options = options;
    this.model = new JobBackendModel(options);
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
    this.ids.push(...jobs.map(({ id }) => id));
    const [answers, at] = await this.#call(() => this.backend.enqueue(jobs));
    const stored = await this.#stored(jobs.map(({ id }) => id));
    this.model.enqueued(jobs, answers, stored, at);
  }

  async claimNow(options: ClaimOptions): Promise<void> {
    const { signal } = new AbortController();
    const [jobs, at] = await this.#call(() => this.backend.claim(queue, { ...options, waitMs: 0, signal }));
    this.model.claimed(jobs, options, at);
  }

  wait(options: ClaimOptions): void {
    const controller = new AbortController();
    const claimed = this.backend.claim(queue, {
      ...options,
      waitMs: farMs * 1_000,
      signal: controller.signal,
    });
    const waiting: Waiting = {
      options,
      abort: () => controller.abort(),
      jobs: undefined,
    };
    claimed.then(
      (jobs) => (waiting.jobs = jobs),
      () => (waiting.jobs = []),
    );
    this.#waiting = waiting;
  }

  /** Calls the waiting claim off; what it got just before that is its. */
  async abort(): Promise<void> {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    waiting.abort();
    await this.#hasEnded(waiting);
    this.#take(waiting);
  }

  async extend(claims: readonly ClaimedJob[], leaseMs: number): Promise<void> {
    const extensions = claims.map((job) => ({ job, leaseMs }));
    const [answers, at] = await this.#call(() => this.backend.extend(queue, extensions));
    same(answers.length, claims.length);
    const stored = await this.#stored(claims.map(({ id }) => id));
    claims.forEach((job, index) =>
      this.model.extended(job, leaseMs, answers[index]!, stored.get(job.id), at),
    );
  }

  async settle(settlements: readonly Settlement[], thenClaim: ClaimOptions | undefined): Promise<void> {
    const [answer, at] = await this.#call(() => this.backend.settle(queue, settlements, thenClaim));
    const stored = await this.#stored(settlements.map(({ job: { id } }) => id));
    same(answer.accepted.length, settlements.length);
    let pushedOut = 0;
    settlements.forEach((settlement, index) => {
      const accepted = answer.accepted[index]!;
      pushedOut += this.model.settled(settlement, accepted, stored.get(settlement.job.id), at);
    });
    same(answer.pushedOut, pushedOut);
    if (thenClaim === undefined) same(answer.claimed, []);
    else this.model.claimed(answer.claimed, thenClaim, at);
  }

  async advance(ms: number): Promise<void> {
    await this.#subject.advance(ms);
  }

  async delete(ids: readonly string[]): Promise<void> {
    const [answers, at] = await this.#call(() => this.backend.delete(queue, ids));
    same(answers.length, ids.length);
    ids.forEach((id, index) => this.model.deleted(id, answers[index]!, at));
  }

  async retry(ids: readonly string[]): Promise<void> {
    const [answers, at] = await this.#call(() => this.backend.retry(queue, ids));
    same(answers.length, ids.length);
    const stored = await this.#stored(ids);
    ids.forEach((id, index) => this.model.retried(id, answers[index]!, stored.get(id), at));
  }

  async pause(paused: boolean): Promise<void> {
    await this.backend.pause(queue, paused);
    this.model.paused = paused;
  }

  async count(dueWithinMs: number): Promise<void> {
    const [[counts], at] = await this.#call(() => this.backend.counts([queue], { dueWithinMs }));
    this.model.counted(counts!, dueWithinMs, at);
  }

  async list(state: JobState, limit: number): Promise<void> {
    const [jobs, at] = await this.#call(async () => {
      const all: StoredJob[] = [];
      let cursor: string | undefined;
      do {
        const page = await this.backend.list(queue, { state, limit, cursor });
        all.push(...page.jobs);
        if (all.length > 10_000) assert.fail('a list has an end');
        ({ cursor } = page);
      } while (cursor !== undefined);
      return all;
    });
    this.model.listed(state, jobs, at);
  }

  async look(): Promise<void> {
    const ids = [...new Set(this.ids)];
    const [stored, at] = await this.#call(() => this.backend.get(queue, ids));
    ids.forEach((id, index) => this.model.told(id, stored[index], at));
  }

  /** After each command: a waiting claim that could be answered has been. */
  async check(): Promise<void> {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    for (let turn = 0; turn < this.#options.patience; turn++) {
      await this.#options.settle();
      if (waiting.jobs !== undefined) return this.#take(waiting);
      const now = await this.#subject.now();
      if (!this.model.couldClaim(waiting.options, { from: now - this.#options.rounding, to: now })) return;
    }
    assert.fail('a waiting claim was forgotten');
  }

  /** Lets everything come to its end, and looks at what is left. */
  async finish(): Promise<void> {
    await this.abort();
    await this.pause(false);
    const unlimited = { limit: 50, prefetch: 0, leaseMs: farMs };
    const { delays, leases } = this.#options.times;
    await this.retry([...new Set(this.ids)]);
    await this.advance(Math.max(...delays.filter((delay) => delay < farMs), ...leases) + 1);
    for (;;) {
      const held = this.model.claims.length;
      await this.claimNow(unlimited);
      const claimed = this.model.claims.slice(held);
      if (claimed.length === 0) break;
      await this.settle(
        claimed.map((job) => ({ kind: 'completed', job, keepMs: 0 })),
        undefined,
      );
    }
    await this.look();
    await this.count(0);
    for (const { ended, lease, dueAt } of this.model.jobs.values()) {
      same(lease, undefined);
      same(ended !== undefined || dueAt > (await this.#subject.now()), true);
    }
    await this.close();
    same(this.#timers, 0, 'timers that are left');
  }

  /** Ends it, whatever has happened. */
  async close(): Promise<void> {
    this.wait({ limit: 1, prefetch: 0, leaseMs: 1 });
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

  #take(waiting: Waiting): void {
    this.#waiting = undefined;
    const jobs = waiting.jobs ?? [];
    const at = jobs[0]?.claimedAt;
    const { rounding } = this.#options;
    if (at === undefined) return;
    this.model.claimed(jobs, waiting.options, { from: at - rounding, to: at + rounding });
  }

  async #call<Result>(call: () => Promise<Result>): Promise<[result: Result, at: Window]> {
    const from = (await this.#subject.now()) - this.#options.rounding;
    const result = await call();
    return [result, { from, to: (await this.#subject.now()) + this.#options.rounding }];
  }

  async #stored(ids: readonly string[]): Promise<Map<string, StoredJob>> {
    const stored = await this.backend.get(queue, ids);
    return new Map(stored.filter((job) => job !== undefined).map((job) => [job.id, job]));
  }
}
