// Unique keys: while a job with one lives, no other one is taken in.

/**
 * From when to when a job lived for sure. What was enqueued for now is due at the moment at which it was stored, by the
 * clock of the store; by that of a client, it is due when it was sent, and may have been stored later.
 */
function lifeOf({ runs, acceptedAt }, offset, clock) {
  const believed = runs.filter(({ settled }) => settled?.accepted);
  const from = clock === 'client' ? Math.min(acceptedAt, runs[0].beganAt) : runs[0].dueAt - offset;
  return { from, to: Math.max(...believed.map(({ overAt }) => overAt)) };
}

export function examineUnique({ jobs }, { offset }, { capabilities }, findings) {
  const byKey = new Map();
  for (const job of jobs.values()) {
    if (job.key === undefined || !job.accepted || job.delay > 0 || job.runs.length === 0) continue;
    byKey.set(job.key, [
      ...(byKey.get(job.key) ?? []),
      { id: job.id, ...lifeOf(job, offset, capabilities.clock) },
    ]);
  }
  for (const [key, holders] of byKey) {
    holders.sort((a, b) => a.from - b.from);
    for (const [index, { id, from }] of holders.entries()) {
      const other = holders.slice(0, index).find(({ to }) => to > from);
      if (other !== undefined)
        findings.add('a unique key that two jobs held', `${key}: ${other.id} and ${id}`);
    }
  }
}
