import { Injectable, Logger as NestLogger } from '@nestjs/common';
import { Logger, PinoLogger } from 'nestjs-pino';
import {
  currentLogger,
  type RunnableWorker,
  Worker,
  type WorkerContext,
  WorkerModule,
  type WorkerPoolOptions,
} from 'nestjs-worker';
import { WorkerLoggingModule } from 'nestjs-worker/pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { createApp, happened, poolOf, recordEventsOf, settle, signal } from '../../support/nest.js';
import { type PinoLine, PinoLines, workerKeys } from './pino-lines.js';

const lines = new PinoLines();
beforeEach(() => lines.clear());

/** Something that a worker calls, and that knows nothing of workers. */
@Injectable()
class Service {
  readonly #nest = new NestLogger('Service');
  constructor(private readonly pino: PinoLogger) {}

  async work(): Promise<void> {
    this.pino.info('service via PinoLogger');
    this.#nest.log('service via Nest Logger');
    await settle();
    this.pino.warn({ rows: 3 }, 'service via PinoLogger, later');
    this.#nest.error('service via Nest Logger, later');
  }
}

@Worker({ name: 'chatty' })
class Chatty implements RunnableWorker {
  readonly #nest = new NestLogger('Chatty');
  constructor(
    private readonly pino: PinoLogger,
    private readonly service: Service,
  ) {}

  async run(ctx: WorkerContext): Promise<void> {
    this.pino.info('worker via PinoLogger');
    this.#nest.log('worker via Nest Logger');
    ctx.logger.log('worker via ctx.logger', { rows: 5 });
    await settle();
    currentLogger()?.warn('worker via currentLogger()');
    await this.service.work();
    setImmediate(() => this.pino.info('worker via a callback'));
    await settle();
    ctx.logger.error('worker via ctx.logger with an error', { err: new Error('why') });
  }
}

async function boot(providers: unknown[], options: WorkerPoolOptions = {}) {
  const app = await createApp({
    imports: [lines.module(), WorkerModule.forRoot(options), WorkerLoggingModule],
    providers: [Service, ...(providers as [])],
  });
  app.useLogger(app.get(Logger));
  await app.init();
  return app;
}

/** Names of the run on a line, with how often each is there. */
const named = (worker: string, id: unknown = expect.any(String)) => ({
  worker,
  id,
  counts: [1, 1],
});

function namesOn(line: PinoLine | undefined) {
  return {
    worker: line?.fields.worker,
    id: line?.fields.workerExecutionID,
    counts: workerKeys.map((key) => line?.count(key)),
  };
}

const fromRun = /^(worker|service) via /;

