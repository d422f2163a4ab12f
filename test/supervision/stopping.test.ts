import { describe, expect, it } from 'vitest';
import { ManualWorker } from '../support/manual-worker.js';
import { exact, Supervised } from '../support/supervised.js';

const stubborn = (): { worker: ManualWorker } => ({ worker: new ManualWorker({ obedient: false }) });

describe('stopping', () => {
  it('aborts the attempt with its reason and waits for its end', async () => {
    const life = await new Supervised({}, stubborn()).start();
    const stopped = life.supervisor.stop('stop-requested');
    expect(life.status).toBe('stopping');
    expect(life.worker.attempt.ctx.signal.reason).toMatchObject({ reason: 'stop-requested' });
    await life.clock.advance('9s');
    expect(life.status).toBe('stopping');
    await life.clock.advance(3_591_000);
    expect(life.supervisor.active).toBe(true);
    life.worker.attempt.succeed();
    await stopped;
    expect(life.types.slice(-3)).toEqual(['stopping', 'stuck', 'cancelled']);
    expect(life.of('cancelled')[0]).toMatchObject({ reason: 'stop-requested', durationMs: 3_600_000 });
    expect(life.supervisor.active).toBe(false);
  });

  it('is no failure, and leads to no restart', async () => {
    const life = await new Supervised({ maxAttempts: 5, restart: 'always', backoff: 'none' }).start();
    await life.supervisor.stop('shutdown');
    await life.clock.advance('1h');
    expect(life.types).toEqual(['registered', 'started', 'stopping', 'cancelled']);
    expect(life.worker.attempts).toHaveLength(1);
  });

  it('tells of an error of its own that the attempt ends with, and does not restart it', async () => {
    const life = await new Supervised({ maxAttempts: 5, backoff: 'none' }, stubborn()).start();
    const stopped = life.supervisor.stop('shutdown');
    life.worker.attempt.fail(new Error('could not flush'));
    await stopped;
    expect(life.types.slice(-2)).toEqual(['stopping', 'cancelled']);
    expect(life.of('cancelled')[0]).toMatchObject({
      error: { message: 'could not flush' },
      reason: 'shutdown',
    });
    expect(life.status).toBe('cancelled');
    expect(life.supervisor.record.lastError?.message).toBe('could not flush');
    expect(life.clock.pending).toBe(0);
  });

  it.each(['deferral', 'backoff'])('ends a %s at once', async (pause) => {
    const life = await new Supervised({
      ...(pause === 'deferral' && { deferredStart: '1h' }),
      maxAttempts: 2,
      backoff: exact,
    }).start();
    if (pause === 'backoff') await life.fail();
    const runs = life.worker.attempts.length;
    const stopped = life.supervisor.stop('shutdown');
    expect(life.clock.pending).toBe(0);
    await stopped;
    await life.clock.advance('2h');
    expect(life.worker.attempts).toHaveLength(runs);
    expect(life.types.slice(-2)).toEqual(['stopping', 'cancelled']);
    expect(life.of('cancelled')[0]).toMatchObject({ durationMs: 0 });
  });

  it('right after the start keeps the worker from running', async () => {
    const life = new Supervised();
    life.supervisor.start();
    await life.supervisor.stop('shutdown');
    await life.clock.settle();
    expect(life.worker.attempts).toHaveLength(0);
    expect(life.types).toEqual(['registered', 'stopping', 'cancelled']);
  });

  it('twice is once: the first reason stands and both wait for the end', async () => {
    const life = await new Supervised({}, stubborn()).start();
    const first = life.supervisor.stop('stop-requested');
    const second = life.supervisor.stop('shutdown');
    life.worker.attempt.succeed();
    await Promise.all([first, second]);
    expect(life.of('stopping')).toHaveLength(1);
    expect(life.of('cancelled')).toMatchObject([{ reason: 'stop-requested' }]);
  });

  it.each(['before any start', 'after the end'])('is nothing %s', async (when) => {
    const life = new Supervised();
    if (when === 'after the end') {
      await life.start();
      await life.succeed();
    }
    const before = life.types;
    await life.supervisor.stop('shutdown');
    expect(life.types).toEqual(before);
  });

  it('and starting meanwhile begins anew once the attempt has ended, never beside it', async () => {
    const life = await new Supervised({}, stubborn()).start();
    const stopped = life.supervisor.stop('stop-requested');
    await life.start();
    expect(life.worker.attempts).toHaveLength(1);
    life.worker.attempt.succeed();
    await stopped;
    await life.clock.settle();
    expect(life.worker.attempts).toHaveLength(2);
    expect(life.worker.mostAtOnce).toBe(1);
    expect(life.status).toBe('running');
  });

  it('has the last word over a start before it', async () => {
    const life = await new Supervised({}, stubborn()).start();
    void life.supervisor.stop('stop-requested');
    life.supervisor.start();
    const stopped = life.supervisor.stop('stop-requested');
    life.worker.attempt.succeed();
    await stopped;
    await life.clock.settle();
    expect(life.worker.attempts).toHaveLength(1);
    expect(life.supervisor.active).toBe(false);
  });

  it('starting twice is once', async () => {
    const life = await new Supervised().start();
    await life.start();
    expect(life.of('started')).toHaveLength(1);
  });

  it('names who is abandoned, and takes its late end', async () => {
    const life = await new Supervised({}, stubborn()).start();
    const stopped = life.supervisor.stop('shutdown');
    life.supervisor.abandon();
    expect(life.of('orphaned')).toMatchObject([{ reason: 'shutdown' }]);
    expect(life.status).toBe('stuck');
    life.worker.attempt.succeed();
    await stopped;
    expect(life.status).toBe('cancelled');
  });

  it.each([
    ['its timeout', { timeout: '1h' }, 0],
    ['its heartbeat', { stallTimeout: '1h' }, 0],
    ['its end after a timeout', { timeout: '1s', abortGrace: '1h' }, 1_000],
    ['its end after a stall', { stallTimeout: '1s', abortGrace: '1h' }, 1_000],
  ] as const)(
    'leaves no timer behind that waits for %s, of one who is abandoned',
    async (_what, options, ms) => {
      const life = await new Supervised(options, stubborn()).start();
      await life.clock.advance(ms);
      void life.supervisor.stop('shutdown');
      life.supervisor.abandon();
      expect(life.clock.pending).toBe(0);
      await life.clock.advance('2h');
      expect(life.types.at(-1)).toBe('orphaned');
      await life.succeed();
    },
  );

  it('is not begun again by a start before the abandonment', async () => {
    const life = await new Supervised({}, stubborn()).start();
    void life.supervisor.stop('shutdown');
    life.supervisor.start();
    life.supervisor.abandon();
    await life.succeed();
    expect(life.supervisor.active).toBe(false);
  });

  it('abandons nobody who was not told to stop', async () => {
    const life = await new Supervised().start();
    life.supervisor.abandon();
    expect(life.types).toEqual(['registered', 'started']);
  });
});

