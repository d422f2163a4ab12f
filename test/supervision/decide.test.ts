import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../lib/execution/index.js';
import { decide, type RestartPolicy, RestartState } from '../../lib/supervision/index.js';
import { exact, resolve } from '../support/supervised.js';

const policy = (options: Parameters<typeof resolve>[0]): RestartPolicy =>
  resolve({ backoff: exact, maxAttempts: Infinity, ...options });

const succeeded: Outcome = { kind: 'succeeded', value: undefined };
const failed: Outcome = { kind: 'failed', error: new Error('x') };
const timedOut: Outcome = { kind: 'timed-out', error: new Error('x') };

const restartIn = (delayMs: number): object => ({ kind: 'restart', delayMs });
const exhausted = (because: string): object => ({ kind: 'exhausted', because });

describe('decide', () => {
  it.each([
    ['on-failure', succeeded, { kind: 'finished' }],
    ['on-failure', failed, restartIn(1_000)],
    ['on-failure', timedOut, restartIn(1_000)],
    ['always', succeeded, restartIn(1_000)],
    ['always', failed, restartIn(1_000)],
    ['always', timedOut, restartIn(1_000)],
    ['never', succeeded, { kind: 'finished' }],
    ['never', failed, exhausted('restart-never')],
    ['never', timedOut, exhausted('restart-never')],
  ] as const)("restart '%s' after %o", (restart, outcome, decision) => {
    const given = policy({ restart });
    expect(decide(given, new RestartState(given), outcome, 0, 0, 0)).toEqual(decision);
  });

  it('allows as many consecutive failures as maxAttempts says', () => {
    for (const maxAttempts of [1, 2, 5]) {
      const given = policy({ maxAttempts });
      const state = new RestartState(given);
      for (let count = 1; count < maxAttempts; count++)
        expect(decide(given, state, failed, 0, 0, 0).kind).toBe('restart');
      expect(decide(given, state, failed, 0, 0, 0)).toEqual(exhausted('max-attempts'));
      expect(state.failures).toBe(maxAttempts);
    }
  });

  it('waits longer with each consecutive failure', () => {
    const given = policy({});
    const state = new RestartState(given);
    const delays = Array.from({ length: 8 }, () => decide(given, state, failed, 0, 0, 0));
    expect(delays).toEqual([1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => restartIn(seconds * 1_000)));
  });

  it('counts from one again after an attempt that stayed up for resetAfter', () => {
    const given = policy({ maxAttempts: 3, resetAfter: '1h' });
    const state = new RestartState(given);
    const up = (uptimeMs: number): object => decide(given, state, failed, uptimeMs, 0, 0);
    expect(up(0)).toEqual(restartIn(1_000));
    expect(up(3_599_999)).toEqual(restartIn(2_000));
    expect(up(3_600_000)).toEqual(restartIn(1_000));
    expect(state.failures).toBe(1);
    expect(up(0)).toEqual(restartIn(2_000));
    expect(up(0)).toEqual(exhausted('max-attempts'));
  });

  it('resets the count by a success, which under always is restarted whatever the count', () => {
    const given = policy({ restart: 'always', maxAttempts: 2 });
    const state = new RestartState(given);
    for (let round = 0; round < 5; round++) {
      expect(decide(given, state, failed, 0, 0, 0)).toEqual(restartIn(1_000));
      expect(decide(given, state, succeeded, 0, 0, 0)).toEqual(restartIn(1_000));
      expect(state.failures).toBe(0);
    }
    const once = policy({ restart: 'always', maxAttempts: 1 });
    expect(decide(once, new RestartState(once), succeeded, 0, 0, 0).kind).toBe('restart');
    expect(decide(once, new RestartState(once), failed, 0, 0, 0)).toEqual(exhausted('max-attempts'));
  });

  it('gives up at the restart that is one more than restartLimit allows in its window', () => {
    const given = policy({ backoff: 'none', restartLimit: { max: 3, window: '1m' } });
    const state = new RestartState(given);
    const at = (now: number): string => decide(given, state, failed, 0, now, 0).kind;
    expect([0, 10_000, 20_000].map(at)).toEqual(['restart', 'restart', 'restart']);
    expect(state.restartsInWindow(20_000)).toBe(3);
    expect(decide(given, state, failed, 0, 59_999, 0)).toEqual(exhausted('restart-limit'));
    expect(at(60_000)).toBe('restart');
    expect(at(60_000)).toBe('exhausted');
  });

  it('counts restarts after successes in the window too', () => {
    const given = policy({ restart: 'always', backoff: 'none', restartLimit: { max: 2, window: '1m' } });
    const state = new RestartState(given);
    const kinds = Array.from({ length: 3 }, () => decide(given, state, succeeded, 0, 0, 0).kind);
    expect(kinds).toEqual(['restart', 'restart', 'exhausted']);
  });

  it('tells restarts of the last hour where there is no limit, up to a hundred', () => {
    const given = policy({ backoff: 'none' });
    const state = new RestartState(given);
    for (let count = 0; count < 250; count++) decide(given, state, failed, 0, 0, 0);
    expect(state.restartsInWindow(0)).toBe(100);
    expect(state.restartsInWindow(3_600_000)).toBe(0);
  });
});
