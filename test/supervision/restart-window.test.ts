import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RestartWindow } from '../../lib/supervision/index.js';

describe('RestartWindow', () => {
  it('counts what a list of all restarts would, up to its limit', () => {
    const gaps = fc.array(fc.nat({ max: 50 }), { maxLength: 200 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 200 }),
        gaps,
        (limit, windowMs, steps) => {
          const window = new RestartWindow(limit, windowMs);
          const all: number[] = [];
          let now = 0;
          for (const gap of steps) {
            now += gap;
            const naive = (at: number): number => all.filter((time) => at - time < windowMs).length;
            expect(window.count(now)).toBe(Math.min(limit, naive(now)));
            expect(window.full(now)).toBe(naive(now) >= limit);
            window.add(now);
            all.push(now);
            expect(window.count(now)).toBe(Math.min(limit, naive(now)));
            expect(window.full(now)).toBe(naive(now) >= limit);
            expect(window.count(now + windowMs)).toBe(0);
          }
        },
      ),
    );
  });

  it('counts a restart until its window is over, and no longer', () => {
    const window = new RestartWindow(5, 1_000);
    window.add(100);
    expect([100, 1_099, 1_100].map((now) => window.count(now))).toEqual([1, 1, 0]);
  });
});
