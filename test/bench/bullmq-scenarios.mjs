// Each scenario runs in a process of its own and answers numbers: see bullmq.mjs for what they mean.
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { countSent, profiled, serverTime } from './bullmq-account.mjs';
import { contenders } from './bullmq-contenders.mjs';

const turn = () => new Promise(setImmediate);
/** So many come before those that are measured: code that has just been loaded is slow, ours or not. */
const warmUp = (jobs) => Math.ceil(jobs / 3);
/** Who fills the queue of whom: BullMQ's queue ours too, so that both run the same jobs. */
const fillers = { ours: 'bull' };

/** What PostgreSQL does a minute later at most, it does now: with no luck in it, and for all. */
async function settleDown({ url }) {
  if (url !== undefined) await execute(url, 'vacuum analyze');
}

async function fill(contender, at, jobs) {
  const filler = await contenders[fillers[contender] ?? contender](at, {});
  await filler.addMany(jobs);
  await filler.close();
  await settleDown(at);
}

/** Runs jobs that are there already: `onWarm` is called before the last `jobs` of them, `onLast` when none is left. */
async function run({ contender, at, jobs, concurrency }, onWarm, onLast) {
  const first = warmUp(jobs);
  let seen = 0;
  let end;
  const ended = new Promise((resolve) => (end = resolve));
  const handle = () => {
    if (++seen === first) onWarm();
    if (seen === first + jobs) end();
  };
  const queue = await contenders[contender](at, { concurrency, handle });
  await ended;
  while ((await queue.left()) > 0) await turn();
  await onLast();
  await queue.close();
}

const scenarios = {
  /** Microseconds per job, `inFlight` at a time. */
  async enqueue({ contender, at, jobs, inFlight }) {
    const queue = await contenders[contender](at, {});
    const some = async (count) => {
      let left = count;
      const lane = async () => {
        while (left-- > 0) await queue.add();
      };
      await Promise.all(Array.from({ length: inFlight }, lane));
    };
    await some(warmUp(jobs));
    const from = performance.now();
    await some(jobs);
    const us = ((performance.now() - from) / jobs) * 1_000;
    await queue.close();
    return { us };
  },

  /** Microseconds per job. */
  async bulk({ contender, at, jobs }) {
    const queue = await contenders[contender](at, {});
    await queue.addMany(warmUp(jobs));
    const from = performance.now();
    await queue.addMany(jobs);
    const us = ((performance.now() - from) / jobs) * 1_000;
    await queue.close();
    return { us };
  },

  /** Microseconds per job, from when it is warm to the last of `jobs`. */
  async process(parameters) {
    const { contender, at, jobs } = parameters;
    await fill(contender, at, warmUp(jobs) + jobs);
    let from;
    let us;
    const onWarm = () => (from = performance.now());
    const onLast = () => (us = ((performance.now() - from) / jobs) * 1_000);
    await run(parameters, onWarm, onLast);
    return { us };
  },

  /** Of a job while it is processed: what its process does, what it sends to the store, and how long that works. */
  async account(parameters) {
    const { contender, at, jobs } = parameters;
    const all = warmUp(jobs) + jobs;
    await fill(contender, at, all);
    const server = await serverTime(at);
    const sent = countSent();
    let profiling;
    let figures;
    const onWarm = () => {
      sent.start();
      profiling = profiled();
    };
    const onLast = async () => (figures = { ...(await profiling.end(jobs)), ...sent.end(jobs) });
    await run(parameters, onWarm, onLast);
    const serverUs = await server.end(all);
    return { ...figures, ...(!Number.isNaN(serverUs) && { serverUs }) };
  },

  /** Milliseconds from the enqueueing of a lone job to the begin of its handler: the median, and the 99th percentile. */
  async pickup({ contender, at, jobs }) {
    let arrived = () => {};
    const queue = await contenders[contender](at, { concurrency: 10, handle: () => arrived() });
    await settleDown(at);
    const times = [];
    for (let index = -warmUp(jobs); index < jobs; index++) {
      await new Promise((resolve) => setTimeout(resolve, 5 + (Math.abs(index) % 7)));
      const came = new Promise((resolve) => (arrived = resolve));
      const from = performance.now();
      await Promise.all([queue.add(), came]);
      if (index >= 0) times.push(performance.now() - from);
    }
    times.sort((a, b) => a - b);
    await queue.close();
    return { ms: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] };
  },
};

async function execute(url, statement) {
  const client = new Client(url);
  await client.connect();
  await client.query(statement);
  await client.end();
}

async function clear({ port, url }) {
  if (url !== undefined) {
    return execute(url, 'drop schema if exists bullmq, pgboss, graphile_worker cascade');
  }
  const redis = new Redis({ host: '127.0.0.1', port });
  await redis.flushall();
  await redis.quit();
}

const [, , scenario, given] = process.argv;
const parameters = JSON.parse(given);
await clear(parameters.at);
const answer = await scenarios[scenario](parameters);
process.stdout.write(JSON.stringify(answer), () => process.exit());
