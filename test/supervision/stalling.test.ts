import { describe, expect, it } from 'vitest';
import { ManualWorker } from '../support/manual-worker.js';
import { exact, Supervised } from '../support/supervised.js';

const stubborn = (): { worker: ManualWorker } => ({ worker: new ManualWorker({ obedient: false }) });
const restarting = { maxAttempts: 5, backoff: exact } as const;

describe('stallTimeout', () => {
  it('lets an attempt run as long as it gives heartbeats', async () => {
    const life = await new Supervised({ stallTimeout: '10s' }).start();
    for (let beat = 0; beat < 20; beat++) {
      await life.clock.advance(9_999);
      life.worker.attempt.ctx.heartbeat();
    }
    expect(life.status).toBe('running');
    expect(life.clock.pending).toBe(1);
    await life.clock.advance(9_999);
    expect(life.of('stalled')).toEqual([]);
    await life.clock.advance(1);
    expect(life.of('stalled')).toMatchObject([{ silentMs: 10_000 }]);
  });

  it('aborts a silent attempt, and restarts it once it has ended', async () => {
    const life = await new Supervised({ ...restarting, stallTimeout: '10s' }, stubborn()).start();
    await life.clock.advance('10s');
    expect(life.status).toBe('stalled');
    expect(life.worker.attempt.ctx.signal.reason).toMatchObject({ reason: 'stalled' });
    await life.clock.advance('5s');
    expect(life.worker.attempts).toHaveLength(1);
    await life.succeed();
    expect(life.of('failed')).toMatchObject([{ abortedFor: 'stalled', error: { code: 'ATTEMPT_ABORTED' } }]);
    expect(life.status).toBe('backoff');
    await life.clock.advance('1s');
    expect(life.status).toBe('running');
    expect(life.worker.mostAtOnce).toBe(1);
  });

  it('counts afresh for each attempt', async () => {
    const life = await new Supervised({ ...restarting, stallTimeout: '10s' }).start();
    await life.clock.advance('9s');
    await life.fail();
    await life.clock.advance('1s');
    await life.clock.advance(9_999);
    expect(life.status).toBe('running');
    await life.clock.advance(1);
    expect(life.of('stalled')).toHaveLength(1);
  });

  it('does not watch without the option', async () => {
    const life = await new Supervised().start();
    life.worker.attempt.ctx.heartbeat();
    expect(life.clock.pending).toBe(0);
    await life.clock.advance('30 days');
    expect(life.status).toBe('running');
  });

  it('leaves an attempt alone that is stopping', async () => {
    const life = await new Supervised({ stallTimeout: '10s' }, stubborn()).start();
    const stopped = life.supervisor.stop('shutdown');
    await life.clock.advance('1m');
    expect(life.of('stalled')).toEqual([]);
    life.worker.attempt.succeed();
    await stopped;
    expect(life.clock.pending).toBe(0);
  });
});

describe('timeout', () => {
  it('aborts the attempt, waits for its end, and counts as a failure', async () => {
    const life = await new Supervised({ ...restarting, timeout: '5s' }, stubborn()).start();
    await life.clock.advance('5s');
    expect(life.worker.attempt.ctx.signal.reason).toMatchObject({ reason: 'timeout' });
    expect(life.status).toBe('running');
    await life.clock.advance('3s');
    expect(life.worker.attempts).toHaveLength(1);
    await life.succeed();
    expect(life.of('failed')).toMatchObject([{ abortedFor: 'timeout', durationMs: 8_000 }]);
    await life.clock.advance('1s');
    expect(life.worker.attempts).toHaveLength(2);
    expect(life.worker.attempt.ctx.attempt).toBe(2);
    expect(life.worker.mostAtOnce).toBe(1);
  });

  it('is counted for each attempt by itself', async () => {
    const life = await new Supervised({ ...restarting, timeout: '5s' }).start();
    await life.clock.advance('4s');
    await life.fail();
    await life.clock.advance('1s');
    await life.clock.advance('4s');
    expect(life.worker.attempt.ctx.signal.aborted).toBe(false);
  });
});

describe('abortGrace', () => {
  it.each([
    ['timeout', { timeout: '5s' }],
    ['stalled', { stallTimeout: '5s' }],
  ] as const)('makes an attempt stuck that outlives its abort (%s)', async (reason, limit) => {
    const life = await new Supervised({ ...restarting, ...limit, abortGrace: '2s' }, stubborn()).start();
    await life.clock.advance(6_999);
    expect(life.status).not.toBe('stuck');
    await life.clock.advance(1);
    expect(life.of('stuck')).toMatchObject([{ reason, graceMs: 2_000 }]);
    expect(life.status).toBe('stuck');
    await life.clock.advance('1h');
    expect(life.worker.attempts).toHaveLength(1);
    expect(life.of('stuck')).toHaveLength(1);
  });

  it('does not start a stuck one beside itself', async () => {
    const life = await new Supervised({ timeout: '5s', abortGrace: 0 }, stubborn()).start();
    await life.clock.advance('6s');
    await life.start();
    expect(life.worker.attempts).toHaveLength(1);
    expect(life.status).toBe('stuck');
  });

  it('lets a stuck one resume by its policy once it ends after all', async () => {
    const life = await new Supervised({ ...restarting, timeout: '5s', abortGrace: '2s' }, stubborn()).start();
    await life.clock.advance('1m');
    expect(life.status).toBe('stuck');
    await life.fail();
    expect(life.status).toBe('backoff');
    await life.clock.advance('1s');
    expect(life.status).toBe('running');
    expect(life.worker.mostAtOnce).toBe(1);
  });

  it('gives up on a stuck one that ends late, where its policy says so', async () => {
    const life = await new Supervised({ timeout: '5s', abortGrace: '2s' }, stubborn()).start();
    await life.clock.advance('1m');
    await life.succeed();
    expect(life.of('exhausted')).toMatchObject([{ because: 'max-attempts' }]);
    expect(life.status).toBe('error');
  });

  it('keeps a stuck one stuck when it is told to stop, until it ends', async () => {
    const life = await new Supervised({ timeout: '5s', abortGrace: '2s' }, stubborn()).start();
    await life.clock.advance('1m');
    const stopped = life.supervisor.stop('shutdown');
    expect(life.status).toBe('stuck');
    life.worker.attempt.succeed();
    await stopped;
    expect(life.status).toBe('error');
    expect(life.clock.pending).toBe(0);
  });

  it('has no part in a stop, which has a deadline of its own', async () => {
    const life = await new Supervised({ abortGrace: '2s' }, stubborn()).start();
    void life.supervisor.stop('shutdown');
    await life.clock.advance('1h');
    expect(life.of('stuck')).toEqual([]);
    await life.succeed();
  });

  it('leaves no timer once the attempt has ended in time', async () => {
    const life = await new Supervised({ timeout: '5s', abortGrace: '2s' }).start();
    await life.clock.advance('5s');
    expect(life.status).toBe('error');
    expect(life.clock.pending).toBe(0);
  });
});
