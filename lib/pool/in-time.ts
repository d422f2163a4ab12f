import type { Pool } from './pool.js';

/** What `promise` comes to; once its time is over, what `late` answers or throws instead. */
export function inTime<Value>(
  pool: Pool,
  promise: Promise<Value>,
  limitMs: number,
  late: () => Value,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      try {
        resolve(late());
      } catch (error) {
        reject(error);
      }
    };
    const cancelTimer = pool.inScope(() => pool.clock.setTimer(giveUp, limitMs));
    promise.finally(cancelTimer).then(resolve, reject);
  });
}
