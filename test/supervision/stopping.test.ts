import { describe, expect, it } from 'vitest';
import { ManualWorker } from '../support/manual-worker.js';
import { exact, Supervised } from '../support/supervised.js';

const stubborn = (): { worker: ManualWorker } => ({ worker: new ManualWorker({ obedient: false }) });

describe('stopping', () => {
  it('aborts the attempt with its reason and waits for its end', async () => {
    const it = await new Supervised({}, stubborn()).start();
    const stopped = it.supervisor.stop('stop-requested');
    expect(it.status).toBe('stopping');
    expect(it.worker.attempt.ctx.signal.reason).toMatchObject({ reason: 'stop-requested' });
    await it.clock.advance('1h');
    expect(it.supervisor.active).toBe(true);
    it.worker.attempt.succeed();
    await stopped;
    expect(it.types.slice(-2)).toEqual(['stopping', 'cancelled']);
    expect(it.of('cancelled')[0]).toMatchObject({ reason: 'stop-requested', durationMs: 3_600_000 });
    expect(it.supervisor.active).toBe(false);
  });

  it('is no failure, and leads to no restart', async () => {
    const it = await new Supervised({ maxAttempts: 5, restart: 'always', backoff: 'none' }).start();
    await it.supervisor.stop('shutdown');
    await it.clock.advance('1h');
    expect(it.types).toEqual(['registered', 'started', 'stopping', 'cancelled']);
    expect(it.worker.attempts).toHaveLength(1);
  });

  it('tells of an error of its own that the attempt ends with, and does not restart it', async () => {
    const it = await new Supervised({ maxAttempts: 5, backoff: 'none' }, stubborn()).start();
    const stopped = it.supervisor.stop('shutdown');
    it.worker.attempt.fail(new Error('could not flush'));
    await stopped;
    expect(it.types.slice(-2)).toEqual(['stopping', 'failed']);
    expect(it.of('failed')[0]).toMatchObject({
      error: { message: 'could not flush' },
      abortedFor: 'shutdown',
    });
    expect(it.status).toBe('error');
    expect(it.clock.pending).toBe(0);
  });

  it.each(['deferral', 'backoff'])('ends a %s at once', async (pause) => {
    const it = await new Supervised({
      ...(pause === 'deferral' && { deferredStart: '1h' }),
      maxAttempts: 2,
      backoff: exact,
    }).start();
    if (pause === 'backoff') await it.fail();
    const runs = it.worker.attempts.length;
    const stopped = it.supervisor.stop('shutdown');
    expect(it.clock.pending).toBe(0);
    await stopped;
    await it.clock.advance('2h');
    expect(it.worker.attempts).toHaveLength(runs);
    expect(it.types.slice(-2)).toEqual(['stopping', 'cancelled']);
    expect(it.of('cancelled')[0]).toMatchObject({ durationMs: 0 });
  });

  it('right after the start keeps the worker from running', async () => {
    const it = new Supervised();
    it.supervisor.start();
    await it.supervisor.stop('shutdown');
    await it.clock.settle();
    expect(it.worker.attempts).toHaveLength(0);
    expect(it.types).toEqual(['registered', 'stopping', 'cancelled']);
  });

  it('twice is once: the first reason stands and both wait for the end', async () => {
    const it = await new Supervised({}, stubborn()).start();
    const first = it.supervisor.stop('stop-requested');
    const second = it.supervisor.stop('shutdown');
    it.worker.attempt.succeed();
    await Promise.all([first, second]);
    expect(it.of('stopping')).toHaveLength(1);
    expect(it.of('cancelled')).toMatchObject([{ reason: 'stop-requested' }]);
  });

  it.each(['before any start', 'after the end'])('is nothing %s', async (when) => {
    const it = new Supervised();
    if (when === 'after the end') {
      await it.start();
      await it.succeed();
    }
    const before = it.types;
    await it.supervisor.stop('shutdown');
    expect(it.types).toEqual(before);
  });

  it('and starting meanwhile begins anew once the attempt has ended, never beside it', async () => {
    const it = await new Supervised({}, stubborn()).start();
    const stopped = it.supervisor.stop('stop-requested');
    await it.start();
    expect(it.worker.attempts).toHaveLength(1);
    it.worker.attempt.succeed();
    await stopped;
    await it.clock.settle();
    expect(it.worker.attempts).toHaveLength(2);
    expect(it.worker.mostAtOnce).toBe(1);
    expect(it.status).toBe('running');
  });

  it('has the last word over a start before it', async () => {
    const it = await new Supervised({}, stubborn()).start();
    void it.supervisor.stop('stop-requested');
    it.supervisor.start();
    const stopped = it.supervisor.stop('stop-requested');
    it.worker.attempt.succeed();
    await stopped;
    await it.clock.settle();
    expect(it.worker.attempts).toHaveLength(1);
    expect(it.supervisor.active).toBe(false);
  });

  it('starting twice is once', async () => {
    const it = await new Supervised().start();
    await it.start();
    expect(it.of('started')).toHaveLength(1);
  });

  it('names who is abandoned, and takes its late end', async () => {
    const it = await new Supervised({}, stubborn()).start();
    const stopped = it.supervisor.stop('shutdown');
    it.supervisor.abandon();
    expect(it.of('orphaned')).toMatchObject([{ reason: 'shutdown' }]);
    expect(it.status).toBe('stuck');
    it.worker.attempt.succeed();
    await stopped;
    expect(it.status).toBe('cancelled');
  });

  it.each([
    ['its timeout', { timeout: '1h' }, 0],
    ['its heartbeat', { stallTimeout: '1h' }, 0],
    ['its end after a timeout', { timeout: '1s', abortGrace: '1h' }, 1_000],
    ['its end after a stall', { stallTimeout: '1s', abortGrace: '1h' }, 1_000],
  ] as const)(
    'leaves no timer behind that waits for %s, of one who is abandoned',
    async (_what, options, ms) => {
      const it = await new Supervised(options, stubborn()).start();
      await it.clock.advance(ms);
      void it.supervisor.stop('shutdown');
      it.supervisor.abandon();
      expect(it.clock.pending).toBe(0);
      await it.clock.advance('2h');
      expect(it.types.at(-1)).toBe('orphaned');
      await it.succeed();
    },
  );

  it('is not begun again by a start before the abandonment', async () => {
    const it = await new Supervised({}, stubborn()).start();
    void it.supervisor.stop('shutdown');
    it.supervisor.start();
    it.supervisor.abandon();
    await it.succeed();
    expect(it.supervisor.active).toBe(false);
  });

  it('abandons nobody who was not told to stop', async () => {
    const it = await new Supervised().start();
    it.supervisor.abandon();
    expect(it.types).toEqual(['registered', 'started']);
  });
});

