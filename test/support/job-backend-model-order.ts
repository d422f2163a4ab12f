import type { ModelOptions } from './job-backend-model-options.js';
import type { Moment, Span } from './job-backend-model-time.js';

/** By what a job that waits is put in order. */
export interface Turn {
  readonly id: string;
  readonly priority: number;
  /** Since when it is due, or counts as due. */
  readonly due: Span;
  readonly place: Place;
}

/** Where a job is, in order of arrival. */
export interface Place {
  /** Before all others; `undefined`: maybe. */
  readonly isFirst: boolean | undefined;
  /** When it came to wait, in numbers that grow with all that happens. `to` is infinite until it has come for sure. */
  readonly arrival: Span;
  /** Whether it came by coming due: of such, those that are due first come first. */
  readonly cameDue: boolean;
}

/** Whether it is the turn of `one` before it is that of `other`, for sure. */
export function isBefore(
  one: Turn,
  other: Turn,
  { priority, order }: Pick<ModelOptions, 'priority' | 'order'>,
): boolean {
  if (priority && one.priority !== other.priority) return one.priority > other.priority;
  if (order === 'arrival') return hasArrivedBefore(one, other);
  // The place that it had before is not followed here.
  if (order === 'enqueued') return !one.place.cameDue && !other.place.cameDue && hasArrivedBefore(one, other);
  if (one.due.to < other.due.from) return true;
  const isSameTime = one.due.from === other.due.to && one.due.to === other.due.from;
  return isSameTime && one.id < other.id;
}

function hasArrivedBefore(one: Turn, other: Turn): boolean {
  const [a, b] = [one.place, other.place];
  if (a.isFirst === true && b.isFirst === false) return true;
  if (a.isFirst !== false || b.isFirst !== false) return false;
  if (a.arrival.to < b.arrival.from) return true;
  return a.cameDue && b.cameDue && one.due.to < other.due.from;
}

/** Numbers what happens, so that it can be said what came before what. */
export class Arrivals {
  #last = 0;
  #moment: Moment | undefined;
  #from = 0;

  next(): Span {
    const number = ++this.#last;
    return { from: number, to: number };
  }

  /** Before anything else that was done at that moment. */
  begin(moment: Moment): number {
    if (moment !== this.#moment) this.#from = ++this.#last;
    this.#moment = moment;
    return this.#from;
  }
}
