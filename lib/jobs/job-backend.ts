import type { CancelTimer } from '../clock/index.js';
import type { PayloadFormat } from './payload-codec.js';

/**
 * What stores jobs and hands them out. It never runs, retries or times one: what becomes of an attempt is decided by
 * `settlementFor()` and told by `settle()`.
 *
 * Every call that changes something takes many and answers for each, in the order given. A call either does what it
 * answers or rejects; after a rejection nobody knows what was done, and each call can be repeated: enqueueing is
 * idempotent by id, everything else by token.
 *
 * Times are milliseconds; points in time are milliseconds since the epoch by the backend's own clock. That clock alone
 * decides when a job is due and when a lease is over.
 */
export interface JobBackend {
  readonly capabilities: JobBackendCapabilities;
  /** Connects. Rejects where it cannot; may be tried again. Called once before anything else, and not twice at once. */
  open(host: JobBackendHost): Promise<void>;
  /** Lets go of every handle, and ends every call that still waits. May be called at any time and any number of times. */
  close(): Promise<void>;
  /** Stores jobs. One whose id is stored already, or whose unique key is held, changes nothing. */
  enqueue(jobs: readonly NewJob[]): Promise<readonly EnqueueAnswer[]>;
  /**
   * Hands out jobs that are due, in the order that `capabilities.order` says, each under a new token that is held for
   * `leaseMs`. Where none can be had it waits, and answers as soon as one can, or with none after `waitMs` or when
   * `signal` aborts. What comes after the abort goes back as if it had never been claimed.
   */
  claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]>;
  /**
   * Holds jobs for longer; `false` for one whose token no longer holds. A lease that is over may be held on to until
   * somebody else has claimed the job, or the limits of its claim leave no place for it any more. Whoever comes after
   * that, here or in `settle()`, has not died: its death is taken back, and its attempt is `lost`.
   */
  extend(queue: string, extensions: readonly Extension[]): Promise<readonly boolean[]>;
  /** Ends claims; `thenClaim` takes new ones in the same round trip, without waiting for any. */
  settle(queue: string, settlements: readonly Settlement[], thenClaim?: ClaimOptions): Promise<SettleAnswer>;
  /** What is stored of jobs, with their history; `undefined` for one that is not. */
  get(queue: string, ids: readonly string[]): Promise<readonly (StoredJob | undefined)[]>;
  /** Jobs of one state, a page at a time. Throws `InvalidCursorError` for a cursor that no page of it gave. */
  list(queue: string, options: ListOptions): Promise<JobPage>;
  /** Removes jobs for good, whatever their state: of one that is being run, the token no longer holds. */
  delete(queue: string, ids: readonly string[]): Promise<readonly DeleteAnswer[]>;
  /**
   * Ends jobs that nobody wants any more as `cancelled`, as a settlement does: their unique keys and their places in the
   * limits are free. Of one that is being run, the token no longer holds: whoever runs it is told by `onRevoked`, what it
   * ends with is refused, and its history has one attempt more, `cancelled`, unless it was only at hand. What has ended
   * is left as it is.
   */
  cancel(queue: string, ids: readonly string[], options: CancelOptions): Promise<readonly CancelAnswer[]>;
  /**
   * Makes dead and scheduled jobs due now, with all their attempts before them: failures and deaths are 0 again, the history
   * and the last error stay.
   */
  retry(queue: string, ids: readonly string[]): Promise<readonly RetryAnswer[]>;
  /** While a queue is paused, in every process, none of its jobs is handed out. */
  pause(queue: string, paused: boolean): Promise<void>;
  /** How queues stand. A queue that nobody has used yet stands at nothing. */
  counts(queues: readonly string[], options: CountOptions): Promise<readonly QueueCounts[]>;
  /**
   * Renews leases where a blocked event loop does not stop it. A backend that cannot has none. Called once it is open and
   * before the first claim, so that what is to renew them may begin by then; what it takes to begin must hold up nobody.
   */
  keepLeases?(options: LeaseKeeperOptions): LeaseKeeper;
}

