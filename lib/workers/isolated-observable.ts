import {
  Observable,
  type Operator,
  Subscriber,
  type Observer,
  type Subscription,
  type TeardownLogic,
} from 'rxjs';

type Subscribe<T> = (subscriber: Subscriber<T>) => TeardownLogic;
type Next<T> = ((value: T) => void) | null | undefined;

/**
 * An observable whose subscribers cannot end the process. RxJS throws what a subscriber throws, and what an
 * operator fails with unhandled, as an uncaught exception; here it goes to `report`, also behind operators.
 */
export class IsolatedObservable<T> extends Observable<T> {
  constructor(
    subscribe: Subscribe<T> | undefined,
    private readonly report: (error: unknown) => void,
  ) {
    super(subscribe);
  }

  override lift<R>(operator?: Operator<T, R>): Observable<R> {
    const lifted = new IsolatedObservable<R>(undefined, this.report);
    // RxJS 7 has no other way to carry a subclass through operators.
    Object.assign(lifted, { source: this, operator });
    return lifted;
  }

  override subscribe(observerOrNext?: Partial<Observer<T>> | Next<T>): Subscription;
  override subscribe(
    next?: Next<T>,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription;
  override subscribe(
    observerOrNext?: Partial<Observer<T>> | Next<T>,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription {
    // An operator between us and the subscriber: it passes errors on by itself.
    if (observerOrNext instanceof Subscriber) return super.subscribe(observerOrNext);
    const observer: Partial<Observer<T>> =
      typeof observerOrNext === 'object' && observerOrNext !== null
        ? observerOrNext
        : {
            ...(observerOrNext && { next: observerOrNext }),
            ...(error && { error }),
            ...(complete && { complete }),
          };
    return super.subscribe({
      next: (value) => this.#guard(() => observer.next?.(value)),
      error: (failure: unknown) =>
        this.#guard(() => (observer.error ? observer.error(failure) : this.report(failure))),
      complete: () => this.#guard(() => observer.complete?.()),
    });
  }

  #guard(notify: () => unknown): void {
    try {
      const result = notify();
      if (result instanceof Promise) result.catch((error: unknown) => this.report(error));
    } catch (thrown) {
      this.report(thrown);
    }
  }
}
