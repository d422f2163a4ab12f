import type { JobJson, JobsOptions } from 'bullmq';
import {
  type ClaimedJob,
  countedDeaths,
  type DeadCause,
  historyLimit,
  type JobAttempt,
  type JobOrigin,
  type JobState,
  type StoredJob,
} from '../../jobs/index.js';
import { bytesOf, type KeepsText } from './json-bytes.js';
import { type ClaimToken, writeToken } from './claim-token.js';
import { storableJson } from './storable-text.js';
import { fromStoredId, isCounted, toStoredId } from './stored-id.js';
import { fromDeduplicationId, toDeduplicationId } from './unique-key.js';

/** Where we keep, with a job of BullMQ, what BullMQ has no field for. */
export const ownField = 'nestjs-worker';

/** What was said of a job when it was enqueued; a part of its options, never changed. */
export interface OwnOptions {
  /** By this whoever enqueued it knows that it was stored by them. */
  readonly by?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly limitKey?: string;
  /** For how long its unique key is held at most. */
  readonly keyTtlMs?: number;
  /** It has no payload. BullMQ would make an empty object of that. */
  readonly empty?: true;
  /** When it was due, where that was before it was enqueued. */
  readonly dueAt?: number;
}

/** The same, as it is stored: where the store does not take all texts, the rest is wrapped. */
export type StoredOptions = OwnOptions | { readonly by: string; readonly wrapped: string };

export function wrapOptions(
  { by, ...rest }: OwnOptions & { readonly by: string },
  keeps: KeepsText,
): StoredOptions {
  const text = JSON.stringify(rest);
  return keeps(text) ? { by, ...rest } : { by, wrapped: Buffer.from(text).toString('base64') };
}

export function unwrapOptions(stored: StoredOptions): OwnOptions {
  if (!('wrapped' in stored)) return stored;
  const rest = JSON.parse(Buffer.from(stored.wrapped, 'base64').toString()) as OwnOptions;
  return { by: stored.by, ...rest };
}

/** What became of a job so far; written by whoever holds it, all at once. */
export interface OwnState {
  readonly failures: number;
  /** BullMQ's count of attempts as of then: what it counts beyond that, others have counted. */
  readonly made: number;
  readonly dueAt?: number;
  readonly lastError?: string;
  readonly attempts: readonly JobAttempt[];
  /** Deaths before that are forgotten. */
  readonly forgivenAt?: number;
  readonly cause?: DeadCause;
  /** Of a dead one: since when. */
  readonly deadAt?: number;
  /** Of one that has ended: for how long it is kept. */
  readonly keptUntil?: number;
  /** Its handler returned nothing. BullMQ would make a null of that. */
  readonly noResult?: true;
  /** Which claim it was that wrote this, and the last of the attempts. */
  readonly claim?: number;
  /** What was written before; its attempts are the others. */
  readonly before?: Omit<OwnState, 'attempts' | 'before'>;
}

/** A lease that ran out; written by whoever found that. */
export interface Death {
  /** Which claim of the job it was. */
  readonly claim: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly attempt: number;
  /** Its holder was heard of later. */
  readonly lost?: boolean;
}

/** What a cancelled job "returned", which BullMQ has among the completed. */
export interface CancelledMark {
  readonly error?: string;
  readonly attempt?: JobAttempt;
  readonly keptUntil: number;
}

/** Where BullMQ has a job. */
export type BullState = 'wait' | 'delayed' | 'active' | 'completed' | 'failed' | 'children';

