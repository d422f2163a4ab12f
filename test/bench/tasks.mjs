// What tasks cost: results/tasks.md and .json.
import { machine, measure, median, publish, table, verdict, version } from './measure.mjs';

const short = process.argv.includes('--short');
/** `--rounds=3`: where there is less time. */
const asked = process.argv.find((argument) => argument.startsWith('--rounds='))?.slice(9);
const rounds = short ? 1 : Number(asked ?? 5);
const sizes = short ? [1_000] : [1_000, 100_000, 1_000_000];
const [least, , most = least] = sizes;
/** `--concurrency=10`: that one only. The unlimited one takes most of the half hour of a full run. */
const only = process.argv.find((argument) => argument.startsWith('--concurrency='))?.slice(14);
const concurrencies = short ? [10] : only === undefined ? [1, 10, null] : [Number(only)];
const flat = short ? 300_000 : 10_000_000;

/** So many tasks warm each up, and as many are measured at least; 200,000 if nothing is said. */
const enough = short ? { warm: 40_000, atLeast: 40_000 } : {};

/** Name in the tables, and what is measured. */
const contenders = {
  'ours, bare': { contender: 'ours' },
  'ours, metrics and context': { contender: 'ours', metrics: true },
  "ours, metrics and context, the submitter's context carried": {
    contender: 'ours',
    metrics: true,
    carry: true,
  },
  'fastq.promise': { contender: 'fastq' },
  'fastq.promise, async context in use': { contender: 'fastq', tracked: true },
  'p-queue': { contender: 'pQueue' },
  'p-queue, async context in use': { contender: 'pQueue', tracked: true },
  // It looks through all that run as each of them ends: minutes for a million at once.
  'async.queue': { contender: 'async', mostUnbounded: 100_000 },
  'better-queue': { contender: 'betterQueue', atLeast: 20_000, warm: 20_000, most: 1_000, only: 10 },
};
/** The same where each task is waited for by a promise of its own. */
const awaited = {
  'ours, metrics and context': { contender: 'ours', metrics: true, awaited: true },
  'fastq.promise': { contender: 'fastq', awaited: true },
  'fastq.promise, async context in use': { contender: 'fastq', awaited: true, tracked: true },
  'p-queue, async context in use': { contender: 'pQueue', awaited: true, tracked: true },
};
const shown = (concurrency) => (concurrency === null ? 'unbounded' : String(concurrency));
const key = (name, tasks, concurrency) => `${name}; ${tasks}; ${shown(concurrency)}`;

/** The short form shows that it runs, beside those that it has targets for. */
if (short) for (const peer of ['async.queue', 'better-queue']) delete contenders[peer];

const measurements = {};
for (const tasks of sizes) {
  for (const concurrency of concurrencies) {
    for (const [name, { most: limit, mostUnbounded, only: just, ...parameters }] of Object.entries(
      contenders,
    )) {
      const largest = limit ?? (concurrency === null ? mostUnbounded : undefined) ?? Infinity;
      if (tasks <= largest && concurrency === (just === undefined ? concurrency : just))
        measurements[key(name, tasks, concurrency)] = [
          'settle',
          { ...enough, ...parameters, tasks, concurrency },
        ];
    }
  }
  for (const [name, parameters] of Object.entries(awaited)) {
    measurements[key(`${name}, awaited`, tasks, 10)] = [
      'settle',
      { ...enough, ...parameters, tasks, concurrency: 10 },
    ];
  }
}
const beside = { ...enough, contender: 'ours', metrics: true, tasks: 1_000, concurrency: 10 };
Object.assign(measurements, {
  'beside none': ['settle', { ...beside, delayed: 1 }],
  'beside 10000 delayed': ['settle', { ...beside, delayed: 10_000 }],
  'three marks': ['settle', { ...beside, marks: 3 }],
  'carried, three marks': ['settle', { ...beside, marks: 3, carry: true }],
  'heap, submit': ['heap', { tasks: 100_000 }],
  'heap, submit, carried': ['heap', { tasks: 100_000, carry: true }],
  'heap, enqueue': ['heap', { tasks: 100_000, handle: true }],
  'heap, enqueue, carried': ['heap', { tasks: 100_000, handle: true, carry: true }],
  slope: ['slope', { tasks: flat }],
});

const measured = await measure('tasks-scenarios.mjs', measurements, rounds, (name) => name === 'slope');
const ns = (name, tasks, concurrency) => median(measured[key(name, tasks, concurrency)].ns);
const timed = (name) => median(measured[name].ns);
const bytes = (name) => median(measured[name].bytes);

const full = 'ours, metrics and context';
const count = (number) => number.toLocaleString('en');
const cell = (name, tasks, concurrency) => {
  const values = measured[key(name, tasks, concurrency)]?.ns;
  if (values === undefined) return '';
  return `${median(values).toFixed(0)} ns (${(median(values) / ns(full, tasks, concurrency)).toFixed(2)})`;
};
const columns = sizes.flatMap((tasks) => concurrencies.map((concurrency) => ({ tasks, concurrency })));
const ratios = (peer, names = columns) =>
  names.map(({ tasks, concurrency }) => ns(full, tasks, concurrency) / ns(peer, tasks, concurrency));
