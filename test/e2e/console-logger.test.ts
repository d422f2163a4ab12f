import { ConsoleLogger, Logger } from '@nestjs/common';
import { type RunnableWorker, Worker, type WorkerContext, WorkerModule } from 'nestjs-worker';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bootContext, happened, poolOf } from '../support/nest.js';

let written: string;

beforeEach(() => {
  written = '';
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      written += String(text);
      return true;
    });
  }
});
afterEach(() => {
  vi.restoreAllMocks();
  Logger.overrideLogger(false);
});

@Worker({ name: 'relay', maxAttempts: 2, backoff: 'none' })
class Relay implements RunnableWorker {
  async run(ctx: WorkerContext): Promise<void> {
    ctx.logger.log('relayed', { rows: 3 });
    if (ctx.attempt === 1) throw new Error('no database');
  }
}

const ids: string[] = [];

async function linesOf(logger: ConsoleLogger): Promise<string[]> {
  const app = await bootContext({ imports: [WorkerModule], providers: [Relay] }, { logger });
  await happened(app, 'succeeded');
  ids.splice(
    0,
    2,
    ...new Set(
      poolOf(app)
        .execution('relay')
        .events.slice(1)
        .map((event) => event.executionId),
    ),
  );
  await app.close();
  vi.restoreAllMocks();
  return written.split('\n').filter((line) => line.includes('Worker') || line.includes('relayed'));
}

describe("With Nest's ConsoleLogger", () => {
  it('lines are readable, and name the execution', async () => {
    const lines = await linesOf(new ConsoleLogger({ colors: false, timestamp: false }));
    const own = lines.filter((line) => line.includes('[Worker] ') && !/Shutdown (hooks|begins)/.test(line));
    const fields = (attempt: number) => `worker=relay workerExecutionID=${ids[attempt - 1]}`;
    expect(own.map((line) => line.replace(/^\[Nest\] .*\[Worker\] /, ''))).toEqual([
      `Worker "relay" started ${fields(1)}`,
      `relayed ${fields(1)} rows=3`,
      expect.stringMatching(new RegExp(`^Worker "relay" failed after [^:]+: no database ${fields(1)}$`)),
      expect.stringMatching(new RegExp(`^Worker "relay" restarts in .+ ${fields(1)} attempt=2$`)),
      `Worker "relay" restarted ${fields(2)} attempt=2`,
      `relayed ${fields(2)} rows=3`,
      expect.stringMatching(new RegExp(`^Worker "relay" succeeded after .+ ${fields(2)}$`)),
    ]);
    expect(own.map((line) => /(LOG|WARN|ERROR) /.exec(line)?.[1])).toEqual([
      'LOG',
      'LOG',
      'ERROR',
      'WARN',
      'LOG',
      'LOG',
      'LOG',
    ]);
  });

  it('a failure has its stack below it', async () => {
    await linesOf(new ConsoleLogger({ colors: false, timestamp: false }));
    expect(written).toMatch(/failed after .*\nError: no database\n +at Relay\.run \(.*console-logger\.test/);
  });

  it('lines are structured in JSON mode', async () => {
    const lines = await linesOf(new ConsoleLogger({ json: true, colors: false }));
    const entries = lines
      .map((line) => JSON.parse(line) as { level: string; context: string; message: Record<string, unknown> })
      .filter(({ message }) => message.worker !== undefined);
    expect(entries).toMatchObject([
      { level: 'log', context: 'Worker', message: { msg: 'Worker "relay" started', worker: 'relay' } },
      { level: 'log', message: { msg: 'relayed', worker: 'relay', workerExecutionID: ids[0], rows: 3 } },
      {
        level: 'error',
        message: {
          worker: 'relay',
          workerExecutionID: ids[0],
          err: {
            name: 'Error',
            message: 'no database',
            stack: expect.stringContaining('at Relay.run') as string,
          },
        },
      },
      { level: 'warn', message: { worker: 'relay', workerExecutionID: ids[0], attempt: 2 } },
      { level: 'log', message: { msg: 'Worker "relay" restarted', workerExecutionID: ids[1], attempt: 2 } },
      { level: 'log', message: { msg: 'relayed', workerExecutionID: ids[1] } },
      { level: 'log', message: { worker: 'relay', workerExecutionID: ids[1] } },
    ]);
  });
});
