// Each scenario runs in a process of its own and answers numbers: see run.mjs for what they mean.
import 'reflect-metadata';
import { pino } from 'pino';
import { Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import { LoggerModule, Logger as PinoNestLogger } from 'nestjs-pino';
import { Worker, WorkerModule, WorkerPool, WorkerPoolService } from 'nestjs-worker';
import { WorkerTracingModule } from 'nestjs-worker/opentelemetry';
import { WorkerLoggingModule } from 'nestjs-worker/pino';
import { WorkerMetricsModule } from 'nestjs-worker/prometheus';
import { WorkerHealthModule } from 'nestjs-worker/terminus';
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';

const silent = {
  debug() {},
  log() {},
  warn() {},
  error() {},
  isEnabled: () => false,
  child: () => silent,
};
const turn = () => new Promise(setImmediate);

/** CPU time of this process, in microseconds: on a shared machine steadier than the wall's. */
const cpuUs = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

async function heapUsed() {
  for (let round = 0; round < 3; round++) {
    globalThis.gc();
    await turn();
  }
  return process.memoryUsage().heapUsed;
}

const idle = {
  // The usual loop between two pieces of work.
  sleep: { run: (ctx) => ctx.sleep('1h') },
  // A subscription that waits for the end.
  signal: { run: (ctx) => new Promise((resolve) => ctx.signal.addEventListener('abort', resolve)) },
};

async function startPool({ workers, kind = 'sleep' }) {
  // Warm, and the same for every count: what is measured is the pool, not the compiler.
  const warm = new WorkerPool({ logger: silent });
  for (let index = 0; index < 2_000; index++)
    warm.register({ run: idle[kind].run }, { name: `warm-${index}` });
  warm.start();
  await turn();
  await warm.stop();

  const before = await heapUsed();
  const begin = cpuUs();
  const pool = new WorkerPool({ logger: silent });
  for (let index = 0; index < workers; index++)
    pool.register({ run: idle[kind].run }, { name: `worker-${index}` });
  pool.start();
  await turn();
  const spent = cpuUs() - begin;
  const heap = (await heapUsed()) - before;
  const running = pool.executions().filter(({ status }) => status === 'running').length;
  if (running !== workers) throw new Error(`${running} of ${workers} run`);
  await pool.stop();
  return { usPerWorker: spent / workers, heapPerWorker: heap / workers };
}

async function bootNest({ workers, on = [] }) {
  const providers = Array.from({ length: workers }, (_, index) => {
    class Idle {
      run(ctx) {
        return ctx.sleep('1h');
      }
    }
    Worker({ name: `worker-${index}` })(Idle);
    return Idle;
  });
  const boot = async (imports, list) => {
    class App {}
    Module({ imports, providers: list })(App);
    const begin = performance.now();
    const app = await NestFactory.createApplicationContext(App, { logger: false });
    await turn();
    return [app, performance.now() - begin];
  };
  const [bare, bareMs] = await boot([], providers);
  await bare.close();
  const before = await heapUsed();
  const imports = [WorkerModule.forRoot({ logger: silent }), ...on.flatMap((name) => integrations[name]())];
  const [app, ms] = await boot(imports, providers);
  const heap = (await heapUsed()) - before;
  const running = app
    .get(WorkerPoolService)
    .executions()
    .filter(({ status }) => status === 'running').length;
  if (running !== workers) throw new Error(`${running} of ${workers} run`);
  await app.close();
  return { ms, bareMs, heapPerWorker: heap / workers };
}

/** A loop that awaits the same function, without and with the turn of the event loop that a restart takes. */
async function bareLoop({ attempts }) {
  const run = async () => {};
  const loop = async (count, between) => {
    const begin = cpuUs();
    for (let index = 0; index < count; index++) {
      await run();
      if (between) await turn();
    }
    return (cpuUs() - begin) / count;
  };
  await loop(attempts, false);
  await loop(attempts / 4, true);
  return { awaitUs: await loop(attempts * 10, false), us: await loop(attempts, true) };
}

const integrations = {
  metrics: () => [
    PrometheusModule.register({ global: true, defaultMetrics: { enabled: false } }),
    WorkerMetricsModule,
  ],
  health: () => [WorkerHealthModule],
  tracing: () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    trace.setGlobalTracerProvider(new BasicTracerProvider());
    return [WorkerTracingModule];
  },
  logging: () => [
    LoggerModule.forRoot({ pinoHttp: { stream: pino.destination('/dev/null') } }),
    WorkerLoggingModule,
  ],
};

/** Attempts of one worker, one after another, in a Nest app with some integrations on. */
async function attemptLoop({ attempts: count, on = [], fails = false }) {
  let left = 0;
  let finished;
  class Busy {
    async run() {
      if (--left <= 0) finished();
      if (fails) throw failure;
    }
  }
  // One error for all: making its stack would cost more than all the rest.
  const failure = new Error('on purpose');
  Worker({ name: 'busy' })(Busy);
  const logged = on.includes('logging');
  class App {}
  const options = { restart: 'always', backoff: 'none', maxAttempts: Infinity, enabled: true };
  Module({
    imports: [
      WorkerModule.forRoot(logged ? options : { ...options, logger: silent }),
      ...on.flatMap((name) => integrations[name]()),
    ],
    providers: [Busy],
  })(App);
  const round = (rounds) =>
    new Promise((resolve) => {
      left = rounds;
      finished = resolve;
    });
  const warm = round(count / 4);
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  if (logged) Logger.overrideLogger(app.get(PinoNestLogger));
  await warm;
  const heapBefore = await heapUsed();
  const begin = cpuUs();
  await round(count);
  const us = (cpuUs() - begin) / count;
  const heap = (await heapUsed()) - heapBefore;
  await app.close();
  return { us, heapPerAttempt: heap / count };
}

const scenarios = { startPool, bootNest, bareLoop, attempts: attemptLoop };
const [name, parameters] = process.argv.slice(2);
process.stdout.write(JSON.stringify(await scenarios[name](JSON.parse(parameters))));
