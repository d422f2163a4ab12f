import { toErrorInfo } from '../events/index.js';
import { delayAfter, type ExponentialBackoff } from '../supervision/index.js';
import type { ClaimedJob, ClaimOptions, SettleAnswer, Settlement } from './job-backend.js';
import type { JobConnection } from './job-connection.js';

const retrying: ExponentialBackoff = { initialMs: 100, factor: 2, maxMs: 5_000, jitter: 0.5 };
/** More go in several calls, so that none keeps the backend from everybody else for long. */
const largestBatch = 500;
/** After so many calls that failed in a row, settlements are told one by one. */
const failuresInARow = 3;
/** One that was refused by itself so often, while others were taken, is given up. */
const refusalsAlone = 5;

export interface SettlerHost {
  readonly queue: string;
  readonly callTimeoutMs: number;
  /** What to claim in the same round trip; `undefined`: nothing. */
  wantedToo(): ClaimOptions | undefined;
  /** `sentAt`: when the claim was sent, by the monotonic clock. */
  took(jobs: readonly ClaimedJob[], sentAt: number): void;
  /**
   * Their fate is sealed: `accepted`, or somebody else's. With `repeated` an earlier call, that nothing was heard of, may
   * have been accepted instead.
   */
  settled(
    settlements: readonly Settlement[],
    answer: Pick<SettleAnswer, 'accepted' | 'pushedOut'>,
    repeated: boolean,
  ): void;
  /** The backend does not take what became of it. */
  gaveUp(job: ClaimedJob): void;
  /** Nothing is left to tell. */
  settlerIdle(): void;
}

/**
 * Tells the backend what became of jobs, many at a time: what ends while one call is under way goes with the next.
 * What the backend cannot be told is told again until it is, or until the settler is closed.
 */
export class Settler {
  readonly #connection: JobConnection;
  readonly #host: SettlerHost;
  #pending: Settlement[] = [];
  /** Of the call that is under way. */
  #underWay: readonly Settlement[] = [];
  #batchSize = largestBatch;
  #failures = 0;
  #failingSince = 0;
  #failure: unknown;
  /** Calls that were answered. */
  #successes = 0;
  readonly #refusals = new WeakMap<Settlement, { count: number; readonly successes: number }>();
  #isDue = false;
  #isBusy = false;
  #closed = false;
  #onIdle: (() => void)[] = [];
  #wake: (() => void) | undefined;

  constructor(connection: JobConnection, host: SettlerHost) {
    this.#connection = connection;
    this.#host = host;
  }

  /** Whether a call is to be made, or under way; it claims as well. */
  get isActive(): boolean {
    return this.#isDue || this.#isBusy;
  }

  /** For how long calls have failed; 0 where the last one did not. */
  get failingMs(): number {
    return this.#failures === 0 ? 0 : this.#connection.pool.clock.monotonic() - this.#failingSince;
  }

  /** What calls fail with; `undefined` where the last one did not. */
  get failure(): unknown {
    return this.#failures === 0 ? undefined : this.#failure;
  }

  get pending(): number {
    return this.#pending.length;
  }

  add(settlement: Settlement): void {
    this.#pending.push(settlement);
    if (this.isActive) return;
    this.#isDue = true;
    // Once the event loop has its turn: what ends before that goes along.
    this.#connection.pool.inScope(() => setImmediate(() => void this.#flush()));
  }

  /** Resolves once nothing is left to tell. */
  onIdle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.isActive) this.#onIdle.push(resolve);
      else resolve();
    });
  }

  /** Tells no more. Answers what the backend has not been told. */
  close(): readonly Settlement[] {
    this.#closed = true;
    const left = [...this.#underWay, ...this.#pending];
    this.#pending = [];
    this.#wake?.();
    return left;
  }

  open(): void {
    this.#closed = false;
  }

  async #flush(): Promise<void> {
    this.#isDue = false;
    this.#isBusy = true;
    while (this.#pending.length > 0) {
      await this.#settleSome();
      // A backend that answers at once must not make one call of each job.
      if (this.#pending.length > 0) await new Promise((resolve) => setImmediate(resolve));
    }
    this.#isBusy = false;
    this.#onIdle.splice(0).forEach((resolve) => resolve());
    this.#host.settlerIdle();
  }

  async #settleSome(): Promise<void> {
    const { queue, callTimeoutMs } = this.#host;
    const { clock } = this.#connection.pool;
    const batch = (this.#underWay = this.#pending.splice(0, this.#batchSize));
    const thenClaim = this.#pending.length === 0 ? this.#host.wantedToo() : undefined;
    const sentAt = clock.monotonic();
    let gaveUp = false;
    let answer: SettleAnswer;
    try {
      answer = await this.#connection.call('to what became of jobs', callTimeoutMs, async (backend) => {
        const answered = await backend.settle(queue, batch, thenClaim);
        // They came when nobody waited for them any more.
        if (gaveUp) for (const job of answered.claimed) this.add({ kind: 'released', job });
        return answered;
      });
    } catch (error) {
      gaveUp = true;
      this.#underWay = [];
      // A job whose lease ends meanwhile is run again, and its late settlement refused: nothing is lost by trying.
      if (!this.#closed) await this.#tryAgain(batch, error);
      return;
    }
    const repeated = this.#failures > 0;
    this.#underWay = [];
    this.#failures = 0;
    this.#successes++;
    this.#batchSize = Math.min(largestBatch, this.#batchSize * 2);
    this.#host.settled(batch, answer, repeated);
    this.#host.took(answer.claimed, sentAt);
  }

  /** Puts back what could not be told. One that keeps others from being told goes last, and is given up in the end. */
  async #tryAgain(batch: readonly Settlement[], error: unknown): Promise<void> {
    if (++this.#failures === 1) {
      this.#say(`cannot tell the backend what became of ${batch.length} jobs; trying again`, 'warn', error);
    }
    if (this.#failures === 1) this.#failingSince = this.#connection.pool.clock.monotonic();
    this.#failure = error;
    const [alone] = batch;
    if (alone === undefined || batch.length > 1) this.#pending.unshift(...batch);
    else if (!this.#isRefused(alone)) this.#pending.push(alone);
    else {
      this.#say(
        `gives up telling the backend what became of job ${alone.job.id}: it runs again`,
        'error',
        error,
      );
      this.#host.gaveUp(alone.job);
    }
    // All of them may have failed for one of them.
    if (this.#failures >= failuresInARow) this.#batchSize = 1;
    await this.#pause(delayAfter(retrying, this.#failures, error, Math.random()));
  }

  /** Whether the backend has refused it again and again, and has taken others meanwhile. */
  #isRefused(settlement: Settlement): boolean {
    const refusal = this.#refusals.get(settlement) ?? { count: 0, successes: this.#successes };
    refusal.count++;
    this.#refusals.set(settlement, refusal);
    return refusal.count >= refusalsAlone && this.#successes > refusal.successes;
  }

  #say(what: string, level: 'warn' | 'error', error: unknown): void {
    const { queue } = this.#host;
    const message = `Job consumer "${queue}" ${what}: ${toErrorInfo(error).message}`;
    this.#connection.pool.say(level, message, { queue });
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const { pool } = this.#connection;
      const cancelTimer = pool.inScope(() => pool.clock.setTimer(resolve, delayMs));
      this.#wake = () => {
        cancelTimer();
        resolve();
      };
    });
  }
}
