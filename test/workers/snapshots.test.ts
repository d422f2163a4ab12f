import { describe, expect, it } from 'vitest';
import { fakePool } from '../support/fake-pool.js';
import { ManualWorker } from '../support/manual-worker.js';

/** Every object that can be reached, by its path. Dates are made for the snapshot and belong to nobody else. */
function reachable(value: unknown, path = 'it', found = new Map<string, object>()): Map<string, object> {
  if (typeof value !== 'object' || value === null || value instanceof Date) return found;
  found.set(path, value);
  for (const [key, inner] of Object.entries(value)) reachable(inner, `${path}.${key}`, found);
  return found;
}

async function failedOnce(): Promise<ReturnType<typeof fakePool> & { worker: ManualWorker }> {
  const made = fakePool({ maxAttempts: 3, backoff: { initial: '1s', jitter: false } });
  const worker = new ManualWorker();
  made.pool.register(worker, {
    name: 'relay',
    deferredStart: '0.1s',
    restartLimit: { max: 1, window: '1h' },
    onExhausted: 'ignore',
  });
  made.pool.start();
  await made.clock.advance('1s');
  worker.attempt.fail();
  await made.clock.settle();
  return { ...made, worker };
}

describe('everything that a pool hands out', () => {
  it('is frozen through and through', async () => {
    const { pool, events } = await failedOnce();
    const handedOut = {
      registrations: pool.registrations(),
      registration: pool.registration('relay'),
      executions: pool.executions(),
      execution: pool.execution('relay'),
      snapshot: pool.snapshot(),
      events: [...events.events],
      report: await pool.stop(),
    };
    const objects = [...reachable(handedOut)].filter(([path]) => path !== 'it' && path !== 'it.events');
    expect(objects.length).toBeGreaterThan(30);
    expect(objects.filter(([, value]) => !Object.isFrozen(value)).map(([path]) => path)).toEqual([]);
    for (const [, value] of objects) expect(() => Object.assign(value, { added: 1 })).toThrow(TypeError);
  });

  it('is not changed by what happens later', async () => {
    const { pool, clock, worker } = await failedOnce();
    const before = pool.execution('relay');
    const written = JSON.stringify(before);
    await clock.advance('1s');
    worker.attempt.fail();
    await clock.settle();
    expect(JSON.stringify(before)).toBe(written);
    expect(JSON.stringify(pool.execution('relay'))).not.toBe(written);
  });

  it('does not change the pool by its dates', async () => {
    const { pool } = await failedOnce();
    pool.execution('relay').startedAt?.setTime(0);
    expect(pool.execution('relay').startedAt?.getTime()).toBeGreaterThan(0);
    await pool.stop();
  });
});

describe('WorkerExecution', () => {
  it('tells all that is known of a worker', async () => {
    const { pool, clock } = await failedOnce();
    const begin = clock.now() - 1_000;
    expect(pool.execution('relay')).toMatchObject({
      kind: 'worker',
      name: 'relay',
      status: 'backoff',
      attempt: 1,
      maxAttempts: 3,
      deferredStart: 100,
      startedAt: new Date(begin + 100),
      endedAt: new Date(begin + 1_000),
      nextAttemptAt: new Date(begin + 2_000),
      restarts: 0,
      restartsInWindow: 1,
      lastError: { name: 'Error', message: 'boom' },
      stopReason: undefined,
      ignorable: true,
      eventsDropped: 0,
    });
    await pool.stop();
  });

  it('keeps the last events only, counts the others, and finds one by its type', async () => {
    const { pool, clock } = fakePool({ historySize: 4 });
    const worker = new ManualWorker();
    pool.register(worker, { name: 'relay', maxAttempts: Infinity, backoff: 'none' });
    pool.start();
    await clock.settle();
    worker.attempt.ctx.mark('fetch');
    for (let failure = 0; failure < 3; failure++) {
      worker.attempt.fail();
      await clock.advance(0);
    }
    const execution = pool.execution('relay');
    expect(execution.events.map(({ type }) => type)).toEqual(['started', 'failed', 'backoff', 'started']);
    expect(execution.eventsDropped).toBe(7);
    expect(execution.hasEvent('failed')).toBe(true);
    expect(execution.hasEvent('registered')).toBe(false);
    expect(execution.hasEvent('marked')).toBe(false);
    await pool.stop();
  });

  it('keeps no event with a historySize of 0, and its status all the same', async () => {
    const { pool, clock } = fakePool({ historySize: 0 });
    pool.register(new ManualWorker(), { name: 'relay' });
    pool.start();
    await clock.settle();
    expect(pool.execution('relay')).toMatchObject({ status: 'running', events: [], eventsDropped: 2 });
    await pool.stop();
  });

  it('is written as JSON with nothing lost', async () => {
    const { pool, clock } = fakePool({ maxAttempts: Infinity });
    pool.register(new ManualWorker(), { name: 'relay' });
    pool.start();
    await clock.settle();
    const json = JSON.parse(JSON.stringify(pool.snapshot())) as { children: Record<string, unknown>[] };
    expect(json).toMatchObject({
      status: 'started',
      children: [
        {
          name: 'relay',
          status: 'running',
          maxAttempts: 'Infinity',
          startedAt: '2026-01-01T00:00:00.000Z',
          events: [{ type: 'registered' }, { type: 'started', maxAttempts: 'Infinity' }],
        },
      ],
    });
    expect(JSON.stringify(json)).not.toContain('null');
    await pool.stop();
  });

  it('has a new id for each restart, and keeps that of the last attempt after the end', async () => {
    const { pool, clock, worker } = await failedOnce();
    const first = pool.execution('relay').id;
    await clock.advance('1s');
    const second = pool.execution('relay').id;
    expect(second).not.toBe(first);
    expect(worker.attempts.map(({ ctx }) => ctx.executionId)).toEqual([first, second]);
    await pool.stop();
    expect(pool.execution('relay').id).toBe(second);
  });
});
