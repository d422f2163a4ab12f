import { mkdirSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { INestApplication, Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import ts from 'typescript';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { errorCodes, TaskQueueModule, WorkerModule, WorkerPoolService } from 'nestjs-worker';
import { type EventRecorder, recordEvents } from 'nestjs-worker/testing';
import { taskMetricNames, workerMetricNames } from 'nestjs-worker/prometheus';
import { codeBlocks, codesIn, readme, section } from '../support/readme.js';
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
  return { app, events, workers: app.get(WorkerPoolService), get };
}

describe('the code in the README', () => {
  it('is all under test', () => {
    expect(blocks.size).toBe(readme.match(/```ts\n/g)?.length);
    expect(blocks.size).toBeGreaterThan(7);
  });

  it('compiles', { timeout: 60_000 }, () => {
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
