import { assert, boolean, integer, nat, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { consumersWanted } from '../../lib/http/operations/scaling.js';

const idle = { ready: 0, active: 0, dueWithin: 0, paused: false };

describe('consumersWanted', () => {
  it.each([
    [idle, 10, 0],
    [{ ...idle, ready: 1 }, 10, 1],
    [{ ...idle, ready: 10 }, 10, 1],
    [{ ...idle, ready: 11 }, 10, 2],
    // F38: what runs is never hidden.
    [{ ...idle, active: 1 }, 1_000, 1],
    [{ ...idle, active: 5, ready: 5, dueWithin: 1 }, 10, 2],
    [{ ...idle, ready: 1_000, paused: true }, 10, 0],
    [{ ...idle, ready: 1_000, active: 1, paused: true }, 10, 1],
    [{ ...idle, ready: 1e15 }, 1, 1e15],
  ])('of %o at %d a consumer is %d', (demand, each, wanted) => {
    expect(consumersWanted(demand, each)).toBe(wanted);
  });

  it('is enough for all, and one less would not be', () => {
    const count = nat(1_000_000);
    assert(
      property(
        count,
        count,
        count,
        boolean(),
        integer({ min: 1, max: 1_000 }),
        (ready, active, dueWithin, paused, each) => {
          const wanted = consumersWanted({ ready, active, dueWithin, paused }, each);
          const jobs = paused ? active : ready + active + dueWithin;
          expect(wanted * each).toBeGreaterThanOrEqual(jobs);
          expect((wanted - 1) * each).toBeLessThan(Math.max(jobs, 1));
        },
      ),
    );
  });
});
