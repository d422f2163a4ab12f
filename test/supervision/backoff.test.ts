import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { delayAfter, type ExponentialBackoff } from '../../lib/supervision/index.js';
import { resolve } from '../support/supervised.js';

const share = fc.double({ min: 0, max: 1, noNaN: true });
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const failures = fc.integer({ min: 1, max: 10_000 });
const backoffs: fc.Arbitrary<ExponentialBackoff> = fc
  .record({
    initialMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
    above: fc.double({ min: 0, max: 1e12, noNaN: true }),
    factor: fc.oneof(fc.constant(1), fc.double({ min: 1, max: 1e6, noNaN: true })),
    jitter: share,
  })
  .map(({ initialMs, above, factor, jitter }) => ({ initialMs, maxMs: initialMs + above, factor, jitter }));

describe('exponential backoff', () => {
  it('stays within [0, max] up to attempt 10 000 and is never NaN', () => {
    fc.assert(
      fc.property(backoffs, failures, random, (backoff, count, chance) => {
        const delayMs = delayAfter(backoff, count, undefined, chance);
        expect(delayMs).not.toBeNaN();
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(backoff.maxMs);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never falls from one failure to the next, but for its jitter', () => {
    fc.assert(
      fc.property(backoffs, failures, random, random, (backoff, count, one, other) => {
        const sooner = delayAfter(backoff, count, undefined, one);
        const later = delayAfter(backoff, count + 1, undefined, one);
        expect(later).toBeGreaterThanOrEqual(sooner);
        const longest = delayAfter(backoff, count, undefined, 0);
        const jittered = delayAfter(backoff, count, undefined, other);
        expect(jittered).toBeGreaterThanOrEqual(longest * (1 - backoff.jitter));
        expect(jittered).toBeLessThanOrEqual(longest);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never falls over a whole run of 10 000 failures', () => {
    const backoff: ExponentialBackoff = { initialMs: 1, factor: 1.01, maxMs: 3_600_000, jitter: 0 };
    let previous = 0;
    for (let count = 1; count <= 10_000; count++) {
      const delayMs = delayAfter(backoff, count, undefined, 0);
      expect(delayMs).toBeGreaterThanOrEqual(previous);
      previous = delayMs;
    }
    expect(previous).toBe(3_600_000);
  });

  it('doubles from half a second up to a minute by default', () => {
    const { backoff } = resolve({});
    const longest = [1, 2, 3, 7, 8, 9, 10_000].map((count) => delayAfter(backoff, count, undefined, 0));
    expect(longest).toEqual([500, 1_000, 2_000, 32_000, 60_000, 60_000, 60_000]);
    expect(delayAfter(backoff, 1, undefined, 0.999)).toBeCloseTo(250, 0);
  });
});

describe('a backoff of another kind', () => {
  it("does not wait with 'none'", () => {
    expect(delayAfter('none', 5, undefined, 0.5)).toBe(0);
  });

  it('asks a function, with the count and the error, and without jitter', () => {
    const seen: unknown[] = [];
    const error = new Error('x');
    const delayMs = delayAfter(
      (...given) => {
        seen.push(given);
        return '2s';
      },
      3,
      error,
      0.9,
    );
    expect(delayMs).toBe(2_000);
    expect(seen).toEqual([[3, error]]);
  });

  it('cuts what a function answers below 0, and refuses what is no duration', () => {
    expect(delayAfter(() => -5, 1, undefined, 0)).toBe(0);
    for (const answer of [Number.NaN, 'soon', undefined, null, {}])
      expect(() => delayAfter(() => answer as number, 1, undefined, 0)).toThrow('answered no duration');
  });
});
