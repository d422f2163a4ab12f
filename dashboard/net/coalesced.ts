/**
 * Runs something as often as it is asked for, but never twice at a time, and with a pause between two runs. Whatever is
 * asked for meanwhile is one further run, so that the last one always began after the last request.
 */
export class Coalesced {
  readonly #run: () => Promise<void>;
  readonly #pauseMs: number;
  #running = false;
  #again = false;
  #stopped = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `run` must not reject. */
  constructor(run: () => Promise<void>, pauseMs: number) {
    this.#run = run;
    this.#pauseMs = pauseMs;
  }

  request(): void {
    if (this.#stopped) return;
    if (this.#running || this.#timer !== undefined) {
      this.#again = true;
      return;
    }
    this.#running = true;
    void this.#run().finally(() => {
      this.#running = false;
      if (!this.#stopped) this.#timer = setTimeout(() => this.#paused(), this.#pauseMs);
    });
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #paused(): void {
    this.#timer = undefined;
    if (!this.#again) return;
    this.#again = false;
    this.request();
  }
}
