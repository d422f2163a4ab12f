import type { CancelTimer, Clock } from './clock.js';

/** Something that can say, once, that waiting is over before its time. */
export interface Interruptible {
  readonly aborted: boolean;
  /** Calls `listener` when that happens; answers a function that takes the listener off again. */
  onAbort(listener: () => void): () => void;
}

/** Waits for `delayMs`; answers `true` when the time has passed and `false` when it was interrupted before. */
export function wait(clock: Clock, delayMs: number, interruptible: Interruptible): Promise<boolean> {
  if (interruptible.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    let cancelTimer: CancelTimer;
    const off = interruptible.onAbort(() => {
      cancelTimer();
      resolve(false);
    });
    cancelTimer = clock.setTimer(() => {
      off();
      resolve(true);
    }, delayMs);
  });
}