/** All that is stored of a job, the same from either store. */
export interface JobRecord {
  readonly id: string;
  readonly name: string;
  /** JSON. */
  readonly data: string;
  readonly own: OwnOptions;
  readonly state: OwnState | undefined;
  readonly deaths: readonly Death[];
  readonly at: BullState;
  readonly timestamp: number;
  /** As it was enqueued. */
  readonly delay: number;
  /** Of a delayed one. */
  readonly processAt: number | undefined;
  readonly priority: number;
  readonly made: number;
  /** How often it was claimed. */
  readonly claims: number;
  readonly processedOn: number | undefined;
  readonly processedBy: string | undefined;
  readonly finishedOn: number | undefined;
  readonly failedReason: string | undefined;
  /** JSON. */
  readonly returnValue: string | undefined;
  /** JSON. */
  readonly progress: string | undefined;
  readonly deduplicationId: string | undefined;
  /** BullMQ's own options; known of what was claimed only. */
  readonly opts?: JobsOptions;
  /** Where a tool of BullMQ has made it. */
  readonly origin?: 'flow' | 'scheduler' | undefined;
  /** As it was claimed, where a job scheduler of BullMQ has made it. */
  readonly scheduled?: JobJson;
  /** Of an active one: when its lock ends; `undefined` where it has none any more. */
  readonly lockEndsAt: number | undefined;
}

/** The name of jobs that have none: BullMQ wants one. */
const noName = '__default__';

export function toStoredName(name: string): string {
  return name === '' ? noName : name;
}

/** BullMQ's priorities go from 1, the highest, to 2^21; 0 is none, and comes before all of them. */
const middlePriority = 1_000_001;
/** So high and so low may ours be. */
export const priorityLimit = 1_000_000;

/** Ours go up, and may be negative. */
export function toBullPriority(priority: number): number {
  return middlePriority - Math.max(-priorityLimit, Math.min(priorityLimit, Math.trunc(priority)));
}

function fromBullPriority(priority: number): number {
  return priority === 0 ? 0 : middlePriority - priority;
}

/** What a job returned that was cancelled. */
export function cancelledValue(mark: CancelledMark): Record<string, unknown> {
  return JSON.parse(storableJson({ [ownField]: { cancelled: mark } })) as Record<string, unknown>;
}

function cancelledMark(record: JobRecord): CancelledMark | undefined {
  // A quick look: most values are none of ours.
  if (record.at !== 'completed' || record.returnValue?.startsWith(`{"${ownField}"`) !== true)
    return undefined;
  const value = JSON.parse(record.returnValue) as { [ownField]?: { cancelled?: CancelledMark } };
  return value[ownField]?.cancelled;
}

/** Whether it has ended, and is not kept any longer. */
export function isPast(record: JobRecord, now: number): boolean {
  const keptUntil = cancelledMark(record)?.keptUntil ?? record.state?.keptUntil;
  return record.at === 'completed' && keptUntil !== undefined && keptUntil <= now;
}

export function stateOf(record: JobRecord, now: number): JobState {
  switch (record.at) {
    case 'wait':
      return 'ready';
    case 'children':
      return 'scheduled';
    case 'delayed':
      return (record.processAt ?? 0) <= now ? 'ready' : 'scheduled';
    case 'active':
      return record.lockEndsAt === undefined || record.lockEndsAt <= now ? 'ready' : 'active';
    case 'completed':
      return cancelledMark(record) === undefined ? 'completed' : 'cancelled';
    case 'failed':
      return 'dead';
  }
}

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

/** What the contract tells of a job. */
export function toStoredJob(queue: string, record: JobRecord, now: number): StoredJob {
  const mark = cancelledMark(record);
  const { own, deduplicationId, finishedOn, progress } = record;
  const job: Writable<StoredJob> = {
    id: fromStoredId(record.id),
    queue,
    name: record.name === noName ? '' : record.name,
    state: stateOf(record, now),
    payload: own.empty === true ? undefined : bytesOf(record.data),
    priority: fromBullPriority(record.priority),
    createdAt: record.timestamp,
    dueAt: dueAtOf(record),
    failures: failuresOf(record),
    deaths: deathsOf(record, now),
    history: historyOf(record, mark?.attempt),
  };
  // Few have these.
  const lastError = mark?.error ?? lastErrorOf(record);
  const origin = originOf(record);
  if (own.headers !== undefined) job.headers = own.headers;
  if (deduplicationId !== undefined) job.uniqueKey = fromDeduplicationId(deduplicationId);
  if (own.limitKey !== undefined) job.limitKey = own.limitKey;
  if (lastError !== undefined) job.lastError = lastError;
  if (progress !== undefined) job.progress = bytesOf(progress);
  if (job.state === 'active') job.leaseEndsAt = record.lockEndsAt;
  if (finishedOn !== undefined) job.endedAt = finishedOn;
  if (job.state === 'completed' && hasResult(record)) job.result = bytesOf(record.returnValue!);
  if (job.state === 'dead') job.cause = record.state?.cause ?? 'exhausted';
  if (origin !== undefined) job.origin = origin;
  return job;
}

