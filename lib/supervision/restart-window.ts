/** Counts restarts within a sliding window. Keeps at most `limit` times, however long it runs. */
export class RestartWindow {
  readonly #times: number[] = [];
  #next = 0;

  /** `limit` is the highest count that is told apart; `windowMs` how far back it looks. */
  constructor(
    readonly limit: number,
    readonly windowMs: number,
  ) {}

  /** Records a restart at `now`, in milliseconds of a clock that never goes back. */
  add(now: number): void {
    if (this.#times.length < this.limit) this.#times.push(now);
    else this.#times[this.#next % this.limit] = now;
    this.#next++;
  }

  /** Whether `limit` restarts are less than `windowMs` ago: the oldest one kept tells, however many there are. */
  full(now: number): boolean {
    const oldest = this.#times[this.#next % this.limit];
    return this.#times.length === this.limit && oldest !== undefined && now - oldest < this.windowMs;
  }

  /** Restarts less than `windowMs` ago, at most `limit`. */
  count(now: number): number {
    let within = 0;
    for (const time of this.#times) if (now - time < this.windowMs) within++;
    return within;
  }
}
