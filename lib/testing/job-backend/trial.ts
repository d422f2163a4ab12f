import assert from 'node:assert/strict';
import { systemClock } from '../../clock/index.js';
import type {
  BlockingClaimOptions,
  ClaimedJob,
  EnqueueAnswer,
  JobBackend,
  JobBackendHost,
  JobState,
  NewJob,
  QueueCounts,
  Settlement,
  StoredJob,
} from '../../jobs/index.js';
import type { ConformanceSubject, ResolvedConformance } from './conformance-options.js';

/** Longer than any test lets pass, unless it says so. */
export const longLeaseMs = 3_600_000;

export interface JobFields extends Partial<NewJob> {
  /** Instead of `due`: until it is due. */
  readonly inMs?: number;
}

/** A claim that waits. */
export interface WaitingClaim {
  readonly jobs: Promise<readonly ClaimedJob[]>;
  readonly isOver: boolean;
  abort(): void;
}

/** A backend under test, opened, and what the tests of it have in common. */
export class Trial {
  readonly options: ResolvedConformance;
  readonly queue = 'conformance';
  /** What `onRevoked` told, over all handles. */
  readonly revoked: string[] = [];
  readonly #subject: ConformanceSubject;
  readonly #handles: JobBackend[] = [];
  #ids = 0;
  #timers = 0;

  private constructor(subject: ConformanceSubject, options: ResolvedConformance) {
    this.#subject = subject;
    this.options = options;
  }

