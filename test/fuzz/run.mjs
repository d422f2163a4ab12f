// npm run fuzz [-- --short] [-- --seed 42] [-- --count 1000]: asks an app on Express and one on Fastify for whatever
// fast-check makes of the OpenAPI document. Exit code 1 where an answer was wrong, or the app did not bear it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.mjs';

const { values } = parseArgs({
  options: { short: { type: 'boolean' }, seed: { type: 'string' }, count: { type: 'string' } },
});
const count = Number(values.count ?? (values.short ? 2_000 : 100_000));
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
/** More than that an app that has been asked for everything may not hold, beyond one that has been asked a little. */
const mostGrownBytes = 40_000_000;
if (!Number.isSafeInteger(count) || !Number.isSafeInteger(seed)) throw new Error('Give whole numbers.');
process.stderr.write(`${count} requests, --seed ${seed}\n`);

/** One line that is written over on a terminal, a line now and then elsewhere. */
function progress(platform, done, all) {
  if (process.stderr.isTTY) process.stderr.write(`\r${platform}: ${done} of ${all}   `);
  else if (done % 10_000 === 0) process.stderr.write(`${platform}: ${done} of ${all}\n`);
}

async function ask(platform, all) {
  const app = fork(fileURLToPath(new URL('app.mjs', import.meta.url)), [platform], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  let complaints = '';
  app.stderr.setEncoding('utf8').on('data', (text) => (complaints += text));
  let exit;
  app.once('exit', (code, signal) => (exit = code ?? signal));
  const told = async () => {
    const [message] = await Promise.race([
      once(app, 'message'),
      once(app, 'exit').then(() => {
        throw new Error(`It has ended (${exit}):\n${complaints.slice(-5_000)}`);
      }),
    ]);
    return message;
  };
  const measure = async () => {
    app.send('measure');
    return (await told()).heap;
  };
  try {
    const { port } = await told();
    const base = `http://127.0.0.1:${port}/work`;
    const headers = { authorization: 'Bearer operator' };
    const document = await (await fetch(`${base}/openapi.json`, { headers })).json();
    const warm = Math.min(2_000, Math.floor(all / 5));
    // The first ones are to fill all caches.
    const first = await fuzz({ base, document, count: warm, seed });
    const before = await measure();
    const rest = await fuzz({
      base,
      document,
      count: all - warm,
      seed: seed + warm,
      onProgress: (done) => progress(platform, done + warm, all),
    });
    if (process.stderr.isTTY) process.stderr.write('\n');
    const grown = (await measure()) - before;
    const { status } = await fetch(`${base}/overview`, { headers });
    const faults = [...first.faults, ...rest.faults];
    if (status !== 200) faults.push({ fault: `answers ${status} at the end` });
    if (grown > mostGrownBytes) faults.push({ fault: `holds ${Math.round(grown / 1e6)} MB more at the end` });
    if (exit !== undefined) faults.push({ fault: `has ended (${String(exit)})` });
    const complaint = complaints.split('\n').find((line) => line.includes('HTTP API'));
    if (complaint !== undefined) faults.push({ fault: `complained: ${complaint}` });
    return {
      platform,
      requests: first.done + rest.done,
      seconds: (first.ms + rest.ms) / 1_000,
      statuses: rest.statuses,
      kinds: rest.kinds,
      grown,
      faults,
    };
  } finally {
    if (exit === undefined) {
      app.send('close');
      const insist = setTimeout(() => app.kill('SIGKILL'), 10_000);
      await once(app, 'exit');
      clearTimeout(insist);
    }
  }
}

let faulty = 0;
for (const platform of ['express', 'fastify']) {
  const { requests, seconds, statuses, kinds, grown, faults } = await ask(platform, Math.ceil(count / 2));
  faulty += faults.length;
  process.stdout.write(
    `${platform}: ${requests} requests in ${seconds.toFixed(1)} s (${Math.round(requests / seconds)}/s), heap ${grown < 0 ? '' : '+'}${(grown / 1e6).toFixed(1)} MB, ${faults.length} faults\n` +
      `  statuses ${JSON.stringify(statuses)}\n  ${JSON.stringify(kinds)}\n`,
  );
  for (const one of faults.slice(0, 10)) process.stdout.write(`  ${JSON.stringify(one).slice(0, 2_000)}\n`);
}
if (faulty > 0) {
  process.stdout.write(`Repeat it with --seed ${seed}${values.count ? ` --count ${count}` : ''}\n`);
  process.exitCode = 1;
}
