import { type CancelTimer, type Clock, systemClock } from '../clock/index.js';
import type {
  BlockingClaimOptions,
  CancelAnswer,
  CancelOptions,
  ClaimedJob,
  ClaimOptions,
  CountOptions,
  DeleteAnswer,
  EnqueueAnswer,
  Extension,
  JobBackend,
  JobBackendCapabilities,
  JobBackendHost,
  JobPage,
  ListOptions,
  NewJob,
  QueueCounts,
  RetryAnswer,
  Settlement,
  SettleAnswer,
  StoredJob,
} from './job-backend.js';
import type { MemoryJob } from './memory-job.js';
import { MemoryQueue } from './memory-queue.js';
import { MemoryWaitingClaims } from './memory-waiting-claims.js';

export interface MemoryJobBackendOptions {
  /** What time it is. A test that gives the app a `FakeClock` gives it here, too. Default: the time of this machine. */
  readonly clock?: Clock | undefined;
}

interface Queue {
  readonly jobs: MemoryQueue;
  readonly waiting: MemoryWaitingClaims;
}

/**
 * Keeps jobs in the memory of this process: for tests, for development, and for work that may be lost when the process
 * ends. Does all that a backend can, at once and in order; what a call costs does not depend on how many jobs there are.
 *
 * Several apps in one process may share one. It holds a timer while a claim waits, and nothing else; after `close()` the
 * jobs are still there.
 */
export class MemoryJobBackend implements JobBackend {
  readonly capabilities: JobBackendCapabilities = {
    name: 'memory',
    durable: false,
    shared: false,
    clock: 'backend',
    order: 'due',
    priority: true,
    limits: { concurrency: true, perKey: true, rate: true },
    fencing: true,
    leaseThread: false,
  };
  readonly #clock: Clock;
  readonly #queues = new Map<string, Queue>();
  readonly #jobs = new Map<string, MemoryJob>();
  /** Of the apps that have opened it. */
  readonly #hosts: JobBackendHost[] = [];
  #opened = 0;
  #token: number;

  constructor({ clock = systemClock }: MemoryJobBackendOptions = {}) {
    this.#clock = clock;
    // A store that outlives this process has seen the tokens of the one before: these are higher.
    this.#token = this.#now() * 1_000;
  }

  async open(host: JobBackendHost): Promise<void> {
    this.#hosts.push(host);
    this.#opened++;
  }

