// What supervision costs: results/supervision.md and .json.
import { machine, measure, medianOf, publish, shown, table, verdict, version } from './measure.mjs';

const short = process.argv.includes('--short');
const rounds = short ? 1 : 5;
const attempts = short ? 8_000 : 200_000;
const restarts = short ? 50_000 : 1_000_000;

/** Name of a measurement, its scenario, and the scenario's parameters. */
const all = ['metrics', 'health', 'tracing', 'logging'];
const big = short ? 2_000 : 10_000;
const measurements = {
  'bare loop': ['bareLoop', { attempts }],
  attempt: ['attempts', { attempts }],
  'attempt, metrics': ['attempts', { attempts, on: ['metrics'] }],
  'attempt, health': ['attempts', { attempts, on: ['health'] }],
  'attempt, tracing': ['attempts', { attempts, on: ['tracing'] }],
  'attempt, logging': ['attempts', { attempts: attempts / 4, on: ['logging'] }],
  'attempt, all': ['attempts', { attempts: attempts / 4, on: all }],
  restart: ['attempts', { attempts, fails: true }],
  'restart, metrics': ['attempts', { attempts, fails: true, on: ['metrics'] }],
  'start 10': ['startPool', { workers: 10 }],
  'start 1000': ['startPool', { workers: 1_000 }],
  'start 10000': ['startPool', { workers: 10_000 }],
  'start 10000, signal': ['startPool', { workers: 10_000, kind: 'signal' }],
  'boot 10': ['bootNest', { workers: 10 }],
  'boot 1000': ['bootNest', { workers: 1_000 }],
  'boot 10000': ['bootNest', { workers: big }],
  ...Object.fromEntries(
    [...all.map((name) => [name]), all].map((on) => [
      `boot 1000, ${on.length > 1 ? 'all' : on[0]}`,
      ['bootNest', { workers: 1_000, on }],
    ]),
  ),
  slope: ['attempts', { attempts: restarts, fails: true }],
  'slope, metrics': ['attempts', { attempts: restarts, fails: true, on: ['metrics'] }],
  'slope, all': ['attempts', { attempts: restarts / 10, fails: true, on: all }],
};
/** The short form shows that all runs together: by itself, each integration is left to the long one. */
const leftOut = [
  ...all.flatMap((name) => [`attempt, ${name}`, `boot 1000, ${name}`]),
  'restart, metrics',
  'start 10',
  'boot 10',
  'slope',
  'slope, all',
].filter((name) => name !== 'attempt, metrics');
if (short) for (const name of leftOut) delete measurements[name];
/** Too long to do more than once; a slope is one by itself. */
const once = (name) => name.startsWith('slope');

const measured = await measure('supervision-scenarios.mjs', measurements, rounds, once);
const of = (name, figure) => medianOf(measured, name, figure);
const us = (value) => shown(value, () => `${value.toFixed(2)} us`);
const ms = (value) => shown(value, () => `${value.toFixed(0)} ms`);
const bytes = (value, digits = 0) => shown(value, () => `${value.toFixed(digits)} B`);
const bare = of('bare loop', 'us');
const over = (name) => of(name, 'us') - bare;
const bareAwait = of('bare loop', 'awaitUs');
const attemptRow = (label, name) => [
  label,
  us(of(name, 'us')),
  us(of(name, 'us') - bareAwait),
  us(over(name)),
];
const bootRow = (label, name) => [
  label,
  ms(of(name, 'ms')),
  ms(of(name, 'bareMs')),
  bytes(of(name, 'heapPerWorker')),
];
const growth = of('start 10000', 'usPerWorker') / of('start 1000', 'usPerWorker');
const heapSleep = of('start 10000', 'heapPerWorker');
const heapSignal = of('start 10000, signal', 'heapPerWorker');
const slopes = Object.entries({
  'all off': 'slope',
  'with metrics': 'slope, metrics',
  'with all four, a tenth of them': 'slope, all',
})
  .map(([what, name]) => ({ what, slope: of(name, 'heapPerAttempt') }))
  .filter(({ slope }) => !Number.isNaN(slope));
const withMetrics = of('attempt, metrics', 'us');

const report = `# What supervision costs

Made by \`npm run bench\`; do not edit. Medians of ${rounds}, each from a process of its own. CPU time (user and system), since
the machine is shared; boot is wall time. ${machine}, Nest ${version('@nestjs/core')}.

## One attempt

A worker with \`restart: 'always'\`, \`backoff: 'none'\` and an empty \`run()\`, ${attempts.toLocaleString('en')} attempts in a Nest application. Between
two attempts a restart lets the event loop turn once, so that a worker which fails at once does not starve the process: the
last column takes that turn for granted.

${table(
  ['', 'a cycle', 'over a bare await', 'over a bare await and a turn'],
  [
    ['bare await', us(bareAwait), '', ''],
    ['bare await and a turn of the event loop', us(bare), us(bare - bareAwait), ''],
    attemptRow('supervised attempt, all integrations off', 'attempt'),
    attemptRow('with metrics', 'attempt, metrics'),
    attemptRow('with health', 'attempt, health'),
    attemptRow('with tracing (SDK, spans thrown away)', 'attempt, tracing'),
    attemptRow('with logging (nestjs-pino, three lines an attempt, to /dev/null)', 'attempt, logging'),
    attemptRow('with all four', 'attempt, all'),
    attemptRow('failed attempt and restart, all off', 'restart'),
    attemptRow('failed attempt and restart, with metrics', 'restart, metrics'),
  ],
)}

## Many workers

Idle workers, each in \`ctx.sleep()\`.

${table(
  ['workers', 'register and start, per worker'],
  [
    ['10', us(of('start 10', 'usPerWorker'))],
    ['1,000', us(of('start 1000', 'usPerWorker'))],
    ['10,000', us(of('start 10000', 'usPerWorker'))],
  ],
)}

${table(
  [
    'a Nest application with so many workers',
    'boot and start',
    'the same without WorkerModule',
    'heap per worker, what Nest keeps of each class included',
  ],
  [
    bootRow('10', 'boot 10'),
    bootRow('1,000', 'boot 1000'),
    bootRow(big.toLocaleString('en'), 'boot 10000'),
    ...[...all, 'all'].map((name) => bootRow(`1,000, with ${name}`, `boot 1000, ${name}`)),
  ],
)}

## Targets

${table(
  ['target', 'measured', ''],
  [
    [
      'one supervised attempt with metrics at most 3 us over the bare await, the turn of a restart not counted',
      us(withMetrics - bare),
      verdict(withMetrics - bare <= 3),
    ],
    ['the same with the turn counted', us(withMetrics - bareAwait), verdict(withMetrics - bareAwait <= 3)],
    [
      'start of 10,000 workers at most 1.3x per worker of that of 1,000',
      `${growth.toFixed(2)}x`,
      verdict(growth <= 1.3),
    ],
    [
      'heap per idle worker at most 4 KiB, in ctx.sleep()',
      `${heapSleep.toFixed(0)} B`,
      verdict(heapSleep <= 4096),
    ],
    [
      'heap per idle worker at most 4 KiB, waiting for ctx.signal',
      `${heapSignal.toFixed(0)} B`,
      verdict(heapSignal <= 4096),
    ],
    [
      `heap grows by less than 1 B a restart, over ${restarts.toLocaleString('en')} restarts`,
      slopes.map(({ what, slope }) => `${bytes(slope, 3)} a restart, ${what}`).join('; '),
      verdict(slopes.every(({ slope }) => slope < 1)),
    ],
  ],
)}
`;
publish('supervision', report, measured, short);
