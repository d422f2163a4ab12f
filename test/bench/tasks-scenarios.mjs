// Each scenario runs in a process of its own and answers numbers: see tasks.mjs for what they mean.
import 'reflect-metadata';
import { AsyncLocalStorage } from 'node:async_hooks';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import { queue as asyncQueue } from 'async';
import BetterQueue from 'better-queue';
import fastq from 'fastq';
import { getTaskQueueToken, TaskQueue, TaskQueueModule } from 'nestjs-worker';
import { WorkerMetricsModule } from 'nestjs-worker/prometheus';
import PQueue from 'p-queue';
import { register } from 'prom-client';

const silent = {
  debug() {},
  log() {},
  warn() {},
  error() {},
  isEnabled: () => false,
  child: () => silent,
};
const noop = async () => {};
const turn = () => new Promise(setImmediate);
const limit = (concurrency) => concurrency ?? Infinity;

async function heapUsed() {
  for (let round = 0; round < 3; round++) {
    globalThis.gc();
    await turn();
  }
  return process.memoryUsage().heapUsed;
}

/** A queue of a Nest application with metrics, and without anything that writes. */
async function instrumented(options) {
  class App {}
  Module({
    imports: [
      PrometheusModule.register({ global: true, defaultMetrics: { enabled: false } }),
      WorkerMetricsModule,
      TaskQueueModule.forRoot({ logger: silent }),
      TaskQueueModule.register({ name: 'bench', maxQueued: Infinity, ...options }),
    ],
  })(App);
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  return { app, queue: app.get(getTaskQueueToken('bench')) };
}

const bareQueue = (options) => new TaskQueue({ maxQueued: Infinity, logger: silent, ...options });

/** From the first task given to the last one settled, for each contender: a function of how many tasks. */
const contenders = {
  async ours({ concurrency, metrics = false, carry = false, awaited = false, marks = 0, delayed = 0 }) {
    const options = { concurrency: limit(concurrency), carryContext: carry };
    const queue = metrics ? (await instrumented(options)).queue : bareQueue(options);
    for (let index = 0; index < delayed; index++) queue.submit(noop, { delay: `${1 + (index % 97)}h` });
    const marking = async (ctx) => {
      for (let index = 0; index < marks; index++) ctx.mark('lap');
    };
    const run = marks > 0 ? marking : noop;
    const idle = async (count) => {
      // Delayed tasks are there to stay: then the last one tells.
      if (delayed > 0) await queue.enqueue(noop).done;
      else await queue.onIdle();
      if (queue.snapshot().completed.succeeded < count) throw new Error('Tasks were lost');
    };
    return async (count) => {
      if (!awaited) {
        for (let index = 0; index < count; index++) queue.submit(run);
        return idle(count);
      }
      const done = [];
      for (let index = 0; index < count; index++) done.push(queue.enqueue(run).done);
      await Promise.all(done);
    };
  },
  async fastq({ concurrency, awaited }) {
    const queue = fastq.promise(noop, limit(concurrency));
    return async (count) => {
      const done = [];
      for (let index = 0; index < count; index++) {
        const one = queue.push(index);
        if (awaited) done.push(one);
      }
      if (awaited) await Promise.all(done);
      else await queue.drained();
    };
  },
  async pQueue({ concurrency, awaited }) {
    const queue = new PQueue({ concurrency: limit(concurrency) });
    return async (count) => {
      const done = [];
      for (let index = 0; index < count; index++) {
        const one = queue.add(noop);
        if (awaited) done.push(one);
      }
      if (awaited) await Promise.all(done);
      else await queue.onIdle();
    };
  },
  async async({ concurrency }) {
    const queue = asyncQueue(noop, limit(concurrency));
    return async (count) => {
      for (let index = 0; index < count; index++) queue.push(index);
      await queue.drain();
    };
  },
  async betterQueue({ concurrency }) {
    const queue = new BetterQueue((_task, done) => done(), { concurrent: concurrency ?? 1e9 });
    return (count) =>
      new Promise((resolve) => {
        queue.once('drain', resolve);
        for (let index = 0; index < count; index++) queue.push({ index });
      });
  },
};

/** `tracked`: with an AsyncLocalStorage in use, as in every app with request ids, tracing or a request's logger. */
async function settle({ contender, tasks, tracked = false, ...parameters }) {
  const run = async () => {
    const round = await contenders[contender](parameters);
    const rounds = Math.ceil((parameters.atLeast ?? 200_000) / tasks);
    const samples = tasks > 1_000 ? 1 : 3;
    // Warm: what is measured is the queue, not the compiler.
    for (let done = 0; done < (parameters.warm ?? 200_000); done += Math.min(tasks, 100_000))
      await round(Math.min(tasks, 100_000));
    const times = [];
    for (let sample = 0; sample < samples; sample++) {
      globalThis.gc();
      let spent = 0n;
      for (let index = 0; index < rounds; index++) {
        const begin = process.hrtime.bigint();
        await round(tasks);
        spent += process.hrtime.bigint() - begin;
        await turn();
      }
      times.push(Number(spent) / (rounds * tasks));
    }
    process.stdout.write(JSON.stringify({ ns: times.toSorted((a, b) => a - b)[Math.floor(samples / 2)] }));
  };
  if (tracked) await new AsyncLocalStorage().run({}, run);
  else await run();
  process.exit(0);
}

/** What a task that waits takes of the heap. */
async function heap({ tasks, carry = false, handle = false }) {
  const queue = bareQueue({ autoStart: false, carryContext: carry });
  const handles = Array.from({ length: handle ? tasks : 0 });
  for (let index = 0; index < 1_000; index++) queue.submit(noop);
  const before = await heapUsed();
  for (let index = 0; index < tasks; index++) {
    if (handle) handles[index] = queue.enqueue(noop);
    else queue.submit(noop);
  }
  const bytes = ((await heapUsed()) - before) / tasks;
  if (queue.size !== tasks + 1_000) throw new Error(`${queue.size} tasks wait`);
  process.stdout.write(JSON.stringify({ bytes }));
  process.exit(0);
}

/** Whether what has run leaves something behind. */
async function slope({ tasks }) {
  const { app, queue } = await instrumented({ concurrency: 10 });
  const chunk = 100_000;
  const round = async () => {
    for (let index = 0; index < chunk; index++) queue.submit(noop);
    await queue.onIdle();
  };
  await round();
  const before = await heapUsed();
  for (let done = 0; done < tasks; done += chunk) await round();
  await register.metrics();
  const bytes = ((await heapUsed()) - before) / tasks;
  const { succeeded } = queue.snapshot().completed;
  if (succeeded !== tasks + chunk) throw new Error(`${succeeded} tasks succeeded`);
  await app.close();
  process.stdout.write(JSON.stringify({ bytes }));
  process.exit(0);
}

const scenarios = { settle, heap, slope };
const [name, parameters] = process.argv.slice(2);
await scenarios[name](JSON.parse(parameters));
