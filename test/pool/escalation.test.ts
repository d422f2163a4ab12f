import { type WorkerPoolOptions } from 'nestjs-worker';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FakePool, fakePool } from '../support/fake-pool.js';
import { failing, ManualWorker } from '../support/manual-worker.js';

let exitListeners: NodeJS.ExitListener[];

beforeEach(() => {
  exitListeners = process.listeners('exit');
});
afterEach(() => {
  for (const listener of process.listeners('exit'))
    if (!exitListeners.includes(listener)) process.off('exit', listener);
  process.exitCode = undefined;
  vi.restoreAllMocks();
});

async function exhaust(
  options: WorkerPoolOptions = {},
  prepare?: (made: FakePool) => void,
): Promise<FakePool> {
  const made = fakePool({ onExhausted: 'shutdown', ...options });
  made.pool.register(failing(), { name: 'relay' });
  prepare?.(made);
  made.pool.start();
  await made.clock.settle();
  return made;
}

describe("onExhausted 'shutdown'", () => {
  it('closes the app that was attached, says why, and lets the process end with an error', async () => {
    const close = vi.fn(async () => undefined);
    const { logger, pool } = await exhaust({}, ({ pool: made }) => made.attachApp({ close }));
    expect(close).toHaveBeenCalledTimes(1);
    expect(process.exitCode).toBe(1);
    expect(logger.messages('error').at(-1)).toBe(
      `Shutting down the application: "relay" is exhausted and has onExhausted: 'shutdown'`,
    );
    expect(pool.execution('relay').status).toBe('error');
  });

  it('stays an error when the app closes the pool on the spot', async () => {
    const { pool } = await exhaust({}, ({ pool: made }) =>
      made.attachApp({ close: () => made.pool.close() }),
    );
    await pool.pool.close();
    expect(pool.execution('relay').status).toBe('error');
    expect(pool.snapshot().status).toBe('closed');
  });

  it('turns an exit code of 0 into 1, as Nest with useProcessExit would end', async () => {
    await exhaust({}, ({ pool }) => pool.attachApp({ close: async () => undefined }));
    const added = process.listeners('exit').filter((listener) => !exitListeners.includes(listener));
    expect(added).toHaveLength(1);
    process.exitCode = undefined;
    added[0]?.(0);
    expect(process.exitCode).toBe(1);
    process.exitCode = 3;
    added[0]?.(3);
    expect(process.exitCode).toBe(3);
  });

  it('counts an app.close() that fails', async () => {
    const close = (): Promise<never> => Promise.reject(new Error('close'));
    const { pool, logger } = await exhaust({}, ({ pool: made }) => made.attachApp({ close }));
    expect(pool.snapshot().isolatedErrors).toBe(1);
    expect(logger.messages('error').at(-1)).toMatch(/^app\.close\(\) failed/);
  });

  it('shuts down also when the logger throws', async () => {
    const close = vi.fn(async () => undefined);
    const throwing = (): never => {
      throw new Error('logger');
    };
    const logger = { debug: throwing, log: throwing, warn: throwing, error: throwing, child: () => logger };
    await exhaust({ logger }, ({ pool }) => pool.attachApp({ close }));
    expect(close).toHaveBeenCalledTimes(1);
  });

  it('shuts down once, however many are given up on', async () => {
    const close = vi.fn(async () => undefined);
    await exhaust({}, ({ pool }) => {
      pool.attachApp({ close });
      pool.register(failing(), { name: 'second' });
    });
    expect(close).toHaveBeenCalledTimes(1);
  });

  it('without an app raises SIGTERM, for the listeners that Nest has put up', async () => {
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
    const listener = (): void => undefined;
    process.on('SIGTERM', listener);
    const { pool } = await exhaust();
    process.off('SIGTERM', listener);
    expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, 'SIGTERM');
    expect(process.exitCode).toBe(1);
    // Whoever listens may not be Nest: the pool is closed in any case.
    expect(pool.snapshot().status).toBe('closed');
  });

  it('without an app and without listeners stops the pool first', async () => {
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
    vi.spyOn(process, 'listenerCount').mockReturnValue(0);
    const other = new ManualWorker({ obedient: false });
    const { pool, clock } = await exhaust({}, ({ pool: made }) => made.register(other, { name: 'other' }));
    expect(kill).not.toHaveBeenCalled();
    expect(pool.snapshot().status).toBe('draining');
    other.attempt.succeed();
    await clock.settle();
    expect(pool.snapshot().status).toBe('closed');
    expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, 'SIGTERM');
  });

  it.each(['unhealthy', 'ignore'] as const)('is not what happens with %s', async (onExhausted) => {
    const close = vi.fn(async () => undefined);
    const { pool } = await exhaust({ onExhausted }, ({ pool: made }) => made.attachApp({ close }));
    expect(close).not.toHaveBeenCalled();
    expect(process.exitCode).toBeUndefined();
    expect(pool.execution('relay')).toMatchObject({ status: 'error', ignorable: onExhausted === 'ignore' });
  });
});
