// npm run chaos [-- --short] [-- --keep] [-- sigkill redis-restart]: all scenarios, or those named, on real processes
// and a real Redis. Exit code 1 where something was broken; the ledgers of those scenarios are kept, with --keep all.
import { table } from '../bench/measure.mjs';
import { Crew } from './crew.mjs';
import { uptime } from './ledger.mjs';
import { clearUp } from './leftovers.mjs';
import { scenarios } from './scenarios.mjs';
import { Stage } from './stage.mjs';

const given = process.argv.slice(2);
const short = given.includes('--short');
const keepAll = given.includes('--keep');
const named = given.filter((argument) => !argument.startsWith('-'));
const unknown = named.filter((name) => !(name in scenarios));
if (unknown.length > 0) {
  process.stderr.write(`There is no ${unknown.join(', ')}; there are ${Object.keys(scenarios).join(', ')}\n`);
  process.exit(2);
}
const chosen = Object.entries(scenarios).filter(([name]) => named.length === 0 || named.includes(name));

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
const sparesFor = ([, { spares = () => 5, times }]) => spares(times[short ? 0 : 1]);

async function play([name, { about, times, durable, play: act }], number) {
  const title = `${number + 1} of ${chosen.length}: ${name}, ${about}`;
  if (!process.stderr.isTTY) process.stderr.write(`${title}\n`);
  const stage = new Stage(crew, { durable });
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
  return { name, stage, figures: examined.figures, warnings: examined.warnings, broken, keep, seconds };
}

const ms = (value) => (value > 0 ? `${Math.round(value)} ms` : '');
const heads = {
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

function report(results) {
  const rows = results.map((result) => Object.values(heads).map((read) => read(result) ?? ''));
  process.stdout.write(`${table(Object.keys(heads), rows)}\n`);
  for (const { name, stage, figures, warnings, broken, keep } of results) {
    const notes = [...stage.notes];
    if (figures?.early > 0)
      notes.push(`${figures.early} quarantined with fewer deaths on record than counted`);
    if (figures?.slowestAbort > 0)
      notes.push(`slowest abort of a loser ${ms(figures.slowestAbort)} after the other began`);
    if (figures?.latest > 0) notes.push(`a delayed job began ${ms(figures.latest)} late at most`);
    if (notes.length > 0) process.stdout.write(`\n${name}: ${notes.join('; ')}\n`);
    if (!keep) continue;
    process.stdout.write(`\n${name}: ledger in ${stage.folder}\n`);
    for (const { what, count, examples } of broken) {
      process.stdout.write(`- ${what}: ${count}\n${examples.map((example) => `    ${example}\n`).join('')}`);
    }
    for (const [message, count] of warnings) process.stdout.write(`  logged ${count} x ${message}\n`);
  }
}

const crew = new Crew();
const results = [];
for (const [index, scenario] of chosen.entries()) {
  await crew.warm(sparesFor(scenario));
  // Those of the next one are loaded while this one waits for what takes time.
  crew.want(chosen[index + 1] === undefined ? 1 : sparesFor(chosen[index + 1]));
  results.push(await play(scenario, index));
}
progress('');
if (process.stderr.isTTY) process.stderr.write('\r');
report(results);
const broken = results.some((result) => result.broken.length > 0);
process.exit(broken ? 1 : 0);