describe('a listener that commands', () => {
  const stopAt = async (type: string, options = {}): Promise<Supervised> => {
    const it = new Supervised({ maxAttempts: 3, backoff: exact, ...options });
    it.listener = (event) => {
      if (event.type === type) void it.supervisor.stop('stop-requested');
    };
    await it.start();
    return it;
  };

  it('may stop at the start: the attempt begins aborted and is cancelled', async () => {
    const it = await stopAt('started');
    expect(it.types).toEqual(['registered', 'started', 'stopping', 'cancelled']);
    expect(it.clock.pending).toBe(0);
  });

  it('may stop during the deferral', async () => {
    const it = await stopAt('deferred', { deferredStart: '1m' });
    expect(it.types).toEqual(['registered', 'deferred', 'stopping', 'cancelled']);
    expect(it.clock.pending).toBe(0);
  });

  it.each(['failed', 'backoff'])('may stop at a failure (%s): nothing is restarted', async (type) => {
    const it = await stopAt(type);
    await it.fail();
    expect(it.types.filter((other) => other !== 'backoff').slice(-3)).toEqual([
      'failed',
      'stopping',
      'cancelled',
    ]);
    expect(it.types.at(-1)).toBe('cancelled');
    expect(it.clock.pending).toBe(0);
    expect(it.supervisor.active).toBe(false);
  });

  it('changes nothing by stopping what has just succeeded', async () => {
    const it = await stopAt('succeeded');
    await it.succeed();
    expect(it.types).toEqual(['registered', 'started', 'succeeded']);
    expect(it.status).toBe('success');
  });

  it.each(['failed', 'exhausted'])(
    'changes nothing by stopping what is given up on (at %s)',
    async (type) => {
      const it = await stopAt(type, { maxAttempts: 1 });
      await it.fail();
      expect(it.types).toEqual(['registered', 'started', 'failed', 'exhausted']);
      expect(it.status).toBe('error');
    },
  );

  it.each(['succeeded', 'cancelled'])('may start again what has %s', async (type) => {
    const it = new Supervised();
    it.listener = (event) => {
      if (event.type === type && it.worker.attempts.length < 3) it.supervisor.start();
    };
    await it.start();
    for (let round = 0; round < 2; round++) {
      if (type === 'succeeded') it.worker.attempt.succeed();
      else void it.supervisor.stop('stop-requested');
      await it.clock.settle();
    }
    expect(it.worker.attempts).toHaveLength(3);
    expect(it.worker.mostAtOnce).toBe(1);
    expect(it.status).toBe('running');
  });
});
