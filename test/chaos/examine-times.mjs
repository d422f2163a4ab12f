// When runs began: never before they were due, by the clock that decides that.
import { backoffMs, snoozeMs } from './names.mjs';

/** What one clock may seem to be off from another only because reading it takes time. */
const blurMs = 3;

/** Answers how late a delayed job began at most. `skewMs`: so far may the clocks that decide be off one another. */
export function examineTimes(
  { jobs, refusals },
  { offset, drift },
  { refusedWithinMs },
  { latestMs = Infinity, skewMs = 0 },
  findings,
) {
  const slack = blurMs + drift + skewMs;
  let latest = 0;
  for (const { id, runs, delay, sentAt, acceptedAt, notBefore } of jobs.values()) {
    for (const [index, run] of runs.entries()) {
      const due = (what, at) => {
        if (run.beganAt >= at - slack) return;
        findings.add(
          'a run before its time',
          `${id} ${run.token}: ${(at - run.beganAt).toFixed(1)} ms before ${what}`,
        );
      };
      // By the time that the backend said it was due, and by what was asked for.
      due('it was due', run.dueAt - offset);
      if (notBefore !== undefined) due('its date', notBefore - offset);
      if (delay > 0) due('its delay was over', sentAt + delay);
      const before = runs[index - 1];
      if (before?.settled?.accepted && before.how === 'threw')
        due('its backoff was over', before.endedAt + backoffMs);
      if (before?.settled?.accepted && before.how === 'snoozed')
        due('its snooze was over', before.endedAt + snoozeMs);
    }
    const [first] = runs;
    if (first !== undefined && delay > 0) latest = Math.max(latest, first.beganAt - acceptedAt - delay);
  }
  if (latest > latestMs) findings.add('a delayed job that came late', `${Math.round(latest)} ms`);
  for (const { id, ids, code, ms, message } of refusals) {
    const told = `${id} after ${Math.round(ms)} ms: ${message}`;
    if (code !== 'JOB_ENQUEUE_FAILED' || !ids?.includes(id))
      findings.add('an enqueueing that failed otherwise', told);
    if (ms > refusedWithinMs) findings.add('an enqueueing that did not fail in time', told);
  }
  return { latest, refusals: refusals.length };
}
