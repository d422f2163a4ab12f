/** So many runs are looked at. */
const size = 32;
/** Shorter ones are over before the next claim could bring another job. */
const shortMs = 5;
/** How much work is wanted at hand, so that a round trip to the backend costs no idle time. */
const atHandMs = 20;
const mostAtHand = 200;

/** How long the last runs took, and what follows from it: how many jobs are to be at hand beyond those that run. */
export class RunTimes {
  readonly #last = new Float64Array(size);
  #count = 0;
  #prefetch = 0;

  /** Jobs that are to be claimed beyond the free slots. */
  get prefetch(): number {
    return this.#prefetch;
  }

  /** What was at hand could not begin: none is wanted there until runs have been short for a while. */
  reset(): void {
    this.#count = this.#prefetch = 0;
  }

  add(durationMs: number, concurrency: number): void {
    this.#last[this.#count++ % size] = durationMs;
    // A long one ends it at once: what waits behind it could be running elsewhere.
    if (durationMs > atHandMs) this.#prefetch = 0;
    else if (this.#count % size === 0) this.#prefetch = prefetchFor(medianOf(this.#last), concurrency);
  }
}

function medianOf(values: Float64Array): number {
  return values.toSorted()[values.length >> 1]!;
}

function prefetchFor(medianMs: number, concurrency: number): number {
  if (medianMs >= shortMs) return 0;
  return Math.min(mostAtHand, Math.ceil((atHandMs / Math.max(medianMs, 0.01)) * concurrency));
}
