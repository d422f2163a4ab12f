// What jobs on BullMQ cost, ours and its own: results/bullmq.md and .json.
import { cores, measure, median, medianOf, publish, shown, table, verdict, version } from './measure.mjs';
import { findNode, installPeers } from './peers.mjs';
import { startPostgres } from './postgres-server.mjs';
import { startRedis } from './redis-server.mjs';

const short = process.argv.includes('--short');
/** `--rounds=3`: where there is less time. */
const asked = process.argv.find((argument) => argument.startsWith('--rounds='))?.slice(9);
/** `--jobs=1000`: so many instead, to see whether it works. */
const fewer = process.argv.find((argument) => argument.startsWith('--jobs='))?.slice(7);
const rounds = short ? 1 : Number(asked ?? 5);
const most = 1.1;
/** Exact: they are no dependencies, of which package-lock.json knows. They need Node 22. */
const versions = { 'pg-boss': '12.35.0', 'graphile-worker': '0.18.0' };
const concurrencies = [1, 10, 100];
/** Whose time is looked into. */
const accounted = [1, 100];

const ours = 'nestjs-worker on BullMQ';
const plain = 'BullMQ Worker';
const stores = {
  Redis: {
    peers: { [ours]: 'ours', [plain]: 'bull', 'nestjs-worker on Redis': 'oursOnRedis' },
    jobs: Number(fewer ?? 20_000),
  },
  PostgreSQL: {
    peers: { [ours]: 'ours', [plain]: 'bull', 'pg-boss': 'boss', 'graphile-worker': 'graphile' },
    jobs: Number(fewer ?? 10_000),
  },
};

function measurementsOf({ peers, jobs: many }, at) {
  const few = Math.min(many, 2_000);
  const all = {};
  for (const [peer, contender] of Object.entries(peers)) {
    const base = { contender, at };
    Object.assign(all, {
      [`${peer}; one by one`]: ['enqueue', { ...base, jobs: few, inFlight: 1 }],
      [`${peer}; 100 in flight`]: ['enqueue', { ...base, jobs: many, inFlight: 100 }],
      [`${peer}; bulk`]: ['bulk', { ...base, jobs: many }],
      [`${peer}; pickup`]: ['pickup', { ...base, jobs: Math.min(many, 400) }],
    });
  }
  // Side by side, so that what slows the machine down slows both.
  for (const concurrency of concurrencies) {
    for (const [peer, contender] of Object.entries(peers)) {
      all[`${peer}; process ${concurrency}`] = ['process', { contender, at, jobs: many, concurrency }];
    }
  }
  for (const concurrency of accounted) {
    for (const peer of [ours, plain]) {
      const parameters = { contender: peers[peer], at, jobs: many, concurrency };
      all[`${peer}; account ${concurrency}`] = ['account', parameters];
    }
  }
  return all;
}

/** Shows that it runs: what is compared, and of each other scenario one. */
function shortMeasurementsOf(store, at) {
  const base = { contender: 'ours', at, jobs: 300 };
  return {
    // Each kind of measurement once: that they can be made is what the short form shows.
    ...(store === 'PostgreSQL'
      ? {
          [`${ours}; bulk`]: ['bulk', base],
          [`${ours}; pickup`]: ['pickup', { ...base, jobs: 20 }],
          [`${ours}; account 100`]: ['account', { ...base, concurrency: 100 }],
        }
      : { [`${plain}; process 100`]: ['process', { ...base, contender: 'bull', concurrency: 100 }] }),
    [`${ours}; process 100`]: ['process', { ...base, concurrency: 100 }],
  };
}

async function measureStore(store, server, at, node) {
  const measurements = short ? shortMeasurementsOf(store, at) : measurementsOf(stores[store], at);
  try {
    return await measure('bullmq-scenarios.mjs', measurements, rounds, undefined, node);
  } finally {
    await server.stop();
  }
}

// First, as it needs the network.
const node = short ? { path: process.execPath, version: process.version } : await findNode(22);
const peersFolder = short ? undefined : await installPeers(versions);
const redis = await startRedis();
const onRedis = await measureStore('Redis', redis, { port: redis.port });
const postgres = await startPostgres(...(process.env.POSTGRES_URL ? [] : ['shared_buffers=128MB']));
const howPostgres = postgres.isOwn
  ? 'with `fsync=off`, so that no disk is waited for, and `shared_buffers=128MB`'
  : 'of POSTGRES_URL';
