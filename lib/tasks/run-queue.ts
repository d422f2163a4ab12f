import type { Handler } from '../execution/index.js';
import type { CarriedRun } from './carried-run.js';
import type { QueuedTask } from './queued-task.js';

/** What may wait for its turn: a task, or what one without any options of its own will run. */
export type Waiting = QueuedTask | CarriedRun | Handler;

/** Entries in one piece of memory. */
const pageSize = 512;

interface Page {
  readonly entries: (Waiting | undefined)[];
  readonly dueAt: Float64Array;
  next: Page | undefined;
}

/**
 * First in, first out, in pages: whatever its length, an entry goes in and comes out at the same cost, and one that
 * waits takes two words. A task that was settled meanwhile is passed over.
 */
export class RunQueue {
  #first = newPage();
  #last = this.#first;
  /** The page that was emptied last: most queues go on with the same two. */
  #spare: Page | undefined;
  /** Where the next one comes out of the first page, and goes into the last. */
  #out = 0;
  #in = 0;
  #length = 0;
  /** Settled tasks that are in it still. */
  #gone = 0;
  /** Since when the one that was given out last was due. */
  shiftedDueAt = 0;

  get length(): number {
    return this.#length;
  }

  /** Since when the first one is due; `Infinity` where there is none. */
  get firstDueAt(): number {
    this.#passOverGone();
    return this.#length === 0 ? Infinity : this.#first.dueAt[this.#out]!;
  }

  push(entry: Waiting, dueAt: number): void {
    if (this.#in === pageSize) {
      this.#last = this.#last.next = this.#spare ?? newPage();
      this.#spare = undefined;
      this.#in = 0;
    }
    this.#last.entries[this.#in] = entry;
    this.#last.dueAt[this.#in++] = dueAt;
    this.#length++;
  }

  shift(): Waiting | undefined {
    if (this.#gone > 0) this.#passOverGone();
    if (this.#length === 0) return undefined;
    const page = this.#first;
    const entry = page.entries[this.#out];
    this.shiftedDueAt = page.dueAt[this.#out]!;
    this.#advance();
    this.#length--;
    return entry;
  }

  /** One of its tasks has settled. */
  drop(): void {
    this.#length--;
    this.#gone++;
    // Where tasks come and are cancelled and none runs, those that are gone would fill the memory.
    if (this.#gone > pageSize && this.#gone > this.#length) this.#sweep();
  }

  #passOverGone(): void {
    while (this.#gone > 0 && isGone(this.#first.entries[this.#out])) {
      this.#advance();
      this.#gone--;
    }
  }

  #advance(): void {
    const page = this.#first;
    page.entries[this.#out++] = undefined;
    if (page === this.#last) {
      // Empty: begin anew in the same page.
      if (this.#out === this.#in) this.#out = this.#in = 0;
    } else if (this.#out === pageSize) {
      this.#first = page.next!;
      this.#out = 0;
      page.next = undefined;
      this.#spare = page;
    }
  }

  #sweep(): void {
    let page: Page | undefined = this.#first;
    let out = this.#out;
    let left = this.#length + this.#gone;
    this.#first = this.#last = newPage();
    this.#in = this.#out = this.#length = this.#gone = 0;
    for (; left > 0; left--) {
      const entry: Waiting = page!.entries[out]!;
      if (!isGone(entry)) this.push(entry, page!.dueAt[out]!);
      if (++out < pageSize) continue;
      page = page!.next;
      out = 0;
    }
  }
}

function newPage(): Page {
  // Filled, so that the memory is of one piece from the beginning.
  return { entries: Array.from({ length: pageSize }), dueAt: new Float64Array(pageSize), next: undefined };
}

// Nothing else in it can be cancelled. Not by class, which would be a circle of files.
function isGone(entry: Waiting | undefined): boolean {
  return typeof entry === 'object' && 'settled' in entry && entry.settled;
}