describe('A line that is logged inside a run', () => {
  it('carries worker and workerExecutionID once, whoever logs it and however', async () => {
    const app = await boot([Chatty]);
    await happened(app, 'succeeded');
    const { id } = poolOf(app).execution('chatty');
    expect(lines.matching(fromRun).map(({ msg }) => msg)).toEqual([
      'worker via PinoLogger',
      'worker via Nest Logger',
      'worker via ctx.logger',
      'worker via currentLogger()',
      'service via PinoLogger',
      'service via Nest Logger',
      'service via PinoLogger, later',
      'service via Nest Logger, later',
      'worker via a callback',
      'worker via ctx.logger with an error',
    ]);
    for (const line of lines.matching(fromRun)) expect(namesOn(line)).toEqual(named('chatty', id));
    expect(lines.matching('worker via ctx.logger')[0]?.fields).toMatchObject({ level: 30, rows: 5 });
    expect(lines.matching(/with an error/)[0]?.fields).toMatchObject({
      level: 50,
      err: { message: 'why', stack: expect.stringContaining('worker-logging.test') as string },
    });
  });

  it('by ctx.logger.child() has the fields of the child too', async () => {
    const app = await boot([]);
    poolOf(app).register(
      {
        run: async (ctx) => {
          const child = ctx.logger.child({ batch: 7 }).child({ step: 'read' });
          child.log('worker via a child');
          child.log('worker via a child again', { batch: 8 });
        },
      },
      { name: 'batched' },
    );
    await happened(app, 'succeeded', 'batched');
    const [first, second] = lines.matching(/^worker via a child/);
    expect(namesOn(first)).toEqual(named('batched'));
    expect(namesOn(second)).toEqual(named('batched'));
    expect(first!.fields).toMatchObject({ batch: 7, step: 'read' });
    expect(second!.fields).toMatchObject({ batch: 8, step: 'read' });
  });

  it('carries them where the run is told to end, too, whoever tells it', async () => {
    @Worker({ name: 'told' })
    class Told implements RunnableWorker {
      constructor(private readonly pino: PinoLogger) {}
      async run(ctx: WorkerContext): Promise<void> {
        ctx.signal.addEventListener('abort', () => {
          ctx.logger.log('worker via ctx.logger in an abort listener');
          this.pino.info('worker via PinoLogger in an abort listener');
        });
        await ctx.sleep('1 day').catch(() => this.pino.info('worker via PinoLogger after the abort'));
      }
    }
    const app = await boot([Told]);
    await happened(app, 'started', 'told');
    await settle();
    await poolOf(app).stop('told');
    const { id } = poolOf(app).execution('told');
    expect(lines.matching(fromRun)).toHaveLength(3);
    for (const line of lines.matching(fromRun)) expect(namesOn(line)).toEqual(named('told', id));
  });

  it('by ctx.logger carries them also where it is used outside of the run', async () => {
    const app = await boot([]);
    const handedOut = signal<WorkerContext>();
    poolOf(app).register(
      {
        run: async (ctx) => {
          handedOut.resolve(ctx);
          await ctx.sleep('1 day');
        },
      },
      { name: 'lending' },
    );
    const { logger } = await handedOut.promise;
    logger.log('worker via ctx.logger from outside');
    expect(lines.matching(fromRun).map(namesOn)).toEqual([
      named('lending', poolOf(app).execution('lending').id),
    ]);
  });

  it('keeps what assign() adds, up to the end of the attempt', async () => {
    @Worker({ name: 'assigning', maxAttempts: 2, backoff: 'none' })
    class Assigning implements RunnableWorker {
      constructor(private readonly pino: PinoLogger) {}
      async run(ctx: WorkerContext): Promise<void> {
        this.pino.info('worker via PinoLogger before');
        if (ctx.attempt === 2) return;
        this.pino.assign({ tenant: 'acme' });
        this.pino.info('worker via PinoLogger after');
        throw new Error('again');
      }
    }
    const app = await boot([Assigning]);
    await happened(app, 'succeeded');
    const tenants = lines.matching(fromRun).map(({ fields }) => fields.tenant);
    expect(tenants).toEqual([undefined, 'acme', undefined]);
    for (const line of lines.matching(fromRun)) expect(namesOn(line)).toEqual(named('assigning'));
  });

  it('is the same after 100 restarts: a new id each time, each key once (Y10)', async () => {
    @Worker({ name: 'flaky', maxAttempts: Infinity, backoff: 'none' })
    class Flaky implements RunnableWorker {
      runs = 0;
      constructor(private readonly service: Service) {}
      async run(ctx: WorkerContext): Promise<void> {
        ctx.logger.log('worker via ctx.logger');
        await this.service.work();
        if (++this.runs <= 100) throw new Error('again');
      }
    }
    const app = await boot([Flaky]);
    const recorder = recordEventsOf(app);
    await happened(app, 'succeeded');
    expect(recorder.of('started').length).toBeGreaterThanOrEqual(100);
    const found = lines.matching(fromRun);
    expect(found).toHaveLength(101 * 5);
    found.forEach((line) => expect(namesOn(line)).toEqual(named('flaky')));
    expect(new Set(found.map(({ fields }) => fields.workerExecutionID)).size).toBe(101);
    expect(found.at(-1)!.text.length - found.at(4)!.text.length).toBeLessThan(10);
  });

  it('names its own worker where 20 run at once', async () => {
    const app = await boot([]);
    const go = signal();
    const service = app.get(Service);
    const names = Array.from({ length: 20 }, (_, index) => `worker-${index}`);
    for (const name of names) {
      poolOf(app).register(
        {
          run: async (ctx) => {
            await go.promise;
            for (let round = 0; round < 5; round++) {
              ctx.logger.log(`worker via ${ctx.name}`);
              await service.work();
            }
          },
        },
        { name },
      );
    }
    await happened(app, 'started', 'worker-19');
    await settle();
    go.resolve();
    const recorder = recordEventsOf(app);
    await Promise.all(names.map((name) => recorder.waitFor('succeeded', { name })));
    for (const name of names) {
      const { id } = poolOf(app).execution(name);
      const own = lines.matching(fromRun).filter(({ fields }) => fields.worker === name);
      expect(own).toHaveLength(25);
      own.forEach((line) => expect(namesOn(line)).toEqual(named(name, id)));
      expect(own.filter(({ msg }) => msg === `worker via ${name}`)).toHaveLength(5);
    }
  });
});

