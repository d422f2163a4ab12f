import type { ClaimedJob, EnqueueAnswer, QueueCounts, StoredJob } from '../../jobs/index.js';
import { claimedJobOf, type JobPlace, jobOf, type RawFields } from './job-record.js';

/** What a script answers: numbers, and bytes for texts. */
export type Answer = readonly unknown[];

const textOf = (value: unknown): string => (value as Buffer).toString();

export function enqueueAnswer(id: string, answer: unknown): EnqueueAnswer {
  if (answer instanceof Uint8Array) return { kind: 'duplicate', id: textOf(answer) };
  return { kind: Number(answer) === 1 ? 'enqueued' : 'exists', id };
}

/** What `claim()` answers. */
export interface ClaimAnswer {
  readonly jobs: readonly ClaimedJob[];
  /** In how long to look again; `undefined` where nobody knows. */
  readonly nextInMs: number | undefined;
}

export interface ClaimRequest {
  readonly queue: string;
  /** What the keys of jobs begin with: their ids follow. */
  readonly jobKeyStart: string;
  readonly leaseMs: number;
}

export function claimAnswer(
  { queue, jobKeyStart, leaseMs }: ClaimRequest,
  now: number,
  answer: Answer,
): ClaimAnswer {
  const nextInMs = Number(answer[0]);
  const jobs: ClaimedJob[] = [];
  if (answer.length > 2) {
    let token = Number(textOf(answer[1]));
    const leaseEndsAt = now + Math.ceil(leaseMs);
    for (let at = 2; at < answer.length; at += 3) {
      const id = textOf(answer[at]).slice(jobKeyStart.length);
      const claim = { token: String(++token), claimedAt: now, leaseEndsAt, dueAt: Number(answer[at + 1]) };
      jobs.push(claimedJobOf(queue, id, fieldsOf(answer[at + 2]), claim));
    }
  }
  return { jobs, nextInMs: nextInMs < 0 ? undefined : nextInMs };
}

const onlyField = Buffer.from('msgpack');

const fieldsOf = (answer: unknown): RawFields =>
  answer instanceof Uint8Array ? [onlyField, answer as Buffer] : (answer as RawFields);

/** A text with 1 or 0 for each. */
export const yesOrNo = (answer: unknown): boolean[] => Array.from(textOf(answer), (one) => one === '1');

/** A job that a script has described; `undefined` where nothing of it is stored in that queue. */
export function describedJob(queue: string, id: string, answer: unknown, now: number): StoredJob | undefined {
  if (answer === null) return undefined;
  const [score, lease, claim, parked, ended, fields] = answer as Answer;
  const place = placeOf(score, lease, claim, parked, ended, fields as RawFields, now);
  return place && jobOf(queue, id, fields as RawFields, place, now);
}

function placeOf(
  score: unknown,
  lease: unknown,
  claim: unknown,
  parked: unknown,
  ended: unknown,
  fields: RawFields,
  now: number,
): JobPlace | undefined {
  if (score !== null) {
    const at = msOf(score);
    const isOurs = lease !== null && claim !== null && msOf(lease) === at;
    const dueAt = isOurs ? Number(textOf(claim).split(':')[3]) : at;
    if (at <= now) return { state: 'ready', dueAt, leaseEndsAt: undefined };
    if (isOurs) return { state: 'active', dueAt, leaseEndsAt: at };
    return { state: 'scheduled', dueAt: at, leaseEndsAt: undefined };
  }
  if (parked !== null) return { state: 'ready', dueAt: msOf(parked), leaseEndsAt: undefined };
  if (ended === null) return undefined;
  for (let at = 0; at < fields.length; at += 2) {
    if (textOf(fields[at]) !== 'state') continue;
    const state = textOf(fields[at + 1]) as 'dead' | 'completed' | 'cancelled';
    return { state, dueAt: undefined, leaseEndsAt: undefined };
  }
  return undefined;
}

/** A score is in seconds. */
const msOf = (score: unknown): number => Math.round(Number(textOf(score)) * 1_000);

export function countsAnswer(queue: string, answer: Answer): QueueCounts {
  const now = Number(answer[0]);
  // A Go program that ends what we hold leaves it among what is held, until its lease ends.
  const count = (at: number): number => Math.max(0, Number(answer[at]));
  return {
    queue,
    paused: Number(answer[1]) === 1,
    ready: count(2),
    scheduled: count(3),
    active: count(4),
    dead: count(5),
    dueWithin: count(6),
    oldestReadyAgeMs: count(7),
    throughput: throughputOf(answer[8] as Answer, now),
  };
}

const minuteMs = 60_000;

function throughputOf(minutes: Answer, now: number): QueueCounts['throughput'] {
  const latest = Math.floor(now / minuteMs);
  return minutes
    .map((minute) => {
      const [at = 0, completed = 0, failed = 0] = textOf(minute).split(':').map(Number);
      return { at: at * minuteMs, completed, failed };
    })
    .filter(({ at }) => at > (latest - 60) * minuteMs)
    .toSorted((a, b) => a.at - b.at);
}
