import { InvalidCursorError } from '../errors/index.js';
import type { JobState } from './job-backend.js';
import type { MemoryJob } from './memory-job.js';

/**
 * Where a job stands in the list of its state. Of a job that stays in that state it does not change, so that each is
 * on one page and one only.
 */
type Position = readonly [first: number, second: number, id: string];

const positions: Readonly<Record<JobState, (job: MemoryJob) => Position>> = {
  scheduled: ({ dueAt, id }) => [0, dueAt, id],
  ready: ({ priority, dueAt, id }) => [-priority, dueAt, id],
  // Not by the end of its lease, which moves with every renewal.
  active: ({ claim, id }) => [0, claim!.order, id],
  completed: ({ end, id }) => [end!.keptUntil, end!.order, id],
  cancelled: ({ end, id }) => [end!.keptUntil, end!.order, id],
  dead: ({ end, id }) => [0, end!.order, id],
};

// In no id.
const separator = '~';

/** The cursor of the page that follows this job. */
export function cursorAfter(state: JobState, job: MemoryJob): string {
  return [state, ...positions[state](job)].join(separator);
}

/** Tells whether a job is on an earlier page than the one that `cursor` stands for. Throws `InvalidCursorError`. */
export function isListedBefore(state: JobState, cursor: string | undefined): (job: MemoryJob) => boolean {
  if (cursor === undefined) return () => false;
  const [of, first = '', second = '', id = '', ...more] = cursor.split(separator);
  const at: Position = [numberIn(first), numberIn(second), id];
  if (of !== state || Number.isNaN(at[0]) || Number.isNaN(at[1]) || id === '' || more.length > 0) {
    throw new InvalidCursorError(cursor);
  }
  return (job) => compare(positions[state](job), at) <= 0;
}

export const inListOrder =
  (state: JobState) =>
  (a: MemoryJob, b: MemoryJob): number =>
    compare(positions[state](a), positions[state](b));

function compare(a: Position, b: Position): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1;
  if (a[1] !== b[1]) return a[1] - b[1];
  if (a[2] === b[2]) return 0;
  return a[2] < b[2] ? -1 : 1;
}

const numberIn = (text: string): number => (text === '' ? Number.NaN : Number(text));
