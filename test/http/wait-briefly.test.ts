import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import { waitBriefly } from '../../lib/http/wait-briefly.js';
import { Pool } from '../../lib/pool/index.js';
import { signal } from '../support/nest.js';
import { RecordingLogger } from '../support/recording-logger.js';

function setUp() {
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  return { clock, logger, pool: new Pool({ clock, logger }) };
}

describe('waitBriefly', () => {
  it('waits for what ends in time, and leaves no timer', async () => {
    const { pool, clock } = setUp();
    const work = signal();
    let ended = false;
    const answered = waitBriefly(pool, () => work.promise).then(() => (ended = true));
    await clock.advance('1999ms');
    expect(ended).toBe(false);
    work.resolve();
    await answered;
    expect(clock.pending).toBe(0);
  });

  it('rejects as what fails in time', async () => {
    const { pool, clock } = setUp();
    await expect(waitBriefly(pool, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(clock.pending).toBe(0);
  });

  it('answers after two seconds, and tells the log what it failed with then', async () => {
    const { pool, clock, logger } = setUp();
    const work = signal();
    const answered = waitBriefly(pool, () => work.promise);
    await clock.advance('2s');
    await answered;
    expect(logger.messages('error')).toEqual([]);
    const error = new Error('late');
    work.reject(error);
    await clock.settle();
    expect(logger.lines).toMatchObject([{ level: 'error', fields: { err: error } }]);
    expect(logger.lines[0]?.message).toContain('after it had been answered');
  });

  it('says nothing of what ends well, but late', async () => {
    const { pool, clock, logger } = setUp();
    const work = signal();
    const answered = waitBriefly(pool, () => work.promise);
    await clock.advance('2s');
    await answered;
    work.resolve();
    await clock.settle();
    expect(logger.lines).toEqual([]);
  });

  it('rejects where it throws at once', async () => {
    const { pool, clock } = setUp();
    const answer = waitBriefly(pool, () => {
      throw new Error('at once');
    });
    await expect(answer).rejects.toThrow('at once');
    expect(clock.pending).toBe(0);
  });
});
