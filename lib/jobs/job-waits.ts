import { type CancelTimer, formatDuration } from '../clock/index.js';
import { JobNotCompletedError } from '../errors/index.js';
import { toErrorInfo } from '../events/index.js';
import type { Pool } from '../pool/index.js';
import type { StoredJob } from './job-backend.js';
import type { PayloadCodec } from './payload-codec.js';

const firstDelayMs = 50;
const longestDelayMs = 1_000;
const growth = 1.5;
/** Jobs that are to be looked at within so much time are looked at together. */
const togetherMs = 25;
const largestLook = 500;

export interface JobWaitsHost {
  readonly queue: string;
  readonly codec: PayloadCodec;
  readonly pool: Pool;
  get(ids: readonly string[]): Promise<readonly (StoredJob | undefined)[]>;
}

/** A job that somebody waits for. */
interface Watched {
  readonly waiters: Set<Waiter>;
  delayMs: number;
  /** By the monotonic clock. */
  lookAt: number;
}

interface Waiter {
  readonly id: string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Ends its timer, and takes its listener off. */
  release: () => void;
}

/**
 * Waits for jobs to end, for all who wait in this process together: looks at them now and then, less and less often.
 * While nobody waits it does nothing.
 */
export class JobWaits {
  readonly #host: JobWaitsHost;
  readonly #watched = new Map<string, Watched>();
  #cancelTimer: CancelTimer | undefined;
  #isLooking = false;
  #isDue = false;
  #lastError: unknown;
  #isClosed = false;

  constructor(host: JobWaitsHost) {
    this.#host = host;
  }

  /** How many wait. */
  get size(): number {
    let size = 0;
    for (const { waiters } of this.#watched.values()) size += waiters.size;
    return size;
  }

  /** What the job returned. Rejects with `JobNotCompletedError`, or with the reason of `signal`. */
  wait(id: string, timeoutMs: number, signal: AbortSignal | undefined): Promise<unknown> {
    const { pool } = this.#host;
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      if (this.#isClosed) return reject(this.#shutDown(id));
      const waiter: Waiter = { id, resolve, reject, release: () => {} };
      const cancelTimer = pool.inScope(() =>
        pool.clock.setTimer(() => this.#giveUp(waiter, timeoutMs), timeoutMs),
      );
      const onAbort = (): void => this.#end(waiter, () => reject(signal?.reason as Error));
      signal?.addEventListener('abort', onAbort);
      waiter.release = () => {
        cancelTimer();
        signal?.removeEventListener('abort', onAbort);
      };
      const watched = this.#watched.get(id) ?? { waiters: new Set(), delayMs: firstDelayMs, lookAt: 0 };
      watched.waiters.add(waiter);
      this.#watched.set(id, watched);
      // It may have ended already.
      watched.lookAt = pool.clock.monotonic();
      watched.delayMs = firstDelayMs;
      this.#lookSoon();
    });
  }

  /** Nobody looks any more. */
  close(): void {
    this.#isClosed = true;
    for (const [id, { waiters }] of this.#watched) {
      const error = this.#shutDown(id);
      for (const waiter of waiters) this.#end(waiter, () => waiter.reject(error));
    }
  }

  #shutDown(id: string): JobNotCompletedError {
    return new JobNotCompletedError(
      this.#host.queue,
      id,
      'is not waited for any more: the app has shut down',
    );
  }

  /** Once all who begin to wait at this moment have done so. */
  #lookSoon(): void {
    if (this.#isDue || this.#isLooking) return;
    this.#isDue = true;
    this.#host.pool.inScope(() =>
      queueMicrotask(() => {
        this.#isDue = false;
        void this.#look();
      }),
    );
  }

  async #look(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#watched.size === 0) return;
    const until = this.#host.pool.clock.monotonic() + togetherMs;
    const due = [...this.#watched]
      .flatMap(([id, { lookAt }]) => (lookAt <= until ? [id] : []))
      .slice(0, largestLook);
    this.#isLooking = true;
    try {
      const found = due.length === 0 ? [] : await this.#host.get(due);
      this.#lastError = undefined;
      due.forEach((id, index) => this.#judge(id, found[index]));
    } catch (error) {
      // It may be reached again before their time is over.
      this.#lastError = error;
    }
    this.#isLooking = false;
    this.#lookLater(due);
  }

  #lookLater(seen: readonly string[]): void {
    const now = this.#host.pool.clock.monotonic();
    for (const id of seen) {
      const watched = this.#watched.get(id);
      if (watched === undefined) continue;
      watched.lookAt = now + watched.delayMs;
      watched.delayMs = Math.min(longestDelayMs, watched.delayMs * growth);
    }
    let next = Infinity;
    for (const { lookAt } of this.#watched.values()) next = Math.min(next, lookAt);
    if (next === Infinity) return;
    const { pool } = this.#host;
    this.#cancelTimer = pool.inScope(() =>
      pool.clock.setTimer(() => void this.#look(), Math.max(0, next - now)),
    );
  }

  #judge(id: string, job: StoredJob | undefined): void {
    const { queue, codec } = this.#host;
    const notCompleted = (what: string, options?: ErrorOptions): void =>
      this.#endAll(id, ({ reject }) => reject(new JobNotCompletedError(queue, id, what, options)));
    if (job === undefined) {
      return notCompleted(
        'is not known: it was never enqueued, was deleted, or has ended without being kept (see keepCompleted)',
      );
    }
    if (job.state === 'cancelled') return notCompleted(`was cancelled${reasonOf(job)}`);
    if (job.state === 'dead')
      return notCompleted(`is dead (${job.cause ?? 'unknown cause'})${reasonOf(job)}`);
    if (job.state !== 'completed') return;
    try {
      const result = codec.decode(job.result);
      this.#endAll(id, ({ resolve }) => resolve(result));
    } catch (error) {
      notCompleted(`has completed, but its result cannot be read: ${toErrorInfo(error).message}`, {
        cause: error,
      });
    }
  }

  #giveUp(waiter: Waiter, timeoutMs: number): void {
    const { queue } = this.#host;
    const what = `did not complete within ${formatDuration(timeoutMs)}`;
    const options = this.#lastError === undefined ? {} : { cause: this.#lastError };
    this.#end(waiter, () => waiter.reject(new JobNotCompletedError(queue, waiter.id, what, options)));
  }

  #endAll(id: string, tell: (waiter: Waiter) => void): void {
    for (const waiter of this.#watched.get(id)?.waiters ?? []) this.#end(waiter, () => tell(waiter));
  }

  #end(waiter: Waiter, tell: () => void): void {
    waiter.release();
    const watched = this.#watched.get(waiter.id);
    watched?.waiters.delete(waiter);
    if (watched?.waiters.size === 0) this.#watched.delete(waiter.id);
    if (this.#watched.size === 0) {
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
    }
    tell();
  }
}

function reasonOf({ lastError }: StoredJob): string {
  return lastError === undefined ? '' : `: ${lastError}`;
}
