import type { AsyncLocalStorage } from 'node:async_hooks';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { INestApplication, Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import ts from 'typescript';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  errorCodes,
  getJobQueueToken,
  type InvalidOptionError,
  JobHandler,
  type JobQueue,
  JobsModule,
  MemoryJobBackend,
  TaskQueueModule,
  WorkerModule,
  WorkerPoolService,
} from 'nestjs-worker';
import { httpErrorCodes } from 'nestjs-worker/http';
import { type ConformanceRunner, type EventRecorder, recordEvents } from 'nestjs-worker/testing';
import { jobMetricNames, taskMetricNames, workerMetricNames } from 'nestjs-worker/prometheus';
import { RedisJobBackend } from 'nestjs-worker/redis';
import { CollectingRunner } from '../support/collecting-runner.js';
import { codeBlocks, codesIn, readme, section } from '../support/readme.js';
import { RedisServer } from '../support/redis.js';
import { repository } from '../support/repository.js';

// Inside of the package's own folder, so that what it imports is found as it is here.
const folder = `${repository}dist/readme`;
const blocks = codeBlocks();
mkdirSync(folder, { recursive: true });
for (const [name, code] of blocks) writeFileSync(`${folder}/${name}.ts`, code);

const load = (name: string): Promise<Record<string, unknown>> => import(`${folder}/${name}.ts`);

async function bootAtUrl(AppModule: unknown, prepare: (app: INestApplication) => void = () => {}) {
  const module = await Test.createTestingModule({ imports: [AppModule as Type] }).compile();
  const app = module.createNestApplication({ logger: false });
  prepare(app);
  await app.listen(0, '127.0.0.1');
  onTestFinished(() => app.close());
  const { port } = app.getHttpServer().address() as AddressInfo;
  return { app, url: `http://127.0.0.1:${port}` };
}

async function boot(AppModule: unknown) {
  let events!: EventRecorder;
  const { app, url } = await bootAtUrl(AppModule, (made) => {
    events = recordEvents(made.get(WorkerPoolService));
  });
  const get = (path: string) => fetch(`${url}${path}`);
  return { app, events, url, workers: app.get(WorkerPoolService), get };
}

const jobQueue = (app: INestApplication, name: string): JobQueue => app.get(getJobQueueToken(name));

/** A Redis where the code of the README looks for one. */
async function withRedis(): Promise<RedisServer> {
  const redis = await RedisServer.start();
  vi.stubEnv('REDIS_URL', redis.url);
  onTestFinished(async () => {
    vi.unstubAllEnvs();
    await redis.stop();
  });
  return redis;
}

/** What an option reader says that there is. */
function acceptedBy(read: () => unknown): string[] {
  try {
    read();
  } catch (error) {
    const { message } = error as InvalidOptionError;
    return /one of the options ([\w, ]+)\./.exec(message)?.[1]?.split(', ') ?? [];
  }
  throw new Error('It accepts anything');
}

