import { toErrorInfo } from '../events/index.js';
import { delayAfter, type ExponentialBackoff } from '../supervision/index.js';
import type { ClaimedJob, ClaimOptions, SettleAnswer, Settlement } from './job-backend.js';
import type { JobConnection } from './job-connection.js';

const retrying: ExponentialBackoff = { initialMs: 100, factor: 2, maxMs: 5_000, jitter: 0.5 };
/** More go in several calls, so that none keeps the backend from everybody else for long. */
const largestBatch = 500;
/** Calls under way at once: the backend is at one of them while this process is at the answer of the other. */
const callsAtOnce = 2;
/** A second call is made for so many, and no fewer. */
const worthACall = 64;
/** After so many calls that failed in a row, settlements are told one by one. */
const failuresInARow = 3;
/** One that was refused by itself so often, while others were taken, is given up. */
const refusalsAlone = 5;

export interface SettlerHost {
  readonly queue: string;
  readonly callTimeoutMs: number;
  /** What to claim in the same round trip, beside so many jobs that are asked for already; `undefined`: nothing. */
  wantedToo(asked: number): ClaimOptions | undefined;
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
 * Tells the backend what became of jobs, many at a time: what ends while calls are under way goes with the next.
 * What the backend cannot be told is told again until it is, or until the settler is closed.
 */
export class Settler {
  readonly #connection: JobConnection;
  readonly #host: SettlerHost;
  #pending: Settlement[] = [];
  /** Of each call that is under way: what it tells. */
  readonly #underWay = new Set<readonly Settlement[]>();
  /** Jobs that these calls are to claim at most. */
  #asked = 0;
  /** What a call that failed has told, or has not. */
  readonly #uncertain = new Set<Settlement>();
  #batchSize = largestBatch;
  #failures = 0;
  #failingSince = 0;
  #failure: unknown;
  /** Calls that were answered. */
  #successes = 0;
  readonly #refusals = new WeakMap<Settlement, { count: number; readonly successes: number }>();
  #isDue = false;
  #closed = false;
  #onIdle: (() => void)[] = [];
  /** Set while it waits to try again: ends that. */
  #wake: (() => void) | undefined;

  constructor(connection: JobConnection, host: SettlerHost) {
    this.#connection = connection;
    this.#host = host;
  }

  /** Whether a call is to be made, or under way; it claims as well. */
  get isActive(): boolean {
    return this.#isDue || this.#underWay.size > 0 || this.#wake !== undefined;
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
    this.#callSoon();
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
    const left = [...this.#underWay].flat().concat(this.#pending);
    this.#pending = [];
    this.#uncertain.clear();
    this.#wake?.();
    return left;
  }

  open(): void {
    this.#closed = false;
  }

  get #mayCall(): boolean {
    if (this.#wake !== undefined || this.#pending.length === 0) return false;
    if (this.#underWay.size === 0) return true;
    return this.#failures === 0 && this.#underWay.size < callsAtOnce && this.#pending.length >= worthACall;
  }

  /** Once the event loop has its turn: what ends before that goes along. */
  #callSoon(): void {
    if (this.#isDue || !this.#mayCall) return;
    this.#isDue = true;
    this.#connection.pool.inScope(() =>
      setImmediate(() => {
        this.#isDue = false;
        while (this.#mayCall) void this.#settleSome();
        this.#endIfIdle();
      }),
    );
  }

  #endIfIdle(): void {
    this.#callSoon();
    if (this.isActive) return;
    this.#onIdle.splice(0).forEach((resolve) => resolve());
    this.#host.settlerIdle();
  }

  async #settleSome(): Promise<void> {
    const { queue, callTimeoutMs } = this.#host;
    const { clock } = this.#connection.pool;
    const batch = this.#pending.splice(0, this.#batchSize);
    const thenClaim = this.#pending.length === 0 ? this.#host.wantedToo(this.#asked) : undefined;
    const asked = thenClaim === undefined ? 0 : thenClaim.limit + thenClaim.prefetch;
    this.#underWay.add(batch);
    this.#asked += asked;
    const sentAt = clock.monotonic();
    let gaveUp = false;
    let answer: SettleAnswer | undefined;
    let failure: unknown;
    try {
      answer = await this.#connection.call('to what became of jobs', callTimeoutMs, async (backend) => {
        const answered = await backend.settle(queue, batch, thenClaim);
        // They came when nobody waited for them any more.
        if (gaveUp) for (const job of answered.claimed) this.add({ kind: 'released', job });
        return answered;
      });
    } catch (error) {
      gaveUp = true;
      failure = error;
    }
    this.#underWay.delete(batch);
    this.#asked -= asked;
    if (answer !== undefined) this.#succeeded(batch, answer, sentAt);
    // A job whose lease ends meanwhile is run again, and its late settlement refused: nothing is lost by trying.
    else if (!this.#closed) this.#tryAgain(batch, failure);
    this.#endIfIdle();
  }

  #succeeded(batch: readonly Settlement[], answer: SettleAnswer, sentAt: number): void {
    this.#failures = 0;
    this.#successes++;
    this.#batchSize = Math.min(largestBatch, this.#batchSize * 2);
    const repeated = this.#uncertain.size > 0 && batch.some((one) => this.#uncertain.has(one));
    if (repeated) for (const one of batch) this.#uncertain.delete(one);
    this.#host.settled(batch, answer, repeated);
    this.#host.took(answer.claimed, sentAt);
  }

  /** Puts back what could not be told. One that keeps others from being told goes last, and is given up in the end. */
  #tryAgain(batch: readonly Settlement[], error: unknown): void {
    if (++this.#failures === 1) {
      this.#say(`cannot tell the backend what became of ${batch.length} jobs; trying again`, 'warn', error);
    }
    if (this.#failures === 1) this.#failingSince = this.#connection.pool.clock.monotonic();
    this.#failure = error;
    for (const one of batch) this.#uncertain.add(one);
    const [alone] = batch;
    if (alone === undefined || batch.length > 1) this.#pending.unshift(...batch);
    else if (!this.#isRefused(alone)) this.#pending.push(alone);
    else {
      this.#say(
        `gives up telling the backend what became of job ${alone.job.id}: it runs again`,
        'error',
        error,
      );
      this.#uncertain.delete(alone);
      this.#host.gaveUp(alone.job);
    }
    // All of them may have failed for one of them.
    if (this.#failures >= failuresInARow) this.#batchSize = 1;
    this.#pause(delayAfter(retrying, this.#failures, error, Math.random()));
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

  #pause(delayMs: number): void {
    if (this.#wake !== undefined) return;
    const { pool } = this.#connection;
    const goOn = (): void => {
      cancelTimer();
      if (this.#wake !== goOn) return;
      this.#wake = undefined;
      this.#endIfIdle();
    };
    const cancelTimer = pool.inScope(() => pool.clock.setTimer(goOn, delayMs));
    this.#wake = goOn;
  }
}
