// What jobs on Redis cost: results/jobs.md and .json.
import { machine, measure, medianOf, publish, shown, table, verdict, version } from './measure.mjs';
import { startRedis } from './redis-server.mjs';

const short = process.argv.includes('--short');
/** `--rounds=3`: where there is less time. */
const asked = process.argv.find((argument) => argument.startsWith('--rounds='))?.slice(9);
const rounds = short ? 1 : Number(asked ?? 5);
const many = short ? 900 : 30_000;
const few = short ? 300 : 2_000;
const concurrencies = [1, 10, 100];
const backlogs = short ? [1_000] : [10_000, 1_000_000];

const redis = await startRedis();
const { port } = redis;
const peers = {
  'nestjs-worker': 'ours',
  BullMQ: 'bull',
  // The short form shows that it runs.
  ...(!short && { 'bee-queue': 'bee', groupmq: 'group' }),
};

const measurements = {};
for (const [peer, contender] of Object.entries(peers)) {
  const base = { contender, port };
  // It takes milliseconds for each.
  const jobs = contender === 'group' ? few : many;
  Object.assign(measurements, {
    [`${peer}; one by one`]: ['enqueue', { ...base, jobs: few, inFlight: 1 }],
    [`${peer}; 100 in flight`]: ['enqueue', { ...base, jobs, inFlight: 100 }],
    [`${peer}; bulk`]: ['bulk', { ...base, jobs }],
    [`${peer}; pickup`]: ['pickup', { ...base, jobs: short ? 30 : 600 }],
  });
  for (const concurrency of concurrencies) {
    measurements[`${peer}; process ${concurrency}`] = ['process', { ...base, jobs, concurrency }];
  }
}
for (const backlog of backlogs) {
  const base = { contender: 'ours', port, jobs: many, concurrency: 100, backlog };
  measurements[`backlog ${backlog}`] = ['process', base];
}

/** The short form shows that it runs: ours in all ways, and BullMQ where it is compared. */
if (short) {
  for (const what of ['one by one', '100 in flight', 'process 10']) delete measurements[`BullMQ; ${what}`];
}

let measured;
try {
  measured = await measure('jobs-scenarios.mjs', measurements, rounds);
} finally {
  await redis.stop();
}
const of = (peer, what, figure = 'us') => medianOf(measured, `${peer}; ${what}`, figure);
const us = (value) => shown(value, () => `${value < 100 ? value.toFixed(1) : value.toFixed(0)} us`);
const ratio = (what, figure) => of('BullMQ', what, figure) / of('nestjs-worker', what, figure);
const atLeast = (label, value, bound) => [label, `${value.toFixed(1)}x`, verdict(value >= bound)];
const rows = {
  'enqueue, one by one': 'one by one',
  'enqueue, 100 in flight': '100 in flight',
  'enqueue, in bulk': 'bulk',
  'process, concurrency 1': 'process 1',
  'process, concurrency 10': 'process 10',
  'process, concurrency 100': 'process 100',
};
const backlogCost = (backlog) => medianOf(measured, `backlog ${backlog}`, 'us');
const [small, large] = backlogs;

const report = `# What jobs on Redis cost

Made by \`npm run bench\`; do not edit. Medians of ${rounds}, each from a process of its own, one after another, on one Redis ${redis.version} on
this machine without persistence (\`save ""\`, \`appendonly no\`) for all. ${machine}, Nest ${version('@nestjs/core')}, BullMQ ${version('bullmq')},
bee-queue ${version('bee-queue')}, groupmq ${version('groupmq')}. Handlers are empty async functions; completed jobs are removed; a third as many
jobs go before those that are measured. Ours is a Nest application with metrics; leases, tokens and context are on, as they
always are.

${table(
  ['per job', ...Object.keys(peers)],
  Object.entries(rows).map(([label, what]) =>
    [label].concat(Object.keys(peers).map((peer) => us(of(peer, what)))),
  ),
)}

${table(
  ['', ...Object.keys(peers)],
  [
    [
      'a lone job is picked up after',
      ...Object.keys(peers).map((peer) => `${of(peer, 'pickup', 'ms').toFixed(2)} ms`),
    ],
    [
      '99 % of them within',
      ...Object.keys(peers).map((peer) => `${of(peer, 'pickup', 'p99').toFixed(2)} ms`),
    ],
    [
      'a queued job takes of Redis',
      ...Object.keys(peers).map((peer) => `${of(peer, 'bulk', 'bytes').toFixed(0)} B`),
    ],
  ],
)}

${table(
  ['process, concurrency 100, beside a backlog', 'nestjs-worker'],
  backlogs.map((backlog) => [`${backlog.toLocaleString('en')} jobs`, us(backlogCost(backlog))]),
)}

## Targets

${table(
  ['target', 'measured', ''],
  [
    atLeast('process at least 10x as fast as BullMQ at concurrency 100', ratio('process 100'), 10),
    atLeast('process at least 3x as fast as BullMQ at concurrency 1', ratio('process 1'), 3),
    atLeast('enqueue in bulk at least 8x as fast as BullMQ', ratio('bulk'), 8),
    atLeast('pick up a lone job no later than BullMQ', ratio('pickup', 'ms'), 1),
    ...(large === undefined
      ? []
      : [
          [
            `a job costs at most 1.5x beside ${large.toLocaleString('en')} of what it does beside ${small.toLocaleString('en')}`,
            `${(backlogCost(large) / backlogCost(small)).toFixed(2)}x`,
            verdict(backlogCost(large) / backlogCost(small) <= 1.5),
          ],
        ]),
  ],
)}
`;
publish('jobs', report, measured, short);
