import type { Duration } from '../../lib/clock/index.js';
import * as fc from 'fast-check';
import { InvalidOptionError } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../lib/execution/index.js';
import {
  decide,
  type ResolvedSupervision,
  RestartState,
  type SupervisionOptions,
} from '../../lib/supervision/index.js';
import { resolve } from '../support/supervised.js';

const failed: Outcome = { kind: 'failed', error: new Error('x') };
const succeeded: Outcome = { kind: 'succeeded', value: undefined };
const workerDefaults = resolve({});

/** Attempts that end at once, and delays as short as chance can make them: is the limit what ends it? */
function isReachable(policy: ResolvedSupervision, outcome: Outcome): boolean {
  const state = new RestartState(policy);
  let now = 0;
  for (let attempt = 0; attempt <= (policy.restartLimit?.max ?? 0) + 1; attempt++) {
    const decision = decide(policy, state, outcome, 0, now, 1);
    if (decision.kind !== 'restart')
      return decision.kind === 'exhausted' && decision.because === 'restart-limit';
    now += decision.delayMs;
  }
  return false;
}

function accepted(options: SupervisionOptions): boolean {
  try {
    resolve(options, workerDefaults);
    return true;
  } catch (error) {
    if (error instanceof InvalidOptionError && error.option === 'restartLimit') return false;
    throw error;
  }
}

const ms = fc.nat({ max: 5_000 });
const limits = fc.record({
  max: fc.integer({ min: 1, max: 12 }),
  window: fc.integer({ min: 1, max: 20_000 }),
});
const backoffs = fc.oneof(
  fc.constant('none' as const),
  fc
    .record({
      initial: ms,
      above: ms,
      // Powers of two keep the arithmetic of validation and of simulation the same to the last bit.
      factor: fc.constantFrom(1, 2, 4),
      jitter: fc.constantFrom(0, 0.25, 0.5, 1),
    })
    .map(({ initial, above, factor, jitter }) => ({ initial, max: initial + above, factor, jitter })),
);
const options: fc.Arbitrary<SupervisionOptions> = fc.record({
  restartLimit: limits,
  backoff: backoffs,
  restart: fc.constantFrom('on-failure', 'always', 'never'),
  maxAttempts: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 15 })),
  // Either each attempt resets the count, or none does within the window.
  resetAfter: fc.constantFrom(0, 3_600_000),
});

describe('F17: a restartLimit', () => {
  it('is accepted if and only if it can be reached', () => {
    const met = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(options, (given) => {
        const limit = given.restartLimit as { max: number; window: Duration };
        const policy: ResolvedSupervision = {
          ...resolve({ ...given, restartLimit: undefined } as never),
          restartLimit: { max: limit.max, windowMs: Number(limit.window) },
        };
        const reachable = isReachable(policy, failed) || isReachable(policy, succeeded);
        const isAccepted = accepted(given);
        expect(isAccepted).toBe(reachable);
        met[isAccepted ? 'accepted' : 'refused']++;
      }),
      { numRuns: 3_000 },
    );
    expect(Math.min(met.accepted, met.refused)).toBeGreaterThan(300);
  });

  it('is refused in words that name the time it would take', () => {
    expect(() =>
      resolve({
        maxAttempts: Infinity,
        backoff: { initial: '1s', factor: 2, max: '1m', jitter: false },
        restartLimit: { max: 5, window: '10s' },
      }),
    ).toThrow(
      /"restartLimit" .*backoff lets through: 5 restarts take at least 31 s.*never be reached.*window/,
    );
  });

  it('is refused where maxAttempts ends it first, also by the default of the pool', () => {
    const given = { resetAfter: Infinity, restartLimit: { max: 5, window: '1h' } } as const;
    expect(() => resolve({ ...given, maxAttempts: 6 })).toThrow(
      /maxAttempts allows, which is 5\. .*Infinity/,
    );
    expect(() => resolve(given, workerDefaults)).toThrow(/maxAttempts allows, which is 0/);
    expect(resolve({ ...given, maxAttempts: 7 }).maxAttempts).toBe(7);
  });

  it('is accepted where attempts that stay up reset the count within the window', () => {
    const given = { maxAttempts: 2, resetAfter: '1m', restartLimit: { max: 5, window: '1h' } } as const;
    expect(resolve(given, workerDefaults).restartLimit?.max).toBe(5);
    expect(() => resolve({ ...given, maxAttempts: 1 }, workerDefaults)).toThrow(/restartLimit/);
  });

  it("is refused beside restart: 'never'", () => {
    expect(() => resolve({ restart: 'never', restartLimit: { max: 1, window: '1h' } })).toThrow(
      /nothing beside restart: 'never'/,
    );
  });

  it('may be the default of a pool whose workers give the rest', () => {
    const pool = resolve({ restartLimit: { max: 5, window: '1h' } });
    expect(resolve({ maxAttempts: Infinity }, pool).restartLimit).toEqual({ max: 5, windowMs: 3_600_000 });
  });
});