describe('Lifecycle lines', () => {
  it('carry both fields once, and the error', async () => {
    @Worker({ name: 'failing', maxAttempts: 2, backoff: 'none' })
    class Failing implements RunnableWorker {
      async run(): Promise<void> {
        throw new Error('no database');
      }
    }
    const app = await boot([Failing]);
    await happened(app, 'exhausted');
    const own = lines.all().filter(({ fields }) => fields.worker !== undefined);
    expect(own.map(({ msg }) => msg)).toEqual([
      'Worker "failing" started',
      expect.stringMatching(/^Worker "failing" failed after .*: no database$/),
      expect.stringMatching(/^Worker "failing" restarts in /),
      'Worker "failing" restarted',
      expect.stringMatching(/^Worker "failing" failed after /),
      expect.stringMatching(/^Worker "failing" is exhausted/),
    ]);
    own.forEach((line) => expect(namesOn(line)).toEqual(named('failing')));
    expect(own[1]!.fields).toMatchObject({
      level: 50,
      err: { message: 'no database', stack: expect.stringContaining('worker-logging.test') as string },
    });
    expect(own[0]!.fields.workerExecutionID).not.toBe(own[3]!.fields.workerExecutionID);
  });

  it('of a worker that another worker stops name the one that is stopped', async () => {
    const app = await boot([]);
    const pool = poolOf(app);
    pool.register({ run: async (ctx) => ctx.sleep('1 day') }, { name: 'victim' });
    await happened(app, 'started', 'victim');
    pool.register({ run: async () => pool.restart('victim') }, { name: 'watchdog' });
    await happened(app, 'succeeded', 'watchdog');
    await settle();
    const about = lines.matching(/^Worker "victim"/);
    expect(about.map(({ msg }) => msg)).toEqual([
      'Worker "victim" started',
      'Worker "victim" is stopping (stop-requested)',
      'Worker "victim" stopped (stop-requested)',
      'Worker "victim" started',
    ]);
    about.forEach((line) => expect(namesOn(line)).toEqual(named('victim')));
  });
});

describe('A line that is logged outside of any run', () => {
  it('carries none of the fields', async () => {
    const app = await boot([Chatty]);
    await happened(app, 'succeeded');
    lines.clear();
    await app.get(Service).work();
    new NestLogger('Elsewhere').log('elsewhere');
    currentLogger()?.log('never');
    expect(lines.all()).toHaveLength(5);
    for (const line of lines.all()) expect(workerKeys.map((key) => line.count(key))).toEqual([0, 0]);
  });
});
