import { ChunkCounts } from './memory-chunk-counts.js';

// Small enough that moving a part of it costs next to nothing, large enough that there are few.
const chunkLength = 512;

/**
 * Items in an order of their own, of which any can be found, counted up to, and taken out of the middle at the cost of
 * a binary search, where a heap gives the first one only. Two items are the same where they compare as 0; what decides
 * that must not change while an item is in the set.
 */
export class SortedSet<Item> {
  readonly #compare: (a: Item, b: Item) => number;
  /** In order, none of them empty. */
  #chunks: Item[][] = [];
  readonly #counts = new ChunkCounts();
  #size = 0;

  constructor(compare: (a: Item, b: Item) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#size;
  }

  get first(): Item | undefined {
    return this.#chunks[0]?.[0];
  }

  add(item: Item): void {
    this.#size++;
    const last = this.#chunks.at(-1);
    // Most items come in order: then all chunks but the last are full.
    if (last === undefined || this.#compare(last.at(-1)!, item) < 0) {
      if (last === undefined || last.length >= chunkLength) {
        this.#chunks.push([item]);
        this.#counts.append();
      } else {
        last.push(item);
        this.#counts.change(this.#chunks.length - 1, 1);
      }
      return;
    }
    const isBefore = (other: Item): boolean => this.#compare(other, item) < 0;
    const index = this.#chunkFrom(isBefore);
    const chunk = this.#chunks[index]!;
    chunk.splice(countWhile(chunk, isBefore), 0, item);
    this.#counts.change(index, 1);
    if (chunk.length <= chunkLength) return;
    this.#chunks.splice(index + 1, 0, chunk.splice(chunkLength / 2));
    this.#counts.forget();
  }

  delete(item: Item): boolean {
    const isBefore = (other: Item): boolean => this.#compare(other, item) < 0;
    const index = this.#chunkFrom(isBefore);
    const chunk = this.#chunks[index];
    if (chunk === undefined) return false;
    const position = countWhile(chunk, isBefore);
    if (this.#compare(chunk[position]!, item) !== 0) return false;
    chunk.splice(position, 1);
    this.#counts.change(index, -1);
    this.#size--;
    this.#shrunk(index);
    return true;
  }

  /** Takes the first one out. */
  shift(): Item | undefined {
    const chunk = this.#chunks[0];
    if (chunk === undefined) return undefined;
    const item = chunk.shift();
    this.#size--;
    this.#counts.change(0, -1);
    if (chunk.length === 0) {
      this.#chunks.shift();
      this.#counts.forget();
    }
    return item;
  }

  /** Takes out, from the first one on, those that `isBefore` holds for; it holds for none that follows another one. */
  takeWhile(isBefore: (item: Item) => boolean): Item[] {
    const first = this.first;
    if (first === undefined || !isBefore(first)) return [];
    const index = this.#chunkFrom(isBefore);
    const taken = this.#chunks.splice(0, index).flat();
    const rest = this.#chunks[0];
    const ofRest = rest === undefined ? [] : rest.splice(0, countWhile(rest, isBefore));
    taken.push(...ofRest);
    if (index > 0) this.#counts.forget();
    else this.#counts.change(0, -ofRest.length);
    this.#size -= taken.length;
    return taken;
  }

  /** How many there are, from the first one on, that `isBefore` holds for. */
  countWhile(isBefore: (item: Item) => boolean): number {
    const index = this.#chunkFrom(isBefore);
    const count = this.#counts.before(index, this.#chunks);
    const chunk = this.#chunks[index];
    return chunk === undefined ? count : count + countWhile(chunk, isBefore);
  }

  /** So many of those that follow the ones that `isBefore` holds for. */
  after(isBefore: (item: Item) => boolean, limit: number): Item[] {
    const found: Item[] = [];
    let index = this.#chunkFrom(isBefore);
    const chunk = this.#chunks[index];
    let from = chunk === undefined ? 0 : countWhile(chunk, isBefore);
    for (; index < this.#chunks.length && found.length < limit; index++, from = 0) {
      found.push(...this.#chunks[index]!.slice(from, from + limit - found.length));
    }
    return found;
  }

  *[Symbol.iterator](): Iterator<Item> {
    for (const chunk of this.#chunks) yield* chunk;
  }

  /** The first chunk whose last item `isBefore` does not hold for. */
  #chunkFrom(isBefore: (item: Item) => boolean): number {
    return countWhile(this.#chunks, (chunk) => isBefore(chunk.at(-1)!));
  }

  /** Chunks of a few items each would be as many as there once were full ones. */
  #shrunk(index: number): void {
    const chunk = this.#chunks[index]!;
    if (chunk.length === 0) {
      this.#chunks.splice(index, 1);
      this.#counts.forget();
      return;
    }
    const next = this.#chunks[index + 1];
    if (next === undefined || chunk.length + next.length > chunkLength / 2) return;
    chunk.push(...next);
    this.#chunks.splice(index + 1, 1);
    this.#counts.forget();
  }
}

/** How many of `sorted`, from the first on, `isBefore` holds for, by binary search. */
function countWhile<Item>(sorted: readonly Item[], isBefore: (item: Item) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(sorted[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}
