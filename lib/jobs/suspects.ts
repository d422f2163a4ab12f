import type { Pool } from '../pool/index.js';
import type { ClaimedJob } from './job-backend.js';

/** One that is put off, until the backend knows. */
interface Leaving {
  readonly holder: object;
  readonly gone: Promise<void>;
  readonly tellGone: () => void;
}

const byPool = new WeakMap<Pool, Suspects>();

/** The suspects of all job consumers of that pool: whatever queue a job is of, it kills them all. */
export function suspectsOf(pool: Pool): Suspects {
  let suspects = byPool.get(pool);
  if (suspects === undefined) byPool.set(pool, (suspects = new Suspects()));
  return suspects;
}

/**
 * The suspects that this process holds: jobs that one more death would quarantine. One of them may be what kills
 * processes, and the others have only ever run beside it. So one of them runs at a time, and what dies then is alone.
 */
export class Suspects {
  /** Those that run, or are about to; more than one only where `runOnce()` runs the others. With who holds each. */
  readonly #running = new Map<ClaimedJob, object>();
  /** Those that are put off: until the backend knows, they would die with this process. */
  readonly #leaving = new Map<ClaimedJob, Leaving>();

  get isEmpty(): boolean {
    return this.#running.size === 0 && this.#leaving.size === 0;
  }

  get anyRuns(): boolean {
    return this.#running.size > 0;
  }

  runs(job: ClaimedJob, holder: object): void {
    this.#running.set(job, holder);
  }

  leaves(job: ClaimedJob, holder: object): void {
    let tellGone!: () => void;
    const gone = new Promise<void>((resolve) => (tellGone = resolve));
    this.#leaving.set(job, { holder, gone, tellGone });
  }

  /** Resolves once those have left that are about to now. */
  async left(): Promise<void> {
    await Promise.all(Array.from(this.#leaving.values(), ({ gone }) => gone));
  }

  /** It is held no longer, or not to be waited for. */
  letGo(job: ClaimedJob): void {
    this.#running.delete(job);
    this.#leaving.get(job)?.tellGone();
    this.#leaving.delete(job);
  }

  letGoOf(holder: object): void {
    for (const [job, by] of this.#running) if (by === holder) this.letGo(job);
    for (const [job, { holder: by }] of this.#leaving) if (by === holder) this.letGo(job);
  }
}
