import type { Observable, Subscription } from 'rxjs';
import type { WorkEvent, WorkEventMap, WorkEventType } from '../events/index.js';

/** Which event is meant: of a type, or of a type and a name. */
export interface EventMatch {
  readonly name?: string;
}

interface Waiter {
  readonly matches: (event: WorkEvent) => boolean;
  readonly resolve: (event: WorkEvent) => void;
}

/** Keeps the events of a pool for a test to look at, and to wait for instead of sleeping. */
export class EventRecorder {
  readonly #events: WorkEvent[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #subscription: Subscription;

  constructor(events$: Observable<WorkEvent>) {
    this.#subscription = events$.subscribe((event) => {
      this.#events.push(event);
      for (const waiter of this.#waiters) {
        if (!waiter.matches(event)) continue;
        this.#waiters.delete(waiter);
        waiter.resolve(event);
      }
    });
  }

  /** All events so far, oldest first. */
  get events(): readonly WorkEvent[] {
    return [...this.#events];
  }

  /** Types of all events so far, of one worker where `name` is given. */
  types(name?: string): WorkEventType[] {
    return this.#events
      .filter((event) => name === undefined || event.name === name)
      .map((event) => event.type);
  }

  /** Events of one type so far. */
  of<Type extends WorkEventType>(type: Type, match: EventMatch = {}): WorkEventMap[Type][] {
    return this.#events.filter((event) => fits(event, type, match)) as WorkEventMap[Type][];
  }

  /** The first event of that type that was recorded, or the next one to come. */
  async waitFor<Type extends WorkEventType>(type: Type, match: EventMatch = {}): Promise<WorkEventMap[Type]> {
    return this.of(type, match)[0] ?? this.next(type, match);
  }

  /** The next event of that type to come. */
  next<Type extends WorkEventType>(type: Type, match: EventMatch = {}): Promise<WorkEventMap[Type]> {
    return new Promise((resolve) => {
      this.#waiters.add({
        matches: (event) => fits(event, type, match),
        resolve: resolve as (event: WorkEvent) => void,
      });
    });
  }

  /** Records nothing more. */
  stop(): void {
    this.#subscription.unsubscribe();
  }
}

/** Records the events of `WorkerPool` or `WorkerPoolService` from now on. */
export function recordEvents(pool: { readonly events$: Observable<WorkEvent> }): EventRecorder {
  return new EventRecorder(pool.events$);
}

function fits(event: WorkEvent, type: WorkEventType, { name }: EventMatch): boolean {
  return event.type === type && (name === undefined || event.name === name);
}
