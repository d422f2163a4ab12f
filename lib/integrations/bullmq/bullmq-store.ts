import type { IQueueBackend } from 'bullmq';
import type { Death, JobRecord, OwnState } from './job-record.js';
import type { KeepsText } from './json-bytes.js';

/** A job that somebody holds. */
export interface Held {
  readonly id: string;
  /** By what it is locked. */
  readonly lock: string;
}

/** Which claim of a job it was. Only both tell: of a job that is enqueued again once it is gone, claims are counted anew. */
export interface WhichClaim {
  readonly claim: number;
  readonly startedAt: number;
}

/** An active job whose lock is gone. */
export interface Lapsed extends WhichClaim {
  readonly id: string;
  readonly processedBy: string | undefined;
  readonly made: number;
  readonly at: 'active';
  readonly state: OwnState | undefined;
}

/** What there is of active jobs. */
export interface ActiveJobs {
  readonly lapsed: readonly Lapsed[];
  readonly held: number;
  /** When the next lock ends, by the clock of this machine. */
  readonly nextEndsAt: number | undefined;
}

/** Where jobs of a state are. */
export type Place =
  | 'wait'
  | 'prioritized'
  | 'delayed'
  | 'active'
  | 'completed'
  | 'failed'
  | 'waiting-children';

export const places: readonly Place[] = [
  'wait',
  'prioritized',
  'delayed',
  'active',
  'completed',
  'failed',
  'waiting-children',
];

export interface PlacePage {
  readonly ids: readonly string[];
  /** Where the next page begins; `undefined` after the last. */
  readonly next: string | undefined;
}

/** Waits for BullMQ to say that there may be jobs in a queue. */
export interface JobSignal {
  /** Resolves once there may be some, with true, or after `ms`. */
  wait(ms: number): Promise<boolean>;
  close(): Promise<void>;
}

/** What it takes to store jobs of one queue. */
export interface StoringCalls {
  readonly calls: IQueueBackend;
  /** Of each, by whom it was enqueued; `undefined` for one that is not stored. */
  readonly readEnqueuers: (ids: readonly string[]) => Promise<readonly (string | undefined)[]>;
  /**
   * Frees a unique key that a job was given which was there before, and has it by no right; answers whether that was so.
   * Left out where none is given so.
   */
  readonly freeKey?: ((deduplicationId: string, id: string) => Promise<boolean>) | undefined;
}

/** What BullMQ leaves to its stores, or has no call for: one for Redis, one for PostgreSQL. */
export interface BullMqStore {
  /** Whether BullMQ's answer to a claim has all that is stored of a job; else only of one that was never claimed before. */
  readonly claimsTellAll: boolean;
  /** How many jobs it is asked for at once. */
  readonly claimsAtOnce: number;
  readonly keepsText: KeepsText;
  /** Points in time later than that cannot be stored. */
  readonly latest: number;
  open(): Promise<void>;
  close(): Promise<void>;
  /** Says in words for people what its client says of its own doings; any other error is left as it is. */
  explained?(error: unknown): unknown;
  /** BullMQ's own calls; those that claim do it for `leaseMs`, and by that name. */
  calls(queue: string, leaseMs?: number, processedBy?: string): IQueueBackend;
  /** The calls that store jobs, within a transaction of somebody else's. Throws where that is none. */
  within?<Result>(
    transaction: object,
    queue: string,
    run: (storing: StoringCalls) => Promise<Result>,
  ): Promise<Result>;
  /** As in `StoringCalls`. */
  freeKey?(queue: string, deduplicationId: string, id: string, now: number): Promise<boolean>;
  signal(queue: string): JobSignal;
  /** Has somebody look again who waits for jobs, here or elsewhere. */
  announce(queue: string): Promise<void>;

  /** Jobs that were asked for at once, in the order in which they waited. Where it answers in that order, it has none. */
  inTurn?(queue: string, ids: readonly string[]): Promise<readonly string[]>;
  read(queue: string, ids: readonly string[]): Promise<readonly (JobRecord | undefined)[]>;
  /** Of each, by whom it was enqueued; `undefined` for one that is not stored. */
  readEnqueuers(queue: string, ids: readonly string[]): Promise<readonly (string | undefined)[]>;
  /** A page of what is at one place, those first that were there first. Throws where `from` is none of its own. */
  page(queue: string, place: Place, from: string | undefined, limit: number): Promise<PlacePage>;
  readActive(queue: string): Promise<ActiveJobs>;
  /** Of each time, how many jobs are delayed until then, or not as long. */
  countDelayed(queue: string, until: readonly number[]): Promise<readonly number[]>;
  /** Which of them are still locked by that. */
  areHeld(queue: string, jobs: readonly Held[]): Promise<readonly boolean[]>;

  /** Writes what became of a job; with a lock, only while it is locked by that. Answers whether it did. */
  write(queue: string, id: string, state: OwnState, lock: string | undefined): Promise<boolean>;
  /**
   * Puts an active job back whose lock is gone, before all that waits, and notes the death of whoever held it. Answers
   * whether it did: not where somebody has claimed it since, or locked it again.
   */
  putBack(queue: string, job: Lapsed, death: Death | undefined): Promise<boolean>;
  /** Locks a job again that nobody has claimed since, also where it was put back. */
  lockAgain(queue: string, job: Held, claim: WhichClaim, lockMs: number): Promise<boolean>;
  /** Locks an active job, whoever had it, or makes one active that waits or is for later. Answers whether it was so. */
  seize(queue: string, job: Held, at: 'active' | 'waiting', lockMs: number): Promise<boolean>;
  /** Puts a job that is held back, before all that waits, with what became of it. Answers whether it was held. */
  release(queue: string, job: Held, state: OwnState | undefined): Promise<boolean>;
  /** Somebody who was taken for dead after that claim is not; of no matter once the death is forgotten. */
  noteAlive(queue: string, id: string, claim: WhichClaim): Promise<void>;
  /** They are not only at hand any more. */
  noteStarted(queue: string, ids: readonly string[], processedBy: string): Promise<void>;
  /** Removes one of the jobs that have waited longest. Left out where BullMQ's call costs no more; false where that is to be used. */
  removeWaiting?(queue: string, id: string): Promise<boolean>;
  /** Removes those of them that have ended; answers how many. */
  removeEnded(queue: string, ids: readonly string[]): Promise<number>;
  /** Holds a unique key for a job, unless another one has it. */
  holdKey(queue: string, deduplicationId: string, id: string, ttlMs: number | undefined): Promise<void>;
}
