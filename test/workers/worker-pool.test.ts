import { type RunnableWorker, WorkerExecution, WorkerPool, type WorkerOptions } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { fakePool } from '../support/fake-pool.js';
import { failing, ManualWorker } from '../support/manual-worker.js';

describe('register', () => {
  it('names a worker after its class, or as it is told', () => {
    const { pool } = fakePool();
    expect(pool.register(new ManualWorker()).name).toBe('ManualWorker');
    expect(pool.register(new ManualWorker(), { name: 'relay' }).name).toBe('relay');
    expect(pool.registrations().map(({ name, origin }) => [name, origin])).toEqual([
      ['ManualWorker', 'ManualWorker, registered by hand'],
      ['relay', 'ManualWorker, registered by hand'],
    ]);
  });

  it('answers the execution as it stands then', () => {
    const { pool, events } = fakePool();
    const execution = pool.register(new ManualWorker());
    expect(execution).toBeInstanceOf(WorkerExecution);
    expect(execution).toMatchObject({ status: 'unknown', attempt: 0, events: [{ type: 'registered' }] });
    expect(events.types()).toEqual(['registered']);
  });

  it('starts a worker at once while the pool runs', async () => {
    const { pool, clock } = fakePool();
    pool.start();
    const worker = new ManualWorker();
    pool.register(worker);
    await clock.settle();
    expect(worker.running).toBe(1);
    await pool.stop();
  });

  it.each([undefined, null, {}, { run: 1 }, 'worker'])('refuses %o, which has no run()', (worker) => {
    const { pool } = fakePool();
    expect(() => pool.register(worker as unknown as RunnableWorker)).toThrow(
      expect.objectContaining({
        code: 'WORKER_WITHOUT_RUN',
        message: expect.stringContaining('run()') as string,
      }),
    );
    expect(pool.registrations()).toEqual([]);
  });

  it('refuses a second worker of a name, and keeps the first', () => {
    const { pool } = fakePool();
    pool.register(new ManualWorker(), { name: 'relay' });
    expect(() => pool.register(failing(), { name: 'relay' })).toThrow(
      expect.objectContaining({ code: 'DUPLICATE_NAME' }),
    );
    expect(pool.registrations()).toHaveLength(1);
  });

  it.each([
    [{ name: '' }, 'name', 'worker "" (ManualWorker, registered by hand)'],
    [{ name: 5 }, 'name', 'worker "ManualWorker" (ManualWorker, registered by hand)'],
    [{ name: 'relay', maxAttempt: 3 }, 'maxAttempt', 'worker "relay" (ManualWorker, registered by hand)'],
    [{ timeout: 'x' }, 'timeout', 'worker "ManualWorker" (ManualWorker, registered by hand)'],
    [{ middlewares: [5] }, 'middlewares', 'worker "ManualWorker" (ManualWorker, registered by hand)'],
    [
      { shutdownTimeout: '3s' },
      'shutdownTimeout',
      'worker "ManualWorker" (ManualWorker, registered by hand)',
    ],
  ])('refuses %o by the option %s of %s', (options, option, owner) => {
    const { pool } = fakePool();
    expect(() => pool.register(new ManualWorker(), options as WorkerOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option, owner }),
    );
  });

  it('refuses a worker that has no name to go by', () => {
    const { pool } = fakePool();
    const nameless = Object.create(null) as RunnableWorker;
    nameless.run = async () => undefined;
    expect(() => pool.register(nameless)).toThrow(expect.objectContaining({ option: 'name' }));
    expect(pool.register(nameless, { name: 'relay' }).name).toBe('relay');
  });
});

describe('names that nobody has', () => {
  const stuckOn = expect.objectContaining({
    code: 'WORKER_NOT_FOUND',
    message: 'No worker is named "nobody"; registered are "relay".',
  }) as Error;

  it('are a typed error of every call', async () => {
    const { pool } = fakePool();
    pool.register(new ManualWorker(), { name: 'relay' });
    expect(() => pool.registration('nobody')).toThrow(stuckOn);
    expect(() => pool.execution('nobody')).toThrow(stuckOn);
    expect(() => pool.start('nobody')).toThrow(stuckOn);
    await expect(pool.stop('nobody')).rejects.toThrow(stuckOn);
    await expect(pool.restart('nobody')).rejects.toThrow(stuckOn);
  });
});

