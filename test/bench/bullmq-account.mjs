// Where the time of a job goes: in its process by V8's profiler, in the store by the CPU that it spends; and what is sent
// to the store for it.
import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { Redis } from 'ioredis';
import { Client } from 'pg';

const parts = [
  ['bench', /\/test\/bench\//],
  ['BullMQ', /\/node_modules\/(?:bullmq|msgpackr)\//],
  [
    'driver',
    /\/node_modules\/(?:@?ioredis|redis-[a-z]+|denque|cluster-key-slot|standard-as-callback|pg|pg-[a-z-]+|postgres-[a-z]+)\//,
  ],
  ['others', /\/node_modules\//],
  ['Node', /^node:/],
  ['nestjs-worker', /./],
];
const special = {
  '(garbage collector)': 'garbage collection',
  '(program)': 'native code',
  '(idle)': 'idle',
};

/** Profiles this process until `end()`, which answers microseconds per job of each part. */
export function profiled() {
  const session = new Session();
  session.connect();
  const started = session
    .post('Profiler.enable')
    .then(() => session.post('Profiler.setSamplingInterval', { interval: 250 }))
    .then(() => session.post('Profiler.start'));
  const from = performance.now();
  const cpu = process.cpuUsage();
  return {
    async end(jobs) {
      const us = ((performance.now() - from) * 1_000) / jobs;
      const { user, system } = process.cpuUsage(cpu);
      await started;
      const { profile } = await session.post('Profiler.stop');
      session.disconnect();
      return { us, cpuUs: (user + system) / jobs, ...partsOf(profile, jobs) };
    },
  };
}

function partsOf({ nodes, samples, timeDeltas }, jobs) {
  const parents = new Map();
  for (const node of nodes) for (const child of node.children ?? []) parents.set(child, node);
  const partOf = (node) => {
    const { functionName, url } = node.callFrame;
    if (url === '' && special[functionName] !== undefined) return { part: special[functionName] };
    // What V8 has built in counts as of who called it.
    if (url === '') return parents.has(node.id) ? partOf(parents.get(node.id)) : { part: 'native code' };
    const [part] = parts.find(([, pattern]) => pattern.test(url));
    return { part, file: part === 'nestjs-worker' ? url.replace(/.*\/dist\/(?:esm|cjs)\//, '') : undefined };
  };
  const kinds = new Map(nodes.map((node) => [node.id, partOf(node)]));
  const figures = {};
  const add = (key, us) => (figures[key] = (figures[key] ?? 0) + us / jobs);
  samples.forEach((id, index) => {
    const { part, file } = kinds.get(id);
    add(`part: ${part}`, timeDeltas[index]);
    if (file !== undefined) add(`file: ${file}`, timeDeltas[index]);
  });
  return figures;
}

/** Counts what the drivers send, by name, between `start()` and `end()`. */
export function countSent() {
  let counts;
  const names = new Map();
  const count = (what, nameIt) => {
    if (counts === undefined) return;
    if (!names.has(what)) names.set(what, nameIt());
    const name = names.get(what);
    counts[name] = (counts[name] ?? 0) + 1;
  };
  before(Redis.prototype, 'sendCommand', (redis, { name, args }) => {
    if (name === 'evalsha') count(args[0], () => scriptOf(redis, args[0]));
    else count(name, () => name);
  });
  before(Client.prototype, 'query', (client, statement) => {
    const text = typeof statement === 'string' ? statement : statement.text;
    count(text, () => nameOf(text));
  });
  return {
    start: () => (counts = {}),
    end(jobs) {
      const counted = Object.entries(counts).map(([what, times]) => [`sent: ${what}`, times / jobs]);
      counts = undefined;
      const all = counted.reduce((sum, [, times]) => sum + times, 0);
      return { sent: all, ...Object.fromEntries(counted) };
    },
  };
}

/** `look` sees what a method is called with. */
function before(prototype, method, look) {
  const original = prototype[method];
  prototype[method] = function (...args) {
    look(this, ...args);
    return original.apply(this, args);
  };
}

/** A script is known to ioredis by its name, and to Redis by its hash. */
function scriptOf({ scriptsSet }, hash) {
  const [script = 'evalsha'] = Object.entries(scriptsSet).find(([, { sha }]) => sha === hash) ?? [];
  return script.replace(/:\d.*/, '').replace(/^nestjsWorker:/, '');
}

/** The function or the table that a statement is about. */
function nameOf(statement) {
  const text = statement.replaceAll(/^\s*--.*$/gm, '').trim();
  const [called] =
    /\b(?:add|move|get|extend|remove|retry|next|has|is|update|promote|publish)_\w+(?=\()/.exec(text) ?? [];
  return called ?? text.split(/\s+/).slice(0, 4).join(' ').toLowerCase();
}

/** CPU that the store spends. Of PostgreSQL's processes, on Linux, where it is ours: of those for connections that have ended. */
export async function serverTime(at) {
  const usedUs = at.url === undefined ? redisUs : postgresUs;
  const before = await usedUs(at);
  return { end: async (jobs) => ((await usedUs(at)) - before) / jobs };
}

async function redisUs({ port }) {
  const redis = new Redis({ host: '127.0.0.1', port });
  const info = await redis.info('cpu');
  redis.disconnect();
  const of = (what) => Number(new RegExp(`used_cpu_${what}:([\\d.]+)`).exec(info)[1]);
  return (of('user') + of('sys')) * 1e6;
}

async function postgresUs({ url, pid }) {
  if (pid === undefined || process.platform !== 'linux') return NaN;
  const client = new Client(url);
  await client.connect();
  const others = `select count(*) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`;
  while (Number((await client.query(others)).rows[0].count) > 0) await new Promise(setImmediate);
  await client.end();
  // A name in brackets; of what comes after it, the two that count ended children are the 14th and 15th. 100 ticks a second.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /s, '').split(' ');
  return (Number(fields[13]) + Number(fields[14])) * 10_000;
}
