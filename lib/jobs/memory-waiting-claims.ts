import type { CancelTimer } from '../clock/index.js';
import type { BlockingClaimOptions, ClaimedJob } from './job-backend.js';

interface WaitingClaim {
  readonly options: BlockingClaimOptions;
  readonly end: (jobs: readonly ClaimedJob[]) => void;
}

export interface WaitingClaimsHost {
  now(): number;
  setTimer(callback: () => void, delayMs: number): CancelTimer;
  /** The time has come that `serve()` was told. */
  onTime(): void;
}

const none: readonly ClaimedJob[] = Object.freeze([]);

/** The claims of a queue that wait, first come, first served. Holds a timer only while there are any. */
export class MemoryWaitingClaims {
  readonly #host: WaitingClaimsHost;
  readonly #waiting = new Set<WaitingClaim>();
  #cancelAlarm: CancelTimer | undefined;
  #alarmAt = Infinity;

  constructor(host: WaitingClaimsHost) {
    this.#host = host;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Waits until `serve()` has jobs for it, its time is over, or it is called off. */
  add(options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    const { signal, waitMs } = options;
    return new Promise((resolve) => {
      const giveUp = (): void => waiting.end(none);
      const cancelTimer = waitMs === Infinity ? undefined : this.#host.setTimer(giveUp, waitMs);
      const waiting: WaitingClaim = {
        options,
        end: (jobs) => {
          this.#waiting.delete(waiting);
          cancelTimer?.();
          signal.removeEventListener('abort', giveUp);
          if (this.#waiting.size === 0) this.#stopAlarm();
          resolve(jobs);
        },
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.#waiting.add(waiting);
    });
  }

  /** Gives what there is to those that wait. */
  serve(take: (options: BlockingClaimOptions) => readonly ClaimedJob[]): void {
    for (const waiting of this.#waiting) {
      const jobs = take(waiting.options);
      if (jobs.length > 0) waiting.end(jobs);
    }
  }

  /** Calls `onTime()` then. One that was set for an earlier time stays, and at worst is for nothing. */
  wakeAt(time: number): void {
    if (time >= this.#alarmAt) return;
    this.#stopAlarm();
    this.#alarmAt = time;
    this.#cancelAlarm = this.#host.setTimer(
      () => {
        this.#alarmAt = Infinity;
        this.#host.onTime();
      },
      Math.max(0, time - this.#host.now()),
    );
  }

  endAll(): void {
    for (const waiting of this.#waiting) waiting.end(none);
  }

  #stopAlarm(): void {
    this.#cancelAlarm?.();
    this.#alarmAt = Infinity;
  }
}
