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
  readonly #renewal: Alarm;
  readonly #check: Alarm;

  constructor(options: LeaseKeeperOptions, host: LoopLeasesHost) {
    this.#options = options;
    this.#host = host;
    this.#renewal = new Alarm(host, () => void this.#renew());
    this.#check = new Alarm(host, () => this.#tellLost());
  }

  /** `heldForMs`: how long ago their claim was sent, or so much of their leases may be gone. */
  hold(jobs: readonly ClaimedJob[], heldForMs: number): void {
    if (jobs.length === 0) return;
    const { leaseMs } = this.#options;
    const heldAt = performance.now() - heldForMs;
    for (const job of jobs) this.#endsAt.set(job, heldAt + leaseMs);
    this.#check.setTo(this.#lostAt(heldAt + leaseMs));
    this.#renewal.setTo(heldAt + leaseMs / 3);
  }

  letGo(job: ClaimedJob): void {
    this.#endsAt.delete(job);
  }

  close(): void {
    this.#renewal.cancel();
    this.#check.cancel();
    this.#endsAt.clear();
  }

  /** With no word from Redis, somebody else may soon hold them: whatever calls are under way, it is said in time. */
  #tellLost(): void {
    const now = performance.now();
    const lost: ClaimedJob[] = [];
    let first = Infinity;
    for (const [job, endsAt] of this.#endsAt) {
      if (this.#lostAt(endsAt) <= now) lost.push(job);
      else first = Math.min(first, endsAt);
    }
    for (const job of lost) this.#endsAt.delete(job);
    if (first < Infinity) this.#check.setTo(this.#lostAt(first));
    if (lost.length > 0) this.#options.onLost(lost);
  }

  /** A while before the end: whoever runs the job has to be told, too. */
  #lostAt(endsAt: number): number {
    return endsAt - this.#options.leaseMs / 6;
  }

  async #renew(): Promise<void> {
    const { queue, leaseMs, onLost } = this.#options;
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
    if (this.#endsAt.size > 0) this.#renewal.setTo(performance.now() + delayMs);
    if (lost.length > 0) onLost(lost);
  }
}

/** Goes off once, at the earliest of the times that it was set to since. */
class Alarm {
  readonly #host: LoopLeasesHost;
  readonly #onTime: () => void;
  #at = Infinity;
  #cancelTimer: CancelTimer | undefined;

  constructor(host: LoopLeasesHost, onTime: () => void) {
    this.#host = host;
    this.#onTime = onTime;
  }

  /** By the monotonic clock of this process. */
  setTo(at: number): void {
    if (at >= this.#at) return;
    this.cancel();
    this.#at = at;
    const delayMs = Math.max(1, Math.ceil(at - performance.now()));
    this.#cancelTimer = this.#host.setTimer(() => {
      this.cancel();
      this.#onTime();
    }, delayMs);
  }

  cancel(): void {
    this.#at = Infinity;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }
}
