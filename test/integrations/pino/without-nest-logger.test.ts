import { NestFactory } from '@nestjs/core';
import { Logger, PinoLogger } from 'nestjs-pino';
import { type RunnableWorker, Worker, type WorkerContext, WorkerModule } from 'nestjs-worker';
import { WorkerLoggingModule } from 'nestjs-worker/pino';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import {
  bootContext,
  bootError,
  happened,
  LogRecorder,
  moduleNamed,
  poolOf,
  signal,
} from '../../support/nest.js';
import { PinoLines, workerKeys } from './pino-lines.js';

const lines = new PinoLines();
beforeEach(() => lines.clear());

@Worker({ name: 'relay' })
class Relay implements RunnableWorker {
  constructor(private readonly pino: PinoLogger) {}
  async run(ctx: WorkerContext): Promise<void> {
    this.pino.info('via PinoLogger');
    ctx.logger.log('via ctx.logger', { rows: 3 });
    ctx.logger.child({ batch: 7 }).warn('via a child');
  }
}

const root = { imports: [lines.module(), WorkerModule, WorkerLoggingModule], providers: [Relay] };

/** The lines about the run, each of which must name it once. */
function expectNamed(id: string): void {
  const found = lines.matching(/^(via |Worker ")/);
  expect(found.map(({ msg }) => msg)).toEqual([
    'Worker "relay" started',
    'via PinoLogger',
    'via ctx.logger',
    'via a child',
    expect.stringMatching(/^Worker "relay" succeeded/),
  ]);
  for (const line of found) {
    expect(line.fields).toMatchObject({ worker: 'relay', workerExecutionID: id });
    expect([line.msg, ...workerKeys.map((key) => line.count(key))]).toEqual([line.msg, 1, 1]);
  }
  expect(found[2]?.fields).toMatchObject({ level: 30, context: 'Worker', rows: 3 });
  expect(found[3]?.fields).toMatchObject({ level: 40, context: 'Worker', batch: 7 });
}

describe('WorkerLoggingModule', () => {
  it('names the run on all lines in an app that has another logger behind Nest', async () => {
    const logger = new LogRecorder();
    const app = await bootContext(root, { logger });
    await happened(app, 'succeeded');
    expectNamed(poolOf(app).execution('relay').id);
    expect(logger.texts('log')).toEqual([]);
  });

  it('names it where Nest buffers its logs until somebody says where they go', async () => {
    const app = await NestFactory.createApplicationContext(moduleNamed('AppModule', root), {
      bufferLogs: true,
      abortOnError: false,
    });
    onTestFinished(() => app.close());
    await happened(app, 'succeeded');
    const { id } = poolOf(app).execution('relay');
    expectNamed(id);
    app.useLogger(app.get(Logger));
    app.flushLogs();
    expectNamed(id);
  });

  it('names one run on the line of its logger that is logged inside of another', async () => {
    const app = await bootContext({ imports: [lines.module(), WorkerModule, WorkerLoggingModule] });
    const pool = poolOf(app);
    const lent = signal<WorkerContext>();
    pool.register(
      {
        run: async (ctx) => {
          lent.resolve(ctx);
          await ctx.sleep('1 day');
        },
      },
      { name: 'lender' },
    );
    const { logger } = await lent.promise;
    pool.register(
      {
        run: async (ctx) => {
          logger.log('by the lender');
          ctx.logger.log('by the borrower');
        },
      },
      { name: 'borrower' },
    );
    await happened(app, 'succeeded', 'borrower');
    for (const name of ['lender', 'borrower']) {
      const [line] = lines.matching(`by the ${name}`);
      expect(line?.fields).toMatchObject({ worker: name, workerExecutionID: pool.execution(name).id });
      expect([name, ...workerKeys.map((key) => line?.count(key))]).toEqual([name, 1, 1]);
    }
  });

  it('takes the app logger of a module that is imported anywhere', async () => {
    const app = await bootContext({ imports: [WorkerModule, WorkerLoggingModule, lines.module()] });
    expect(poolOf(app).snapshot().status).toBe('started');
  });

  it('without LoggerModule is a boot error that says what to import', async () => {
    const error = await bootError({ imports: [WorkerModule, WorkerLoggingModule] });
    expect(error).toMatchObject({ name: 'PeerNotFoundError', code: 'PEER_NOT_FOUND' });
    expect(error.message).toBe(
      'WorkerLoggingModule was imported, but no module provides PinoLogger. ' +
        'Import LoggerModule.forRoot() of nestjs-pino in the root module.',
    );
  });
});
