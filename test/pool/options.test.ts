import { describe, expect, it } from 'vitest';
import { Pool, type PoolOptions } from '../../lib/pool/index.js';
import { silentLogger } from '../support/recording-logger.js';

const quiet = { logger: silentLogger } as const;

describe('pool options', () => {
  it.each([
    [{ shutdownTimeout: 'x' }, 'shutdownTimeout'],
    [{ shutdownTimeout: Infinity }, 'shutdownTimeout'],
    [{ abortMargin: -1 }, 'abortMargin'],
    [{ shutdownTimeout: '3s', abortMargin: '4s' }, 'abortMargin'],
    [{ idGenerator: 'uuid' }, 'idGenerator'],
    [{ historySize: -1 }, 'historySize'],
    [{ historySize: Infinity }, 'historySize'],
    [{ middlewares: [undefined] }, 'middlewares'],
    [{ middlewares: [{}] }, 'middlewares'],
    [{ middlewares: () => undefined }, 'middlewares'],
    [{ maxAttempts: 0 }, 'maxAttempts'],
    [{ concurrency: 3 }, 'concurrency'],
  ])('refuse %o by the name of the option', (options, option) => {
    expect(() => new Pool(options as PoolOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option, owner: 'new WorkerPool()' }),
    );
  });

  it('fit a short shutdownTimeout with a margin of the same length', () => {
    expect(new Pool({ ...quiet, shutdownTimeout: '3s' }).options).toMatchObject({
      shutdownTimeoutMs: 3_000,
      abortMarginMs: 3_000,
    });
  });

  it('may be given twice when they are the same, and not when they differ', () => {
    const pool = new Pool();
    const options = (): PoolOptions => ({ ...quiet, backoff: { initial: '1s' }, maxAttempts: 3 });
    pool.configure(options(), 'A');
    pool.configure(options(), 'B');
    expect(() => pool.configure({ ...options(), maxAttempts: 4, timeout: '1s' }, 'C')).toThrow(
      /different options \(maxAttempts, timeout\)/,
    );
    expect(pool.options.defaults.maxAttempts).toBe(3);
  });

  it('name whoever gave them', () => {
    expect(() => new Pool().configure({ maxAttempts: -1 }, 'WorkerModule.forRoot()')).toThrow(
      /"maxAttempts" of WorkerModule\.forRoot\(\)/,
    );
  });

  it('make ids that are UUIDs of version 7, one after another', () => {
    const pool = new Pool(quiet);
    const ids = Array.from({ length: 100 }, () => pool.generateId());
    expect(new Set(ids).size).toBe(100);
    for (const id of ids)
      expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    expect(ids.toSorted()).toEqual(ids);
  });
});