const atPostgres = { url: postgres.url, pid: postgres.process?.pid, peers: peersFolder };
const onPostgres = await measureStore('PostgreSQL', postgres, atPostgres, node.path);
const measured = { Redis: onRedis, PostgreSQL: onPostgres };

const of = (store, peer, what, figure = 'us') => medianOf(measured[store], `${peer}; ${what}`, figure);
const us = (value) => `${value < 100 ? value.toFixed(1) : value.toFixed(0)} us`;
const ms = (value) => `${value.toFixed(2)} ms`;
const ratio = (store, what, figure) => of(store, ours, what, figure) / of(store, plain, what, figure);
const times = (value) => `${value.toFixed(2)}x`;

const rows = [
  ...concurrencies.map((concurrency) => [
    `process, concurrency ${concurrency}`,
    `process ${concurrency}`,
    'us',
    us,
  ]),
  ['a lone job is picked up after', 'pickup', 'ms', ms],
  ['99 % of them within', 'pickup', 'p99', ms],
  ['enqueue, one by one', 'one by one', 'us', us],
  ['enqueue, 100 in flight', '100 in flight', 'us', us],
  ['enqueue, in bulk', 'bulk', 'us', us],
];
const results = (store) => {
  const peers = Object.keys(stores[store].peers);
  return table(
    ['per job', ...peers, `ours / ${plain}`],
    rows.map(([label, what, figure, show]) => {
      const cells = peers.map((peer) => shown(of(store, peer, what, figure), show));
      return [label].concat(cells, shown(ratio(store, what, figure), times));
    }),
  );
};

const driver = { Redis: 'ioredis', PostgreSQL: 'pg' };
/** Parts of a job's time in its process: as the profile calls them, and the report. */
const partsOf = (store) => [
  ['nestjs-worker', 'nestjs-worker'],
  ['BullMQ', 'BullMQ'],
  ['driver', driver[store]],
  ['others', 'other packages'],
  ['Node', "Node's own code"],
  ['native code', 'native code outside of it'],
  ['garbage collection', 'garbage collection'],
  ['bench', 'the measurement itself'],
  ['idle', 'nothing: it waits for the store'],
];
const part = (store, peer, concurrency, name) => {
  const figures = measured[store][`${peer}; account ${concurrency}`];
  return figures === undefined ? NaN : median(figures[`part: ${name}`] ?? [0]);
};
const accounts = (store) => {
  const columns = accounted.flatMap((concurrency) => [
    [ours, concurrency],
    [plain, concurrency],
  ]);
  const row = (label, value, show) => [label, ...columns.map((column) => shown(value(...column), show))];
  const figure = (name) => (peer, concurrency) => of(store, peer, `account ${concurrency}`, name);
  return table(
    ['per job', ...columns.map(([peer, concurrency]) => `${peer}, ${concurrency}`)],
    [
      row('time, profiled', figure('us'), us),
      ...partsOf(store).map(([name, label]) =>
        row(`– ${label}`, (peer, concurrency) => part(store, peer, concurrency, name), us),
      ),
      row('CPU of the process', figure('cpuUs'), us),
      row(`CPU of ${store}`, figure('serverUs'), us),
      row(`sent to ${store}`, figure('sent'), (value) => value.toFixed(2)),
    ],
  );
};

/** Figures of ours at concurrency 100 whose name begins so, the largest first. */
const figuresOf = (store, prefix, peer = ours) =>
  Object.keys(measured[store][`${peer}; account 100`] ?? {})
    .filter((name) => name.startsWith(prefix))
    .map((name) => [name.slice(prefix.length), of(store, peer, 'account 100', name)])
    .toSorted(([, a], [, b]) => b - a);
