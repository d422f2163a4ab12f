import { InvalidCursorError } from '../../errors/index.js';
import type { JobState } from '../../jobs/index.js';

/** After which job a page begins: its place in the order of the list, and its id. */
export interface JobPosition {
  readonly place: string;
  readonly id: string;
}

// In no place, and in no state.
const separator = '~';

export const cursorAt = (state: JobState, { place, id }: JobPosition): string =>
  [state, place, id].join(separator);

/** Throws `InvalidCursorError` for one that no list of that state gave. */
export function positionOf(state: JobState, cursor: string): JobPosition {
  const [of, place = '', ...rest] = cursor.split(separator);
  const id = rest.join(separator);
  if (of !== state || !/^(?:-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf)$/.test(place) || id === '') {
    throw new InvalidCursorError(cursor);
  }
  return { place, id };
}
