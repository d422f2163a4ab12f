import type { Pool } from '../pool/index.js';

/** Whoever sent a command wants an answer. */
const soonMs = 2_000;

/**
 * Waits for what `run` does, but not for long: it goes on by itself, and what it ends with later is told to the log. Rejects as
 * `run` does by then.
 */
export function soonOr(pool: Pool, run: () => Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const cancelTimer = pool.inScope(() =>
      pool.clock.setTimer(() => {
        isLate = true;
        resolve();
      }, soonMs),
    );
    const ended = (): void => {
      cancelTimer();
      resolve();
    };
    const failed = (error: unknown): void => {
      cancelTimer();
      if (isLate) pool.say('error', 'A command failed after it had been answered', { err: error });
      else reject(error);
    };
    pool.inScope(async () => run()).then(ended, failed);
  });
}
