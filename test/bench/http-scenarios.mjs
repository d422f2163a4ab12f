// One measurement in a process of its own: an app under a load of jobs, while a second process reads its dashboard.
// Prints the figures as JSON.
import 'reflect-metadata';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { getJobQueueToken, JobHandler, JobsModule, Worker, WorkerModule } from 'nestjs-worker';
import { WorkerHttpModule } from 'nestjs-worker/http';
import { RedisJobBackend } from 'nestjs-worker/redis';

const queues = 20;
const workers = 100;
/** Of the workers: those that fail and are restarted, twice a second each. */
const restless = 10;

const scenarios = {
  /** `jobsPerSecond` of one queue pass while so many streams are read and so many questions for scaling asked per second. */
  async load({ platform, backend, port, jobsPerSecond, streams, questions, warmUp, seconds }) {
    const app = await boot(platform, backend, port);
    const queue = app.get(getJobQueueToken('q0'), { strict: false });
    const { port: httpPort } = app.getHttpServer().address();
    const readers = await startReaders(`http://127.0.0.1:${httpPort}/work`, streams, questions);
    const counters = { completed: 0 };
    Counting.counters = counters;

    let produced = 0;
    const startedAt = performance.now();
    let warm = performance.now();
    const lag = monitorEventLoopDelay({ resolution: 1 });
    let cpuBefore;
    const warmUpMs = warmUp * 1_000;
    let measuring = false;
    const endAt = startedAt + warmUpMs + seconds * 1_000;
    while (performance.now() < endAt) {
      const now = performance.now();
      if (!measuring && now - startedAt > warmUpMs) {
        measuring = true;
        warm = now;
        counters.completed = 0;
        cpuBefore = process.cpuUsage();
        lag.enable();
        readers.send('measure');
      }
      const due = Math.floor(((now - startedAt) / 1_000) * jobsPerSecond) - produced;
      if (due > 0) {
        produced += due;
        await queue.enqueueMany(Array.from({ length: due }, () => 1));
      }
      await delay(5);
    }
    lag.disable();
    const elapsed = (performance.now() - warm) / 1_000;
    const cpu = process.cpuUsage(cpuBefore);
    const read = once(readers, 'message');
    readers.send('end');
    const [figures] = await read;
    await app.close();
    const ms = (ns) => ns / 1e6;
    return {
      jobsPerSecond: counters.completed / elapsed,
      lagP50: ms(lag.percentile(50)),
      lagP99: ms(lag.percentile(99)),
      lagMax: ms(lag.max),
      cpu: (cpu.user + cpu.system) / 1e6 / elapsed,
      heapMb: process.memoryUsage().heapUsed / 2 ** 20,
      ...figures,
    };
  },
};

class Counting {
  static counters = { completed: 0 };
  handle() {
    Counting.counters.completed++;
    return Promise.resolve();
  }
}
JobHandler('q0', { concurrency: 100 })(Counting);

function workerNamed(name, isRestless) {
  const { [name]: Made } = {
    [name]: class {
      async run(ctx) {
        await ctx.sleep(isRestless ? 400 : Infinity);
        throw new Error('again');
      }
    },
  };
  Worker({ name, maxAttempts: Infinity, backoff: { initial: 100, max: 100, jitter: 0 } })(Made);
  return Made;
}

async function boot(platform, backend, port) {
  class AppModule {}
  const store = backend === 'redis' ? new RedisJobBackend({ url: `redis://127.0.0.1:${port}` }) : undefined;
  Module({
    imports: [
      WorkerModule.forRoot({ logger: silent }),
      JobsModule.forRoot(store === undefined ? {} : { backend: store }),
      JobsModule.registerQueue(...Array.from({ length: queues }, (_, index) => ({ name: `q${index}` }))),
      WorkerHttpModule.register({ allowUnauthenticated: true }),
    ],
    providers: [
      Counting,
      ...Array.from({ length: workers }, (_, index) => workerNamed(`worker-${index}`, index < restless)),
    ],
  })(AppModule);
  const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  const app = await NestFactory.create(AppModule, adapter, {
    logger: false,
    abortOnError: false,
    forceCloseConnections: true,
  });
  await app.listen(0, '127.0.0.1');
  return app;
}

const nothing = () => {};
const silent = { debug: nothing, log: nothing, warn: nothing, error: nothing, child: () => silent };

async function startReaders(url, streams, questions) {
  const child = fork(fileURLToPath(new URL('http-readers.mjs', import.meta.url)), [
    JSON.stringify({ url, streams, questions }),
  ]);
  await once(child, 'message');
  return child;
}

const [, , scenario, parameters] = process.argv;
console.log(JSON.stringify(await scenarios[scenario](JSON.parse(parameters))));
process.exit(0);
