import { inTime, type Pool } from '../pool/index.js';

/** Whoever sent a command wants an answer. */
const briefMs = 2_000;

/**
 * Waits for what `run` does, but not for long: it goes on by itself, and what it fails with later is told to the log. Rejects as
 * `run` does by then.
 */
export async function waitBriefly(pool: Pool, run: () => Promise<unknown>): Promise<void> {
  let isLate = false;
  const done = pool.inScope(async () => run());
  done.catch((error: unknown) => {
    if (isLate) pool.say('error', 'A command failed after it had been answered', { err: error });
  });
  await inTime(pool, done, briefMs, () => (isLate = true));
}
