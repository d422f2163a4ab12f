// How often each job ran, beside whom, and what became of it.

const terminal = new Set(['completed', 'cancelled', 'dead']);

/**
 * Answers how many runs there were, how many of them beside another, and how many leases were lost. `claimOf`: of a token,
 * a number that grows with each claim of a job.
 */
export function examineRuns({ jobs }, { leaseMs }, { claimOf }, allowed, findings) {
  const figures = { runs: 0, overlaps: 0, lost: 0, refused: 0, slowestAbort: 0 };
  for (const job of jobs.values()) {
    const { id, runs } = job;
    figures.runs += runs.length;
    for (const [index, run] of runs.entries()) {
      if (run.abort?.reason === 'lease-lost') figures.lost++;
      if (run.settled?.accepted === false) figures.refused++;
      if (run.begunTwice) findings.add('a claim that was run twice', `${id} ${run.token}`);
      if (run.overAt === Infinity) findings.add('a run that has no end', `${id} ${run.token}`);
      examineAttempt(run, runs.slice(0, index), findings);
      for (const earlier of runs.slice(0, index)) {
        if (earlier.overAt <= run.beganAt) continue;
        // Whoever was given it first is the loser, also where it began later.
        const isLoser = claimOf(earlier.token) < claimOf(run.token);
        const [loser, other] = isLoser ? [earlier, run] : [run, earlier];
        examineOverlap(loser, other, leaseMs, allowed, figures, findings);
      }
    }
    examineAfterEnd(job, claimOf, findings);
    if (job.status === 'duplicate' && runs.length > 0) findings.add('a duplicate that ran', id);
  }
  if (allowed.loses && figures.lost + figures.refused === 0) {
    findings.add('a fault without effect', 'no lease was lost: the scenario has shown nothing');
  }
  if (allowed.keeps && figures.lost + figures.refused + figures.overlaps > 0) {
    const { lost, refused, overlaps } = figures;
    findings.add(
      'a lease that was lost for nothing',
      `${lost} lost, ${refused} refused, ${overlaps} beside another`,
    );
  }
  if (allowed.aborts && figures.lost === 0) {
    findings.add('a fault without effect', 'the signal of no run was aborted because its lease was lost');
  }
  return figures;
}

/** An attempt is used up by a failure, and by nothing else. */
function examineAttempt(run, before, findings) {
  const failed = before.filter(({ how, overAt }) => how === 'threw' && overAt <= run.beganAt);
  const told = failed.filter(({ settled }) => settled?.accepted && settled.at <= run.beganAt);
  if (run.attempt >= told.length + 1 && run.attempt <= failed.length + 1) return;
  const expected =
    told.length === failed.length ? told.length + 1 : `${told.length + 1} to ${failed.length + 1}`;
  findings.add('an attempt that is counted wrong', `${run.id} ${run.token}: ${run.attempt}, not ${expected}`);
}

/** Two runs at once are right only where the lease of one was lost; that one is aborted, and not believed. */
function examineOverlap(loser, other, leaseMs, { resumedAt }, figures, findings) {
  figures.overlaps++;
  const pair = `${loser.id}: ${loser.token} of ${loser.who} beside ${other.token} of ${other.who}`;
  if (loser.settled?.accepted) {
    findings.add(
      'a run whose lease was lost, and that was believed',
      `${pair}: ${JSON.stringify(loser.settled)}`,
    );
  } else if (loser.abort?.reason !== 'lease-lost' && loser.settled === undefined && !loser.died) {
    findings.add('two runs at once, and no lease was lost', pair);
  }
  // Who is stopped or blocked hears of it afterwards.
  const couldHear = Math.max(other.beganAt, loser.beganAt, resumedAt?.(loser.who) ?? 0);
  const heard = loser.abort?.reason === 'lease-lost' ? loser.abort.at : Math.min(loser.overAt, Infinity);
  const late = heard - couldHear;
  figures.slowestAbort = Math.max(figures.slowestAbort, loser.abort === undefined ? 0 : late);
  if (late > leaseMs / 2) {
    findings.add(
      'a loser that was not aborted in time',
      `${pair}: ${Math.round(late)} ms after the other began`,
    );
  }
}

function examineAfterEnd({ id, settled, runs }, claimOf, findings) {
  const end = settled.find(({ kind, accepted }) => accepted && terminal.has(kind));
  if (end === undefined) return;
  const late = runs.find(({ beganAt, token }) => beganAt > end.at && claimOf(token) > claimOf(end.token));
  if (late !== undefined) {
    findings.add('a run after the end of its job', `${id} ${late.token}, ${end.kind} by ${end.token}`);
  }
}