const range = (values) => `${Math.min(...values).toFixed(2)}x to ${Math.max(...values).toFixed(2)}x`;
const target = (label, values, bound) => [
  label,
  range(values),
  verdict(values.every((value) => value <= bound)),
];
const at = (tasks) => columns.filter((column) => column.tasks === tasks);
const awaitedRatios = (peer) =>
  sizes.map((tasks) => ns(`${full}, awaited`, tasks, 10) / ns(`${peer}, awaited`, tasks, 10));
const growth = concurrencies.map((concurrency) => ns(full, most, concurrency) / ns(full, least, concurrency));
const heaps = ['heap, submit', 'heap, submit, carried', 'heap, enqueue', 'heap, enqueue, carried'].map(bytes);

const report = `# What tasks cost

Made by \`npm run bench\`; do not edit. Medians of ${rounds}, each from a process of its own, one after another. Wall time from the
first task given to the last one settled, per task, once warm. ${machine}, Nest ${version('@nestjs/core')}, fastq ${version('fastq')},
p-queue ${version('p-queue')}, async ${version('async')}, better-queue ${version('better-queue')}.

Tasks are empty async functions, so that only the queue is measured. "Metrics and context" is a queue of a Nest application
with \`WorkerMetricsModule\`: counters, gauges, three histograms, \`currentContext()\` inside of the task. "Async context in use" is the
peer in a process where one AsyncLocalStorage is in use, as in an application with request ids, tracing or a request's logger: on
Node 20 every promise costs more from then on, and ours always runs so.

## Fire and forget

\`submit()\` and \`onIdle()\`; \`push()\` or \`add()\` and its \`drained()\` or \`onIdle()\`. Queued at once, then concurrency; in brackets the
time as a multiple of "${full}". An empty cell would take minutes.

${table(
  ['', ...columns.map(({ tasks, concurrency }) => `${count(tasks)}; ${shown(concurrency)}`)],
  Object.keys(contenders).map((name) =>
    [name].concat(columns.map(({ tasks, concurrency }) => cell(name, tasks, concurrency))),
  ),
)}

## Awaited

Each task's promise is asked for and all are awaited; concurrency 10.

${table(
  ['', ...sizes.map(count)],
  Object.keys(awaited).map((name) =>
    [name].concat(sizes.map((tasks) => `${ns(`${name}, awaited`, tasks, 10).toFixed(0)} ns`)),
  ),
)}

## Beside a backlog, with marks, and in memory

${table(
  ['', 'with metrics and context, 1,000 queued, concurrency 10'],
  [
    ['a task', `${timed('beside none').toFixed(0)} ns`],
    ['a task while 10,000 delayed ones wait', `${timed('beside 10000 delayed').toFixed(0)} ns`],
    ['a task with three marks', `${timed('three marks').toFixed(0)} ns`],
    ['a task with three marks, the context carried', `${timed('carried, three marks').toFixed(0)} ns`],
  ],
)}

${table(
  ['a task that waits takes', 'of the heap'],
  [
    ['`submit()`', `${bytes('heap, submit').toFixed(0)} B`],
    ["`submit()`, the submitter's context carried", `${bytes('heap, submit, carried').toFixed(0)} B`],
    ['`enqueue()`, its `Task` kept', `${bytes('heap, enqueue').toFixed(0)} B`],
    ['`enqueue()`, its `Task` kept, the context carried', `${bytes('heap, enqueue, carried').toFixed(0)} B`],
  ],
)}

## Targets

${table(
  ['target', 'measured', ''],
  [
    ...sizes.map((tasks) =>
      target(
        `at most 0.9x the time of fastq.promise, ${count(tasks)} queued`,
        ratios('fastq.promise', at(tasks)),
        0.9,
      ),
    ),
    ...sizes.map((tasks) =>
      target(
        `the same, async context in use, ${count(tasks)} queued`,
        ratios('fastq.promise, async context in use', at(tasks)),
        0.9,
      ),
    ),
    target('the same, awaited', awaitedRatios('fastq.promise'), 0.9),
    target(
      'the same, awaited, async context in use',
      awaitedRatios('fastq.promise, async context in use'),
      0.9,
    ),
    target('at most 0.5x the time of p-queue', ratios('p-queue'), 0.5),
    target('the same, async context in use', ratios('p-queue, async context in use'), 0.5),
    ...(most > least
      ? [target(`a task of ${count(most)} queued costs at most 1.3x one of ${count(least)}`, growth, 1.3)]
      : []),
    [
      'peak heap per queued task at most 400 B',
      `${Math.max(...heaps).toFixed(0)} B at most`,
      verdict(heaps.every((value) => value <= 400)),
    ],
    [
      'under dowork (2.3 us a task) with everything on, three marks included',
      `${(timed('carried, three marks') / 1_000).toFixed(2)} us`,
      verdict(timed('carried, three marks') < 2_300),
    ],
    target(
      'no more beside 10,000 delayed tasks (dowork: 220 us)',
      [timed('beside 10000 delayed') / timed('beside none')],
      1.15,
    ),
    [
      `flat heap over ${count(flat)} tasks`,
      `${bytes('slope').toFixed(3)} B a task`,
      verdict(Math.abs(bytes('slope')) < 0.1),
    ],
  ],
)}
`;
publish('tasks', report, measured, short);