/** What a backend can do beyond what every backend can. */
export interface JobBackendCapabilities {
  /** In messages, metrics and spans: `memory`, `redis`. */
  readonly name: string;
  /**
   * What its queues and ids are unique within, where one store has several of these: what programs of gocraft/work call
   * the namespace. Without one, there is no telling them apart.
   */
  readonly namespace?: string;
  /** Whether jobs survive the process. */
  readonly durable: boolean;
  /** Whether other processes share them. */
  readonly shared: boolean;
  /** Whose clock decides leases and due times. With `client`, clocks of machines must agree to within the lease. */
  readonly clock: 'backend' | 'client';
  /**
   * Which of the jobs that are due is handed out first, among those of one priority:
   * - `due`: what has been due for longest. One whose lease was lost has been due since then, or since it was due before.
   * - `arrival`: what came to wait first: was enqueued, had come due when a claim looked (of several, what came due
   *   first), or was put back. What was released, and what was lost with its lease, comes before all others. Jobs that
   *   are enqueued with a due time in the past wait behind those that were there before, and `oldestReadyAgeMs` tells of
   *   the job that is at the head of the queue.
   * - `enqueued`: as with `arrival`, but what comes due takes the place that it got when it was enqueued, before all that
   *   was enqueued since.
   */
  readonly order: 'due' | 'arrival' | 'enqueued';
  /** Whether `priority` of a job counts. */
  readonly priority: boolean;
  /** Which limits `claim` can enforce over all processes. */
  readonly limits: { readonly concurrency: boolean; readonly perKey: boolean; readonly rate: boolean };
  /** Whether tokens are decimal numbers that grow with every claim of a job, fit to fence off writes of a late holder. */
  readonly fencing: boolean;
  /** Whether jobs can be enqueued in a transaction of the caller's. Default false. */
  readonly transactions?: boolean;
  /** Whether leases are renewed beside the main loop. */
  readonly leaseThread: boolean;
  /** The format of queues that name none; default `msgpack`. */
  readonly format?: PayloadFormat;
}

/** What a backend tells its owner. */
export interface JobBackendHost {
  /** Jobs may have been taken away from whoever holds them, or deleted, or cancelled: a hint to extend now. */
  readonly onRevoked: (queue: string, ids: readonly string[]) => void;
  /** The connection was lost (`error`) or is there again (`undefined`). */
  readonly onConnection: (error: Error | undefined) => void;
  /** Something that the person who runs the app should know, such as a setting that loses jobs. */
  readonly warn: (message: string) => void;
  /** Where a wait is to be timed. */
  readonly setTimer: (callback: () => void, delayMs: number) => CancelTimer;
}

/** A job as it is given to a backend. */
export interface NewJob {
  /** Given once, over all queues of the backend. */
  readonly id: string;
  readonly queue: string;
  /** Which handler of the queue is to run it; empty where one runs all. */
  readonly name: string;
  readonly payload: Uint8Array | undefined;
  /** How long until it is due, or, with `at`, when. */
  readonly due: { readonly inMs: number } | { readonly at: number };
  /** Higher first, among jobs that are due; 0 where nothing was said. */
  readonly priority: number;
  /** Carried along, such as a trace's context. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /**
   * Held while the job lives, for `ttlMs` at most. A dead job that is retried holds its key again, unless another job
   * holds it by then, or its time is over.
   */
  readonly unique?: { readonly key: string; readonly ttlMs?: number | undefined } | undefined;
  /** Jobs with the same one share the limit `perKey`. */
  readonly limitKey?: string | undefined;
  /**
   * A transaction of the caller's in the store of the backend: the job is there once it is committed, and never was where
   * it is rolled back. Only where the backend can.
   */
  readonly transaction?: object | undefined;
}

export type EnqueueAnswer =
  /** Stored now. */
  | { readonly kind: 'enqueued'; readonly id: string }
  /** A job of that id is stored already; nothing was changed. */
  | { readonly kind: 'exists'; readonly id: string }
  /** The unique key is held by job `id`; nothing was stored. */
  | { readonly kind: 'duplicate'; readonly id: string };

/** Limits over all processes. */
export interface ClaimLimits {
  /** Jobs of the queue that may be claimed at once. */
  readonly concurrency?: number | undefined;
  /** Jobs with the same `limitKey` that may be claimed at once. */
  readonly perKey?: number | undefined;
  /** Jobs that may be claimed per period, spread over it; after a pause as many as `limit` at once. */
  readonly rate?: { readonly limit: number; readonly periodMs: number } | undefined;
}

export interface ClaimOptions {
  /** So many jobs will be started at once. With `prefetch` 1 or more. */
  readonly limit: number;
  /** So many more are wanted at hand. One of these that is lost was not running, which is no death of its process. */
  readonly prefetch: number;
  readonly leaseMs: number;
  readonly limits?: ClaimLimits | undefined;
}