function originOf({ id, at, origin }: JobRecord): JobOrigin | undefined {
  if (origin !== undefined) return origin;
  if (at === 'children') return 'flow';
  return isCounted(id) ? 'counter' : undefined;
}

/** The same of one that has just been claimed. */
export function toClaimedJob(queue: string, record: JobRecord, lock: string, leaseMs: number): ClaimedJob {
  const claimedAt = record.processedOn ?? Date.now();
  const leaseEndsAt = claimedAt + leaseMs;
  const job = toStoredJob(queue, { ...record, lockEndsAt: leaseEndsAt }, claimedAt);
  return {
    ...job,
    state: 'active',
    // Few ask for it.
    get token(): string {
      return writeToken({ lock, claim: record.claims, made: record.made });
    },
    claimedAt,
    leaseEndsAt,
  };
}

export function failuresOf({ at, state, made }: Pick<JobRecord, 'at' | 'state' | 'made'>): number {
  // BullMQ counts the attempt that completed it, too.
  const failed = at === 'completed' ? Math.max(0, made - 1) : made;
  return state === undefined ? failed : state.failures + Math.max(0, failed - state.made);
}

export function lastErrorOf({ failedReason, state, made }: JobRecord): string | undefined {
  // What others have written since is newer.
  return state !== undefined && made <= state.made ? state.lastError : failedReason || state?.lastError;
}

export function dueAtOf({ at, state, own, timestamp, delay, processAt, processedOn }: JobRecord): number {
  const said = processAt ?? state?.dueAt ?? own.dueAt ?? timestamp + delay;
  // One that others have promoted was due before it was said to be.
  return at === 'active' && processedOn !== undefined ? Math.min(said, processedOn) : said;
}

/** Whoever retries a dead job by BullMQ's own tools forgives it its deaths, too. */
export function forgivenAtOf({ at, state }: Pick<JobRecord, 'at' | 'state'>): number | undefined {
  return at === 'failed' ? state?.forgivenAt : (state?.deadAt ?? state?.forgivenAt);
}

/** Whoever lost it last is not dead as long as nobody else has claimed the job. */
function deathsSoFar({ deaths, claims }: JobRecord): readonly Death[] {
  return deaths.at(-1)?.claim === claims ? deaths.slice(0, -1) : deaths;
}

function deathsOf(record: JobRecord, now: number): number {
  if (record.deaths.length === 0) return 0;
  const since = forgivenAtOf(record) ?? 0;
  const times = deathsSoFar(record).filter(({ lost, endedAt }) => lost !== true && endedAt > since);
  return countedDeaths(
    now,
    times.map(({ endedAt }) => endedAt),
  );
}

/** The attempts that did not complete it, with those that only others know of. */
function historyOf(record: JobRecord, last: JobAttempt | undefined): readonly JobAttempt[] {
  const { state } = record;
  const deaths = deathsSoFar(record);
  const made = state?.attempts ?? [];
  if (deaths.length === 0 && last === undefined) return made;
  const died = deaths.map(({ attempt, startedAt, endedAt, lost }): JobAttempt => {
    return { attempt, startedAt, endedAt, outcome: lost === true ? 'lost' : 'died' };
  });
  return [...made, ...died, ...(last === undefined ? [] : [last])]
    .toSorted((a, b) => a.startedAt - b.startedAt)
    .slice(-historyLimit);
}

