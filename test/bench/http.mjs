// What it costs an app to be looked at: results/http.md and .json.
import { machine, measure, median, publish, table, version } from './measure.mjs';
import { startRedis } from './redis-server.mjs';

const short = process.argv.includes('--short');
const asked = process.argv.find((argument) => argument.startsWith('--rounds='))?.slice(9);
const rounds = short ? 1 : Number(asked ?? 3);
const seconds = short ? 1 : 10;
const warmUp = short ? 0.5 : 2;
const jobsPerSecond = 10_000;

const redis = await startRedis();
const readings = {
  'nobody looks': { streams: 0, questions: 0 },
  '200 streams': { streams: 200, questions: 0 },
  '200 streams, 200 scaling/s': { streams: 200, questions: 200 },
};
const measurements = {};
for (const backend of ['memory', 'redis']) {
  for (const platform of short ? ['express'] : ['express', 'fastify']) {
    for (const [what, reading] of Object.entries(readings)) {
      // The short form shows that all of it runs together.
      if (short && reading.questions === 0) continue;
      const parameters = { platform, backend, port: redis.port, jobsPerSecond, warmUp, seconds, ...reading };
      measurements[`${backend}, ${platform}; ${what}`] = ['load', parameters];
    }
  }
}

let measured;
try {
  measured = await measure('http-scenarios.mjs', measurements, rounds);
} finally {
  await redis.stop();
}
const ms = (value) => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
const of = (name, figure) => median(measured[name][figure]);
const row = (name) => [
  name.replace(';', ','),
  Math.round(of(name, 'jobsPerSecond')),
  ms(of(name, 'lagP50')),
  ms(of(name, 'lagP99')),
  ms(of(name, 'lagMax')),
  `${Math.round(of(name, 'cpu') * 100)} %`,
  of(name, 'eventsPerReader') === 0 ? '' : (of(name, 'eventsPerReader') / seconds).toFixed(1),
  of(name, 'answers') === 0 ? '' : `${ms(of(name, 'answerP50'))} / ${ms(of(name, 'answerP99'))}`,
  Math.max(...measured[name].failed),
];

const report = `# What it costs to be looked at

Made by \`npm run bench\`; do not edit. Medians of ${rounds}, each from a process of its own, over ${seconds} s after ${warmUp} s of warming up. ${machine}, Nest
${version('@nestjs/core')}, Redis ${redis.version}. ${jobsPerSecond} jobs a second are enqueued and run in one process (empty handlers, 100 at a time), beside 100
workers, ten of which fail and restart twice a second, and 20 job queues; a second process, on the other core, reads the dashboard's
stream 200 times at once and asks 200 times a second how many consumers one queue needs. The lag is that of the app's event loop,
measured every millisecond, which is its least value.

${table(
  [
    '',
    'jobs/s',
    'lag p50',
    'lag p99',
    'lag max',
    'CPU of one core',
    'events/s per stream',
    'scaling p50 / p99',
    'failed',
  ],
  Object.keys(measurements).map(row),
)}
`;
publish('http', report, measured, short);
