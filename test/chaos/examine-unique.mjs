// Unique keys: while a job with one lives, no other one is taken in.

/** From when to when a job lived for sure. What was enqueued for now is due at the moment at which it was stored. */
function lifeOf({ runs }, offset) {
  const believed = runs.filter(({ settled }) => settled?.accepted);
  return { from: runs[0].dueAt - offset, to: Math.max(...believed.map(({ overAt }) => overAt)) };
}

export function examineUnique({ jobs }, { offset }, findings) {
  const byKey = new Map();
  for (const job of jobs.values()) {
    if (job.key === undefined || !job.accepted || job.delay > 0 || job.runs.length === 0) continue;
    byKey.set(job.key, [...(byKey.get(job.key) ?? []), { id: job.id, ...lifeOf(job, offset) }]);
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
