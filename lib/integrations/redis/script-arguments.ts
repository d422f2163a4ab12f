import type { ClaimOptions, NewJob, Settlement } from '../../jobs/index.js';
import { encodeGoJob } from './go-job.js';
import { goJobOf, historyText, isUnreadable } from './job-record.js';

type Argument = string | Buffer;

const zero = '0';

/** What the script for enqueueing is told of a job: four values. `now` by the clock of Redis. */
export function enqueueArguments(args: Argument[], job: NewJob, now: number): void {
  const { id, due, payload } = job;
  const inMs = 'at' in due ? undefined : Math.ceil(Math.max(0, due.inMs));
  const at = 'at' in due ? Math.ceil(due.at) : now + inMs!;
  const go = { id, createdAt: now, updatedAt: now, enqueuedAt: at, payload, retries: 0, lastError: '' };
  args.push(id, inMs === undefined ? `@${at}` : String(inMs), encodeGoJob(go), moreOf(job));
}

/** Further fields of its hash, as JSON; most jobs have none. */
function moreOf({ name, headers, unique, limitKey }: NewJob): string {
  if (name === '' && headers === undefined && unique === undefined && limitKey === undefined) return '';
  return JSON.stringify({
    name: name || undefined,
    headers: headers && JSON.stringify(headers),
    unique: unique && `${unique.ttlMs === undefined ? '' : Math.ceil(unique.ttlMs)}:${unique.key}`,
    limit: limitKey,
  });
}

/** What `claim()` reads. `waitMs`: for how long it is to be noted that somebody waits. */
export function claimArguments(
  { limit, prefetch, leaseMs, limits }: ClaimOptions,
  atMost: number,
  call: string,
  waitMs: number,
): string[] {
  const started = Math.min(limit, atMost);
  return [
    started,
    Math.min(prefetch, atMost - started),
    Math.ceil(leaseMs),
    call,
    Math.ceil(waitMs),
    limits?.concurrency ?? '',
    limits?.perKey ?? '',
    limits?.rate?.limit ?? '',
    limits?.rate?.periodMs ?? '',
  ].map(String);
}

/** What the script for settling is told of the end of a claim, beside its id and its token. */
export function settlementArguments(args: Argument[], settlement: Settlement, now: number): void {
  const { job, kind } = settlement;
  const { uniqueKey, limitKey } = job;
  const letter = letterOf(settlement);
  if (uniqueKey === undefined && limitKey === undefined) args.push(letter);
  else args.push(`${letter}+`, uniqueKey ?? '', limitKey ?? '');
  switch (kind) {
    case 'completed': {
      if (letter === 'c') return;
      const { keepMs, result } = settlement;
      args.push(keptFor(keepMs), result === undefined ? zero : '1');
      if (result !== undefined) args.push(bufferOf(result));
      return;
    }
    case 'scheduled': {
      const { delayMs, failures, attempt } = settlement;
      const inMs = Math.ceil(Math.max(0, delayMs));
      const error = isFailure(attempt) ? (attempt?.error ?? job.lastError) : job.lastError;
      const go = goJobOf(job, { dueAt: now + inMs, failures, error }, now);
      args.push(String(inMs), flag(isFailure(attempt)), go, historyText(job, attempt));
      return;
    }
    case 'released':
      args.push(historyText(job, settlement.attempt));
      return;
    case 'dead': {
      const { cause, failures, error, attempt, maxDead } = settlement;
      // What cannot be read is kept as it is, to be looked at.
      const go = isUnreadable(job) ? '' : goJobOf(job, { dueAt: job.dueAt, failures, error }, now);
      const most = Number.isFinite(maxDead) ? String(maxDead) : '';
      args.push(cause, flag(isFailure(attempt)), most, go, historyText(job, attempt));
      return;
    }
    case 'cancelled': {
      const { keepMs, error, attempt } = settlement;
      const { dueAt, failures, lastError } = job;
      const go = keepMs > 0 ? goJobOf(job, { dueAt, failures, error: error ?? lastError }, now) : '';
      args.push(keptFor(keepMs), go, historyText(job, attempt));
    }
  }
}

function letterOf(settlement: Settlement): string {
  switch (settlement.kind) {
    case 'completed':
      return settlement.keepMs > 0 ? 'k' : 'c';
    case 'scheduled':
      return 's';
    case 'released':
      return 'r';
    case 'dead':
      return 'd';
    case 'cancelled':
      return 'x';
  }
}

/** Nothing: for ever. */
export const keptFor = (keepMs: number): string =>
  Number.isFinite(keepMs) ? String(Math.ceil(Math.max(0, keepMs))) : '';

const flag = (value: boolean): string => (value ? '1' : zero);

const isFailure = (attempt: { readonly outcome: string } | undefined): boolean =>
  attempt?.outcome === 'failed' || attempt?.outcome === 'timed-out';

// ioredis takes a Buffer for bytes, and anything else for a text.
export const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
