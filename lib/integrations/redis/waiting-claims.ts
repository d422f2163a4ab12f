import type { CancelTimer } from '../../clock/index.js';

interface Waiters {
  /** How often somebody was to be woken. */
  wakes: number;
  readonly waiting: Set<() => void>;
}

/** The claims of this process that wait for jobs, by queue. */
export class WaitingClaims {
  readonly #queues = new Map<string, Waiters>();
  #closed = false;

  /** To be read before one looks, and given to `wait()` by whoever has found nothing. */
  wakes(queue: string): number {
    return this.#of(queue).wakes;
  }

  /** Resolves when the queue has been woken since `wakes`, after `delayMs`, or when `signal` aborts. */
  wait(
    queue: string,
    wakes: number,
    delayMs: number,
    signal: AbortSignal,
    setTimer: (callback: () => void, delayMs: number) => CancelTimer,
  ): Promise<void> {
    const waiters = this.#of(queue);
    if (this.#closed || signal.aborted || waiters.wakes !== wakes) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        waiters.waiting.delete(end);
        signal.removeEventListener('abort', end);
        cancelTimer();
        resolve();
      };
      const cancelTimer = setTimer(end, delayMs);
      signal.addEventListener('abort', end, { once: true });
      waiters.waiting.add(end);
    });
  }

  wake(queue: string): void {
    const waiters = this.#queues.get(queue);
    if (waiters === undefined) return;
    waiters.wakes++;
    for (const end of waiters.waiting) end();
  }

  wakeAll(): void {
    for (const queue of this.#queues.keys()) this.wake(queue);
  }

  /** Nobody waits any more. */
  close(): void {
    this.#closed = true;
    this.wakeAll();
  }

  #of(queue: string): Waiters {
    let waiters = this.#queues.get(queue);
    if (waiters === undefined) this.#queues.set(queue, (waiters = { wakes: 0, waiting: new Set() }));
    return waiters;
  }
}
