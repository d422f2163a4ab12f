import { type CancelTimer, formatDuration } from '../clock/index.js';
import { inTime } from '../pool/index.js';
import { delayAfter, type ExponentialBackoff } from '../supervision/index.js';
import type { ConsumerOptions } from './consumer-options.js';
import type { ClaimedJob, ClaimOptions } from './job-backend.js';
import type { JobConnection } from './job-connection.js';
import { type ClaimMiddleware, claimThrough } from './job-middleware.js';

const retrying: ExponentialBackoff = { initialMs: 100, factor: 2, maxMs: 10_000, jitter: 0.5 };
/** A claim that finds nothing answers after so long at the latest. */
const longestWaitMs = 5_000;
/** A middleware that lets no claim through is asked again after so long. */
const heldBackMs = 1_000;
/** A backend that answers with nothing, and did not wait for anything either, is asked again after so long. */
const emptyHandedMs = 100;
/** So long is a claim waited for that was called off. What it brings after that goes back by its signal. */
const abortGraceMs = 1_000;

export interface JobIntakeHost {
  /** What to claim next; `undefined` where there is enough to do. */
  wanted(): ClaimOptions | undefined;
  /** `sentAt`: when the claim was sent, by the monotonic clock. */
  took(jobs: readonly ClaimedJob[], sentAt: number): void;
  /** They are claimed, and are not to be run here. */
  handBack(jobs: readonly ClaimedJob[]): void;
}

/** Waits for jobs at the backend, with one claim at a time. A backend that fails is asked again, less and less often. */
export class JobIntake {
  readonly #connection: JobConnection;
  readonly #options: ConsumerOptions;
  readonly #host: JobIntakeHost;
  readonly #middlewares: readonly ClaimMiddleware[];
  #open = false;
  #claiming: AbortController | undefined;
  /** Claims for one job that are under way. */
  #lone = 0;
  #failures = 0;
  #failingSince = 0;
  /** What the last claim failed with. */
  #failure: unknown;
  #cancelPause: CancelTimer | undefined;
  #onIdle: (() => void)[] = [];

  constructor(
    connection: JobConnection,
    options: ConsumerOptions,
    middlewares: readonly ClaimMiddleware[],
    host: JobIntakeHost,
  ) {
    this.#connection = connection;
    this.#options = options;
    this.#middlewares = middlewares;
    this.#host = host;
  }

  /** For how long claims have failed; 0 where the last one did not. */
  get failingMs(): number {
    return this.#failures === 0 ? 0 : this.#connection.pool.clock.monotonic() - this.#failingSince;
  }

  /** What claims fail with; `undefined` where the last one did not. */
  get failure(): unknown {
    return this.#failures === 0 ? undefined : this.#failure;
  }

  /** Whether nobody else is to claim: a claim is under way, or middlewares are to be around each. */
  get claimsAlone(): boolean {
    return this.#claiming !== undefined || this.#middlewares.length > 0;
  }

  /** Jobs came in another way: whatever failed is over. */
  works(): void {
    this.#failures = 0;
  }

  open(): void {
    this.#open = true;
    this.#failures = 0;
    this.request();
  }

