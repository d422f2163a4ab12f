import type { CancelTimer } from '../../clock/index.js';
import type { ClaimedJob, Extension, LeaseKeeperOptions } from '../../jobs/index.js';

export interface LoopLeasesHost {
  extend(queue: string, extensions: readonly Extension[]): Promise<readonly boolean[]>;
  setTimer(callback: () => void, delayMs: number): CancelTimer;
}

/** Renews leases from the main loop: what a thread cannot. */
export class LoopLeases {
  readonly #options: LeaseKeeperOptions;
  readonly #host: LoopLeasesHost;
  /** Until when each is certainly held, by the monotonic clock. */
  readonly #endsAt = new Map<ClaimedJob, number>();
  #cancelTimer: CancelTimer | undefined;
  #cancelCheck: CancelTimer | undefined;

  constructor(options: LeaseKeeperOptions, host: LoopLeasesHost) {
    this.#options = options;
    this.#host = host;
  }

  /** `renewNow`: nobody knows how much is left of their leases. */
  hold(jobs: readonly ClaimedJob[], renewNow = false): void {
    const endsAt = performance.now() + this.#options.leaseMs;
    for (const job of jobs) this.#endsAt.set(job, endsAt);
    if (jobs.length > 0) this.#checkLater(endsAt);
    if (renewNow) void this.#renew();
    else this.#cancelTimer ??= this.#later(this.#options.leaseMs / 3);
  }

  letGo(job: ClaimedJob): void {
    this.#endsAt.delete(job);
  }

  close(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#cancelCheck?.();
    this.#cancelCheck = undefined;
    this.#endsAt.clear();
  }

  /** With no word from Redis, somebody else may soon hold them: whatever calls are under way, it is said in time. */
  #check(): void {
    this.#cancelCheck = undefined;
    const lastMoment = performance.now() + this.#marginMs;
    const lost: ClaimedJob[] = [];
    let first = Infinity;
    for (const [job, endsAt] of this.#endsAt) {
      if (endsAt <= lastMoment) lost.push(job);
      else first = Math.min(first, endsAt);
    }
    for (const job of lost) this.#endsAt.delete(job);
    if (first < Infinity) this.#checkLater(first);
    if (lost.length > 0) this.#options.onLost(lost);
  }

  /** Where it is to be done already, that is soon enough: what is held later ends later. */
  #checkLater(endsAt: number): void {
    const delayMs = Math.max(1, Math.ceil(endsAt - performance.now() - this.#marginMs));
    this.#cancelCheck ??= this.#host.setTimer(() => this.#check(), delayMs);
  }

  get #marginMs(): number {
    return this.#options.leaseMs / 6;
  }

  #later(delayMs: number): CancelTimer {
    return this.#host.setTimer(() => void this.#renew(), delayMs);
  }

  async #renew(): Promise<void> {
    const { queue, leaseMs, onLost } = this.#options;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const jobs = [...this.#endsAt.keys()];
    if (jobs.length === 0) return;
    const sentAt = performance.now();
    let lost: readonly ClaimedJob[] = [];
    let delayMs = leaseMs / 3;
    try {
      const answers = await this.#host.extend(
        queue,
        jobs.map((job) => ({ job, leaseMs })),
      );
      jobs.forEach((job, index) => {
        if (answers[index] === true && this.#endsAt.has(job)) this.#endsAt.set(job, sentAt + leaseMs);
      });
      lost = jobs.filter((_, index) => answers[index] === false);
    } catch {
      delayMs = Math.min(1_000, leaseMs / 12);
    }
    lost = lost.filter((job) => this.#endsAt.delete(job));
    if (this.#endsAt.size > 0) this.#cancelTimer ??= this.#later(delayMs);
    if (lost.length > 0) onLost(lost);
  }
}
