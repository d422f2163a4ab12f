import {
  type ClaimedJob,
  countedDeaths,
  type DeadCause,
  historyLimit,
  type JobAttempt,
  type JobState,
  type StoredJob,
} from '../../jobs/index.js';
import { decodeGoJob, encodeGoJob, type GoJob } from './go-job.js';

/** The fields of a job's hash as they are stored: names and values in turn. */
export type RawFields = readonly Buffer[];

/** Where a job is, as far as its hash does not say so. */
export interface JobPlace {
  readonly state: JobState;
  /** `undefined`: when its hash says. */
  readonly dueAt: number | undefined;
  readonly leaseEndsAt: number | undefined;
}

/** What is told of a job. */
class JobRecord implements Writable<StoredJob> {
  readonly id: string;
  readonly queue: string;
  name = '';
  state: JobState;
  payload: Uint8Array | undefined;
  headers: StoredJob['headers'];
  priority = 0;
  uniqueKey: string | undefined;
  limitKey: string | undefined;
  createdAt: number;
  dueAt: number;
  failures: number;
  deaths = 0;
  lastError: string | undefined;
  history: readonly JobAttempt[] = noHistory;
  progress: Uint8Array | undefined;
  leaseEndsAt: number | undefined;
  endedAt: number | undefined;
  result: Uint8Array | undefined;
  cause: DeadCause | undefined;
  readonly #storedPayload: Uint8Array | undefined;

  constructor(queue: string, id: string, go: GoJob | undefined, place: JobPlace) {
    this.id = id;
    this.queue = queue;
    this.state = place.state;
    this.payload = this.#storedPayload = go?.payload;
    this.createdAt = go?.createdAt ?? 0;
    this.dueAt = place.dueAt ?? go?.enqueuedAt ?? 0;
    this.failures = go?.retries ?? 0;
    this.lastError = go === undefined ? unreadable : go.lastError || undefined;
    this.leaseEndsAt = place.leaseEndsAt;
  }

  get storedPayload(): Uint8Array | undefined {
    return this.#storedPayload;
  }

  /** Gives it a payload that whoever runs the job may change. */
  ownPayload(): void {
    this.payload = this.payload?.slice();
  }
}

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

const unreadable =
  'What is stored of this job is not what gocraft/work v2 or nestjs-worker writes, and cannot be read.';
const noHistory: readonly JobAttempt[] = Object.freeze([]);

/** Makes what is told of a job of what is stored of it. `now` by the clock of Redis. */
export function jobOf(queue: string, id: string, fields: RawFields, place: JobPlace, now: number): StoredJob {
  const msgpack = valueOf(fields, 'msgpack');
  const job = new JobRecord(queue, id, msgpack && decodeGoJob(msgpack), place);
  // Most jobs have one field.
  if (fields.length > 2) readMore(job, fields, now);
  return job;
}

/** Makes what is told to whoever has claimed a job, whose payload is its own. */
export function claimedJobOf(
  queue: string,
  id: string,
  fields: RawFields,
  claim: Pick<ClaimedJob, 'token' | 'claimedAt' | 'leaseEndsAt' | 'dueAt'>,
): ClaimedJob {
  const { token, claimedAt, leaseEndsAt, dueAt } = claim;
  const place: JobPlace = { state: 'active', dueAt, leaseEndsAt };
  const job = jobOf(queue, id, fields, place, claimedAt) as JobRecord & Writable<ClaimedJob>;
  job.ownPayload();
  job.token = token;
  job.claimedAt = claimedAt;
  return job;
}

/** Whether nobody could read that job. */
export const isUnreadable = ({ lastError }: StoredJob): boolean => lastError === unreadable;

/** The job as Go keeps it, with what has changed. */
export function goJobOf(
  job: StoredJob,
  changes: { readonly dueAt: number; readonly failures: number; readonly error: string | undefined },
  now: number,
): Buffer {
  return encodeGoJob({
    id: job.id,
    createdAt: job.createdAt,
    updatedAt: now,
    enqueuedAt: changes.dueAt,
    payload: job instanceof JobRecord ? job.storedPayload : job.payload,
    retries: changes.failures,
    lastError: changes.error ?? '',
  });
}

/** The field `history` with one attempt more, or, after a `+`, that one alone; empty where there is none. */
export function historyText({ history }: ClaimedJob, attempt: JobAttempt | undefined): string {
  if (attempt === undefined) return '';
  // Somebody who was taken for dead may have been heard of since: only Redis knows.
  if (history.some(({ outcome }) => outcome === 'died')) return `+${JSON.stringify(attempt)}`;
  return [...history.slice(1 - historyLimit), attempt].map((one) => JSON.stringify(one)).join('\n');
}

export function valueOf(fields: RawFields, name: string): Buffer | undefined {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at]!.toString('latin1') === name) return fields[at + 1];
  }
  return undefined;
}

function readMore(job: Writable<StoredJob>, fields: RawFields, now: number): void {
  for (let at = 0; at < fields.length; at += 2) {
    const value = fields[at + 1]!;
    switch (fields[at]!.toString('latin1')) {
      case 'name':
        job.name = value.toString();
        break;
      case 'headers':
        job.headers = JSON.parse(value.toString()) as Readonly<Record<string, string>>;
        break;
      case 'unique':
        job.uniqueKey = value.toString().replace(/^\d*:/, '');
        break;
      case 'limit':
        job.limitKey = value.toString();
        break;
      case 'deaths':
        job.deaths = countedDeaths(now, value.toString().split(' ').map(timeOfDeath));
        break;
      case 'history':
        job.history = historyIn(value.toString(), job.failures);
        break;
      case 'progress':
        job.progress = new Uint8Array(value);
        break;
      case 'ended':
        if (isEnded(job)) job.endedAt = Number(value.toString());
        break;
      case 'result':
        if (isEnded(job)) job.result = new Uint8Array(value);
        break;
      case 'cause':
        if (isEnded(job)) job.cause = value.toString() as DeadCause;
        break;
      case 'error':
        if (isEnded(job)) job.lastError = value.toString();
    }
  }
}

// A Go program that still had it may have put a job back into the queue that has ended.
const isEnded = ({ state }: StoredJob): boolean =>
  state === 'completed' || state === 'cancelled' || state === 'dead';

/** A death is the time, the token, and when its lease ended. */
const timeOfDeath = (death: string): number => Number.parseInt(death, 10);

/**
 * A script that notes a death does not know which attempt that was. It was no failure, so it was the same attempt as
 * the one that came after it, or the next one.
 */
function historyIn(text: string, failures: number): readonly JobAttempt[] {
  const lines = text.split('\n').map((line) => JSON.parse(line) as Partial<JobAttempt>);
  let attempt = failures + 1;
  const attempts = lines.toReversed().map((line) => {
    attempt = line.attempt ?? attempt;
    return Object.assign(line, { attempt }) as JobAttempt;
  });
  return attempts.toReversed().slice(-historyLimit);
}
