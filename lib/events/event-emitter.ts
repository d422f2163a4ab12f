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
  /** How many listeners want everything, and how many want events of a type. */
  #wantAll = 0;
  readonly #want = new Map<string, number>();
  readonly #onFailure: (failure: ListenerFailure<Event>) => void;

  constructor(onFailure: (failure: ListenerFailure<Event>) => void) {
    this.#onFailure = onFailure;
  }

  /**
   * Adds a listener; answers a function that takes it off again. With `types`, events of other types need not be
   * made for it; it may be told of them all the same.
   */
  on(listener: EventListener<Event>, types?: readonly string[]): () => void {
    this.#listeners = [...this.#listeners, listener];
    this.#count(types, 1);
    let added = true;
    return () => {
      // Once, and one: the same function may have been added more than once.
      if (!added) return;
      added = false;
      this.#listeners = this.#listeners.toSpliced(this.#listeners.indexOf(listener), 1);
      this.#count(types, -1);
    };
  }

  /** Whether anybody wants to be told of events of that type. */
  wants(type: string): boolean {
    return this.#wantAll > 0 || (this.#want.get(type) ?? 0) > 0;
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

  #count(types: readonly string[] | undefined, change: 1 | -1): void {
    if (types === undefined) this.#wantAll += change;
    else for (const type of types) this.#want.set(type, (this.#want.get(type) ?? 0) + change);
  }
}
