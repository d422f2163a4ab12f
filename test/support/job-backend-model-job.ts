import {
  type ClaimOptions,
  deathsAt,
  historyLimit,
  type JobAttempt,
  type JobState,
  type NewJob,
  type StoredJob,
} from '../../lib/jobs/index.js';
import { isDeepStrictEqual } from 'node:util';
import { atLeast, atMost, same } from './job-backend-model-checks.js';
import type { Place } from './job-backend-model-order.js';
import { hasCome, type Moment, type Span } from './job-backend-model-time.js';

export interface ModelLease {
  /** `undefined`: void. */
  token: string | undefined;
  endsAt: Span;
  started: boolean;
  readonly claimedAt: number;
  readonly limits: ClaimOptions['limits'];
}

/** Of whoever held a job by that token: when it is taken to have been, at the earliest and at the latest. */
export interface ModelDeath extends Span {
  readonly token: string | undefined;
}

export interface ModelAttempt {
  readonly outcome: JobAttempt['outcome'];
  readonly token: string | undefined;
}

export interface ModelJob {
  readonly id: string;
  readonly given: NewJob;
  /** When its unique key is free, at the latest. */
  readonly keyUntil: Span;
  dueAt: Span;
  /** `undefined`: it has not come to wait yet. */
  place: Place | undefined;
  failures: number;
  deaths: readonly ModelDeath[];
  attempts: readonly ModelAttempt[];
  lease: ModelLease | undefined;
  ended:
    | { readonly state: 'completed' | 'cancelled' | 'dead'; at: Span; readonly keptUntil: Span }
    | undefined;
  lastToken: bigint;
  claims: number;
}

export const nowhere: Place = { isFirst: false, arrival: { from: 0, to: Infinity }, cameDue: false };

export function addAttempt(job: ModelJob, outcome: ModelAttempt['outcome'], token: string | undefined): void {
  job.attempts = [...job.attempts, { outcome, token }].slice(-historyLimit);
}

/** From when on somebody else may claim it. */
export function claimableFrom({ lease, dueAt }: ModelJob): Span {
  return lease === undefined ? dueAt : lease.endsAt;
}

/** Whether the limit of its key leaves a place for a job beside those. */
export function hasPlace(
  { given: { limitKey } }: ModelJob,
  limits: ClaimOptions['limits'],
  held: readonly ModelJob[],
) {
  const others = held.filter(({ given }) => given.limitKey === limitKey);
  return limitKey === undefined || others.length < (limits?.perKey ?? Infinity);
}

export function isAmong(state: JobState, states: readonly JobState[]): 'yes' | 'no' | 'maybe' {
  if (!states.includes(state)) return 'no';
  return states.length > 1 ? 'maybe' : 'yes';
}

/** Its lease is over, if it has one: whoever held it does no more. */
export function lose(job: ModelJob, { at }: Moment): void {
  const { lease } = job;
  job.lease = undefined;
  if (lease === undefined) return;
  job.place = { ...(job.place ?? nowhere), isFirst: true };
  if (!lease.started) return;
  job.deaths = [...job.deaths, { token: lease.token, from: lease.endsAt.from, to: at }];
  addAttempt(job, 'died', lease.token);
}

/** Whoever had that token is alive. */
export function hearOf(job: ModelJob | undefined, token: string): void {
  const death = job?.deaths.find((one) => one.token === token);
  if (job === undefined || death === undefined) return;
  job.deaths = job.deaths.filter((one) => one !== death);
  job.attempts = job.attempts.map((one) => (one.token === token ? { token, outcome: 'lost' } : one));
}

/** Whether what is told of a job shows that its lease is void by now. */
export function hasLapsed({ lease, attempts }: ModelJob, { history }: StoredJob): boolean {
  const outcomes = attempts.map(({ outcome }) => outcome);
  const told = history.map(({ outcome }) => outcome);
  const died = [...outcomes, 'died' as const].slice(-historyLimit);
  return lease?.started === true && !isDeepStrictEqual(told, outcomes) && isDeepStrictEqual(told, died);
}

export function checkDeaths({ id, deaths, attempts }: ModelJob, stored: StoredJob, moment: Moment): void {
  let [least, most] = [0, 0];
  let last = { from: 0, to: 0 };
  for (const death of deaths) {
    least = deathsAt(death.to, least, last.from) + 1;
    most = deathsAt(death.from, most, last.to) + 1;
    last = death;
  }
  atLeast(stored.deaths, deathsAt(moment.at, least, last.from), `deaths of ${id}`);
  atMost(stored.deaths, deathsAt(moment.from, most, last.to), `deaths of ${id}`);
  same(
    stored.history.map(({ outcome }) => outcome),
    attempts.map(({ outcome }) => outcome),
    `the history of ${id}`,
  );
}

/** What somebody may have found who looked at that moment. */
export function statesOf(
  job: ModelJob | undefined,
  moment: Moment,
  slackMs: number,
): readonly (JobState | undefined)[] {
  if (job === undefined) return [undefined];
  const { since, at } = moment;
  const isGone = job.ended === undefined ? 'no' : hasCome(job.ended.keptUntil, { from: since, at }, slackMs);
  if (isGone === 'yes') return [undefined];
  const states = livingStatesOf(job, moment, slackMs);
  return isGone === 'maybe' ? [...states, undefined] : states;
}

/** The same, of one that is still stored. */
export function livingStatesOf(job: ModelJob, moment: Moment, slackMs: number): readonly JobState[] {
  if (job.ended !== undefined) return [job.ended.state];
  const before = job.lease === undefined ? 'scheduled' : 'active';
  const isReady = hasCome(claimableFrom(job), moment, slackMs);
  if (isReady === 'maybe') return ['ready', before];
  return isReady === 'yes' ? ['ready'] : [before];
}
