// The facts of a ledger, put together: what became of each job, and of each run of it.

/** A process is over when it is killed; that it has ended may be heard of much later. */
function endOf({ who, signal, signals, at = Infinity }, lastWords) {
  if (signal !== 'SIGKILL') return at;
  return signals.find(({ name }) => name === 'SIGKILL')?.at ?? lastWords.get(who) ?? at;
}

/**
 * Answers `jobs` (id → job with its runs, in the order in which they began), `killedAt` (who was killed → when),
 * `poisoned` (who ran a job that kills its process), `crashes`, `refusals` (enqueueings that failed) and `warnings`.
 */
export function historyOf(facts, exits) {
  const lastWords = new Map(facts.map(({ who, at }) => [who, at]));
  const diedAt = new Map(exits.map((exit) => [exit.who, endOf(exit, lastWords)]));
  const killed = exits.filter(({ signal }) => signal === 'SIGKILL');
  const killedAt = new Map(killed.map(({ who }) => [who, diedAt.get(who)]));
  const jobs = new Map();
  const runs = new Map();
  const poisoned = new Set();
  const crashes = [];
  const refusals = [];
  const warnings = new Map();
  const jobOf = (id) => {
    if (!jobs.has(id)) jobs.set(id, { id, payload: {}, accepted: false, runs: [], settled: [], claims: [] });
    return jobs.get(id);
  };
  const runOf = ({ id, token }) => runs.get(`${id} ${token}`);

  const read = {
    sent({ id, payload, name, delay, notBefore, key, at }) {
      Object.assign(jobOf(id), { payload, name, delay, notBefore, key, sentAt: at });
    },
    accepted({ id, status, tries, at }) {
      // A duplicate is no job.
      Object.assign(jobOf(id), { accepted: status !== 'duplicate', status, tries, acceptedAt: at });
    },
    refused(fact) {
      refusals.push(fact);
    },
    claimed({ jobs: claimed, who, at }) {
      for (const [id, token, deaths] of claimed) jobOf(id).claims.push({ token, deaths, who, at });
    },
    begin({ id, token, who, at, attempt, dueAt, poison }) {
      const run = { id, token, who, beganAt: at, attempt, dueAt, endedAt: undefined, how: undefined };
      const twice = runOf(run);
      if (twice !== undefined) twice.begunTwice = true;
      runs.set(`${id} ${token}`, run);
      jobOf(id).runs.push(run);
      if (poison) poisoned.add(who);
    },
    abort(fact) {
      const run = runOf(fact);
      if (run !== undefined) run.abort = { reason: fact.reason, at: fact.at };
    },
    end(fact) {
      const run = runOf(fact);
      if (run !== undefined) Object.assign(run, { endedAt: fact.at, how: fact.how });
    },
    settled({ settled, who, at }) {
      for (const settlement of settled) {
        const told = { ...settlement, who, at };
        jobOf(settlement.id).settled.push(told);
        const run = runOf(settlement);
        // Told again because nothing was heard of the first time: whichever was accepted counts.
        if (run !== undefined && !run.settled?.accepted) run.settled = told;
      }
    },
    crash({ error, who }) {
      crashes.push({ error, who });
    },
    log({ message }) {
      // What a job was told to do is not worth a word.
      if (message.includes('Told to ')) return;
      const kind = message.replace(/produce-\d+-\d+/g, '<id>').replace(/\d+/g, '#');
      warnings.set(kind, (warnings.get(kind) ?? 0) + 1);
    },
  };
  for (const fact of facts) read[fact.fact]?.(fact);
  for (const run of runs.values()) {
    run.died = run.endedAt === undefined;
    run.overAt = run.endedAt ?? diedAt.get(run.who) ?? Infinity;
  }
  return { jobs, killedAt, poisoned, crashes, refusals, warnings };
}
