// Why jobs ran more than once, and how long those of a process that was killed had to wait for another.

/** Why there was another run after this one. */
function causeOf({ abort, settled, how, who }, killedAt) {
  if (abort?.reason === 'lease-lost') return 'leases lost';
  if (!settled?.accepted && killedAt.has(who)) return 'processes killed';
  if (settled?.accepted && settled.kind === 'released') return 'interrupted by a shutdown';
  if (settled?.accepted) return how === 'snoozed' ? 'snoozed' : 'failed';
  return 'ends refused or not heard of';
}

/**
 * Answers how often each cause made a job run again, and after how long each claim of a process that was killed was
 * followed by another, sorted.
 */
export function examineAgain({ jobs, killedAt }, { claimOf }, { takenOverWithinMs = Infinity }, findings) {
  const byClaim = (a, b) => (claimOf(a.token) < claimOf(b.token) ? -1 : 1);
  const again = new Map();
  const takeovers = [];
  for (const { id, runs, claims, settled } of jobs.values()) {
    const inTurn = runs.toSorted(byClaim);
    for (const run of inTurn.slice(0, -1)) {
      const cause = causeOf(run, killedAt);
      again.set(cause, (again.get(cause) ?? 0) + 1);
    }
    const claimed = claims.toSorted(byClaim);
    for (const [index, next] of claimed.entries()) {
      const before = claimed[index - 1];
      if (before === undefined || !killedAt.has(before.who)) continue;
      if (settled.some(({ token, accepted }) => token === before.token && accepted)) continue;
      const took = next.at - Math.max(before.at, killedAt.get(before.who));
      takeovers.push(took);
      if (took <= takenOverWithinMs) continue;
      findings.add(
        'a job of a killed process that was taken over late',
        `${id}: after ${Math.round(took)} ms`,
      );
    }
  }
  return { again, takeovers: takeovers.toSorted((a, b) => a - b) };
}