describe('the code in the README', () => {
  it('is all under test', () => {
    expect(blocks.size).toBe(readme.match(/```ts\n/g)?.length);
    expect(blocks.size).toBeGreaterThan(7);
  });

  it('compiles', { timeout: 120_000 }, () => {
    const config = ts.readConfigFile(`${repository}tsconfig.json`, (path) => ts.sys.readFile(path));
    const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, repository);
    const files = [...blocks.keys()].map((name) => `${folder}/${name}.ts`);
    const program = ts.createProgram(files, options);
    const problems = ts
      .getPreEmitDiagnostics(program)
      .map(
        ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
      );
    expect(problems).toEqual([]);
  });

  it('quick-start runs until it is told to stop', async () => {
    const { AppModule } = await load('quick-start');
    const { app, events, workers } = await boot(AppModule);
    await events.waitFor('started', { name: 'outbox-relay' });
    await app.close();
    expect(workers.execution('outbox-relay').status).toBe('cancelled');
  });

  it('integrations boot together', async () => {
    const { AppModule } = await load('integrations');
    const { get } = await boot(AppModule);
    expect(await (await get('/metrics')).text()).toContain('# TYPE worker_executions_total counter');
  });

  it('without-nest stops what it started', async () => {
    const quiet = vi.spyOn(console, 'log').mockImplementation(() => {});
    onTestFinished(() => quiet.mockRestore());
    const { main } = await load('without-nest');
    expect(await (main as () => Promise<unknown>)()).toEqual([]);
  });

  it('operating lets operators in, and nobody else', async () => {
    vi.stubEnv('OPS_TOKEN', 'secret');
    onTestFinished(() => void vi.unstubAllEnvs());
    const { AppModule } = await load('operating');
    const { get, url } = await boot(AppModule);
    expect((await get('/work')).headers.get('content-type')).toContain('text/html');
    expect((await get('/work/overview')).status).toBe(401);
    const answer = await fetch(`${url}/work/queues/invoices/scaling`, {
      headers: { authorization: 'Bearer secret' },
    });
    expect(await answer.json()).toMatchObject({ consumers_wanted: 0 });
  });

  it('tasks run, by request', async () => {
    const { AppModule } = await load('tasks');
    const { url } = await bootAtUrl(AppModule);
    const answer = await fetch(`${url}/orders/7/total`, { method: 'POST' });
    expect(await answer.json()).toBe(42);
  });

  it('tasks-without-nest answers what they have', async () => {
    const quiet = vi.spyOn(console, 'log').mockImplementation(() => {});
    onTestFinished(() => quiet.mockRestore());
    const { main } = await load('tasks-without-nest');
    expect(await (main as () => Promise<unknown>)()).toEqual([1, 4, 9]);
  });

  it('jobs are enqueued by a request, once for a key, and run', async () => {
    const { AppModule } = await load('jobs');
    const { app, url } = await bootAtUrl(AppModule);
    const register = async (email: string): Promise<string> => {
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ email });
      return (await fetch(`${url}/users`, { method: 'POST', headers, body })).text();
    };
    const id = await register('a@example.com');
    const emails = jobQueue(app, 'emails');
    expect(await emails.get(id)).toMatchObject({
      state: 'scheduled',
      payload: { to: 'a@example.com', template: 'welcome' },
    });
    expect(await register('a@example.com')).toBe(id);
    expect(await register('b@example.com')).not.toBe(id);
    await emails.enqueue({ to: 'c@example.com', template: 'news' });
    await expect(emails.enqueue({ to: 'nobody', template: 'news' })).rejects.toMatchObject({
      code: 'JOB_PAYLOAD_INVALID',
    });
    const ended = () =>
      emails.counts().then(({ throughput }) => throughput.map(({ completed }) => completed));
    await expect.poll(ended).toEqual([1]);
  });

  it('jobs-redis keeps jobs in Redis', { timeout: 240_000 }, async () => {
    const redis = await withRedis();
    const { BackendModule } = await load('jobs-redis');
    const { app } = await bootAtUrl({
      module: class App {},
      imports: [BackendModule as Type, JobsModule.registerQueue({ name: 'emails' })],
    });
    const { id } = await jobQueue(app, 'emails').enqueue('hello');
    const client = redis.client();
    expect(await client.exists(`{shop}:job:${id}`)).toBe(1);
    client.disconnect();
  });

  it('jobs-middlewares carries the tenant along', async () => {
    const { InvoicesModule, tenants } = await load('jobs-middlewares');
    const storage = tenants as AsyncLocalStorage<string>;
    const seen = new Map<unknown, string | undefined>();
    @JobHandler('invoices')
    class Invoices {
      handle({ payload }: { payload: unknown }): void {
        seen.set(payload, storage.getStore());
      }
    }
    const { app } = await bootAtUrl({
      module: class App {},
      imports: [JobsModule.forRoot(), InvoicesModule as Type],
      providers: [Invoices],
    });
    const invoices = jobQueue(app, 'invoices');
    const { id } = await storage.run('acme', () => invoices.enqueue(1, { delay: '1h' }));
    expect(await invoices.get(id)).toMatchObject({ headers: { tenant: 'acme' }, limitKey: 'acme' });
    await storage.run('acme', () => invoices.enqueue(2));
    await invoices.enqueue(3);
    await expect.poll(() => seen.size).toBe(2);
    expect(Object.fromEntries(seen)).toEqual({ 2: 'acme', 3: 'nobody' });
  });

  it('jobs-run-once runs one job, or none', { timeout: 240_000 }, async () => {
    const quiet = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    onTestFinished(() => quiet.mockRestore());
    const redis = await withRedis();
    const { main } = await load('jobs-run-once');
    const run = main as () => Promise<string | undefined>;
    expect(await run()).toBeUndefined();
    const backend = new RedisJobBackend({ url: redis.url, namespace: '{shop}' });
    const { app } = await bootAtUrl({
      module: class App {},
      imports: [JobsModule.forRoot({ backend }), JobsModule.registerQueue({ name: 'reports' })],
    });
    const reports = jobQueue(app, 'reports');
    await reports.enqueueMany([{ month: 'May' }, { month: 'June' }]);
    expect(await run()).toBe('succeeded');
    expect(await reports.counts()).toMatchObject({ ready: 1, active: 0 });
  });

  it('jobs-testing gives up after three attempts', async () => {
    const { emailIsDeadAfterThreeAttempts } = await load('jobs-testing');
    expect(await (emailIsDeadAfterThreeAttempts as () => Promise<unknown>)()).toMatchObject({
      state: 'dead',
      cause: 'exhausted',
      failures: 3,
      lastError: 'the mail server is down',
    });
  });

  it('jobs-backend declares the tests of a backend, which pass', async () => {
    const { testMyJobBackend } = await load('jobs-backend');
    const runner = new CollectingRunner();
    (testMyJobBackend as (runner: ConformanceRunner) => void)(runner);
    expect(runner.tests.length).toBeGreaterThan(50);
    for (const { body } of runner.tests.slice(0, 10)) await body();
  });

  it('health answers all three probes', async () => {
    const { HealthModule } = await load('health');
    const { get } = await boot(HealthModule);
    for (const probe of ['startup', 'readiness', 'liveness']) {
      expect((await get(`/health/${probe}`)).status).toBe(200);
    }
  });

  it('testing gives up after three attempts', async () => {
    const { importerGivesUpAfterThreeAttempts } = await load('testing');
    const attempt = ['started', 'failed'];
    const types = await (importerGivesUpAfterThreeAttempts as () => Promise<string[]>)();
    expect(types).toEqual([
      'registered',
      ...attempt,
      'backoff',
      ...attempt,
      'backoff',
      ...attempt,
      'exhausted',
    ]);
  });

  it('web-only boots without workers', async () => {
    const { AppModule } = await load('web-only');
    const { workers } = await boot(AppModule);
    workers.register({ run: async () => {} }, { name: 'any' });
    expect(workers.execution('any').status).toBe('disabled');
  });

  it('middlewares are injected and run', async () => {
    const { Report, SlowAttemptLog } = await load('middlewares');
    class App {}
    const { events } = await boot({
      module: App,
      imports: [WorkerModule],
      providers: [Report, SlowAttemptLog],
    });
    await events.waitFor('succeeded', { name: 'report' });
  });

  it('threads resizes in a thread', async () => {
    const { Thumbnails } = await load('threads');
    const file = new URL(`file://${folder}/resize.mjs`);
    writeFileSync(file, 'export default ({ path, width }) => new TextEncoder().encode(`${path} ${width}`);');
    const { app } = await bootAtUrl({
      module: class App {},
      imports: [TaskQueueModule.register({ name: 'images' })],
      providers: [Thumbnails as Type],
    });
    const thumbnails = app.get<{ resize(path: string, file: URL): Promise<Uint8Array> }>(Thumbnails as Type);
    expect(new TextDecoder().decode(await thumbnails.resize('a.png', file))).toBe('a.png 200');
  });

  it('second-port serves metrics until the app has closed', async () => {
    const { freePortAtOnce, MetricsServer } = await load('second-port');
    class App {}
    // The signals' own listeners stay for as long as the process, and this one goes on.
    const before = ['SIGTERM', 'SIGINT'].map(
      (signal) => [signal, process.listeners(signal as 'SIGINT')] as const,
    );
    onTestFinished(() => {
      for (const [signal, kept] of before) {
        const added = process.listeners(signal as 'SIGINT').filter((listener) => !kept.includes(listener));
        added.forEach((listener) => process.off(signal, listener));
      }
    });
    const { app } = await bootAtUrl(
      { module: App, imports: [WorkerModule], providers: [MetricsServer as Type] },
      freePortAtOnce as (app: INestApplication) => void,
    );
    const { server } = app.get<{ server: Server }>(MetricsServer as Type);
    const { port } = server.address() as AddressInfo;
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    await app.close();
    expect(server.listening).toBe(false);
  });

  it('escalate boots', async () => {
    const { AppModule } = await load('escalate');
    const { workers } = await boot(AppModule);
    expect(workers.registration('Consumer').options.onExhausted).toBe('shutdown');
  });
});

describe('the tables in the README', () => {
  it('name every error code, and what it is for', () => {
    const rows = [...section('### Errors').matchAll(/^\| `(\w+)` \| (.*) \|$/gm)];
    expect(Object.fromEntries(rows.map(([, code, text]) => [code, text]))).toEqual(errorCodes);
  });

  it('name every metric', () => {
    expect(codesIn(section('### Metrics')).toSorted()).toEqual(Object.values(workerMetricNames).toSorted());
  });

  it('name every metric of tasks', () => {
    expect(codesIn(section('### Task metrics')).toSorted()).toEqual(
      Object.values(taskMetricNames).toSorted(),
    );
  });

  it('name every metric of jobs', () => {
    expect(codesIn(section('### Job metrics')).toSorted()).toEqual(Object.values(jobMetricNames).toSorted());
  });

  it('name every option of jobs', async () => {
    const { resolveJobQueueOptions } = await import('../../lib/jobs/job-queue-options.js');
    const { resolveJobHandlerOptions } = await import('../../lib/jobs/job-handler-options.js');
    const { resolveEnqueueOptions } = await import('../../lib/jobs/enqueue-options.js');
    const { capabilities } = new MemoryJobBackend();
    const slip = { slip: 1 } as object;
    for (const [heading, read] of [
      ['### Job queue options', () => resolveJobQueueOptions(slip as { name: string }, capabilities)],
      ['### Job handler options', () => resolveJobHandlerOptions('it', slip, () => {})],
      ['### Enqueue options', () => resolveEnqueueOptions('it', slip, capabilities)],
      ['### What survives what', () => new RedisJobBackend(slip)],
    ] as const) {
      expect(codesIn(section(heading)).toSorted()).toEqual(acceptedBy(read).toSorted());
      expect(acceptedBy(read).length).toBeGreaterThan(5);
    }
  });

  it('name every option and every error code of HTTP', async () => {
    const { resolveHttpOptions } = await import('../../lib/http/http-options.js');
    const accepted = acceptedBy(() => resolveHttpOptions({ slip: 1 }, 'it'));
    expect(codesIn(section('### HTTP options')).toSorted()).toEqual(accepted.toSorted());
    expect(codesIn(section('### Errors over HTTP')).toSorted()).toEqual(
      Object.keys(httpErrorCodes).toSorted(),
    );
    for (const [code, meaning] of Object.entries(httpErrorCodes))
      expect(readme).toContain(`| \`${code}\` | ${meaning} |`);
  });

  it('name every option of queues and tasks', async () => {
    const { queueOptionNames } = await import('../../lib/tasks/task-queue-options.js');
    const { taskOptionNames, taskPolicyNames } = await import('../../lib/tasks/task-options.js');
    expect(codesIn(section('### Queue options')).toSorted()).toEqual([...queueOptionNames].toSorted());
    const own = taskOptionNames.filter((name) => !(taskPolicyNames as readonly string[]).includes(name));
    expect(codesIn(section('### Task options')).toSorted()).toEqual(own.toSorted());
  });

  it('name every option', async () => {
    const { poolOptionNames } = await import('../../lib/pool/pool-options.js');
    const { workerOptionNames } = await import('../../lib/workers/worker-options.js');
    const known = new Set<string>([...poolOptionNames, ...workerOptionNames]);
    expect(codesIn(section('## Options')).toSorted()).toEqual([...known].toSorted());
  });
});
