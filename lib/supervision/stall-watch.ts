import type { CancelTimer, Clock } from '../clock/index.js';

/** Notices when heartbeats stay out for too long. Tells so once. */
export class StallWatch {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #onSilence: (silentMs: number) => void;
  #lastBeat: number;
  #cancelTimer: CancelTimer;

  constructor(clock: Clock, limitMs: number, onSilence: (silentMs: number) => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#onSilence = onSilence;
    this.#lastBeat = clock.monotonic();
    this.#cancelTimer = clock.setTimer(() => this.#check(), limitMs);
  }

  beat(): void {
    this.#lastBeat = this.#clock.monotonic();
  }

  stop(): void {
    this.#cancelTimer();
  }

  // One timer per silence, not one per heartbeat: a heartbeat only notes the time.
  #check(): void {
    const silentMs = this.#clock.monotonic() - this.#lastBeat;
    if (silentMs >= this.#limitMs) return this.#onSilence(silentMs);
    // At least 1: the little that rounding leaves may be too little for the time to move on.
    this.#cancelTimer = this.#clock.setTimer(() => this.#check(), Math.max(1, this.#limitMs - silentMs));
  }
}
