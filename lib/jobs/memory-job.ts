import {
  type ClaimedJob,
  type ClaimLimits,
  type DeadCause,
  countedDeaths,
  historyLimit,
  type JobAttempt,
  type JobState,
  type NewJob,
  type StoredJob,
} from './job-backend.js';

/** Who holds a job, or held it last: a lease that is over holds until somebody else claims the job. */
export interface MemoryClaim {
  /** `undefined` once it no longer holds. */
  token: string | undefined;
  /** Grows with every claim. */
  readonly order: number;
  readonly at: number;
  endsAt: number;
  /** Whether it is taken to be running: what is only at hand dies with no process. */
  started: boolean;
  readonly limits: ClaimLimits | undefined;
}

/** Of the process that ran a job. */
interface Death {
  readonly at: number;
  /** By which it held the job. */
  readonly token: string | undefined;
  /** In the history. */
  readonly attempt: JobAttempt;
}

/** Older ones are forgotten. */
const deathsLimit = 50;
const noDeaths: readonly Death[] = Object.freeze([]);

/** How a job has ended. */
export interface MemoryEnd {
  readonly state: 'completed' | 'cancelled' | 'dead';
  readonly at: number;
  /** Grows with every end. */
  readonly order: number;
  readonly keptUntil: number;
  readonly result?: Uint8Array | undefined;
  readonly cause?: DeadCause | undefined;
}

/** Which of the sets of its queue a job is in. `parked`: due, but its key is at its limit. */
export type MemoryPlace = 'scheduled' | 'ready' | 'parked' | 'active' | MemoryEnd['state'];

/** A job in memory. */
export class MemoryJob {
  readonly id: string;
  readonly queue: string;
  readonly name: string;
  readonly payload: Uint8Array | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly priority: number;
  readonly limitKey: string | undefined;
  readonly uniqueKey: string | undefined;
  /** When its unique key is free, even if it still lives. */
  readonly uniqueUntil: number;
  readonly createdAt: number;
  dueAt: number;
  place: MemoryPlace = 'scheduled';
  failures = 0;
  deaths: readonly Death[] = noDeaths;
  lastError: string | undefined = undefined;
  /** Replaced and never changed: whoever asked has it. */
  history: readonly JobAttempt[] = noHistory;
  progress: Uint8Array | undefined = undefined;
  claim: MemoryClaim | undefined = undefined;
  end: MemoryEnd | undefined = undefined;

  constructor(job: NewJob, now: number) {
    this.id = job.id;
    this.queue = job.queue;
    this.name = job.name;
    this.payload = copyOf(job.payload);
    this.headers = job.headers && Object.freeze({ ...job.headers });
    this.priority = job.priority;
    this.limitKey = job.limitKey;
    this.uniqueKey = job.unique?.key;
    this.uniqueUntil = now + (job.unique?.ttlMs ?? Infinity);
    this.createdAt = now;
    this.dueAt = 'at' in job.due ? Math.ceil(job.due.at) : later(now, job.due.inMs);
  }

  addToHistory(attempt: JobAttempt): void {
    this.history = [...this.history.slice(1 - historyLimit), { ...attempt }];
  }

  /** The process that ran it is taken to have died. */
  die({ at, endsAt, token }: MemoryClaim, now: number): void {
    const died = { attempt: this.failures + 1, startedAt: at, endedAt: endsAt, outcome: 'died' } as const;
    this.addToHistory(died);
    this.deaths = [...this.deaths.slice(1 - deathsLimit), { at: now, token, attempt: this.history.at(-1)! }];
  }

  /** Whoever had that token is alive. */
  hearOf(token: string): void {
    const death = this.deaths.find((one) => one.token === token);
    if (death === undefined) return;
    this.deaths = this.deaths.filter((one) => one !== death);
    this.history = this.history.map((one) => (one === death.attempt ? { ...one, outcome: 'lost' } : one));
  }

  /** What is told of it. Bytes are copied, since a handler may well change what it is given. */
  stored(now: number): StoredJob {
    const { claim, end, place } = this;
    return {
      id: this.id,
      queue: this.queue,
      name: this.name,
      state: stateOf(place),
      payload: copyOf(this.payload),
      headers: this.headers,
      priority: this.priority,
      uniqueKey: this.uniqueKey,
      limitKey: this.limitKey,
      createdAt: this.createdAt,
      dueAt: this.dueAt,
      failures: this.failures,
      deaths:
        this.deaths.length === 0
          ? 0
          : countedDeaths(
              now,
              this.deaths.map(({ at }) => at),
            ),
      lastError: this.lastError,
      history: this.history,
      progress: copyOf(this.progress),
      leaseEndsAt: place === 'active' ? claim?.endsAt : undefined,
      endedAt: end?.at,
      result: copyOf(end?.result),
      cause: end?.cause,
    };
  }

  /** What whoever has claimed it is told. */
  claimed({ at, endsAt }: MemoryClaim, token: string): ClaimedJob {
    const stored = this.stored(at) as StoredJob & { readonly state: 'active' };
    return Object.assign(stored, { token, leaseEndsAt: endsAt, claimedAt: at });
  }
}

const noHistory: readonly JobAttempt[] = Object.freeze([]);

/** A point in time, in whole milliseconds: never before `delayMs` have passed. */
export const later = (now: number, delayMs: number): number => Math.ceil(now + Math.max(0, delayMs));

// `slice()` of a Buffer would share its memory.
export const copyOf = (bytes: Uint8Array | undefined): Uint8Array | undefined =>
  bytes && new Uint8Array(bytes);

const stateOf = (place: MemoryPlace): JobState => (place === 'parked' ? 'ready' : place);

/** Whose turn is first. Ids tell apart those that came due in one millisecond; made in order, they keep it. */
export const byTurn = (a: MemoryJob, b: MemoryJob): number => b.priority - a.priority || byDue(a, b);
export const byDue = (a: MemoryJob, b: MemoryJob): number => a.dueAt - b.dueAt || byId(a, b);
export const byLeaseEnd = (a: MemoryJob, b: MemoryJob): number =>
  a.claim!.endsAt - b.claim!.endsAt || byId(a, b);
// Of two that are kept for ever, the difference is no number, and the order decides.
export const byKeptUntil = (a: MemoryJob, b: MemoryJob): number =>
  a.end!.keptUntil - b.end!.keptUntil || byEnd(a, b);
export const byEnd = (a: MemoryJob, b: MemoryJob): number => a.end!.order - b.end!.order;

function byId({ id: a }: MemoryJob, { id: b }: MemoryJob): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
