import type { ClaimedJob, JobBackendHost } from '../../jobs/index.js';
import type { BullMqStore, Held, WhichClaim } from './bullmq-store.js';
import { readToken } from './claim-token.js';
import type { HeldJobs } from './held-jobs.js';
import { type JobRecord, recordOfCopy, toClaimedJob } from './job-record.js';
import type { EndedCounts } from './ended-counts.js';
import type { JobSchedules } from './job-schedules.js';

/** What the parts of an open backend share. */
export interface BullMqContext {
  readonly store: BullMqStore;
  readonly host: JobBackendHost;
  readonly held: HeldJobs;
  readonly ended: EndedCounts;
  readonly schedules: JobSchedules;
  /** How this process is called in BullMQ. */
  readonly processedBy: string;
  readonly priorities: boolean;
  readonly pollIntervalMs: number;
  /** A text by which nothing was ever locked. */
  readonly newLock: () => string;
}

const atHandSuffix = ' (at hand)';

/** By whom a job is processed that was claimed to be at hand, and not to be started. */
export function atHandOf(processedBy: string): string {
  return processedBy + atHandSuffix;
}

export function isAtHand(processedBy: string | undefined): boolean {
  return processedBy?.endsWith(atHandSuffix) === true;
}

/** A claim of a job: what was stored of it then, and by what it was locked. */
export interface Claim extends Held {
  readonly record: JobRecord;
  readonly which: WhichClaim;
}

/** Of jobs as they were given to whoever claimed them: more than the contract tells. */
const claims = new WeakMap<ClaimedJob, Claim>();

/** A claimed job, of which `claimOf()` knows what it was made of. */
export function claimedJob(queue: string, record: JobRecord, lock: string, leaseMs: number): ClaimedJob {
  const job = toClaimedJob(queue, record, lock, leaseMs);
  const which = { claim: record.claims, startedAt: job.claimedAt };
  claims.set(job, { id: record.id, lock, record, which });
  return job;
}

/** As far as the job itself tells, where somebody has made a copy of it; `undefined` where its token is none. */
export function claimOf(job: ClaimedJob): Claim | undefined {
  const known = claims.get(job);
  if (known !== undefined) return known;
  const token = readToken(job.token);
  if (token === undefined) return undefined;
  const record = recordOfCopy(job, token);
  return { id: record.id, lock: token.lock, record, which: { claim: token.claim, startedAt: job.claimedAt } };
}

/** The code of an error of BullMQ; `undefined` for any other. */
export function bullCodeOf(error: unknown): number | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'number' ? code : undefined;
}

/** BullMQ's answers to who does not hold a job, or holds it no more: it is gone, has no lock, is elsewhere, has another lock. */
export const notHeldCodes: ReadonlySet<number> = new Set([-1, -2, -3, -6]);
/** It cannot be completed: others of its flow wait or run, or have failed. */
export const waitingForOthersCodes: ReadonlySet<number> = new Set([-4, -9]);
/** It has no lock any more, which may be since the lease was over. */
export const noLockCode = -2;
