import type { ClaimedJob, ClaimOptions } from './job-backend.js';
import type { Suspects } from './suspects.js';

export interface SuspectGateHost {
  /** It is to run. */
  admitted(job: ClaimedJob): void;
  /** It is not to run now. */
  putOff(job: ClaimedJob): void;
  /** It is not to run here. */
  refused(job: ClaimedJob): void;
  /** Renews its lease; false where it is lost. */
  renew(job: ClaimedJob): Promise<boolean>;
}

/**
 * Decides which claimed jobs of a queue may run. All do but suspects: of these one is let in, and the others are put off
 * until it has ended. It waits for that to be told to the backend, since it may kill this process as soon as it begins.
 *
 * One that is stuck, or was left behind when the consumer stopped, is waited for no longer. Its code may still kill the
 * process; but it may as well never end, and then the other suspects would never run where there is one process only.
 */
export class SuspectGate {
  readonly #suspects: Suspects;
  readonly #quarantineAfter: number;
  readonly #host: SuspectGateHost;
  /** It is let in, and others must be gone before it begins. */
  #waiting: ClaimedJob | undefined;

  constructor(suspects: Suspects, quarantineAfter: number, host: SuspectGateHost) {
    this.#suspects = suspects;
    this.#quarantineAfter = quarantineAfter;
    this.#host = host;
  }

  /** How many claimed jobs are neither running nor at hand, and are to run next. */
  get waiting(): number {
    return this.#waiting === undefined ? 0 : 1;
  }

  /**
   * How to claim just now. If the process dies beside a suspect, that is to be blamed, and no other suspect that comes
   * meanwhile: jobs that are not said to be started do not die with it, unless their leases were renewed before.
   */
  claiming(options: ClaimOptions): ClaimOptions {
    const { limit, prefetch } = options;
    return this.#suspects.anyRuns ? { ...options, limit: 0, prefetch: limit + prefetch } : options;
  }

  /** Answers those that may run at once. */
  admit(jobs: readonly ClaimedJob[]): readonly ClaimedJob[] {
    if (!jobs.some((job) => this.#isSuspect(job))) return jobs;
    return jobs.filter((job) => {
      if (!this.#isSuspect(job)) return true;
      if (this.#suspects.anyRuns) {
        this.#suspects.leaves(job, this);
        this.#host.putOff(job);
      } else {
        this.#suspects.runs(job, this);
        this.#waiting = job;
        void this.#beginAlone(job);
      }
      return false;
    });
  }

  /** It runs, whatever runs beside it: somebody waits for this very one. */
  runsAnyway(job: ClaimedJob): void {
    if (this.#isSuspect(job)) this.#suspects.runs(job, this);
  }

  /** They are settled or lost, or not to be waited for. */
  letGo(jobs: readonly ClaimedJob[]): void {
    if (this.#suspects.isEmpty) return;
    for (const job of jobs) {
      this.#suspects.letGo(job);
      if (job === this.#waiting) this.#waiting = undefined;
    }
  }

  letGoOfAll(): void {
    this.#waiting = undefined;
    this.#suspects.letGoOf(this);
  }

  /** Takes out what has not begun. */
  takeWaiting(): readonly ClaimedJob[] {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting === undefined ? [] : [waiting];
  }

  /** One death more would quarantine it; with none so far, nothing is known against it. */
  #isSuspect({ deaths }: ClaimedJob): boolean {
    return deaths > 0 && deaths === this.#quarantineAfter - 1;
  }

  async #beginAlone(job: ClaimedJob): Promise<void> {
    // It may have been claimed as not started: then its death would not count, and it could kill on and on.
    const isHeld = await this.#host.renew(job).catch(() => false);
    // Twice: claims that were under way when it was let in may have brought more.
    for (let round = 0; round < 2; round++) await this.#suspects.left();
    if (this.#waiting !== job) return;
    this.#waiting = undefined;
    if (isHeld) this.#host.admitted(job);
    else this.#host.refused(job);
  }
}