  async close(): Promise<void> {
    this.#opened = Math.max(0, this.#opened - 1);
    // Which of the apps has closed it is not told; one that goes on claims again.
    for (const { waiting } of this.#queues.values()) waiting.endAll();
    if (this.#opened === 0) this.#hosts.length = 0;
  }

  async enqueue(jobs: readonly NewJob[]): Promise<readonly EnqueueAnswer[]> {
    const now = this.#now();
    const touched = new Set<Queue>();
    try {
      return jobs.map((job) => {
        const queue = this.#queueOf(job.queue);
        if (!touched.has(queue)) {
          touched.add(queue);
          queue.jobs.roll(now);
        }
        return queue.jobs.enqueue(job, now);
      });
    } finally {
      // Also where one of them could not be stored: those before it are.
      for (const queue of touched) this.#serve(queue, now);
    }
  }

  async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    if (options.signal.aborted) return [];
    const now = this.#now();
    const known = this.#queueOf(queue);
    known.jobs.roll(now);
    const claimed = known.jobs.claim(options, now);
    if (claimed.length > 0 || options.waitMs <= 0) return claimed;
    const answer = known.waiting.add(options);
    known.waiting.wakeAt(known.jobs.claimableAt(options));
    return answer;
  }

  async extend(queue: string, extensions: readonly Extension[]): Promise<readonly boolean[]> {
    return this.#change(queue, (jobs, now) => extensions.map((extension) => jobs.extend(extension, now)));
  }

  async settle(
    queue: string,
    settlements: readonly Settlement[],
    thenClaim?: ClaimOptions,
  ): Promise<SettleAnswer> {
    return this.#change(queue, (jobs, now) => {
      let pushedOut = 0;
      const accepted = settlements.map((settlement) => {
        const gaveWay = jobs.settle(settlement, now);
        pushedOut += gaveWay ?? 0;
        return gaveWay !== undefined;
      });
      return { accepted, pushedOut, claimed: thenClaim === undefined ? [] : jobs.claim(thenClaim, now) };
    });
  }

  async get(queue: string, ids: readonly string[]): Promise<readonly (StoredJob | undefined)[]> {
    return this.#change(queue, (jobs, now) => ids.map((id) => jobs.get(id, now)));
  }

  async list(queue: string, options: ListOptions): Promise<JobPage> {
    return this.#change(queue, (jobs, now) => jobs.list(options, now));
  }

  async delete(queue: string, ids: readonly string[]): Promise<readonly DeleteAnswer[]> {
    const answers = this.#change(queue, (jobs) => ids.map((id) => jobs.delete(id)));
    this.#tellWhoRan(queue, ids, answers);
    return answers;
  }

  async cancel(
    queue: string,
    ids: readonly string[],
    options: CancelOptions,
  ): Promise<readonly CancelAnswer[]> {
    const answers = this.#change(queue, (jobs, now) => ids.map((id) => jobs.cancel(id, options, now)));
    this.#tellWhoRan(queue, ids, answers);
    return answers;
  }

  async retry(queue: string, ids: readonly string[]): Promise<readonly RetryAnswer[]> {
    return this.#change(queue, (jobs, now) => ids.map((id) => jobs.retry(id, now)));
  }

  async pause(queue: string, paused: boolean): Promise<void> {
    const known = this.#queueOf(queue);
    known.jobs.paused = paused;
    const now = this.#now();
    known.jobs.roll(now);
    this.#serve(known, now);
  }

  async counts(queues: readonly string[], { dueWithinMs }: CountOptions): Promise<readonly QueueCounts[]> {
    return queues.map((queue) => {
      const known = this.#queues.get(queue);
      if (known === undefined) return nothingIn(queue);
      const now = this.#now();
      known.jobs.roll(now);
      return known.jobs.counts(dueWithinMs, now);
    });
  }

  /** In whole milliseconds, as all its times are. */
  #now(): number {
    return Math.floor(this.#clock.now());
  }

  /** Does something with a queue as it stands now, and gives those that wait what comes of it. */
  #change<Result>(queue: string, change: (jobs: MemoryQueue, now: number) => Result): Result {
    const now = this.#now();
    // One that is only asked about is not kept: whoever asks may make up names.
    const known = this.#queues.get(queue) ?? this.#newQueue(queue);
    known.jobs.roll(now);
    try {
      return change(known.jobs, now);
    } finally {
      this.#serve(known, now);
    }
  }

  #serve({ jobs, waiting }: Queue, now: number): void {
    if (waiting.size === 0) return;
    let wakeAt = Infinity;
    waiting.serve((options) => {
      const claimed = jobs.claim(options, now);
      if (claimed.length === 0) wakeAt = Math.min(wakeAt, jobs.claimableAt(options));
      return claimed;
    });
    if (waiting.size > 0) waiting.wakeAt(wakeAt);
  }

  #queueOf(name: string): Queue {
    let queue = this.#queues.get(name);
    if (queue === undefined) this.#queues.set(name, (queue = this.#newQueue(name)));
    return queue;
  }

  #newQueue(name: string): Queue {
    const jobs = new MemoryQueue(name, {
      jobs: this.#jobs,
      nextToken: () => ++this.#token,
      revoked: (ids) => this.#tellRevoked(name, ids),
    });
    const waiting = new MemoryWaitingClaims({
      now: () => this.#clock.now(),
      setTimer: (callback, delayMs) => this.#setTimer(callback, delayMs),
      onTime: () => {
        const now = this.#now();
        jobs.roll(now);
        this.#serve(queue, now);
      },
    });
    const queue: Queue = { jobs, waiting };
    return queue;
  }

  #setTimer(callback: () => void, delayMs: number): CancelTimer {
    return (this.#hosts.at(-1) ?? this.#clock).setTimer(callback, delayMs);
  }

  #tellWhoRan(
    queue: string,
    ids: readonly string[],
    answers: readonly (DeleteAnswer | CancelAnswer)[],
  ): void {
    const revoked = ids.filter((_, index) => answers[index] === 'active');
    if (revoked.length > 0) this.#tellRevoked(queue, revoked);
  }

  /** Tells it once what goes on here is done: whoever hears of it may call at once. */
  #tellRevoked(queue: string, ids: readonly string[]): void {
    queueMicrotask(() => {
      for (const { onRevoked } of this.#hosts) onRevoked(queue, ids);
    });
  }
}

function nothingIn(queue: string): QueueCounts {
  return {
    queue,
    paused: false,
    ready: 0,
    scheduled: 0,
    active: 0,
    dead: 0,
    dueWithin: 0,
    oldestReadyAgeMs: 0,
    throughput: [],
  };
}