export interface BlockingClaimOptions extends ClaimOptions {
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/**
 * Where a job stands:
 * - `scheduled`: for later: its delay, its next attempt;
 * - `ready`: due, and held by nobody, or under a lease that is over;
 * - `active`: held under a lease;
 * - `completed`, `cancelled`: it has ended, and is kept for a while;
 * - `dead`: given up on, and kept to be looked at and retried.
 */
export type JobState = 'scheduled' | 'ready' | 'active' | 'completed' | 'cancelled' | 'dead';

/**
 * Why a job is dead:
 * - `discarded`: its handler said that it is not to be tried again;
 * - `exhausted`: all its attempts have failed;
 * - `quarantined`: the process that ran it died, again and again;
 * - `invalid`: its payload could not be read, or is not what the schema says;
 * - `expired`: it was too old to be run.
 */
export type DeadCause = 'discarded' | 'exhausted' | 'quarantined' | 'invalid' | 'expired';

/** One attempt that did not complete its job. */
export interface JobAttempt {
  /** 1 for the first. */
  readonly attempt: number;
  readonly startedAt: number;
  readonly endedAt: number;
  /**
   * `died`: its lease ran out, and nobody has heard of its process since. `lost`: the same, but its process was heard of
   * later; what it ended with was refused.
   */
  readonly outcome: 'failed' | 'timed-out' | 'cancelled' | 'snoozed' | 'died' | 'lost';
  readonly error?: string | undefined;
}

/** What a backend knows of a job. */
export interface StoredJob {
  readonly id: string;
  readonly queue: string;
  readonly name: string;
  readonly state: JobState;
  readonly payload: Uint8Array | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly priority: number;
  readonly uniqueKey?: string | undefined;
  readonly limitKey?: string | undefined;
  readonly createdAt: number;
  /** When it is or was due. */
  readonly dueAt: number;
  /** Attempts that have failed. */
  readonly failures: number;
  /**
   * How often it was running when its process died: nobody has heard of it since, by its token, in `extend()` or
   * `settle()`. One is forgotten for each hour without another.
   */
  readonly deaths: number;
  readonly lastError?: string | undefined;
  /** Its latest attempts that did not complete it, the oldest first; 20 at most. */
  readonly history: readonly JobAttempt[];
  /** What its handler last said of how far it is; encoded as the payload is. */
  readonly progress?: Uint8Array | undefined;
  /** Of an active one: when its lease ends. */
  readonly leaseEndsAt?: number | undefined;
  /** Of one that has ended. */
  readonly endedAt?: number | undefined;
  /** Of a completed one: what its handler returned; encoded as the payload is. */
  readonly result?: Uint8Array | undefined;
  /** Of a dead one. */
  readonly cause?: DeadCause | undefined;
  /** Of one that nobody enqueued here: which tool of the store's own has made it. */
  readonly origin?: JobOrigin | undefined;
}

/**
 * `flow`: jobs of one wait for each other. `scheduler`: one makes each of its jobs as it runs the one before. `counter`: the
 * id is a number that was counted, and jobs of other stores have the same ones.
 */
export type JobOrigin = 'flow' | 'scheduler' | 'counter';

/** A job that somebody holds. What `claim` gave is what `extend` and `settle` take. */
export interface ClaimedJob extends StoredJob {
  readonly state: 'active';
  /** Proof of the claim. */
  readonly token: string;
  readonly leaseEndsAt: number;
  readonly claimedAt: number;
}

export interface Extension {
  readonly job: ClaimedJob;
  readonly leaseMs: number;
  readonly progress?: Uint8Array | undefined;
}

/** What becomes of a claimed job. With a token that no longer holds, nothing does. */
export type Settlement = { readonly job: ClaimedJob } & (
  | {
      readonly kind: 'completed';
      readonly result?: Uint8Array | undefined;
      /** For how long it is kept; 0: it is gone at once. */
      readonly keepMs: number;
    }
  /** Due again in `delayMs`. Without an attempt, none was made. */
  | {
      readonly kind: 'scheduled';
      readonly delayMs: number;
      readonly failures: number;
      readonly attempt?: JobAttempt | undefined;
    }
  /** As if it had never been claimed: due when it was, with its attempts. */
  | { readonly kind: 'released'; readonly attempt?: JobAttempt | undefined }
  | {
      readonly kind: 'dead';
      readonly cause: DeadCause;
      readonly failures: number;
      readonly error: string;
      readonly attempt?: JobAttempt | undefined;
      /** So many dead jobs are kept per queue; the oldest give way. */
      readonly maxDead: number;
    }
  | {
      readonly kind: 'cancelled';
      readonly keepMs: number;
      readonly error?: string | undefined;
      readonly attempt?: JobAttempt | undefined;
    }
);

export interface SettleAnswer {
  /** For each settlement, whether its token still held. */
  readonly accepted: readonly boolean[];
  readonly claimed: readonly ClaimedJob[];
  /** How many dead jobs gave way to new ones. */
  readonly pushedOut: number;
}

export interface ListOptions {
  readonly state: JobState;
  /** From the page before; the first one without. */
  readonly cursor?: string | undefined;
  /** Jobs per page, 1 or more. */
  readonly limit: number;
}

export interface JobPage {
  readonly jobs: readonly StoredJob[];
  /** For the next page; `undefined` on the last. A page may be short and have a next one. */
  readonly cursor: string | undefined;
}

/** `active` for one that was being run: whoever does is told. */
export type DeleteAnswer = 'deleted' | 'active' | 'unknown';

export interface CancelOptions {
  /** For how long they are kept, to be looked at; 0: they are gone at once. */
  readonly keepMs: number;
  /** Why, to be shown as their last error. Without it they keep the one that they have. */
  readonly error?: string | undefined;
}

/**
 * - `cancelled`: it waited, and has ended now;
 * - `active`: it was being run, and has ended now, too: whoever runs it is told. So may one be whose lease is over;
 * - `ended`: it had ended before, and is as it was: completed, cancelled or dead;
 * - `unknown`: no such job is stored.
 */
export type CancelAnswer = 'cancelled' | 'active' | 'ended' | 'unknown';

/** `active` and `ended` are left as they are. */
export type RetryAnswer = 'retried' | 'ready' | 'active' | 'ended' | 'unknown';

export interface CountOptions {
  /** How far ahead `dueWithin` looks. */
  readonly dueWithinMs: number;
}

/** How a queue stands. */
export interface QueueCounts {
  readonly queue: string;
  readonly paused: boolean;
  readonly ready: number;
  readonly scheduled: number;
  readonly active: number;
  readonly dead: number;
  /** Scheduled jobs that come due within the window that was asked for. */
  readonly dueWithin: number;
  /** For how long the ready job has been due that has been for longest, or that is at the head (`order`); 0 where none is. */
  readonly oldestReadyAgeMs: number;
  /** Jobs that ended in each minute, the newest last; 60 minutes at most, those without any left out. */
  readonly throughput: readonly ThroughputBucket[];
}

export interface ThroughputBucket {
  /** When its minute began. */
  readonly at: number;
  readonly completed: number;
  /** Attempts that failed, the last ones of dead jobs included. */
  readonly failed: number;
}

export interface LeaseKeeperOptions {
  readonly queue: string;
  readonly leaseMs: number;
  /** It stops once the main loop has shown no sign of life for so long, so that a hung process gives its jobs back. */
  readonly blockedLimitMs: number;
  /** The tokens of these no longer hold. */
  readonly onLost: (jobs: readonly ClaimedJob[]) => void;
}

/** Renews the leases of what it is told to hold. */
export interface LeaseKeeper {
  /**
   * `heldForMs`: how long ago their claim was sent, in milliseconds, by the monotonic clock of whoever sent it. No lease
   * has begun before that, so one is good for `leaseMs` less that time, and is never to be believed longer. It is a length
   * of time and not a point in it, since a keeper may count by another clock, such as that of its thread.
   */
  hold(jobs: readonly ClaimedJob[], heldForMs: number): void;
  /** From now on they are somebody else's to renew, or settled. */
  letGo(jobs: readonly ClaimedJob[]): void;
  close(): Promise<void>;
}

/** So many attempts are kept in a job's history. */
export const historyLimit = 20;
/** A death is forgotten after so long without another. */
export const deathDecayMs = 3_600_000;

/** How many deaths count at `now`, of those that were at `times`. */
export function countedDeaths(now: number, times: readonly number[]): number {
  let deaths = 0;
  let diedAt = 0;
  for (const time of times) {
    deaths = deathsAt(time, deaths, diedAt) + 1;
    diedAt = time;
  }
  return deathsAt(now, deaths, diedAt);
}

/** How many deaths count at `now`, of `deaths` the last of which was at `diedAt`. */
export function deathsAt(now: number, deaths: number, diedAt: number): number {
  return Math.max(0, deaths - Math.floor(Math.max(0, now - diedAt) / deathDecayMs));
}