  /** Claims no more. Resolves once the claim that was under way has ended, and after a second at the latest. */
  close(): Promise<void> {
    this.#open = false;
    this.#cancelPause?.();
    this.#cancelPause = undefined;
    this.#claiming?.abort();
    return new Promise((resolve) => {
      if (this.#claiming === undefined && this.#lone === 0) return resolve();
      const { pool } = this.#connection;
      const cancelTimer = pool.inScope(() => pool.clock.setTimer(resolve, abortGraceMs));
      this.#onIdle.push(() => {
        cancelTimer();
        resolve();
      });
    });
  }

  /** Claims what is wanted, unless it does already. */
  request(): void {
    if (!this.#open || this.#claiming !== undefined || this.#cancelPause !== undefined) return;
    const wanted = this.#host.wanted();
    // Nothing is to be had from the backend just now, so nothing fails.
    if (wanted === undefined) return this.works();
    // In the pool's own scope: what is set in motion here goes on for as long as there are jobs.
    this.#connection.pool.inScope(() => void this.#claim(wanted));
  }

  /** One claim for at most one job, without waiting for any. */
  async claimOne(): Promise<{ readonly job: ClaimedJob; readonly sentAt: number } | undefined> {
    const { leaseMs, limits } = this.#options;
    const sentAt = this.#connection.pool.clock.monotonic();
    const wanted = { limit: 1, prefetch: 0, leaseMs, limits };
    this.#lone++;
    try {
      const [job] = await this.#askThrough(wanted, 0, new AbortController());
      return job && { job, sentAt };
    } finally {
      this.#lone--;
      this.#tellIdle();
    }
  }

  async #claim(wanted: ClaimOptions): Promise<void> {
    const { clock } = this.#connection.pool;
    const claiming = (this.#claiming = new AbortController());
    // The lease counts from when the claim was sent: a long wait would make it look shorter than it is.
    const waitMs = Math.min(longestWaitMs, this.#options.leaseMs / 6);
    const sentAt = clock.monotonic();
    let jobs: readonly ClaimedJob[] = [];
    try {
      jobs = await this.#askThrough(wanted, waitMs, claiming);
      this.#failures = 0;
    } catch (error) {
      this.#failure = error;
      if (this.#failures++ === 0) this.#failingSince = clock.monotonic();
      if (this.#open) this.#pause(delayAfter(retrying, this.#failures, error, Math.random()));
    }
    this.#claiming = undefined;
    if (jobs.length > 0) this.#host.took(jobs, sentAt);
    else if (this.#open && clock.monotonic() - sentAt < waitMs / 2) this.#pause(emptyHandedMs);
    this.#tellIdle();
    this.request();
  }

  #tellIdle(): void {
    if (this.#claiming !== undefined || this.#lone > 0) return;
    // After whoever waits for the claim itself.
    queueMicrotask(() => this.#onIdle.splice(0).forEach((resolve) => resolve()));
  }

  async #askThrough(
    wanted: ClaimOptions,
    waitMs: number,
    claiming: AbortController,
  ): Promise<readonly ClaimedJob[]> {
    if (this.#middlewares.length === 0) return this.#ask(wanted, waitMs, claiming);
    const { queue } = this.#options;
    const claim = { queue, limit: wanted.limit, prefetch: wanted.prefetch };
    let claimed: readonly ClaimedJob[] | undefined;
    let kept: readonly ClaimedJob[] = [];
    let failure: Error | undefined;
    let isOver = false;
    try {
      const through = claimThrough(this.#middlewares, claim, async () => {
        const limit = atMost(claim.limit, wanted.limit);
        const prefetch = atMost(claim.prefetch, wanted.prefetch);
        const none = limit + prefetch === 0;
        try {
          const jobs = none ? [] : await this.#ask({ ...wanted, limit, prefetch }, waitMs, claiming);
          // A middleware that did not wait for them.
          if (isOver) this.#host.handBack(jobs);
          else claimed = jobs;
          return jobs;
        } catch (error) {
          failure = error as Error;
          throw error;
        }
      });
      // One that never ends must not hold up the queue.
      const longestMs = waitMs + 2 * this.#options.callTimeoutMs;
      kept = await inTime(this.#connection.pool, through, longestMs, () => {
        throw new Error(`it did not end within ${formatDuration(longestMs)}`);
      });
    } catch (error) {
      // What the backend failed with is told as such.
      if (failure !== undefined) throw failure;
      this.#connection.pool.report(`a middleware around the claims of queue "${queue}"`, error);
    }
    isOver = true;
    const own = new Set(kept);
    const rest = claimed?.filter((job) => !own.has(job)) ?? [];
    if (rest.length > 0) this.#host.handBack(rest);
    const jobs = claimed?.filter((job) => own.has(job)) ?? [];
    if (jobs.length === 0 && this.#open && (claimed === undefined || rest.length > 0))
      this.#pause(heldBackMs);
    return jobs;
  }

  async #ask(
    wanted: ClaimOptions,
    waitMs: number,
    claiming: AbortController,
  ): Promise<readonly ClaimedJob[]> {
    const { queue, callTimeoutMs } = this.#options;
    const { signal } = claiming;
    try {
      return await this.#connection.call('to a claim', waitMs + callTimeoutMs, (backend) =>
        backend.claim(queue, { ...wanted, waitMs, signal }),
      );
    } catch (error) {
      // What it brings after all goes back.
      claiming.abort();
      throw error;
    }
  }

  #pause(delayMs: number): void {
    if (this.#cancelPause !== undefined) return;
    const { pool } = this.#connection;
    this.#cancelPause = pool.inScope(() =>
      pool.clock.setTimer(() => {
        this.#cancelPause = undefined;
        this.request();
      }, delayMs),
    );
  }
}

function atMost(given: unknown, most: number): number {
  return typeof given === 'number' && given >= 0 ? Math.min(Math.floor(given), most) : most;
}
