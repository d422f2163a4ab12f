import type { JobType } from 'bullmq';
import { InvalidCursorError } from '../../errors/index.js';
import type {
  CountOptions,
  JobPage,
  JobState,
  ListOptions,
  QueueCounts,
  StoredJob,
} from '../../jobs/index.js';
import type { BullMqContext } from './bullmq-context.js';
import type { Lapsed, Place } from './bullmq-store.js';
import { dueAtOf, isPast, type JobRecord, stateOf, toStoredJob } from './job-record.js';
import { readById } from './read-by-id.js';

/** Where BullMQ has the jobs of a state, among others. */
const placesOf: Readonly<Record<JobState, readonly Place[]>> = {
  ready: ['prioritized', 'wait', 'delayed', 'active'],
  scheduled: ['delayed', 'waiting-children'],
  active: ['active'],
  completed: ['completed'],
  cancelled: ['completed'],
  dead: ['failed'],
};

/** Pages that are looked through for one that has jobs of the state; then a page is given without any. */
const mostPages = 20;

/** What is told of jobs. */
export class JobLooking {
  readonly #context: BullMqContext;

  constructor(context: BullMqContext) {
    this.#context = context;
  }

  async get(queue: string, ids: readonly string[]): Promise<readonly (StoredJob | undefined)[]> {
    const records = await readById(this.#context.store, queue, ids);
    const now = Date.now();
    return records.map((record) =>
      record === undefined || isPast(record, now) ? undefined : toStoredJob(queue, record, now),
    );
  }

  async list(queue: string, { state, cursor, limit }: ListOptions): Promise<JobPage> {
    const { store } = this.#context;
    const places = placesOf[state];
    let [place, from] = readCursor(cursor, places.length);
    for (let page = 0; page < mostPages; page++) {
      const { ids, next } = await store.page(queue, places[place]!, from, limit);
      const now = Date.now();
      const records = await store.read(queue, ids);
      const jobs = records
        .filter((record) => record !== undefined)
        .filter((record) => isAt(places[place]!, record))
        .filter((record) => stateOf(record, now) === state && !isPast(record, now))
        .map((record) => toStoredJob(queue, record, now));
      // Those that come due are first.
      const isThrough =
        next === undefined || (state === 'ready' && places[place] === 'delayed' && jobs.length === 0);
      from = isThrough ? undefined : next;
      if (isThrough) place++;
      const isLast = place >= places.length;
      if (jobs.length > 0 || isLast) return { jobs, cursor: isLast ? undefined : writeCursor(place, from) };
    }
    return { jobs: [], cursor: writeCursor(place, from) };
  }

  counts(queues: readonly string[], options: CountOptions): Promise<readonly QueueCounts[]> {
    return Promise.all(queues.map((queue) => this.#countsOf(queue, options)));
  }

  async #countsOf(queue: string, { dueWithinMs }: CountOptions): Promise<QueueCounts> {
    const { store, ended } = this.#context;
    const calls = store.calls(queue);
    const now = Date.now();
    // PostgreSQL calls them paused that wait in a paused queue, which is no type any more.
    const places = ['wait', 'paused', 'prioritized', 'delayed', 'waiting-children', 'failed'] as JobType[];
    const [counts, [due = 0, dueSoon = 0], active, settings] = await Promise.all([
      calls.getCounts(places),
      store.countDelayed(queue, [now, now + dueWithinMs]),
      store.readActive(queue),
      calls.getQueueMeta(),
    ]);
    const oldestDueAt = await this.#oldestDueAt(queue, active.lapsed, now);
    const [wait = 0, paused = 0, prioritized = 0, delayed = 0, children = 0, dead = 0] = counts;
    return {
      queue,
      paused: settings['paused'] !== undefined,
      ready: wait + paused + prioritized + due + active.lapsed.length,
      scheduled: Math.max(0, delayed - due) + children,
      active: active.held,
      dead,
      dueWithin: Math.max(0, dueSoon - due),
      oldestReadyAgeMs: oldestDueAt === undefined ? 0 : Math.max(0, now - oldestDueAt),
      throughput: await ended.read(queue, settings, now),
    };
  }

  /** Of the jobs that are first at their places, when the one was due that has been due for longest. */
  async #oldestDueAt(queue: string, lapsed: readonly Lapsed[], now: number): Promise<number | undefined> {
    const { store } = this.#context;
    const first = async (place: Place): Promise<readonly string[]> =>
      (await store.page(queue, place, undefined, 1)).ids;
    const waiting = await Promise.all((['wait', 'prioritized', 'delayed'] as const).map(first));
    const lost = lapsed.toSorted((a, b) => a.startedAt - b.startedAt).slice(0, 1);
    const records = await store.read(queue, [...waiting.flat(), ...lost.map(({ id }) => id)]);
    const times = records
      .filter((record) => record !== undefined && stateOf(record, now) === 'ready')
      .map((record) => dueAtOf(record!));
    return times.length === 0 ? undefined : Math.min(...times);
  }
}

/** Whether it has been moved since the page was read. */
function isAt(place: Place, { at }: JobRecord): boolean {
  if (place === 'prioritized') return at === 'wait';
  return place === 'waiting-children' ? at === 'children' : at === place;
}

function writeCursor(place: number, from: string | undefined): string {
  return JSON.stringify(from === undefined ? [place] : [place, from]);
}

function readCursor(cursor: string | undefined, places: number): [place: number, from: string | undefined] {
  if (cursor === undefined) return [0, undefined];
  try {
    const read: unknown = JSON.parse(cursor);
    const [place, from] = Array.isArray(read) ? (read as unknown[]) : [];
    const isPlace = typeof place === 'number' && Number.isInteger(place) && place >= 0 && place < places;
    if (isPlace && (from === undefined || typeof from === 'string')) return [place, from];
  } catch {
    // None of ours.
  }
  throw new InvalidCursorError(cursor);
}
