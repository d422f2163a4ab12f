import type { WorkEvent } from '../events/index.js';

/** The last events of an execution, oldest first. */
export interface EventHistory {
  readonly events: readonly WorkEvent[];
  /** How many older ones fell out. */
  readonly dropped: number;
}

/** Keeps the last `capacity` events: adding takes constant time, and memory grows only up to there. */
export class EventRing {
  readonly #events: WorkEvent[] = [];
  readonly #capacity: number;
  /** All events ever added; the oldest one kept is at `#added % capacity` once the ring is full. */
  #added = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(event: WorkEvent): void {
    if (this.#events.length < this.#capacity) this.#events.push(event);
    else if (this.#capacity > 0) this.#events[this.#added % this.#capacity] = event;
    this.#added++;
  }

  history(): EventHistory {
    const kept = this.#events.length;
    const oldest = kept === 0 ? 0 : this.#added % kept;
    return {
      events: Object.freeze([...this.#events.slice(oldest), ...this.#events.slice(0, oldest)]),
      dropped: this.#added - kept,
    };
  }
}
