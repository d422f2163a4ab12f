import type { CancelTimer } from '../clock/index.js';
import { ignoreRejection } from '../errors/index.js';
import type { ClaimedJob, LeaseKeeper } from './job-backend.js';
import type { JobConnection } from './job-connection.js';

interface Lease {
  /** By the monotonic clock of this process, counted from before the claim was sent: never later than the real end. */
  endsAt: number;
  progress: Uint8Array | undefined;
}

export interface LeaseHolderOptions {
  readonly queue: string;
  readonly leaseMs: number;
  readonly blockedLimitMs: number;
}

/**
 * Renews the leases of the jobs that this process holds, all in one call, or lets the backend do it from a thread.
 * Says which are lost: their tokens no longer hold, or may not any more by the time that anybody could be told.
 */
export class LeaseHolder {
  readonly #connection: JobConnection;
  readonly #options: LeaseHolderOptions;
  readonly #onLost: (jobs: readonly ClaimedJob[]) => void;
  readonly #leases = new Map<ClaimedJob, Lease>();
  #keeper: LeaseKeeper | undefined;
  /** Whether the keeper is to be made once the backend is open. */
  #awaitsBackend = false;
  #cancelTimer: CancelTimer | undefined;
  #stopListening: (() => void) | undefined;

  constructor(
    connection: JobConnection,
    options: LeaseHolderOptions,
    onLost: (jobs: readonly ClaimedJob[]) => void,
  ) {
    this.#connection = connection;
    this.#options = options;
    this.#onLost = onLost;
  }

  get held(): number {
    return this.#leases.size;
  }

  open(): void {
    if (this.#stopListening !== undefined) return;
    this.#stopListening = this.#connection.onRevoked(this.#options.queue, (ids) => this.#checkNow(ids));
    this.#keepOnceOpen();
  }

  /** Lets go of everything: leases that are still held run out. */
  async close(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#stopListening?.();
    this.#stopListening = undefined;
    this.#leases.clear();
    const keeper = this.#keeper;
    this.#keeper = undefined;
    await keeper?.close();
  }

  /** `sentAt`: when their claim was sent, by the monotonic clock. */
  hold(jobs: readonly ClaimedJob[], sentAt: number): void {
    if (jobs.length === 0 || this.#stopListening === undefined) return;
    const endsAt = sentAt + this.#options.leaseMs;
    for (const job of jobs) this.#leases.set(job, { endsAt, progress: undefined });
    this.#keeper?.hold(jobs, Math.max(0, this.#connection.pool.clock.monotonic() - sentAt));
    this.#cancelTimer ??= this.#after(this.#options.leaseMs / 6);
  }

  letGo(jobs: readonly ClaimedJob[]): void {
    for (const job of jobs) this.#leases.delete(job);
    this.#keeper?.letGo(jobs);
  }

  /** What a handler says of how far it is; stored with the next renewal. */
  progress(job: ClaimedJob, progress: Uint8Array | undefined): void {
    const lease = this.#leases.get(job);
    if (lease !== undefined) lease.progress = progress;
  }

  /** As soon as the backend is open: a thread takes its time to begin, and the first jobs may be here before it. */
  #keepOnceOpen(): void {
    const { backend, pool } = this.#connection;
    if (backend.keepLeases === undefined || this.#awaitsBackend) return;
    this.#awaitsBackend = true;
    const call = this.#connection.call(
      'to a thread for leases',
      Infinity,
      async () => {
        this.#awaitsBackend = false;
        if (this.#stopListening === undefined) return;
        try {
          this.#keeper ??= this.#makeKeeper();
        } catch (error) {
          // The jobs run all the same: their leases are renewed here.
          pool.report(`keeping the leases of queue "${this.#options.queue}"`, error);
        }
      },
      { quiet: true },
    );
    // Why the backend cannot be opened is told to those who want jobs.
    ignoreRejection(call);
  }

  #makeKeeper(): LeaseKeeper | undefined {
    const { queue, leaseMs, blockedLimitMs } = this.#options;
    const onLost = (jobs: readonly ClaimedJob[]): void => this.#lose(jobs);
    const { backend, pool } = this.#connection;
    return pool.inScope(() => backend.keepLeases?.({ queue, leaseMs, blockedLimitMs, onLost }));
  }

  #after(delayMs: number): CancelTimer {
    const { pool } = this.#connection;
    return pool.inScope(() => pool.clock.setTimer(() => this.#tick(), delayMs));
  }

  /** Every sixth of a lease. With a third of it gone a lease is renewed; with a sixth left, and no word, it is lost. */
  #tick(): void {
    this.#cancelTimer = this.#leases.size === 0 ? undefined : this.#after(this.#options.leaseMs / 6);
    const now = this.#connection.pool.clock.monotonic();
    const renewAt = now + (this.#options.leaseMs * 2) / 3;
    const due = [...this.#leases].filter(
      ([, lease]) => lease.progress !== undefined || (this.#keeper === undefined && lease.endsAt <= renewAt),
    );
    void this.#extend(due);
  }

  #checkNow(ids: readonly string[]): void {
    const wanted = new Set(ids);
    void this.#extend([...this.#leases].filter(([job]) => wanted.has(job.id)));
  }

  async #extend(due: readonly [ClaimedJob, Lease][]): Promise<void> {
    if (due.length === 0) return;
    const { queue, leaseMs } = this.#options;
    const { clock } = this.#connection.pool;
    const sentAt = clock.monotonic();
    const extensions = due.map(([job, { progress }]) => ({ job, leaseMs, progress }));
    try {
      const answer = await this.#connection.call('to a renewal of leases', leaseMs / 3, (backend) =>
        backend.extend(queue, extensions),
      );
      due.forEach(([, lease], index) => {
        if (answer[index] === false) return;
        lease.endsAt = Math.max(lease.endsAt, sentAt + leaseMs);
        if (lease.progress === extensions[index]!.progress) lease.progress = undefined;
      });
      this.#lose(due.filter((_, index) => answer[index] === false).map(([job]) => job));
    } catch {
      // With no word from the backend, somebody else may soon hold them.
      const lastMoment = clock.monotonic() + leaseMs / 6;
      if (this.#keeper !== undefined) return;
      this.#lose(due.filter(([, lease]) => lease.endsAt <= lastMoment).map(([job]) => job));
    }
  }

  #lose(jobs: readonly ClaimedJob[]): void {
    const lost = jobs.filter((job) => this.#leases.delete(job));
    if (lost.length === 0) return;
    this.#keeper?.letGo(lost);
    this.#onLost(lost);
  }
}