  static async run(options: ResolvedConformance, body: (trial: Trial) => Promise<void>): Promise<void> {
    const trial = new Trial(await options.make(), options);
    try {
      await trial.#open(trial.backend);
      await body(trial);
    } catch (error) {
      await trial.#end().catch(() => {});
      throw error;
    }
    await trial.#end();
    assert.equal(trial.#timers, 0, 'timers that are left when all handles are closed');
  }

  get backend(): JobBackend {
    return this.#subject.backend;
  }

  /** Milliseconds of a unit. */
  get unit(): number {
    return this.options.unitMs;
  }

  /** Timers of the backend that wait. */
  get timers(): number {
    return this.#timers;
  }

  /** Opens another handle on the same jobs. */
  async another(): Promise<JobBackend> {
    assert.ok(
      this.#subject.another,
      'a backend whose jobs are shared or durable takes `another` to be tested',
    );
    const handle = await this.#subject.another();
    await this.#open(handle);
    return handle;
  }

  /** For opening a handle by hand. */
  get host(): JobBackendHost {
    const setTimer =
      this.#subject.setTimer ?? ((callback, delayMs) => systemClock.setTimer(callback, delayMs));
    return {
      onRevoked: (_, ids) => {
        this.revoked.push(...ids);
      },
      onConnection: () => {},
      warn: () => {},
      setTimer: (callback, delayMs) => {
        this.#timers++;
        let isOver = false;
        const end = (): void => {
          if (!isOver) this.#timers--;
          isOver = true;
        };
        const cancel = setTimer(() => {
          end();
          callback();
        }, delayMs);
        return () => {
          end();
          cancel();
        };
      },
    };
  }

  async now(): Promise<number> {
    return this.#subject.now();
  }

  async advance(ms: number): Promise<void> {
    await this.#subject.advance(ms);
  }

  /** A new job; ids are in the order in which they are made. */
  job({ inMs = 0, ...fields }: JobFields = {}): NewJob {
    const id = `job-${String(++this.#ids).padStart(8, '0')}`;
    return { id, queue: this.queue, name: '', payload: undefined, due: { inMs }, priority: 0, ...fields };
  }

  jobs(count: number, fields: JobFields = {}): NewJob[] {
    return Array.from({ length: count }, () => this.job(fields));
  }

  /** Stores new jobs, and answers their ids. */
  async add(...jobs: readonly JobFields[]): Promise<string[]> {
    const made = jobs.map((fields) => this.job(fields));
    const answers = await this.backend.enqueue(made);
    assert.deepEqual(
      answers,
      made.map(({ id }): EnqueueAnswer => ({ kind: 'enqueued', id })),
      'new jobs are enqueued',
    );
    return made.map(({ id }) => id);
  }

  /** Stores a new job, and answers its id. */
  async addOne(fields: JobFields = {}): Promise<string> {
    const [id] = await this.add(fields);
    return id!;
  }

  /** Claims without waiting, one job where nothing else is said, of the test's queue. */
  async claim(
    options: Partial<BlockingClaimOptions> & { readonly queue?: string; readonly from?: JobBackend } = {},
  ): Promise<readonly ClaimedJob[]> {
    const { queue = this.queue, from = this.backend, ...rest } = options;
    return this.soon(
      from.claim(queue, {
        limit: 1,
        prefetch: 0,
        leaseMs: longLeaseMs,
        waitMs: 0,
        signal: new AbortController().signal,
        ...rest,
      }),
      'a claim that is not to wait',
    );
  }

  async claimIds(limit: number, options: Parameters<Trial['claim']>[0] = {}): Promise<string[]> {
    return (await this.claim({ limit, ...options })).map(({ id }) => id);
  }

  /** Claims the one job that there must be. */
  async claimOne(options: Parameters<Trial['claim']>[0] = {}): Promise<ClaimedJob> {
    const [job] = await this.claim(options);
    assert.ok(job, 'a job that is due was not handed out');
    return job;
  }

  /** Stores a new job and claims it. */
  async held(fields: JobFields = {}, options: Parameters<Trial['claim']>[0] = {}): Promise<ClaimedJob> {
    const id = await this.addOne(fields);
    const job = await this.claimOne(options);
    assert.equal(job.id, id);
    return job;
  }

  /** Begins a claim that waits, for longer than any test does where nothing else is said. */
  wait(options: Parameters<Trial['claim']>[0] = {}): WaitingClaim {
    const { queue = this.queue, from = this.backend, ...rest } = options;
    const controller = new AbortController();
    let isOver = false;
    const jobs = from.claim(queue, {
      limit: 1,
      prefetch: 0,
      leaseMs: longLeaseMs,
      waitMs: longLeaseMs,
      signal: controller.signal,
      ...rest,
    });
    const over = (): void => {
      isOver = true;
    };
    jobs.then(over, over);
    return {
      jobs,
      get isOver() {
        return isOver;
      },
      abort: () => controller.abort(),
    };
  }

  /** What a claim that waits got; it must have got something by now, or does at once. */
  async gotBy(claim: WaitingClaim, what = 'a waiting claim'): Promise<readonly ClaimedJob[]> {
    return this.soon(claim.jobs, `${what} to be answered`);
  }

  /** Lets a claim that has just begun come to wait. */
  async letItWait(claim: WaitingClaim, ms = this.unit): Promise<void> {
    await this.advance(ms);
    assert.equal(claim.isOver, false, 'a claim for which there is nothing waits');
  }

  /** Settles, and answers which of it was accepted. */
  async settle(...settlements: readonly Settlement[]): Promise<readonly boolean[]> {
    return (await this.backend.settle(this.queue, settlements)).accepted;
  }

  async get(id: string): Promise<StoredJob | undefined> {
    const answer = await this.backend.get(this.queue, [id]);
    assert.equal(answer.length, 1, 'get() answers for each id');
    return answer[0];
  }

  /** A job that must be stored. */
  async stored(id: string): Promise<StoredJob> {
    const job = await this.get(id);
    assert.ok(job, `job ${id} is stored`);
    return job;
  }

  async stateOf(id: string): Promise<JobState | undefined> {
    return (await this.get(id))?.state;
  }

  async counts(dueWithinMs = 0): Promise<QueueCounts> {
    const [counts] = await this.backend.counts([this.queue], { dueWithinMs });
    assert.ok(counts);
    return counts;
  }

  /** How many jobs there are in each state. */
  async tally(): Promise<[ready: number, scheduled: number, active: number, dead: number]> {
    const { ready, scheduled, active, dead } = await this.counts();
    return [ready, scheduled, active, dead];
  }

  /** Waits for what must happen, for `patienceMs` of real time at most. */
  async soon<Result>(promise: Promise<Result>, what: string): Promise<Result> {
    let timer: NodeJS.Timeout | undefined;
    const { patienceMs } = this.options;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`Waited ${patienceMs} ms for ${what}`)), patienceMs);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits until `isSo`, for `patienceMs` of real time at most. */
  async until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const giveUpAt = performance.now() + this.options.patienceMs;
    while (!(await isSo())) {
      if (performance.now() > giveUpAt) assert.fail(`Waited ${this.options.patienceMs} ms for ${what}`);
      await new Promise((resolve) => {
        setTimeout(resolve, 5);
      });
    }
  }

  /** A point in time is one that lies between two others, give or take rounding. */
  assertBetween(time: number | undefined, from: number, to: number, what: string): void {
    assert.ok(time !== undefined && Number.isFinite(time), `${what} is a time`);
    assert.ok(time >= from - 1 && time <= to + 1, `${what}: ${time} is not between ${from} and ${to}`);
  }

  /** The end of a lease, as it is stored. Where the client's clock counts, only the store may know it to the millisecond. */
  assertLeaseEnd(time: number | undefined, from: number, to: number, what: string): void {
    const { capabilities, slackMs } = this.options;
    const slack = capabilities.clock === 'client' ? slackMs : 0;
    this.assertBetween(time, from - slack, to + slack, what);
  }

  async #open(handle: JobBackend): Promise<void> {
    this.#handles.push(handle);
    await this.soon(handle.open(this.host), 'open()');
  }

  async #end(): Promise<void> {
    for (const handle of this.#handles) await this.soon(handle.close(), 'close()');
    await this.#subject.dispose?.();
  }
}
