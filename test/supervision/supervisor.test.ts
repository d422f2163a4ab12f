import { describe, expect, it } from 'vitest';
import { exact, Supervised } from '../support/supervised.js';

describe('Supervisor', () => {
  it('runs an attempt to its end and is done', async () => {
    const it = await new Supervised().start();
    expect(it.status).toBe('running');
    expect(it.supervisor.active).toBe(true);
    await it.clock.advance(250);
    await it.succeed();
    expect(it.types).toEqual(['registered', 'started', 'succeeded']);
    expect(it.of('succeeded')[0]).toMatchObject({ durationMs: 250 });
    expect(it.status).toBe('success');
    expect(it.supervisor.active).toBe(false);
    expect(it.clock.pending).toBe(0);
  });

  it('does not run user code within start()', async () => {
    const it = new Supervised();
    it.supervisor.start();
    expect(it.worker.attempts).toHaveLength(0);
    expect(it.supervisor.active).toBe(true);
    await it.clock.settle();
    expect(it.worker.attempts).toHaveLength(1);
  });

  it('restarts after a failure as backoff says, with a new id and the next attempt number', async () => {
    const it = await new Supervised({ maxAttempts: 4, backoff: exact }).start();
    for (const waitMs of [1_000, 2_000, 4_000]) {
      await it.fail();
      expect(it.status).toBe('backoff');
      await it.clock.advance(waitMs - 1);
      expect(it.status).toBe('backoff');
      await it.clock.advance(1);
      expect(it.status).toBe('running');
    }
    await it.fail();
    expect(it.of('backoff').map(({ delayMs, attempt }) => [delayMs, attempt])).toEqual([
      [1_000, 2],
      [2_000, 3],
      [4_000, 4],
    ]);
    expect(
      it.of('started').map(({ attempt, restart, executionId }) => [attempt, restart, executionId]),
    ).toEqual([
      [1, false, 'id-1'],
      [2, true, 'id-2'],
      [3, true, 'id-3'],
      [4, true, 'id-4'],
    ]);
    expect(it.worker.attempts.map(({ ctx }) => [ctx.executionId, ctx.attempt])).toEqual([
      ['id-1', 1],
      ['id-2', 2],
      ['id-3', 3],
      ['id-4', 4],
    ]);
    expect(it.of('exhausted')[0]).toMatchObject({ because: 'max-attempts', attempts: 4 });
    expect(it.status).toBe('error');
    expect(it.supervisor.active).toBe(false);
  });

  it('gives each event the id of the attempt that it belongs to', async () => {
    const it = await new Supervised({ maxAttempts: 2, backoff: exact }).start();
    await it.fail();
    await it.clock.advance('1s');
    await it.fail();
    expect(it.events.map(({ type, executionId }) => [type, executionId])).toEqual([
      ['registered', 'id-1'],
      ['started', 'id-1'],
      ['failed', 'id-1'],
      ['backoff', 'id-1'],
      ['started', 'id-2'],
      ['failed', 'id-2'],
      ['exhausted', 'id-2'],
    ]);
  });

  it('keeps the error of a failure as plain data', async () => {
    const it = await new Supervised().start();
    await it.fail(Object.assign(new Error('no route'), { code: 'EHOSTUNREACH' }));
    const error = { name: 'Error', message: 'no route', code: 'EHOSTUNREACH' };
    expect(it.of('failed')[0]).toMatchObject({ error });
    expect(it.supervisor.record.lastError).toMatchObject(error);
    expect(it.supervisor.record.lastError?.stack).toContain('supervisor.test.ts');
  });

  it("restarts under 'always' after a success, and not under 'never' after a failure", async () => {
    const always = await new Supervised({ restart: 'always', backoff: exact }).start();
    await always.succeed();
    expect(always.status).toBe('backoff');
    await always.clock.advance('1s');
    expect(always.status).toBe('running');

    const never = await new Supervised({ restart: 'never', maxAttempts: 5 }).start();
    await never.fail();
    expect(never.of('exhausted')[0]).toMatchObject({ because: 'restart-never', attempts: 1 });
    expect(never.supervisor.active).toBe(false);
  });

  it('counts afresh after an attempt that stayed up for resetAfter', async () => {
    const it = await new Supervised({ maxAttempts: 2, backoff: exact, resetAfter: '1m' }).start();
    for (let day = 0; day < 5; day++) {
      await it.clock.advance('1m');
      await it.fail();
      expect(it.status).toBe('backoff');
      await it.clock.advance('1s');
    }
    expect(it.supervisor.record.restarts).toBe(5);
  });

  it('gives up at the restart limit, and counts afresh when it is started again', async () => {
    const options = {
      maxAttempts: Infinity,
      backoff: 'none',
      restartLimit: { max: 2, window: '1m' },
    } as const;
    const it = await new Supervised(options).start();
    for (let failure = 0; failure < 3; failure++) {
      await it.fail();
      await it.clock.advance(1);
    }
    expect(it.of('exhausted')[0]).toMatchObject({ because: 'restart-limit', attempts: 3 });
    expect(it.supervisor.restartsInWindow).toBe(2);
    await it.start();
    expect(it.supervisor.restartsInWindow).toBe(0);
    expect(it.of('started').at(-1)).toMatchObject({ attempt: 1, restart: false });
  });

  it('asks a backoff function, and goes by the default where it throws or answers nonsense', async () => {
    let answer: () => unknown = () => '7s';
    const it = await new Supervised({ maxAttempts: Infinity, backoff: () => answer() as number }).start();
    const nextDelay = async (): Promise<number | undefined> => {
      await it.fail();
      const delayMs = it.of('backoff').at(-1)?.delayMs;
      await it.clock.advance(delayMs ?? 0);
      return delayMs;
    };
    expect(await nextDelay()).toBe(7_000);
    answer = () => {
      throw new Error('backoff');
    };
    expect(await nextDelay()).toBe(1_000);
    answer = () => 'soon';
    expect(await nextDelay()).toBe(2_000);
    expect(it.reports.map(({ what }) => what)).toEqual([
      'the backoff function of "relay"',
      'the backoff function of "relay"',
    ]);
    expect(it.status).toBe('running');
  });

  it('escalates once when it is given up on with onExhausted shutdown, and only then', async () => {
    const it = await new Supervised({ maxAttempts: 2, backoff: exact, onExhausted: 'shutdown' }).start();
    await it.fail();
    expect(it.escalated).toEqual([]);
    await it.clock.advance('1s');
    await it.fail();
    expect(it.escalated).toEqual(['relay']);
    const ignored = await new Supervised({ onExhausted: 'ignore' }).start();
    await ignored.fail();
    expect(ignored.escalated).toEqual([]);
  });

  it('has a new id when it is started again', async () => {
    const it = await new Supervised().start();
    await it.succeed();
    await it.start();
    expect(it.of('started').map(({ executionId }) => executionId)).toEqual(['id-1', 'id-2']);
    expect(it.supervisor.record.id).toBe('id-2');
  });

  it('never runs when it is disabled', async () => {
    const it = await new Supervised({ enabled: false }).start();
    expect(it.status).toBe('disabled');
    expect(it.supervisor.active).toBe(false);
    await it.supervisor.stop('shutdown');
    expect(it.types).toEqual(['registered']);
  });
});

describe('deferral', () => {
  it.each([
    ['0.1s', 100],
    ['0.5s', 500],
    ['0.9s', 900],
    [1_500, 1_500],
  ])('of %s is honoured to the millisecond', async (deferredStart, ms) => {
    const it = await new Supervised({ deferredStart: deferredStart as '0.1s' }).start();
    expect(it.status).toBe('deferred');
    expect(it.of('deferred')[0]).toMatchObject({ delayMs: ms, executionId: 'id-1' });
    await it.clock.advance(ms - 1);
    expect(it.worker.attempts).toHaveLength(0);
    await it.clock.advance(1);
    expect(it.worker.attempts).toHaveLength(1);
    expect(it.worker.attempt.ctx.executionId).toBe('id-1');
  });

  it('does not hold up a restart, and does hold up a new start', async () => {
    const it = await new Supervised({ deferredStart: '1m', maxAttempts: 2, backoff: 'none' }).start();
    await it.clock.advance('1m');
    await it.fail();
    await it.clock.advance(0);
    expect(it.status).toBe('running');
    await it.fail();
    await it.start();
    expect(it.status).toBe('deferred');
  });
});
