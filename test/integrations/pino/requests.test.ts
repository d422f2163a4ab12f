import { Controller, Get, Injectable, Post } from '@nestjs/common';
import { Logger, PinoLogger } from 'nestjs-pino';
import {
  type RunnableWorker,
  Worker,
  type WorkerContext,
  WorkerModule,
  WorkerPoolService,
} from 'nestjs-worker';
import { WorkerLoggingModule } from 'nestjs-worker/pino';
import { describe, expect, it } from 'vitest';
import { createApp, happened, poolOf, recordEventsOf, settle, UntilAborted } from '../../support/nest.js';
import { PinoLines, workerKeys } from './pino-lines.js';

const lines = new PinoLines();

@Injectable()
class Service {
  constructor(private readonly pino: PinoLogger) {}
  work(): void {
    this.pino.info('service');
  }
}

@Worker({ name: 'relay' })
class Relay implements RunnableWorker {
  constructor(private readonly service: Service) {}
  async run(ctx: WorkerContext): Promise<void> {
    ctx.logger.log('worker');
    this.service.work();
    await ctx.sleep('1 day');
  }
}

@Controller()
class AdminController {
  constructor(
    private readonly pool: WorkerPoolService,
    private readonly service: Service,
  ) {}

  @Post('restart')
  async restart(): Promise<string> {
    this.service.work();
    await this.pool.restart('relay');
    return 'ok';
  }

  @Post('register')
  register(): string {
    this.pool.register({ run: async () => this.service.work() }, { name: 'from-a-request' });
    return 'ok';
  }

  @Get('fail')
  fail(): string {
    this.pool.register({ run: async () => Promise.reject(new Error('no')) }, { name: 'failing' });
    return 'ok';
  }
}

describe('A worker that a request starts', () => {
  async function boot() {
    lines.clear();
    const app = await createApp({
      imports: [lines.module(), WorkerModule, WorkerLoggingModule],
      controllers: [AdminController],
      providers: [Service, Relay],
    });
    app.useLogger(app.get(Logger));
    await app.listen(0, '127.0.0.1');
    await happened(app, 'started', 'relay');
    lines.clear();
    const call = async (method: string, path: string) => {
      const { port } = app.getHttpServer().address() as { port: number };
      expect(await (await fetch(`http://127.0.0.1:${port}/${path}`, { method })).text()).toBe('ok');
    };
    return { app, call };
  }

  it('anew has none of the fields of the request on its lines, nor the request those of the worker', async () => {
    const { app, call } = await boot();
    const recorder = recordEventsOf(app);
    const restarted = recorder.next('started', { name: 'relay' });
    await call('POST', 'restart');
    await restarted;
    await settle();

    const byRequest = lines.all().filter((line) => line.count('req') > 0);
    expect(byRequest.map(({ msg }) => msg)).toEqual(['service', 'request completed']);
    for (const line of byRequest) expect(workerKeys.map((key) => line.count(key))).toEqual([0, 0]);

    const byWorker = lines.all().filter(({ fields }) => fields.worker === 'relay');
    expect(byWorker.map(({ msg }) => msg)).toEqual([
      'Worker "relay" is stopping (stop-requested)',
      'Worker "relay" stopped (stop-requested)',
      'Worker "relay" started',
      'worker',
      'service',
    ]);
    for (const line of byWorker) expect(line.count('req') + line.count('reqId')).toBe(0);
  });

  it('by registering it has none either', async () => {
    const { app, call } = await boot();
    await call('POST', 'register');
    await happened(app, 'succeeded', 'from-a-request');
    const byWorker = lines.all().filter(({ fields }) => fields.worker === 'from-a-request');
    expect(byWorker.map(({ msg }) => msg)).toEqual([
      'Worker "from-a-request" started',
      'service',
      expect.stringMatching(/^Worker "from-a-request" succeeded/),
    ]);
    for (const line of byWorker) expect(line.count('req')).toBe(0);
  });

  it('and that fails has none on the lines about its failure', async () => {
    const { app, call } = await boot();
    await call('GET', 'fail');
    await happened(app, 'exhausted', 'failing');
    const byWorker = lines.all().filter(({ fields }) => fields.worker === 'failing');
    expect(byWorker).toHaveLength(3);
    for (const line of byWorker)
      expect([line.count('req'), ...workerKeys.map((key) => line.count(key))]).toEqual([0, 1, 1]);
  });
});

describe('The pool of an app with pino', () => {
  it('logs nothing of its own about requests', async () => {
    lines.clear();
    const app = await createApp({ imports: [lines.module(), WorkerModule, WorkerLoggingModule] });
    app.useLogger(app.get(Logger));
    await app.init();
    poolOf(app).register(new UntilAborted(), { name: 'idle' });
    await happened(app, 'started');
    await app.close();
    expect(lines.matching(/^Worker "idle"/).map(({ msg }) => msg)).toEqual([
      'Worker "idle" started',
      'Worker "idle" is stopping (shutdown)',
      'Worker "idle" stopped (shutdown)',
    ]);
  });
});
