import type { WorkEvent } from '../events/index.js';

/** The last events of an execution, oldest first. */
export interface EventHistory {
  readonly events: readonly WorkEvent[];
  /** How many older ones fell out. */
  readonly dropped: number;
}

/** Keeps the last `capacity` events: adding takes constant time, and memory grows only up to there. */
export class EventRing {
  #events: WorkEvent[] = [];
  readonly #capacity: number;
  /** All events ever added; the oldest one kept is at `#added % capacity` once the ring is full. */
  #added = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(event: WorkEvent): void {
    const kept = this.#events.length;
    if (kept < this.#capacity) {
      // Most workers have few events, and push() makes room for seventeen.
      if (kept < 4) this.#events = [...this.#events, event];
      else this.#events.push(event);
    } else if (this.#capacity > 0) this.#events[this.#added % this.#capacity] = event;
    this.#added++;
  }

  history(): EventHistory {
    // Only what is looked at is frozen: doing it to each event as it happens would cost every restart.
    this.#events.forEach(Object.freeze);
    const kept = this.#events.length;
    const oldest = kept === 0 ? 0 : this.#added % kept;
    return {
      events: Object.freeze([...this.#events.slice(oldest), ...this.#events.slice(0, oldest)]),
      dropped: this.#added - kept,
    };
  }
}