describe('a listener that commands', () => {
  const stopAt = async (type: string, options = {}): Promise<Supervised> => {
    const life = new Supervised({ maxAttempts: 3, backoff: exact, ...options });
    life.listener = (event) => {
      if (event.type === type) void life.supervisor.stop('stop-requested');
    };
    await life.start();
    return life;
  };

  it('may stop at the start: the attempt begins aborted and is cancelled', async () => {
    const life = await stopAt('started');
    expect(life.types).toEqual(['registered', 'started', 'stopping', 'cancelled']);
    expect(life.clock.pending).toBe(0);
  });

  it('may stop during the deferral', async () => {
    const life = await stopAt('deferred', { deferredStart: '1m' });
    expect(life.types).toEqual(['registered', 'deferred', 'stopping', 'cancelled']);
    expect(life.clock.pending).toBe(0);
  });

  it.each(['failed', 'backoff'])('may stop at a failure (%s): nothing is restarted', async (type) => {
    const life = await stopAt(type);
    await life.fail();
    expect(life.types.filter((other) => other !== 'backoff').slice(-3)).toEqual([
      'failed',
      'stopping',
      'cancelled',
    ]);
    expect(life.types.at(-1)).toBe('cancelled');
    expect(life.clock.pending).toBe(0);
    expect(life.supervisor.active).toBe(false);
  });

  it('changes nothing by stopping what has just succeeded', async () => {
    const life = await stopAt('succeeded');
    await life.succeed();
    expect(life.types).toEqual(['registered', 'started', 'succeeded']);
    expect(life.status).toBe('success');
  });

  it.each(['failed', 'exhausted'])(
    'changes nothing by stopping what is given up on (at %s)',
    async (type) => {
      const life = await stopAt(type, { maxAttempts: 1 });
      await life.fail();
      expect(life.types).toEqual(['registered', 'started', 'failed', 'exhausted']);
      expect(life.status).toBe('error');
    },
  );

  it.each(['succeeded', 'cancelled'])('may start again what has %s', async (type) => {
    const life = new Supervised();
    life.listener = (event) => {
      if (event.type === type && life.worker.attempts.length < 3) life.supervisor.start();
    };
    await life.start();
    for (let round = 0; round < 2; round++) {
      if (type === 'succeeded') life.worker.attempt.succeed();
      else void life.supervisor.stop('stop-requested');
      await life.clock.settle();
    }
    expect(life.worker.attempts).toHaveLength(3);
    expect(life.worker.mostAtOnce).toBe(1);
    expect(life.status).toBe('running');
  });
});
