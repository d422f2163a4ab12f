// What must hold whatever happened, checked against the ledger, and against what the store itself has, with no code of the
// package.
import { historyOf } from './history.mjs';
import { examineAgain } from './examine-again.mjs';
import { examineRuns } from './examine-runs.mjs';
import { examineThroughput } from './examine-throughput.mjs';
import { examineTimes } from './examine-times.mjs';
import { examineUnique } from './examine-unique.mjs';
import { Findings } from './findings.mjs';
import { gone, maxAttempts } from './names.mjs';

const ends = new Set(['completed', 'cancelled', 'dead']);
const examplesShown = 3;

/** Answers figures for the table, and what is broken. `promises`: what the backend says of itself. */
export function examine({ facts, exits, found, direct, limits, promises, allowed }) {
  const findings = new Findings(examplesShown);
  const history = historyOf(facts, exits);
  const figures = {
    ...examineEnds(history, found, findings),
    ...examineRuns(history, limits, promises, allowed, findings),
    ...examineTimes(history, direct, limits, allowed, findings),
    ...examineExits(history, exits, limits, allowed, findings),
    ...examineAgain(history, promises, allowed, findings),
  };
  examineUnique(history, direct, promises, findings);
  examineThroughput(history, found, promises, findings);
  examineStore(found, direct, findings);
  for (const { error, who } of history.crashes)
    findings.add('an error that nobody caught', `${who}: ${error}`);
  return { figures, broken: findings.all(), warnings: history.warnings };
}

/** Every accepted job is at exactly one end, and has got there once. */
function examineEnds({ jobs }, { jobs: stored }, findings) {
  const figures = { jobs: 0, completed: 0, cancelled: 0, dead: 0, quarantined: 0, early: 0 };
  for (const job of jobs.values()) {
    if (!job.accepted) continue;
    figures.jobs++;
    const { id, runs } = job;
    const { state, result, failures } = stored[id] ?? {};
    const completions = job.settled.filter(({ kind, accepted }) => kind === 'completed' && accepted);
    const terminal = job.settled.filter(({ kind, accepted }) => ends.has(kind) && accepted);
    if (terminal.length > 1)
      findings.add('an end that was accepted twice', `${id}: ${JSON.stringify(terminal)}`);
    const returned = runs.filter(({ how }) => how === 'returned');
    const leavesNothing = job.name === gone && (completions.length > 0 || returned.length > 0);

    if (state === undefined && !leavesNothing) findings.add('a job that is lost', id);
    else if (state !== undefined && !ends.has(state))
      findings.add('a job that is not at its end', `${id} ${state}`);
    if (completions.length > 0 && ends.has(state) && state !== 'completed') {
      findings.add('a completed job that is something else in the end', `${id} ${state}`);
    }
    if (state === 'completed') {
      // The run that the store says completed it, and no other, is the one that was told to have.
      const by = returned.find(({ token }) => token === result?.token);
      if (by === undefined)
        findings.add('a completion by a run that never returned', `${id}: ${JSON.stringify(result)}`);
      if (completions.some(({ token }) => token !== result?.token)) {
        findings.add(
          'a completion that another one has written over',
          `${id}: ${JSON.stringify(completions)}`,
        );
      }
    }
    if (failures !== undefined && ends.has(state)) {
      const threw = runs.filter(({ how }) => how === 'threw' || how === 'discarded');
      const told = threw.filter(({ settled }) => settled?.accepted);
      if (failures > threw.length || failures < told.length) {
        findings.add(
          'attempts that are not the failures',
          `${id}: ${failures} of ${told.length} to ${threw.length}`,
        );
      }
    }
    const end = state ?? 'completed';
    if (end in figures) figures[end]++;
    if (state === 'dead') examineDead(job, stored[id], figures, findings);
  }
  return figures;
}

function examineDead({ id, runs, claims, payload }, { cause, deaths }, figures, findings) {
  if (cause === 'quarantined') {
    figures.quarantined++;
    // What was claimed and had not begun when its process died may count, and not all such claims are on record.
    const lost = runs.filter(({ settled }) => !settled?.accepted).length;
    const unbegun = claims.filter(({ token }) => !runs.some((run) => run.token === token)).length;
    if (lost + unbegun - 1 < deaths) figures.early++;
    return;
  }
  const meant = payload.discard
    ? cause === 'discarded'
    : (payload.throws ?? 0) >= maxAttempts && cause === 'exhausted';
  if (!meant) findings.add('a job that is dead for no reason', `${id}: ${cause}, ${JSON.stringify(payload)}`);
}

/** Whoever was asked to end did so in time, by that signal; nobody else ended. */
function examineExits({ poisoned }, exits, { exitWithinMs }, { exitsByThemselves = false }, findings) {
  let slowestExit = 0;
  for (const { who, code, signal, at, signals, stderr } of exits) {
    const kill = signals.find(({ name }) => name === 'SIGKILL');
    const term = signals.find(({ name }) => name === 'SIGTERM');
    const how = `${who} ended with ${code ?? signal}`;
    if (term !== undefined && kill === undefined) {
      const took = at - term.at;
      slowestExit = Math.max(slowestExit, took);
      if (took > exitWithinMs) findings.add('an exit that came late', `${who}: after ${Math.round(took)} ms`);
      if (signal !== 'SIGTERM') findings.add('an exit not by the signal', `${how}: ${stderr}`);
    } else if (kill === undefined && !(signal === 'SIGKILL' && poisoned.has(who)) && !exitsByThemselves) {
      findings.add('a process that ended by itself', `${how}: ${stderr}`);
    }
  }
  return { slowestExit };
}

/** Counts, lists and what is stored agree with all that; nothing is left. */
function examineStore({ counts, cleaned, lists, jobs: stored }, direct, findings) {
  const states = Object.values(stored).filter((job) => job !== undefined);
  const inState = (state) => states.filter((job) => job.state === state).length;
  for (const state of ['ready', 'scheduled', 'active']) {
    if (counts[state] !== 0) findings.add('a count that is not 0 in the end', `${state}: ${counts[state]}`);
  }
  if (counts.dead !== inState('dead')) {
    findings.add('a wrong count', `dead: ${counts.dead}, and ${inState('dead')} are`);
  }
  for (const [state, ids] of Object.entries(lists)) {
    if (new Set(ids).size !== ids.length) findings.add('a job that is listed twice', state);
    if (new Set(ids).size !== inState(state)) {
      findings.add('a list that is not complete', `${state}: ${ids.length}, and ${inState(state)} are`);
    }
  }
  if (direct.waiting !== 0) findings.add('a queue that is not empty in the store', direct.waiting);
  for (const [id, job] of Object.entries(stored)) {
    if (job !== undefined && !direct.stored.has(id)) findings.add('a job that is not in the store', id);
  }
  for (const state of ['ready', 'scheduled', 'active', 'dead']) {
    if (cleaned[state] !== 0)
      findings.add('a count that is not 0 with all jobs deleted', `${state}: ${cleaned[state]}`);
  }
  for (const what of direct.left) findings.add('something that is left behind', what);
}
