/**
 * How many items lie before each of a row of chunks, found in as many steps as the number of chunks has binary digits: a
 * Fenwick tree of their lengths. It is made when somebody asks, and kept up until a chunk comes or goes elsewhere than
 * at the end; whoever never asks pays for none.
 */
export class ChunkCounts {
  /** At each index the sum of the lengths from `index & (index + 1)` up to it. */
  #sums: number[] | undefined;

  /** The chunk at `index` has become longer by so many, or shorter. */
  change(index: number, by: number): void {
    const sums = this.#sums;
    if (sums === undefined) return;
    for (let at = index; at < sums.length; at |= at + 1) sums[at]! += by;
  }

  /** There is one chunk more, of one item, at the end. */
  append(): void {
    const sums = this.#sums;
    if (sums === undefined) return;
    const last = sums.length;
    sums.push(1 + sumBefore(sums, last) - sumBefore(sums, last & (last + 1)));
  }

  /** Other chunks than before have those places. */
  forget(): void {
    this.#sums = undefined;
  }

  before(index: number, chunks: readonly (readonly unknown[])[]): number {
    return sumBefore((this.#sums ??= sumsOf(chunks)), index);
  }
}

function sumBefore(sums: readonly number[], index: number): number {
  let sum = 0;
  for (let at = index - 1; at >= 0; at = (at & (at + 1)) - 1) sum += sums[at]!;
  return sum;
}

function sumsOf(chunks: readonly (readonly unknown[])[]): number[] {
  const sums = chunks.map(({ length }) => length);
  for (let index = 0; index < sums.length; index++) {
    const next = index | (index + 1);
    if (next < sums.length) sums[next]! += sums[index]!;
  }
  return sums;
}
