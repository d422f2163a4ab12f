import { AsyncResource } from 'node:async_hooks';
import type { AttemptAbortedError } from './attempt-aborted-error.js';

/**
 * Tells work to end, once. The `AbortSignal` is made only when somebody asks for it: making one costs more than
 * a whole small task.
 */
export class Cancellation {
  #reason: AttemptAbortedError | undefined;
  #over = false;
  #controller: AbortController | undefined;
  /** The async context that the signal was asked for in. */
  #scope: AsyncResource | undefined;
  #listeners: (() => void)[] | undefined;

  /** Why the work was told to end; `undefined` while it was not. */
  get reason(): AttemptAbortedError | undefined {
    return this.#reason;
  }

  /** True once nothing should wait any more: the work was told to end, or has ended. */
  get aborted(): boolean {
    return this.#over;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      this.#scope = new AsyncResource('nestjs-worker:signal');
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Tells the work to end. The first reason stands; after the end it does nothing. */
  abort(reason: AttemptAbortedError): void {
    if (this.#over) return;
    this.#reason = reason;
    this.#finish();
    // Listeners belong to the work: what they log or trace is its doing, and not that of whoever tells it to end.
    this.#scope?.runInAsyncScope(() => this.#controller?.abort(reason));
  }

  /** The work has ended by itself: frees what still waits, and leaves the signal alone. */
  end(): void {
    if (!this.#over) this.#finish();
  }

  /**
   * Calls `listener`, which must not throw, when waiting is over, at once if it is. Answers a function that takes it
   * off again.
   */
  onAbort(listener: () => void): () => void {
    if (this.#over) {
      listener();
      return () => {};
    }
    // Most have one listener, and a literal takes room for just that.
    if (this.#listeners === undefined) this.#listeners = [listener];
    else this.#listeners.push(listener);
    return () => {
      const index = this.#listeners?.indexOf(listener) ?? -1;
      if (index >= 0) this.#listeners?.splice(index, 1);
    };
  }

  #finish(): void {
    this.#over = true;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    listeners?.forEach((listener) => listener());
  }
}
