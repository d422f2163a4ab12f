// Who is measured by bullmq-scenarios.mjs: each answers how to add jobs, how many are left, and how to close it.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import * as bullmq from 'bullmq';
import { getJobQueueToken, JobHandler, JobsModule } from 'nestjs-worker';
import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { WorkerMetricsModule } from 'nestjs-worker/prometheus';
import { RedisJobBackend } from 'nestjs-worker/redis';
import { Pool } from 'pg';
import { importPeer } from './peers.mjs';

const nothing = () => {};
const silent = {
  debug: nothing,
  log: nothing,
  warn: nothing,
  error: nothing,
  isEnabled: () => false,
  child: () => silent,
};
const payload = { to: 'someone@example.com', template: 'welcome', locale: 'en' };
const name = 'bench';
/** Jobs in one call, for all: as many as ours sends BullMQ. */
const batch = 1_000;
const fail = (error) => {
  console.error(error);
  process.exit(1);
};

async function inBatches(count, add) {
  for (let done = 0; done < count; done += batch) await add(Math.min(batch, count - done));
}

/** Our queue in a Nest application with metrics; leases, tokens and context are always on. */
async function ours(backend, { concurrency, handle }) {
  const imports = [
    PrometheusModule.register({ global: true, defaultMetrics: { enabled: false } }),
    WorkerMetricsModule,
    JobsModule.forRoot({ backend, logger: silent }),
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

/** As BullMQ connects: to Redis, or, with one argument more, to PostgreSQL. */
const bullAt = ({ port, url }) =>
  url === undefined
    ? [{ host: '127.0.0.1', port, maxRetriesPerRequest: null }]
    : [{ connectionString: url, migrate: true }, bullmq.createPostgresBackend];

export const contenders = {
  ours: (at, options) => {
    const store = at.url === undefined ? { redis: `redis://127.0.0.1:${at.port}` } : { postgres: at.url };
    return ours(new BullMqJobBackend(store), options);
  },

  oursOnRedis: ({ port }, options) =>
    ours(new RedisJobBackend({ url: `redis://127.0.0.1:${port}`, namespace: '{bench}' }), options),

  async bull(at, { concurrency, handle }) {
    const [connection, ...factory] = bullAt(at);
    const defaultJobOptions = { removeOnComplete: true };
    const queue = new bullmq.Queue(name, { connection, defaultJobOptions }, ...factory);
    await queue.waitUntilReady();
    const run = async (job) => handle(job);
    const worker = handle && new bullmq.Worker(name, run, { connection, concurrency }, ...factory);
    worker?.on('error', fail);
    return {
      add: () => queue.add('job', payload),
      addMany: (count) =>
        inBatches(count, (size) =>
          queue.addBulk(Array.from({ length: size }, () => ({ name: 'job', data: payload }))),
        ),
      left: async () => {
        const { waiting, active, delayed } = await queue.getJobCounts('waiting', 'active', 'delayed');
        return waiting + active + delayed;
      },
      close: async () => {
        await worker?.close();
        await queue.close();
      },
    };
  },

  /** Batches of 100, one after another without a pause while they are full; new jobs are told of by `notify`. */
  async boss({ url, peers }, { concurrency, handle }) {
    const { PgBoss } = await importPeer(peers, 'pg-boss');
    const boss = new PgBoss({ connectionString: url, useListenNotify: true });
    boss.on('error', fail);
    await boss.start();
    await boss.createQueue(name, { notify: true });
    const one = async (job) => handle(job);
    const options = { batchSize: 100, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 };
    if (handle !== undefined) {
      await boss.work(name, options, async (jobs) => {
        for (let from = 0; from < jobs.length; from += concurrency) {
          await Promise.all(jobs.slice(from, from + concurrency).map(one));
        }
      });
    }
    const pool = new Pool({ connectionString: url, max: 1 });
    const count = `select count(*) from pgboss.job where name = '${name}' and state in ('created', 'retry', 'active')`;
    return {
      add: () => boss.send(name, payload),
      addMany: (jobs) =>
        inBatches(jobs, (size) =>
          boss.insert(
            name,
            Array.from({ length: size }, () => ({ data: payload })),
          ),
        ),
      left: async () => Number((await pool.query(count)).rows[0].count),
      close: async () => {
        await boss.stop({ graceful: false });
        await pool.end();
      },
    };
  },

  /** With the settings of its own measurements: jobs are fetched by the 500, and completed by as many as there are. */
  async graphile({ url, peers }, { concurrency = 1, handle }) {
    const { Logger, makeWorkerUtils, run, WorkerPreset } = await importPeer(peers, 'graphile-worker');
    const worker = {
      connectionString: url,
      concurrentJobs: concurrency,
      maxPoolSize: Math.max(10, concurrency + 2),
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
      logger: new Logger(() => nothing),
    };
    const preset = { extends: [WorkerPreset], worker };
    const utils = await makeWorkerUtils({ preset });
    await utils.migrate();
    const taskList = { [name]: async (data) => handle(data) };
    const runner = handle && (await run({ preset, taskList, noHandleSignals: true }));
    const count = 'select count(*) from graphile_worker.jobs';
    return {
      add: () => utils.addJob(name, payload),
      addMany: (jobs) =>
        inBatches(jobs, (size) =>
          utils.addJobs(Array.from({ length: size }, () => ({ identifier: name, payload }))),
        ),
      left: async () => Number((await utils.withPgClient((client) => client.query(count))).rows[0].count),
      close: async () => {
        await runner?.stop();
        await utils.release();
      },
    };
  },
};
