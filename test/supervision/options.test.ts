import { describe, expect, it } from 'vitest';
import type { SupervisionOptions } from '../../lib/supervision/index.js';
import { resolve } from '../support/supervised.js';

describe('supervision options', () => {
  it('have the defaults that the documentation names', () => {
    expect(resolve({})).toEqual({
      deferredStartMs: 0,
      maxAttempts: 1,
      restart: 'on-failure',
      backoff: { initialMs: 500, factor: 2, maxMs: 60_000, jitter: 0.5 },
      resetAfterMs: 60_000,
      restartLimit: undefined,
      timeoutMs: undefined,
      stallTimeoutMs: undefined,
      abortGraceMs: 10_000,
      onExhausted: 'unhealthy',
      enabled: true,
    });
  });

  it.each([
    [{ deferredStart: -1 }, 'deferredStart'],
    [{ deferredStart: Infinity }, 'deferredStart'],
    [{ maxAttempts: 0 }, 'maxAttempts'],
    [{ maxAttempts: 1.5 }, 'maxAttempts'],
    [{ restart: 'sometimes' }, 'restart'],
    [{ resetAfter: 'x' }, 'resetAfter'],
    [{ timeout: 0 }, 'timeout'],
    [{ stallTimeout: 0 }, 'stallTimeout'],
    [{ abortGrace: -1 }, 'abortGrace'],
    [{ onExhausted: 'explode' }, 'onExhausted'],
    [{ enabled: 'false' }, 'enabled'],
    [{ backoff: 5 }, 'backoff'],
    [{ backoff: null }, 'backoff'],
    [{ backoff: { initial: 'x' } }, 'backoff.initial'],
    [{ backoff: { factor: 0.9 } }, 'backoff.factor'],
    [{ backoff: { factor: Infinity } }, 'backoff.factor'],
    [{ backoff: { factor: '2' } }, 'backoff.factor'],
    [{ backoff: { jitter: 2 } }, 'backoff.jitter'],
    [{ backoff: { jitter: 'full' } }, 'backoff.jitter'],
    [{ backoff: { maximum: '1s' } }, 'backoff.maximum'],
    [{ backoff: { initial: '2s', max: '1s' } }, 'backoff.initial'],
    [{ restartLimit: 5 }, 'restartLimit'],
    [{ restartLimit: { max: 5 } }, 'restartLimit'],
    [{ restartLimit: { window: '1m' } }, 'restartLimit'],
    [{ restartLimit: { max: 0, window: '1m' } }, 'restartLimit.max'],
    [{ restartLimit: { max: 1, window: 0 } }, 'restartLimit.window'],
    [{ retries: 3 }, 'retries'],
    [{ timeout: '1s', stallTimeout: '1s' }, 'stallTimeout'],
  ])('refuse %o by the name of the option', (options, option) => {
    expect(() => resolve(options as SupervisionOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option, owner: 'worker "relay"' }),
    );
  });

  it('complete a partial backoff from the defaults, and raise max to an initial above it', () => {
    expect(resolve({ backoff: { initial: '1s' } }).backoff).toEqual({
      initialMs: 1_000,
      factor: 2,
      maxMs: 60_000,
      jitter: 0.5,
    });
    expect(resolve({ backoff: { initial: '5m' } }).backoff).toMatchObject({ maxMs: 300_000 });
    expect(resolve({ backoff: { jitter: false } }).backoff).toMatchObject({ jitter: 0 });
    expect(resolve({ backoff: { jitter: 1 } }).backoff).toMatchObject({ jitter: 1 });
    const pool = resolve({ backoff: { initial: 10, factor: 3 } });
    expect(resolve({ backoff: { factor: 4 } }, pool).backoff).toMatchObject({ initialMs: 10, factor: 4 });
    expect(resolve({ backoff: { factor: 4 } }, resolve({ backoff: 'none' })).backoff).toMatchObject({
      initialMs: 500,
      factor: 4,
    });
  });

  it('take from the pool what a worker does not give', () => {
    const pool = resolve({ maxAttempts: 7, timeout: '1h', restart: 'always', deferredStart: '0.5s' });
    expect(resolve({ restart: 'never' }, pool)).toEqual({ ...pool, restart: 'never' });
  });

  it('cannot enable what the pool has disabled', () => {
    const pool = resolve({ enabled: false });
    expect(resolve({ enabled: true }, pool).enabled).toBe(false);
    expect(resolve({ enabled: false }, resolve({})).enabled).toBe(false);
  });

  it('do not hold a default of the pool against a worker', () => {
    const pool = resolve({ stallTimeout: '1m', restartLimit: { max: 5, window: '1m' } });
    expect(resolve({ timeout: '30s' }, pool)).toMatchObject({ timeoutMs: 30_000, stallTimeoutMs: 60_000 });
    expect(resolve({ maxAttempts: 2 }, pool).restartLimit).toEqual({ max: 5, windowMs: 60_000 });
  });
});

describe('what takes back a default of the pool', () => {
  const pool = resolve({
    timeout: '1m',
    stallTimeout: '10s',
    restartLimit: { max: 5, window: '1h' },
    maxAttempts: Infinity,
  });

  it('is Infinity for a timeout and a stallTimeout', () => {
    expect(resolve({ timeout: Infinity, stallTimeout: Infinity }, pool)).toMatchObject({
      timeoutMs: undefined,
      stallTimeoutMs: undefined,
    });
    expect(resolve({ deferredStart: 1 }, pool)).toMatchObject({ timeoutMs: 60_000, stallTimeoutMs: 10_000 });
  });

  it("is 'none' for a restartLimit", () => {
    expect(resolve({ restartLimit: 'none' }, pool).restartLimit).toBeUndefined();
    expect(resolve({ deferredStart: 1 }, pool).restartLimit).toEqual({ max: 5, windowMs: 3_600_000 });
  });
});
