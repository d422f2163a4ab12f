/**
 * Counts values into buckets, as a histogram does, at the cost of a few additions: what a metrics library does with
 * its labels at each observation is done once here, when somebody reads.
 */
export class Distribution {
  /** Upper bounds, ascending; what is above the last one is counted in one more bucket. */
  readonly bounds: readonly number[];
  /** How many values fell into each bucket; not cumulative. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  add(value: number): void {
    const { bounds } = this;
    let index = 0;
    // Most values are small, and there are a dozen bounds.
    while (index < bounds.length && value > bounds[index]!) index++;
    this.counts[index]!++;
    this.sum += value;
  }
}