function hasResult({ returnValue, state }: JobRecord): boolean {
  return returnValue !== undefined && state?.noResult !== true;
}

/** An answer of BullMQ to who asks for a job: one, or when to ask again. */
export type NextJob = readonly [
  job: JobJson | null | undefined,
  id?: string,
  limitedMs?: number,
  delayUntil?: number,
];

/** What BullMQ answers to a claim, as a record. Of one that was claimed before, it does not tell all. */
export function recordOfClaim([json, id]: NextJob): JobRecord | undefined {
  if (!json || id === undefined) return undefined;
  const { opts } = json;
  const own = (opts as { [ownField]?: StoredOptions & { state?: OwnState; deaths?: readonly Death[] } })[
    ownField
  ];
  return withoutUnmade({
    id,
    name: json.name,
    data: json.data,
    own: unwrapOptions(own ?? {}),
    state: own?.state,
    deaths: own?.deaths ?? [],
    at: 'active',
    timestamp: json.timestamp,
    delay: opts.delay ?? 0,
    processAt: undefined,
    priority: json.priority ?? 0,
    made: json.attemptsMade,
    claims: json.attemptsStarted,
    processedOn: json.processedOn,
    processedBy: json.processedBy,
    finishedOn: undefined,
    failedReason: json.failedReason || undefined,
    returnValue: undefined,
    // BullMQ says 0 where there is none.
    progress: json.progress === 0 ? undefined : JSON.stringify(json.progress),
    deduplicationId: json.deduplicationId,
    opts,
    ...(json.parentKey && { origin: 'flow' as const }),
    ...(json.repeatJobKey && { origin: 'scheduler' as const, scheduled: json }),
    lockEndsAt: undefined,
  });
}

/** The record of a claimed job, from what the contract tells of it. */
export function recordOfCopy(job: ClaimedJob, { claim, made }: ClaimToken): JobRecord {
  const { failures, dueAt, lastError, history } = job;
  return {
    id: toStoredId(job.id),
    name: toStoredName(job.name),
    data: '',
    own: { ...(job.uniqueKey !== undefined && { keyTtlMs: 0 }) },
    state: {
      failures,
      made,
      dueAt,
      ...(lastError !== undefined && { lastError }),
      attempts: history.filter(({ outcome }) => outcome !== 'died' && outcome !== 'lost'),
    },
    deaths: [],
    at: 'active',
    timestamp: job.createdAt,
    delay: 0,
    processAt: undefined,
    priority: 0,
    made,
    claims: claim,
    processedOn: job.claimedAt,
    processedBy: undefined,
    finishedOn: undefined,
    failedReason: lastError,
    returnValue: undefined,
    progress: undefined,
    deduplicationId: job.uniqueKey === undefined ? undefined : toDeduplicationId(job.uniqueKey),
    lockEndsAt: job.leaseEndsAt,
  };
}

type Told = Pick<JobRecord, 'at' | 'claims' | 'deaths' | 'state'>;

/**
 * What is written of a job, by whoever holds it, before BullMQ is told where the job goes. Should its holder end in between,
 * or lose the job, then nothing became of it: what it was before holds on.
 */
export function yetToBeMade(state: OwnState, before: OwnState, claim: number): OwnState {
  const { attempts: _, ...rest } = before;
  return { ...state, claim, before: rest };
}

/** What is stored of a job, without what was written of it and never came to be. */
export function withoutUnmade<Record extends Told>(record: Record): Record {
  const { at, claims, deaths, state } = record;
  if (state?.before === undefined) return record;
  const isHeld = at === 'active' && claims === state.claim;
  // A claim that has died was not settled.
  const isUnmade = isHeld || deaths.some(({ claim }) => claim === state.claim);
  if (!isUnmade) return record;
  return { ...record, state: { ...state.before, attempts: state.attempts.slice(0, -1) } };
}