describe('start and stop by name', () => {
  it('move one worker, and leave the others alone', async () => {
    const { pool, clock } = fakePool();
    const [one, other] = [new ManualWorker(), new ManualWorker()];
    pool.register(one, { name: 'one' });
    pool.register(other, { name: 'other' });
    pool.start('one');
    await clock.settle();
    expect([one.running, other.running]).toEqual([1, 0]);
    expect(pool.snapshot().status).toBe('idle');
    pool.start();
    await clock.settle();
    expect(one.attempts).toHaveLength(1);
    expect(await pool.stop('one')).toEqual({ orphans: [], durationMs: 0 });
    expect([one.running, other.running]).toEqual([0, 1]);
    expect(pool.execution('one')).toMatchObject({ status: 'cancelled', stopReason: 'stop-requested' });
    expect(other.attempt.ctx.shutdown.aborted).toBe(false);
    await pool.stop();
    expect(pool.execution('other')).toMatchObject({ status: 'cancelled', stopReason: 'shutdown' });
  });

  it('take a time limit, and refuse what is none', async () => {
    const { pool, clock } = fakePool();
    pool.register(new ManualWorker({ obedient: false }), { name: 'relay' });
    pool.start();
    await clock.settle();
    await expect(pool.stop('relay', { timeout: 'soon' as '1s' })).rejects.toMatchObject({
      option: 'timeout',
    });
    await expect(pool.stop(undefined, { timeout: -1 })).rejects.toMatchObject({ option: 'timeout' });
    expect(pool.execution('relay').status).toBe('running');
    const stopped = pool.stop('relay', { timeout: '100ms' });
    await clock.advance(100);
    expect(await stopped).toEqual({ orphans: [{ kind: 'worker', name: 'relay' }], durationMs: 100 });
    // Slow is not stuck: it has its abortGrace.
    expect(pool.execution('relay').status).toBe('stopping');
    await clock.advance('10s');
    expect(pool.execution('relay').status).toBe('stuck');
  });

  it('do not name as orphan who was started again meanwhile', async () => {
    const { pool, clock, events } = fakePool();
    pool.register(new ManualWorker(), { name: 'relay' });
    pool.start();
    await clock.settle();
    const stopped = pool.stop('relay');
    pool.start('relay');
    expect((await stopped).orphans).toEqual([]);
    await clock.settle();
    expect(pool.execution('relay').status).toBe('running');
    expect(events.of('orphaned')).toEqual([]);
    await pool.stop();
  });

  it('refuse to start a disabled worker, and leave it out otherwise', async () => {
    const { pool, clock } = fakePool();
    const worker = new ManualWorker();
    pool.register(worker, { name: 'relay', enabled: false });
    expect(() => pool.start('relay')).toThrow(expect.objectContaining({ code: 'WORKER_DISABLED' }));
    await expect(pool.restart('relay')).rejects.toMatchObject({ code: 'WORKER_DISABLED' });
    pool.start();
    await clock.settle();
    expect(worker.attempts).toEqual([]);
    expect(pool.execution('relay').status).toBe('disabled');
    expect((await pool.stop('relay')).orphans).toEqual([]);
    await pool.stop();
    expect(pool.execution('relay').status).toBe('disabled');
  });

  it('refuse to start a stuck worker, by its name and id', async () => {
    const { pool, clock } = fakePool({ timeout: '5s', abortGrace: '1s' });
    const worker = new ManualWorker({ obedient: false });
    pool.register(worker, { name: 'relay' });
    pool.start();
    await clock.advance('6s');
    const { id } = pool.execution('relay');
    expect(() => pool.start('relay')).toThrow(
      expect.objectContaining({ code: 'WORKER_STUCK', message: expect.stringContaining(id) as string }),
    );
    expect(() => pool.start()).not.toThrow();
    await clock.settle();
    expect(worker.attempts).toHaveLength(1);
    worker.attempt.succeed();
    await clock.settle();
    pool.start('relay');
    await clock.settle();
    expect(worker.running).toBe(1);
    worker.attempt.succeed();
    await clock.settle();
  });
});

