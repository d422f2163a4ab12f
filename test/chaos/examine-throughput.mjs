// What has ended, as the backend counts it.
import { gone } from './names.mjs';

/** A process that was killed may have counted, and told, a moment later than it could. */
const tellingMs = 500;

/**
 * Where each process counts for itself, and tells so every `countedWithinMs`, one that is killed takes with it what it
 * has not told, and what the backend has done without answering is in no count. Of nothing else may one be missing.
 */
export function examineThroughput(
  { jobs, killedAt },
  { counts, jobs: stored },
  { countedWithinMs },
  findings,
) {
  const completed = [...jobs.values()].filter(
    ({ id, accepted, name }) =>
      accepted && (stored[id]?.state === 'completed' || (name === gone && !stored[id])),
  );
  const isCounted = ({ settled }) =>
    settled.some(
      ({ kind, accepted, who, at }) =>
        kind === 'completed' &&
        accepted &&
        at < (killedAt.get(who) ?? Infinity) - countedWithinMs - tellingMs,
    );
  const least = countedWithinMs === 0 ? completed.length : completed.filter(isCounted).length;
  const tallied = counts.throughput.reduce((sum, bucket) => sum + bucket.completed, 0);
  if (tallied < least || tallied > completed.length) {
    const expected = least === completed.length ? least : `${least} to ${completed.length}`;
    findings.add('a throughput that is not the completions', `${tallied}, and ${expected} have completed`);
  }
}
