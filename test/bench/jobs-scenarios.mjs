// Each scenario runs in a process of its own and answers numbers: see jobs.mjs for what they mean.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import BeeQueue from 'bee-queue';
import * as bullmq from 'bullmq';
import * as groupmq from 'groupmq';
import { Redis } from 'ioredis';
import { getJobQueueToken, JobHandler, JobsModule } from 'nestjs-worker';
import { WorkerMetricsModule } from 'nestjs-worker/prometheus';
import { RedisJobBackend } from 'nestjs-worker/redis';

const silent = {
  debug() {},
  log() {},
  warn() {},
  error() {},
  isEnabled: () => false,
  child: () => silent,
};
const payload = { to: 'someone@example.com', template: 'welcome', locale: 'en' };
const name = 'bench';
const turn = () => new Promise(setImmediate);
/** So many come before those that are measured: code that has just been loaded is slow, ours or not. */
const warmUp = (jobs) => Math.ceil(jobs / 3);

/** Settles once `count` jobs have been told of. */
class Arrivals {
  #wanted = Infinity;
  #seen = 0;
  #resolve = () => {};
  firstAt = 0;

  add() {
    if (this.#seen++ === 0) this.firstAt = performance.now();
    if (this.#seen >= this.#wanted) this.#resolve();
  }

  until(count) {
    this.#wanted = count;
    return new Promise((resolve) => {
      this.#resolve = resolve;
      if (this.#seen >= count) resolve();
    });
  }
}

/** Our queue in a Nest application with metrics; leases, tokens and context are always on. */
async function ours({ port, concurrency, handle }) {
  const imports = [
    PrometheusModule.register({ global: true, defaultMetrics: { enabled: false } }),
    WorkerMetricsModule,
    JobsModule.forRoot({
      backend: new RedisJobBackend({ url: `redis://127.0.0.1:${port}`, namespace: '{bench}' }),
      logger: silent,
    }),
    JobsModule.registerQueue({ name }),
  ];
  const providers = [];
  if (handle !== undefined) {
    class Handler {
      async handle(job) {
        handle(job);
      }
    }
    JobHandler(name, { concurrency })(Handler);
    providers.push(Handler);
  }
  class App {}
  Module({ imports, providers })(App);
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  const queue = app.get(getJobQueueToken(name));
  return {
    add: () => queue.enqueue(payload),
    addMany: (count) => queue.enqueueMany(Array.from({ length: count }, () => payload)),
    left: async () => {
      const { ready, scheduled, active } = await queue.counts();
      return ready + scheduled + active;
    },
    close: () => app.close(),
  };
}

async function bull({ port, concurrency, handle }) {
  const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
  const options = { removeOnComplete: true };
  const queue = new bullmq.Queue(name, { connection, defaultJobOptions: options });
  await queue.waitUntilReady();
  const worker =
    handle && new bullmq.Worker(name, async (job) => handle(job), { connection, concurrency, autorun: true });
  return {
    add: () => queue.add('job', payload),
    addMany: async (count) => {
      for (let done = 0; done < count; done += 500) {
        const size = Math.min(500, count - done);
        await queue.addBulk(Array.from({ length: size }, () => ({ name: 'job', data: payload })));
      }
    },
    left: async () => {
      const { waiting, active, delayed } = await queue.getJobCounts('waiting', 'active', 'delayed');
      return waiting + active + delayed;
    },
    close: async () => {
      await worker?.close();
      await queue.close();
    },
  };
}

async function bee({ port, concurrency, handle }) {
  const queue = new BeeQueue(name, {
    redis: { host: '127.0.0.1', port },
    isWorker: handle !== undefined,
    getEvents: false,
    sendEvents: false,
    storeJobs: false,
    removeOnSuccess: true,
  });
  await queue.ready();
  if (handle !== undefined) queue.process(concurrency, async (job) => handle(job));
  return {
    add: () => queue.createJob(payload).save(),
    addMany: async (count) => {
      for (let done = 0; done < count; done += 500) {
        const size = Math.min(500, count - done);
        const errors = await queue.saveAll(Array.from({ length: size }, () => queue.createJob(payload)));
        if (errors.size > 0) throw new Error('bee-queue refused jobs');
      }
    },
    left: async () => {
      const { waiting, active, delayed } = await queue.checkHealth();
      return waiting + active + delayed;
    },
    close: () => queue.close(),
  };
}

/** Its jobs run one after the other within a group; a group of its own for each lets them run at once. */
async function group({ port, concurrency, handle }) {
  const redis = new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: null });
  const queue = new groupmq.Queue({ redis, namespace: name, keepCompleted: 0 });
  const worker = handle && new groupmq.Worker({ queue, concurrency, handler: async (job) => handle(job) });
  void worker?.run();
  let next = 0;
  const add = () => queue.add({ groupId: `group-${next++}`, data: payload });
  return {
    add,
    addMany: async (count) => {
      for (let done = 0; done < count; done += 500) {
        await Promise.all(Array.from({ length: Math.min(500, count - done) }, add));
      }
    },
    left: async () => {
      const { waiting, active, delayed } = await queue.getJobCounts();
      return waiting + active + delayed;
    },
    close: async () => {
      await worker?.close();
      await queue.close?.();
      redis.disconnect();
    },
  };
}

const contenders = { ours, bull, bee, group };

const scenarios = {
  /** Microseconds per job, `inFlight` at a time. */
  async enqueue({ contender, port, jobs, inFlight }) {
    const queue = await contenders[contender]({ port });
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

  /** Microseconds per job, and bytes of Redis per job. */
  async bulk({ contender, port, jobs }) {
    const redis = new Redis({ host: '127.0.0.1', port });
    const used = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))[1]);
    const queue = await contenders[contender]({ port });
    await queue.addMany(warmUp(jobs));
    const before = await used();
    const from = performance.now();
    await queue.addMany(jobs);
    const us = ((performance.now() - from) / jobs) * 1_000;
    const bytes = ((await used()) - before) / jobs;
    await queue.close();
    redis.disconnect();
    return { us, bytes };
  },

  /** Microseconds per job, from when it is warm to the last of `jobs`, with `backlog` more behind them. */
  async process({ contender, port, jobs, concurrency, backlog = 0 }) {
    const filler = await contenders[contender]({ port });
    const first = warmUp(jobs);
    await filler.addMany(first + jobs + backlog);
    await filler.close();
    const arrivals = new Arrivals();
    const from = { at: 0 };
    let seen = 0;
    const handle = () => {
      if (++seen === first) from.at = performance.now();
      arrivals.add();
    };
    const queue = await contenders[contender]({ port, concurrency, handle });
    await arrivals.until(first + jobs);
    if (backlog === 0) while ((await queue.left()) > 0) await turn();
    const us = ((performance.now() - from.at) / jobs) * 1_000;
    // The rest of a backlog is not waited for.
    if (backlog === 0) await queue.close();
    return { us };
  },

  /** Milliseconds from the enqueueing of a lone job to the begin of its handler: the median, and the 99th percentile. */
  async pickup({ contender, port, jobs }) {
    let arrived = () => {};
    const queue = await contenders[contender]({ port, concurrency: 10, handle: () => arrived() });
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

const [, , scenario, parameters] = process.argv;
const { port } = JSON.parse(parameters);
const redis = new Redis({ host: '127.0.0.1', port });
await redis.flushall();
await redis.quit();
const answer = await scenarios[scenario](JSON.parse(parameters));
process.stdout.write(JSON.stringify(answer), () => process.exit());
