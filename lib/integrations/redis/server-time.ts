/**
 * What time it is at Redis, as far as the last answer tells: never later than it really is, as long as its clock is not
 * set back. Good enough for what is only told; what is decided by time is decided by scripts.
 */
export class ServerTime {
  #ahead: number | undefined;

  /** An answer has just come that was made at that time. */
  learn(time: number): void {
    this.#ahead = time - performance.now();
  }

  /** In whole milliseconds. */
  now(): number {
    return Math.floor(this.#ahead === undefined ? Date.now() : performance.now() + this.#ahead);
  }
}
