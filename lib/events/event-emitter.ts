/** Told of each event; what it returns is ignored. */
export type EventListener<Event> = (event: Event) => unknown;

/** What a listener threw, or rejected with, and for which event. */
export interface ListenerFailure<Event> {
  readonly error: unknown;
  readonly event: Event;
}

/**
 * Tells listeners of events, in the order in which they were added. A listener cannot disturb the work that it
 * is told of: what it throws, now or later, goes to `onFailure`.
 */
export class EventEmitter<Event> {
  // Replaced, never changed, so that a listener may come or go while an event is being told.
  #listeners: readonly EventListener<Event>[] = [];
  readonly #onFailure: (failure: ListenerFailure<Event>) => void;

  constructor(onFailure: (failure: ListenerFailure<Event>) => void) {
    this.#onFailure = onFailure;
  }

  /** Adds a listener; answers a function that takes it off again. */
  on(listener: EventListener<Event>): () => void {
    this.#listeners = [...this.#listeners, listener];
    let added = true;
    return () => {
      // Once, and one: the same function may have been added more than once.
      if (added) this.#listeners = this.#listeners.toSpliced(this.#listeners.indexOf(listener), 1);
      added = false;
    };
  }

  emit(event: Event): void {
    for (const listener of this.#listeners) {
      try {
        const result = listener(event);
        if (result instanceof Promise) result.catch((error: unknown) => this.#onFailure({ error, event }));
      } catch (error) {
        this.#onFailure({ error, event });
      }
    }
  }
}
