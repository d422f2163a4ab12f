import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SortedSet } from '../../lib/jobs/memory-sorted-set.js';

const byNumber = (a: number, b: number): number => a - b;
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

/** The same by the simplest means. */
class Plain {
  items: number[] = [];

  add(item: number): void {
    this.items = [...this.items, item].toSorted(byNumber);
  }

  delete(item: number): boolean {
    const before = this.items.length;
    this.items = this.items.filter((other) => other !== item);
    return this.items.length < before;
  }
}

describe('SortedSet', () => {
  it('does what a sorted array does', () => {
    const command = fc.oneof(
      fc.record({
        do: fc.constant('add' as const),
        from: fc.nat(5_000),
        count: fc.integer({ min: 1, max: 900 }),
      }),
      fc.record({
        do: fc.constant('delete' as const),
        from: fc.nat(5_000),
        count: fc.integer({ min: 1, max: 900 }),
      }),
      fc.record({ do: fc.constant('shift' as const), count: fc.integer({ min: 1, max: 600 }) }),
      fc.record({ do: fc.constant('takeWhile' as const), below: fc.nat(5_000) }),
    );
    fc.assert(
      fc.property(
        fc.array(command, { maxLength: 25 }),
        fc.nat(5_000),
        fc.nat(1_200),
        (commands, probe, limit) => {
          const set = new SortedSet(byNumber);
          const plain = new Plain();
          for (const step of commands) {
            if (step.do === 'shift') {
              for (let time = 0; time < step.count; time++) expect(set.shift()).toBe(plain.items.shift());
            } else if (step.do === 'takeWhile') {
              const taken = set.takeWhile((item) => item < step.below);
              expect(taken).toEqual(plain.items.filter((item) => item < step.below));
              plain.items = plain.items.filter((item) => item >= step.below);
            } else if (step.do === 'add') {
              // Every third one, from the last to the first, or the other way about.
              const items = range(0, step.count)
                .map((index) => step.from + index * 3)
                .filter((item) => !plain.items.includes(item));
              for (const item of step.from % 2 === 0 ? items : items.toReversed()) set.add(item);
              plain.items = [...plain.items, ...items].toSorted(byNumber);
            } else {
              for (const item of range(step.from, step.from + step.count)) {
                expect(set.delete(item)).toBe(plain.items.includes(item));
              }
              const { from, count } = step;
              plain.items = plain.items.filter((item) => item < from || item >= from + count);
            }
            expect(set.size).toBe(plain.items.length);
            expect(set.first).toBe(plain.items[0]);
            // Each time, since what is counted once is kept up from then on.
            for (const below of [probe, 10_000]) {
              const count = plain.items.filter((item) => item < below).length;
              expect(set.countWhile((item) => item < below)).toBe(count);
            }
          }
          expect([...set]).toEqual(plain.items);
          expect(set.after((item) => item < probe, limit)).toEqual(
            plain.items.filter((item) => item >= probe).slice(0, limit),
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  it('counts right while items come one by one, of which most fill chunks at the end', () => {
    const set = new SortedSet(byNumber);
    for (let size = 1; size <= 20_000; size++) {
      set.add(size);
      if (size % 37 === 0 || size % 512 < 2) expect(set.countWhile((item) => item < size)).toBe(size - 1);
    }
    for (let gone = 1; gone <= 5_000; gone++) {
      expect(set.delete(gone * 3)).toBe(true);
      if (gone % 41 === 0) expect(set.countWhile((item) => item <= 18_000)).toBe(18_000 - gone);
    }
  });

  it('is empty at first, and again', () => {
    const set = new SortedSet(byNumber);
    expect([set.size, set.first, set.shift(), set.delete(1)]).toEqual([0, undefined, undefined, false]);
    expect([set.takeWhile(() => true), set.after(() => false, 5), set.countWhile(() => true)]).toEqual([
      [],
      [],
      0,
    ]);
    set.add(1);
    expect([set.shift(), set.size, set.first]).toEqual([1, 0, undefined]);
  });

  it('costs about the same for each item, however many there are', () => {
    const microsecondsAt = (size: number): number => {
      const set = new SortedSet(byNumber);
      // In no order: 7919 and the size have no factor in common.
      for (let index = 0; index < size; index++) set.add((index * 7_919) % size);
      const begin = performance.now();
      for (let round = 0; round < 20_000; round++) {
        const item = (round * 104_729) % size;
        set.delete(item);
        set.add(item);
      }
      return (performance.now() - begin) / 20;
    };
    microsecondsAt(1_000);
    const best = (size: number): number => Math.min(...range(0, 3).map(() => microsecondsAt(size)));
    // 200 times as many: what went through all of them would take 200 times as long.
    expect(best(200_000)).toBeLessThan(best(1_000) * 20);
  });
});