const signed = (value) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`;
const listed = (figures, show) => figures.map(([name, value]) => `${name} ${show(value)}`).join(', ');

/** What is made of the figures; nothing where they are not there. */
function spentOn(store) {
  const more = of(store, ours, 'account 100') - of(store, plain, 'account 100');
  if (Number.isNaN(more)) return '';
  const differences = partsOf(store)
    .map(([name, label]) => [label, part(store, ours, 100, name) - part(store, plain, 100, name)])
    .filter(([, value]) => Math.abs(value) >= 0.1)
    .toSorted(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  const sent = (peer) =>
    listed(
      figuresOf(store, 'sent: ', peer).filter(([, value]) => value >= 0.01),
      (value) => value.toFixed(2),
    );
  const files = figuresOf(store, 'file: ').slice(0, 8);
  const than = `${Math.abs(more).toFixed(1)} us ${more < 0 ? 'less' : 'more'} than`;
  return `At concurrency 100, with the profiler on, a job of ours takes ${than} one of the Worker's: ${listed(differences, signed)}.
In nestjs-worker itself, most is spent in ${listed(files, (value) => us(value))}.
Sent to ${store} for a job: by ours ${sent(ours)}; by the Worker ${sent(plain)}.`;
}

const targets = Object.keys(stores).flatMap((store) =>
  concurrencies.map((concurrency) => {
    const value = ratio(store, `process ${concurrency}`);
    return [
      `on ${store}, at concurrency ${concurrency}, at most ${most.toFixed(2)}x the time of BullMQ's own Worker`,
      shown(value, times),
      shown(value, (known) => verdict(known <= most)),
    ];
  }),
);

const report = `# What jobs on BullMQ cost

Made by \`npm run bench\`; do not edit. Medians of ${rounds}, each from a process of its own, one after another, on this machine: ${cores}.
Nest ${version('@nestjs/core')}, BullMQ ${version('bullmq')}, ioredis ${version('ioredis')}, pg ${version('pg')}. Handlers are empty async functions; a third as many jobs go before those that are
measured. Where ours and a Worker of BullMQ are compared, BullMQ's \`addBulk()\` has filled the queue for both, so that they run the same
jobs, which are removed when they are completed. Ours is a Nest application with metrics; leases, tokens and context are on,
as they always are. A Worker has its defaults. What is enqueued in bulk goes by the ${(1_000).toLocaleString('en')}.

Ours asks, after it has enqueued jobs, who enqueued them: BullMQ answers the same for a job that was there before, and an id is to
be enqueued once. That is a second call to the store, or a pipeline of them, in all three rows of enqueueing.

At concurrency 1 ours has jobs at hand while they are short: the next one begins while the store is told of the last one. A Worker
waits for that.

## On Redis

Redis ${redis.version} without persistence (\`save ""\`, \`appendonly no\`), Node ${process.version}.

${results('Redis')}

## On PostgreSQL

PostgreSQL ${postgres.version} ${howPostgres}; \`synchronous_commit\` as it is by default, the same for
all; its tables are vacuumed and analyzed once the queue is filled. Node ${node.version} for all, since pg-boss and graphile-worker need 22. A pool
has 10 connections, if nothing else is said.

- pg-boss ${versions['pg-boss']} asks for jobs at intervals of half a second or more (\`pollingIntervalSeconds\`, 0.5 here): by itself, a worker that takes one
  job at a time runs two a second. Here it gets batches of 100, one after another while they are full (\`batchSize\`,
  \`burstWhenBatchFull\`), which its handler goes through 1, 10 or 100 at a time, and a lone job is told of (\`useListenNotify\`, and \`notify\` of the
  queue) in place of being polled for. A batch is completed as one, and a job that fails fails its batch. Completed jobs are not
  removed, but kept for its maintenance to remove.
- graphile-worker ${versions['graphile-worker']} has the settings of its own measurements: \`localQueue: { size: 500 }\`, \`completeJobBatchDelay: 0\` and \`failJobBatchDelay: 0\`,
  and \`maxPoolSize\` as it advises, 2 above \`concurrentJobs\` and 10 at least. Completed jobs are removed.

${results('PostgreSQL')}

## What the rest is spent on

By V8's profiler, in runs of their own: time of the main thread, of which "nothing" is what the store, the kernel or others had. The
number is the concurrency.

${accounts('Redis')}

${spentOn('Redis')}

${accounts('PostgreSQL')}

${spentOn('PostgreSQL')}

## Targets

${table(['target', 'measured', ''], targets)}
`;
publish('bullmq', report, measured, short || fewer !== undefined);
