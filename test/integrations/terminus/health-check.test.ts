import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { type RunnableWorker, Worker, WorkerModule } from 'nestjs-worker';
import { WorkerHealthIndicator, WorkerHealthModule } from 'nestjs-worker/terminus';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  bootHttp,
  createApp,
  happened,
  platforms,
  poolOf,
  settle,
  type Signal,
  signal,
  UntilAborted,
} from '../../support/nest.js';

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly workers: WorkerHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.workers.isHealthy('workers')]);
  }

  @Get('startup')
  @HealthCheck()
  startup() {
    return this.health.check([() => this.workers.startup('workers')]);
  }

  @Get('readiness')
  @HealthCheck()
  readiness() {
    return this.health.check([() => this.workers.readiness('workers')]);
  }

  @Get('liveness')
  @HealthCheck()
  liveness() {
    return this.health.check([() => this.workers.liveness('workers')]);
  }
}

@Module({ imports: [TerminusModule, WorkerHealthModule], controllers: [HealthController] })
class HealthModule {}

const paths = ['', '/startup', '/readiness', '/liveness'];

@Worker({ name: 'relay' })
class Relay extends UntilAborted {}

@Worker({ name: 'flaky' })
class Flaky implements RunnableWorker {
  async run(): Promise<void> {
    throw new Error('no');
  }
}

let bootstrap: Signal;
beforeEach(() => {
  bootstrap = signal();
});

describe.each(platforms)('GET /health with %s', (platform) => {
  const answers = async (url: string) => {
    const codes: Record<string, number> = {};
    for (const path of paths) codes[path] = (await fetch(`${url}/health${path}`)).status;
    return codes;
  };

  it('answers 200 while all is well, with each worker and its status', async () => {
    const { app, url } = await bootHttp(
      { imports: [WorkerModule, HealthModule], providers: [Relay] },
      platform,
    );
    await happened(app, 'started');
    expect(await answers(url)).toEqual({ '': 200, '/startup': 200, '/readiness': 200, '/liveness': 200 });
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({
      status: 'ok',
      details: { workers: { status: 'up', pool: 'started', workers: { relay: 'running' } } },
    });
  });

  it('answers 503 once a worker was given up on, but stays alive', async () => {
    const { app, url } = await bootHttp(
      { imports: [WorkerModule, HealthModule], providers: [Relay, Flaky] },
      platform,
    );
    await happened(app, 'exhausted', 'flaky');
    expect(await answers(url)).toEqual({ '': 503, '/startup': 200, '/readiness': 503, '/liveness': 200 });
    const details = { workers: { status: 'down', workers: { relay: 'running', flaky: 'error' } } };
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({
      status: 'error',
      error: details,
      details,
    });
  });

  it("answers 200 with onExhausted: 'ignore'", async () => {
    const { app, url } = await bootHttp(
      { imports: [WorkerModule.forRoot({ onExhausted: 'ignore' }), HealthModule], providers: [Flaky] },
      platform,
    );
    await happened(app, 'exhausted');
    expect(await answers(url)).toEqual({ '': 200, '/startup': 200, '/readiness': 200, '/liveness': 200 });
  });

  it('answers 200 in a process that runs no workers', async () => {
    const { url } = await bootHttp(
      { imports: [WorkerModule.forRoot({ enabled: false }), HealthModule], providers: [Relay] },
      platform,
    );
    expect(await answers(url)).toEqual({ '': 200, '/startup': 200, '/readiness': 200, '/liveness': 200 });
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({
      details: { workers: { workers: { relay: 'disabled' } } },
    });
  });

  it('answers 503 to readiness as soon as draining begins', async () => {
    const finish = signal();
    const { app, url } = await bootHttp({ imports: [WorkerModule, HealthModule] }, platform);
    poolOf(app).register({ run: async () => finish.promise }, { name: 'slow' });
    await happened(app, 'started');
    const close = app.close();
    await settle();
    expect(await answers(url)).toEqual({ '': 200, '/startup': 200, '/readiness': 503, '/liveness': 200 });
    finish.resolve();
    await close;
  });

  it('answers 503 before the app has started', async () => {
    @Injectable()
    class Slow {
      async onApplicationBootstrap(): Promise<void> {
        await bootstrap.promise;
      }
    }
    const app = await createApp(
      { imports: [WorkerModule, HealthModule], providers: [Relay, Slow] },
      platform,
    );
    const init = app.init();
    await settle();
    // Nest does not serve before it has started; what a probe would be told is asked of the indicator.
    const health = app.get(WorkerHealthIndicator);
    const before = paths.slice(1).map((path) => {
      const check = path.slice(1) as 'startup' | 'readiness' | 'liveness';
      return health[check]('workers').workers.status;
    });
    expect(before).toEqual(['down', 'down', 'up']);
    bootstrap.resolve();
    await init;
    await happened(app, 'started');
    expect(health.startup('workers').workers.status).toBe('up');
  });
});
