import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import { type AnsweredCommand, CommandLog } from '../../lib/http/command-log.js';
import type { CommandDocument } from '../../lib/http/documents/command.js';
import { Pool } from '../../lib/pool/index.js';
import { RecordingLogger } from '../support/recording-logger.js';

const pause: AnsweredCommand = {
  command: 'pauseQueue',
  target: { queue: 'mail' },
  by: 'ann',
  status: 200,
  code: null,
};

function setUp(onCommand?: (command: CommandDocument) => unknown) {
  const logger = new RecordingLogger();
  const pool = new Pool({ clock: new FakeClock(), logger });
  return { pool, logger, log: new CommandLog(pool, onCommand) };
}

describe('CommandLog', () => {
  it('keeps the last 200, the newest first, each with an id and a time', () => {
    const { log } = setUp();
    for (let n = 1; n <= 250; n++) log.add({ ...pause, by: `nr ${n}` });
    expect(log.commands).toHaveLength(200);
    expect(log.commands[0]).toMatchObject({ by: 'nr 250', time: '2026-01-01T00:00:00.000Z' });
    expect(log.commands.at(-1)?.by).toBe('nr 51');
    expect(new Set(log.commands.map(({ id }) => id)).size).toBe(200);
  });

  it('writes each to the log, the refused ones as warnings', () => {
    const { log, logger } = setUp();
    log.add(pause);
    log.add({
      command: 'deleteJob',
      target: { queue: 'a"\n', job: 'b' },
      by: null,
      status: 404,
      code: 'JOB_NOT_FOUND',
    });
    expect(logger.lines.map(({ level, message }) => [level, message])).toEqual([
      ['log', 'Command pauseQueue queue "mail" by "ann"'],
      ['warn', 'Command deleteJob queue "a\\"\\n", job "b" by somebody unnamed was refused (JOB_NOT_FOUND)'],
    ]);
    expect(logger.lines[1]?.fields).toEqual({
      command: 'deleteJob',
      queue: 'a"\n',
      jobID: 'b',
      status: 404,
      code: 'JOB_NOT_FOUND',
    });
  });

  it('tells its listeners, until they have had enough', () => {
    const { log } = setUp();
    const heard: string[] = [];
    const off = log.on(({ command }) => heard.push(command));
    log.add(pause);
    off();
    log.add(pause);
    expect(heard).toEqual(['pauseQueue']);
  });

  it('is not changed by whoever is told', () => {
    const { log, pool } = setUp((command) => {
      (command as { by: string }).by = 'nobody';
    });
    const target = { queue: 'mail' };
    log.add({ ...pause, target });
    target.queue = 'other';
    expect(log.commands[0]).toMatchObject({ by: 'ann', target: { queue: 'mail' } });
    expect(() => ((log.commands[0]!.target as Record<string, string>)['queue'] = 'x')).toThrow(TypeError);
    expect(pool.isolatedErrors).toBeLessThanOrEqual(1);
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no'))],
  ])('counts and logs an onCommand that %s', async (_how, onCommand) => {
    const { log, pool, logger } = setUp(onCommand);
    log.add(pause);
    await expect.poll(() => pool.isolatedErrors).toBe(1);
    expect(logger.messages().join()).toContain('onCommand of WorkerHttpModule');
  });

  it('keeps what was done, however often somebody is not let in', () => {
    const { log } = setUp();
    log.add({ command: 'pauseQueue', target: { queue: 'mail' }, by: 'ann', status: 200, code: null });
    for (let tries = 0; tries < 500; tries++)
      log.add({ command: 'deleteJob', target: {}, by: null, status: 401, code: 'UNAUTHENTICATED' });
    expect(log.commands).toHaveLength(200);
    expect(log.commands.at(-1)).toMatchObject({ command: 'pauseQueue', by: 'ann' });
  });
});
