import { PinoLogger } from 'nestjs-pino';
import { type RunnableWorker, Worker, type WorkerContext, WorkerModule } from 'nestjs-worker';
import { WorkerLoggingModule } from 'nestjs-worker/pino';
import { describe, expect, it } from 'vitest';
import { bootContext, bootError, happened, LogRecorder, poolOf } from '../../support/nest.js';
import { PinoLines, workerKeys } from './pino-lines.js';

const lines = new PinoLines();

@Worker({ name: 'relay' })
class Relay implements RunnableWorker {
  constructor(private readonly pino: PinoLogger) {}
  async run(ctx: WorkerContext): Promise<void> {
    this.pino.info('via PinoLogger');
    ctx.logger.log('via ctx.logger');
  }
}

describe('WorkerLoggingModule', () => {
  it('names the run on lines of PinoLogger in an app that has another logger behind Nest', async () => {
    const logger = new LogRecorder();
    const app = await bootContext(
      { imports: [lines.module(), WorkerModule, WorkerLoggingModule], providers: [Relay] },
      { logger },
    );
    await happened(app, 'succeeded');
    const [line] = lines.matching('via PinoLogger');
    expect(line?.fields).toMatchObject({
      worker: 'relay',
      workerExecutionID: poolOf(app).execution('relay').id,
    });
    expect(workerKeys.map((key) => line?.count(key))).toEqual([1, 1]);
    expect(logger.texts('log')).toContain('Worker "relay" started');
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
