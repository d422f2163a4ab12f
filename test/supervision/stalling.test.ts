import { describe, expect, it } from 'vitest';
import { ManualWorker } from '../support/manual-worker.js';
import { exact, Supervised } from '../support/supervised.js';

const stubborn = (): { worker: ManualWorker } => ({ worker: new ManualWorker({ obedient: false }) });
const restarting = { maxAttempts: 5, backoff: exact } as const;

describe('stallTimeout', () => {
  it('lets an attempt run as long as it gives heartbeats', async () => {
    const it = await new Supervised({ stallTimeout: '10s' }).start();
    for (let beat = 0; beat < 20; beat++) {
      await it.clock.advance(9_999);
      it.worker.attempt.ctx.heartbeat();
    }
    expect(it.status).toBe('running');
    expect(it.clock.pending).toBe(1);
    await it.clock.advance(9_999);
    expect(it.of('stalled')).toEqual([]);
    await it.clock.advance(1);
    expect(it.of('stalled')).toMatchObject([{ silentMs: 10_000 }]);
  });

  it('aborts a silent attempt, and restarts it once it has ended', async () => {
    const it = await new Supervised({ ...restarting, stallTimeout: '10s' }, stubborn()).start();
    await it.clock.advance('10s');
    expect(it.status).toBe('stalled');
    expect(it.worker.attempt.ctx.signal.reason).toMatchObject({ reason: 'stalled' });
    await it.clock.advance('5s');
    expect(it.worker.attempts).toHaveLength(1);
    await it.succeed();
    expect(it.of('failed')).toMatchObject([{ abortedFor: 'stalled', error: { code: 'ATTEMPT_ABORTED' } }]);
    expect(it.status).toBe('backoff');
    await it.clock.advance('1s');
    expect(it.status).toBe('running');
    expect(it.worker.mostAtOnce).toBe(1);
  });

  it('counts afresh for each attempt', async () => {
    const it = await new Supervised({ ...restarting, stallTimeout: '10s' }).start();
    await it.clock.advance('9s');
    await it.fail();
    await it.clock.advance('1s');
    await it.clock.advance(9_999);
    expect(it.status).toBe('running');
    await it.clock.advance(1);
    expect(it.of('stalled')).toHaveLength(1);
  });

  it('lets the time move on also where rounding leaves next to nothing of it', async () => {
    const it = await new Supervised({ ...restarting, backoff: () => 1_000 / 3, stallTimeout: 400 }).start();
    await it.clock.advance('1m');
    expect(it.of('stalled')[0]?.silentMs).toBe(400);
    expect(it.of('exhausted')).toHaveLength(1);
  });

  it('does not watch without the option', async () => {
    const it = await new Supervised().start();
    it.worker.attempt.ctx.heartbeat();
    expect(it.clock.pending).toBe(0);
    await it.clock.advance('30 days');
    expect(it.status).toBe('running');
  });

  it('leaves an attempt alone that is stopping', async () => {
    const it = await new Supervised({ stallTimeout: '10s' }, stubborn()).start();
    const stopped = it.supervisor.stop('shutdown');
    await it.clock.advance('1m');
    expect(it.of('stalled')).toEqual([]);
    it.worker.attempt.succeed();
    await stopped;
    expect(it.clock.pending).toBe(0);
  });
});

describe('timeout', () => {
  it('aborts the attempt, waits for its end, and counts as a failure', async () => {
    const it = await new Supervised({ ...restarting, timeout: '5s' }, stubborn()).start();
    await it.clock.advance('5s');
    expect(it.worker.attempt.ctx.signal.reason).toMatchObject({ reason: 'timeout' });
    expect(it.status).toBe('running');
    await it.clock.advance('3s');
    expect(it.worker.attempts).toHaveLength(1);
    await it.succeed();
    expect(it.of('failed')).toMatchObject([{ abortedFor: 'timeout', durationMs: 8_000 }]);
    await it.clock.advance('1s');
    expect(it.worker.attempts).toHaveLength(2);
    expect(it.worker.attempt.ctx.attempt).toBe(2);
    expect(it.worker.mostAtOnce).toBe(1);
  });

  it('is counted for each attempt by itself', async () => {
    const it = await new Supervised({ ...restarting, timeout: '5s' }).start();
    await it.clock.advance('4s');
    await it.fail();
    await it.clock.advance('1s');
    await it.clock.advance('4s');
    expect(it.worker.attempt.ctx.signal.aborted).toBe(false);
  });
});

describe('abortGrace', () => {
  it.each([
    ['timeout', { timeout: '5s' }],
    ['stalled', { stallTimeout: '5s' }],
  ] as const)('makes an attempt stuck that outlives its abort (%s)', async (reason, limit) => {
    const it = await new Supervised({ ...restarting, ...limit, abortGrace: '2s' }, stubborn()).start();
    await it.clock.advance(6_999);
    expect(it.status).not.toBe('stuck');
    await it.clock.advance(1);
    expect(it.of('stuck')).toMatchObject([{ reason, graceMs: 2_000 }]);
    expect(it.status).toBe('stuck');
    await it.clock.advance('1h');
    expect(it.worker.attempts).toHaveLength(1);
    expect(it.of('stuck')).toHaveLength(1);
  });

  it('does not start a stuck one beside itself', async () => {
    const it = await new Supervised({ timeout: '5s', abortGrace: 0 }, stubborn()).start();
    await it.clock.advance('6s');
    await it.start();
    expect(it.worker.attempts).toHaveLength(1);
    expect(it.status).toBe('stuck');
  });

  it('lets a stuck one resume by its policy once it ends after all', async () => {
    const it = await new Supervised({ ...restarting, timeout: '5s', abortGrace: '2s' }, stubborn()).start();
    await it.clock.advance('1m');
    expect(it.status).toBe('stuck');
    await it.fail();
    expect(it.status).toBe('backoff');
    await it.clock.advance('1s');
    expect(it.status).toBe('running');
    expect(it.worker.mostAtOnce).toBe(1);
  });

  it('gives up on a stuck one that ends late, where its policy says so', async () => {
    const it = await new Supervised({ timeout: '5s', abortGrace: '2s' }, stubborn()).start();
    await it.clock.advance('1m');
    await it.succeed();
    expect(it.of('exhausted')).toMatchObject([{ because: 'max-attempts' }]);
    expect(it.status).toBe('error');
  });

  it('keeps a stuck one stuck when it is told to stop, until it ends', async () => {
    const it = await new Supervised({ timeout: '5s', abortGrace: '2s' }, stubborn()).start();
    await it.clock.advance('1m');
    const stopped = it.supervisor.stop('shutdown');
    expect(it.status).toBe('stuck');
    it.worker.attempt.succeed();
    await stopped;
    expect(it.status).toBe('error');
    expect(it.clock.pending).toBe(0);
  });

  it('has no part in a stop, which has a deadline of its own', async () => {
    const it = await new Supervised({ abortGrace: '2s' }, stubborn()).start();
    void it.supervisor.stop('shutdown');
    await it.clock.advance('1h');
    expect(it.of('stuck')).toEqual([]);
    await it.succeed();
  });

  it('leaves no timer once the attempt has ended in time', async () => {
    const it = await new Supervised({ timeout: '5s', abortGrace: '2s' }).start();
    await it.clock.advance('5s');
    expect(it.status).toBe('error');
    expect(it.clock.pending).toBe(0);
  });
});
