// npm run chaos [-- --short] [-- --keep] [-- --backend redis,bullmq] [-- sigkill store-restart]: all scenarios with all
// backends, or those named, on real processes and real stores. The short form does less of each, and where nothing is
// named, it plays some of them only. Exit code 1 where something was broken; the ledgers of those scenarios are kept, with
// --keep all.
import { parseArgs } from 'node:util';
import { table } from '../bench/measure.mjs';
import { backends, loadBackend } from './backends.mjs';
import { Crew } from './crew.mjs';
import { uptime } from './ledger.mjs';
import { clearUp } from './leftovers.mjs';
import { scenarios } from './scenarios.mjs';
import { Stage } from './stage.mjs';

const {
  values: { short, keep: keepAll, backend: wanted },
  positionals: named,
} = parseArgs({
  options: { short: { type: 'boolean' }, keep: { type: 'boolean' }, backend: { type: 'string' } },
  allowPositionals: true,
});

/** Those of them that are named; all where none is. */
function choose(from, names) {
  const unknown = names.filter((name) => !(name in from));
  if (unknown.length === 0)
    return Object.keys(from).filter((name) => names.length === 0 || names.includes(name));
  process.stderr.write(`There is no ${unknown.join(', ')}; there are ${Object.keys(from).join(', ')}\n`);
  return process.exit(2);
}

const chosenBackends = choose(backends, wanted?.split(',') ?? []);
const chosenScenarios = choose(scenarios, named);
const playsSome = short && wanted === undefined && named.length === 0;

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.once(signal, () => process.exit(code));
}
process.on('exit', clearUp);

/** One line that is written over on a terminal, a line each time elsewhere. */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r${text.slice(0, 110).padEnd(110)}`);
}

/** How many processes it is good to have ready. */
const sparesFor = ({ spares = () => 5, times }) => spares(times[short ? 0 : 1]);

async function play(name, backend, crew) {
  const { about, times, durable, play: act } = scenarios[name];
  const title = `${backend.name}: ${name}, ${about}`;
  if (!process.stderr.isTTY) process.stderr.write(`${title}\n`);
  const stage = new Stage(crew, backend, { durable });
  const from = uptime();
  const ticker = setInterval(() => {
    const done = [...stage.done].map(([what, times]) => `${times} ${what}`).join(', ');
    progress(`${title} (${Math.round((uptime() - from) / 1_000)} s) ${done}`);
  }, 200);
  let examined = { figures: undefined, broken: [], warnings: new Map() };
  let failure;
  try {
    await stage.open();
    const allowed = await act(stage, times[short ? 0 : 1], crew);
    examined = await stage.finish(allowed);
  } catch (error) {
    // What the ledger says is examined nonetheless, where it comes to that.
    failure = { what: 'the scenario could not be played', count: 1, examples: [error.stack] };
    examined = await stage.finish().catch(() => examined);
  } finally {
    clearInterval(ticker);
  }
  const broken = failure === undefined ? examined.broken : [failure, ...examined.broken];
  const keep = keepAll || broken.length > 0;
  await stage.close(keep);
  const seconds = (uptime() - from) / 1_000;
  const { figures, warnings } = examined;
  return { backend: backend.name, name, stage, figures, warnings, broken, keep, seconds };
}

const ms = (value) => (value > 0 ? `${Math.round(value)} ms` : '');
const heads = {
  backend: ({ backend }) => backend,
  scenario: ({ name }) => name,
  done: ({ stage }) => [...stage.done].map(([what, times]) => `${times} ${what}`).join(', '),
  jobs: ({ figures }) => figures?.jobs,
  completed: ({ figures }) => figures?.completed,
  dead: ({ figures }) => figures?.dead,
  'of these quarantined': ({ figures }) => figures?.quarantined,
  cancelled: ({ figures }) => figures?.cancelled,
  runs: ({ figures }) => figures?.runs,
  'beside another': ({ figures }) => figures?.overlaps,
  'leases lost': ({ figures }) => figures?.lost,
  'late ends refused': ({ figures }) => figures?.refused,
  'enqueued again': ({ figures }) => figures?.refusals,
  'slowest exit': ({ figures }) => figures && ms(figures.slowestExit),
  took: ({ seconds }) => `${seconds.toFixed(0)} s`,
  broken: ({ broken }) => broken.reduce((sum, { count }) => sum + count, 0),
};

const count = (counts) => [...counts].map(([what, times]) => `${times} ${what}`).join(', ');

function notesOf({ stage, figures }) {
  const notes = [...stage.notes];
  if (figures === undefined) return notes;
  const { early, slowestAbort, latest, again, takeovers } = figures;
  if (again.size > 0) notes.push(`jobs ran again: ${count(again)}`);
  if (takeovers.length > 0) {
    const median = takeovers[Math.floor(takeovers.length / 2)];
    notes.push(
      `${takeovers.length} claims of those who were killed were taken over after ${ms(median)}, ${ms(takeovers.at(-1))} at most`,
    );
  }
  if (early > 0) notes.push(`${early} quarantined with fewer deaths on record than counted`);
  if (slowestAbort > 0) notes.push(`slowest abort of a loser ${ms(slowestAbort)} after the other began`);
  if (latest > 0) notes.push(`a delayed job began ${ms(latest)} late at most`);
  return notes;
}

function report(results) {
  const rows = results.map((result) => Object.values(heads).map((read) => read(result) ?? ''));
  process.stdout.write(`${table(Object.keys(heads), rows)}\n`);
  for (const result of results) {
    const { backend, name, stage, warnings, broken, keep } = result;
    const notes = notesOf(result);
    if (notes.length > 0) process.stdout.write(`\n${backend}, ${name}: ${notes.join('; ')}\n`);
    if (!keep) continue;
    process.stdout.write(`\n${backend}, ${name}: ledger in ${stage.folder}\n`);
    for (const { what, count, examples } of broken) {
      process.stdout.write(`- ${what}: ${count}\n${examples.map((example) => `    ${example}\n`).join('')}`);
    }
    for (const [message, count] of warnings) process.stdout.write(`  logged ${count} x ${message}\n`);
  }
}

/** The scenarios of a backend, one after the other. `results` and `unfit` are added to. */
async function playAll(name, results, unfit) {
  const backend = await loadBackend(name);
  const { server } = backend.makeStore({});
  const fit = chosenScenarios.filter((scenario) => {
    if (playsSome && !backend.inShort.includes(scenario)) return false;
    const why = scenarios[scenario].unfit?.(backend.promises.capabilities, server);
    if (why !== undefined) unfit.push(`${name}: ${scenario} is not played: ${why}`);
    return why === undefined;
  });
  const crew = new Crew(name);
  for (const [index, scenario] of fit.entries()) {
    await crew.warm(sparesFor(scenarios[scenario]));
    // Those of the next one are loaded while this one waits for what takes time.
    const next = fit[index + 1];
    crew.want(next === undefined ? 1 : sparesFor(scenarios[next]));
    results.push(await play(scenario, backend, crew));
  }
  await crew.dismiss();
}

const results = [];
const unfit = [];
for (const name of chosenBackends) await playAll(name, results, unfit);
progress('');
if (process.stderr.isTTY) process.stderr.write('\r');
report(results);
if (unfit.length > 0) process.stdout.write(`\n${unfit.join('\n')}\n`);
process.exit(results.some(({ broken }) => broken.length > 0) ? 1 : 0);
