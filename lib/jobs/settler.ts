import { toErrorInfo } from '../events/index.js';
import { delayAfter, type ExponentialBackoff } from '../supervision/index.js';
import type { ClaimedJob, ClaimOptions, SettleAnswer, Settlement } from './job-backend.js';
import type { JobConnection } from './job-connection.js';

const retrying: ExponentialBackoff = { initialMs: 100, factor: 2, maxMs: 5_000, jitter: 0.5 };
/** More go in several calls, so that none keeps the backend from everybody else for long. */
const largestBatch = 500;

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
  #failures = 0;
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
    const left = this.#pending;
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
    const batch = this.#pending.splice(0, largestBatch);
    const thenClaim = this.#pending.length === 0 ? this.#host.wantedToo() : undefined;
    const sentAt = clock.monotonic();
    let gaveUp = false;
    try {
      const answer = await this.#connection.call('to what became of jobs', callTimeoutMs, async (backend) => {
        const answered = await backend.settle(queue, batch, thenClaim);
        if (gaveUp) this.#handBack(answered.claimed);
        return answered;
      });
      const repeated = this.#failures > 0;
      this.#failures = 0;
      this.#host.settled(batch, answer, repeated);
      this.#host.took(answer.claimed, sentAt);
    } catch (error) {
      gaveUp = true;
      // A job whose lease ends meanwhile is run again, and its late settlement refused: nothing is lost by trying.
      if (this.#closed) return;
      this.#pending.unshift(...batch);
      if (++this.#failures === 1) {
        this.#connection.pool.say(
          'warn',
          `Job consumer "${queue}" cannot tell the backend what became of ${batch.length} jobs; trying again: ` +
            toErrorInfo(error).message,
          { queue },
        );
      }
      await this.#pause(delayAfter(retrying, this.#failures, error, Math.random()));
    }
  }

  /** They came when nobody waited for them any more. */
  #handBack(jobs: readonly ClaimedJob[]): void {
    for (const job of jobs) this.#pending.push({ kind: 'released', job });
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
