import { describe, expect, it } from 'vitest';
import { exact, Supervised } from '../support/supervised.js';

describe('Supervisor', () => {
  it('runs an attempt to its end and is done', async () => {
    const life = await new Supervised().start();
    expect(life.status).toBe('running');
    expect(life.supervisor.active).toBe(true);
    await life.clock.advance(250);
    await life.succeed();
    expect(life.types).toEqual(['registered', 'started', 'succeeded']);
    expect(life.of('succeeded')[0]).toMatchObject({ durationMs: 250 });
    expect(life.status).toBe('success');
    expect(life.supervisor.active).toBe(false);
    expect(life.clock.pending).toBe(0);
  });

  it('does not run user code within start()', async () => {
    const life = new Supervised();
    life.supervisor.start();
    expect(life.worker.attempts).toHaveLength(0);
    expect(life.supervisor.active).toBe(true);
    await life.clock.settle();
    expect(life.worker.attempts).toHaveLength(1);
  });

  it('restarts after a failure as backoff says, with a new id and the next attempt number', async () => {
    const life = await new Supervised({ maxAttempts: 4, backoff: exact }).start();
    for (const waitMs of [1_000, 2_000, 4_000]) {
      await life.fail();
      expect(life.status).toBe('backoff');
      await life.clock.advance(waitMs - 1);
      expect(life.status).toBe('backoff');
      await life.clock.advance(1);
      expect(life.status).toBe('running');
    }
    await life.fail();
    expect(life.of('backoff').map(({ delayMs, attempt }) => [delayMs, attempt])).toEqual([
      [1_000, 2],
      [2_000, 3],
      [4_000, 4],
    ]);
    expect(
      life.of('started').map(({ attempt, restart, executionId }) => [attempt, restart, executionId]),
    ).toEqual([
      [1, false, 'id-1'],
      [2, true, 'id-2'],
      [3, true, 'id-3'],
      [4, true, 'id-4'],
    ]);
    expect(life.worker.attempts.map(({ ctx }) => [ctx.executionId, ctx.attempt])).toEqual([
      ['id-1', 1],
      ['id-2', 2],
      ['id-3', 3],
      ['id-4', 4],
    ]);
    expect(life.of('exhausted')[0]).toMatchObject({ because: 'max-attempts', attempts: 4 });
    expect(life.status).toBe('error');
    expect(life.supervisor.active).toBe(false);
  });

  it('gives each event the id of the attempt that it belongs to', async () => {
    const life = await new Supervised({ maxAttempts: 2, backoff: exact }).start();
    await life.fail();
    await life.clock.advance('1s');
    await life.fail();
    expect(life.events.map(({ type, executionId }) => [type, executionId])).toEqual([
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
    const life = await new Supervised().start();
    await life.fail(Object.assign(new Error('no route'), { code: 'EHOSTUNREACH' }));
    const error = { name: 'Error', message: 'no route', code: 'EHOSTUNREACH' };
    expect(life.of('failed')[0]).toMatchObject({ error });
    expect(life.supervisor.record.lastError).toMatchObject(error);
    expect(life.supervisor.record.lastError?.stack).toContain('supervisor.test.ts');
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
    const life = await new Supervised({ maxAttempts: 2, backoff: exact, resetAfter: '1m' }).start();
    for (let day = 0; day < 5; day++) {
      await life.clock.advance('1m');
      await life.fail();
      expect(life.status).toBe('backoff');
      await life.clock.advance('1s');
    }
    expect(life.supervisor.record.restarts).toBe(5);
  });

  it('gives up at the restart limit, and counts afresh when it is started again', async () => {
    const options = {
      maxAttempts: Infinity,
      backoff: 'none',
      restartLimit: { max: 2, window: '1m' },
    } as const;
    const life = await new Supervised(options).start();
    for (let failure = 0; failure < 3; failure++) {
      await life.fail();
      await life.clock.advance(1);
    }
    expect(life.of('exhausted')[0]).toMatchObject({ because: 'restart-limit', attempts: 3 });
    expect(life.supervisor.restartsInWindow).toBe(2);
    await life.start();
    expect(life.supervisor.restartsInWindow).toBe(0);
    expect(life.of('started').at(-1)).toMatchObject({ attempt: 1, restart: false });
  });

  it('asks a backoff function, and goes by the default where it throws or answers nonsense', async () => {
    let answer: () => unknown = () => '7s';
    const life = await new Supervised({ maxAttempts: Infinity, backoff: () => answer() as number }).start();
    const nextDelay = async (): Promise<number | undefined> => {
      await life.fail();
      const delayMs = life.of('backoff').at(-1)?.delayMs;
      await life.clock.advance(delayMs ?? 0);
      return delayMs;
    };
    expect(await nextDelay()).toBe(7_000);
    answer = () => {
      throw new Error('backoff');
    };
    expect(await nextDelay()).toBe(1_000);
    answer = () => 'soon';
    expect(await nextDelay()).toBe(2_000);
    expect(life.reports.map(({ what }) => what)).toEqual([
      'the backoff function of "relay"',
      'the backoff function of "relay"',
    ]);
    expect(life.status).toBe('running');
  });

  it('escalates once when it is given up on with onExhausted shutdown, and only then', async () => {
    const life = await new Supervised({ maxAttempts: 2, backoff: exact, onExhausted: 'shutdown' }).start();
    await life.fail();
    expect(life.escalated).toEqual([]);
    await life.clock.advance('1s');
    await life.fail();
    expect(life.escalated).toEqual(['relay']);
    const ignored = await new Supervised({ onExhausted: 'ignore' }).start();
    await ignored.fail();
    expect(ignored.escalated).toEqual([]);
  });

  it('has a new id when it is started again', async () => {
    const life = await new Supervised().start();
    await life.succeed();
    await life.start();
    expect(life.of('started').map(({ executionId }) => executionId)).toEqual(['id-1', 'id-2']);
    expect(life.supervisor.record.id).toBe('id-2');
  });

  it('never runs when it is disabled', async () => {
    const life = await new Supervised({ enabled: false }).start();
    expect(life.status).toBe('disabled');
    expect(life.supervisor.active).toBe(false);
    await life.supervisor.stop('shutdown');
    expect(life.types).toEqual(['registered']);
  });
});

describe('deferral', () => {
  it.each([
    ['0.1s', 100],
    ['0.5s', 500],
    ['0.9s', 900],
    [1_500, 1_500],
  ])('of %s is honoured to the millisecond', async (deferredStart, ms) => {
    const life = await new Supervised({ deferredStart: deferredStart as '0.1s' }).start();
    expect(life.status).toBe('deferred');
    expect(life.of('deferred')[0]).toMatchObject({ delayMs: ms, executionId: 'id-1' });
    await life.clock.advance(ms - 1);
    expect(life.worker.attempts).toHaveLength(0);
    await life.clock.advance(1);
    expect(life.worker.attempts).toHaveLength(1);
    expect(life.worker.attempt.ctx.executionId).toBe('id-1');
  });

  it('does not hold up a restart, and does hold up a new start', async () => {
    const life = await new Supervised({ deferredStart: '1m', maxAttempts: 2, backoff: 'none' }).start();
    await life.clock.advance('1m');
    await life.fail();
    await life.clock.advance(0);
    expect(life.status).toBe('running');
    await life.fail();
    await life.start();
    expect(life.status).toBe('deferred');
  });
});