describe('restart', () => {
  it('stops a worker, waits for its end, and starts it with a fresh count', async () => {
    const { pool, clock } = fakePool({ maxAttempts: 3, backoff: 'none' });
    const worker = new ManualWorker({ obedient: false });
    pool.register(worker, { name: 'relay' });
    pool.start();
    await clock.settle();
    worker.attempt.fail();
    await clock.advance(0);
    expect(pool.execution('relay')).toMatchObject({ attempt: 2, restarts: 1 });

    const restarted = pool.restart('relay');
    await clock.settle();
    expect(worker.attempts).toHaveLength(2);
    worker.attempt.succeed();
    await restarted;
    await clock.settle();
    expect(worker.attempts).toHaveLength(3);
    expect(pool.execution('relay')).toMatchObject({ status: 'running', attempt: 1, restarts: 0 });
    expect(worker.mostAtOnce).toBe(1);
    worker.attempt.succeed();
    await clock.settle();
  });

  it('just starts a worker that does not run', async () => {
    const { pool, clock } = fakePool();
    const worker = new ManualWorker();
    pool.register(worker, { name: 'relay' });
    await pool.restart('relay');
    await clock.settle();
    expect(worker.running).toBe(1);
    await pool.stop();
  });

  it('rejects for a worker that does not end in time, which is not started beside itself', async () => {
    const { pool, clock } = fakePool();
    const worker = new ManualWorker({ obedient: false });
    pool.register(worker, { name: 'relay' });
    pool.start();
    await clock.settle();
    const restarted = pool.restart('relay', { timeout: '1s' }).catch((error: unknown) => error);
    await clock.advance('1s');
    await clock.advance(0);
    expect(await restarted).toMatchObject({ code: 'WORKER_STUCK' });
    worker.attempt.succeed();
    await clock.settle();
    expect(worker.attempts).toHaveLength(1);
    expect(pool.execution('relay').status).toBe('cancelled');
  });

  it('gives way to a stop that comes after it', async () => {
    const { pool, clock } = fakePool();
    const worker = new ManualWorker({ obedient: false });
    pool.register(worker, { name: 'relay' });
    pool.start();
    await clock.settle();
    const restarted = pool.restart('relay');
    const stopped = pool.stop('relay');
    worker.attempt.succeed();
    await Promise.all([restarted, stopped]);
    await clock.settle();
    expect(worker.attempts).toHaveLength(1);
    expect(pool.execution('relay').status).toBe('cancelled');
  });

  it('is refused while the pool shuts down', async () => {
    const { pool, clock } = fakePool();
    pool.register(new ManualWorker({ obedient: false }), { name: 'relay' });
    pool.start();
    await clock.settle();
    const stopped = pool.stop(undefined, { timeout: '1s' });
    await expect(pool.restart('relay')).rejects.toMatchObject({ code: 'POOL_STOPPING' });
    expect(() => pool.start('relay')).toThrow(expect.objectContaining({ code: 'POOL_STOPPING' }));
    await clock.advance('1s');
    await stopped;
  });
});

describe('middlewares of a pool', () => {
  it('are around those of the worker, and run for each attempt', async () => {
    const steps: string[] = [];
    const note = (name: string) => async (_ctx: unknown, next: () => Promise<unknown>) => {
      steps.push(name);
      return next();
    };
    const { pool, clock } = fakePool({ middlewares: [note('pool')], maxAttempts: 2, backoff: 'none' });
    pool.register(failing(), { name: 'relay', middlewares: [note('outer'), note('inner')] });
    pool.start();
    await clock.advance(0);
    expect(steps).toEqual(['pool', 'outer', 'inner', 'pool', 'outer', 'inner']);
  });

  it('may be a class without dependencies, and not one with them where nobody injects', async () => {
    let used = 0;
    class Counting {
      async use(_ctx: unknown, next: () => Promise<unknown>): Promise<unknown> {
        used++;
        return next();
      }
    }
    class Needy extends Counting {
      constructor(readonly dependency: object) {
        super();
      }
    }
    const { pool, clock } = fakePool();
    pool.register(failing(), { name: 'relay', middlewares: [Counting] });
    expect(() => pool.register(failing(), { name: 'needy', middlewares: [Needy] })).toThrow(
      expect.objectContaining({
        code: 'MIDDLEWARE_NOT_FOUND',
        message: expect.stringContaining('Needy of worker "needy"') as string,
      }),
    );
    pool.start();
    await clock.settle();
    expect(used).toBe(1);
  });
});

it('a pool without options runs on the time of this machine', async () => {
  const pool = new WorkerPool({ logger: fakePool().logger });
  const worker = new ManualWorker();
  pool.register(worker, { name: 'relay' });
  const before = Date.now();
  pool.start();
  await new Promise((resolve) => setImmediate(resolve));
  const { startedAt } = pool.execution('relay');
  expect(startedAt!.getTime()).toBeGreaterThanOrEqual(before);
  expect(startedAt!.getTime()).toBeLessThanOrEqual(Date.now());
  await pool.stop();
});
