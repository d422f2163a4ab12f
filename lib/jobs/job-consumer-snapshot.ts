import type { AbortReason, ErrorInfo, WorkEvent } from '../events/index.js';
import type { ExecutionRecord, ExecutionStatus } from '../execution/index.js';
import type { ChildSnapshot } from '../pool/index.js';
import type { ConsumerOptions } from './consumer-options.js';
import type { JobRunner } from './job-runner.js';
import type { JobOutcome } from './settlement.js';

// A consumer may run any number of jobs; who looks at it wants the ones that take long.
const shownJobs = 100;

/** An attempt at a job that is under way. */
export interface RunningJob {
  readonly id: string;
  readonly name: string;
  readonly status: 'running' | 'stuck';
  readonly attempt: number;
  readonly runningMs: number;
}

/** What a snapshot is made of. */
interface ConsumerParts {
  readonly runner: JobRunner;
  readonly options: ConsumerOptions;
  readonly record: ExecutionRecord;
  readonly status: ExecutionStatus;
  readonly degraded: boolean;
  readonly lastError: ErrorInfo | undefined;
}

/** What is known of a job consumer of this process at one moment. Nothing that happens later changes it. */
export class JobConsumerSnapshot implements ChildSnapshot {
  readonly kind = 'job-consumer';
  /** Of the queue. */
  readonly name: string;
  /** `stuck` while a job of it is; `error` while it gets no jobs that it should get. */
  readonly status: ExecutionStatus;
  readonly ignorable = false;
  /** True while the backend cannot be reached. */
  readonly degraded: boolean;
  readonly concurrency: number;
  /** Attempts that are under way. */
  readonly running: number;
  /** Claimed jobs that wait for a slot. */
  readonly atHand: number;
  /** Of those that run: told to end, and did not. */
  readonly stuck: number;
  /** Jobs that have ended here, and of which the backend does not know yet. */
  readonly settling: number;
  /** Attempts by how they ended. */
  readonly attempts: Readonly<Record<JobOutcome['kind'], number>>;
  /** Jobs that this process has given up on. */
  readonly dead: number;
  readonly leasesLost: number;
  /** The jobs that run, the longest first; at most a hundred of them. */
  readonly jobs: readonly RunningJob[];
  /** Of the last attempt that failed, or of the backend. */
  readonly lastError: ErrorInfo | undefined;
  readonly startedAt: Date | undefined;
  readonly stopReason: AbortReason | undefined;
  /** The last events of the consumer itself, oldest first; those of its jobs are not among them. */
  readonly events: readonly WorkEvent[];

  /** @internal The consumer makes it. */
  constructor({ runner, options, record, status, degraded, lastError }: ConsumerParts) {
    const { attempts, dead, leasesLost } = runner.tally;
    const now = runner.environment.clock.monotonic();
    this.name = options.queue;
    this.status = status;
    this.degraded = degraded;
    this.concurrency = options.concurrency;
    this.running = runner.running;
    this.atHand = runner.atHand;
    this.stuck = runner.stuck;
    this.settling = runner.settler.pending;
    this.attempts = Object.freeze({ ...attempts });
    this.dead = dead;
    this.leasesLost = leasesLost;
    const jobs: RunningJob[] = [];
    for (const { claimed, context, isStuck } of runner.runs) {
      if (jobs.length === shownJobs) break;
      const { id, name } = claimed;
      const runningMs = now - context.startedAt;
      jobs.push(
        Object.freeze({
          id,
          name,
          status: isStuck ? 'stuck' : 'running',
          attempt: context.attempt,
          runningMs,
        }),
      );
    }
    this.jobs = Object.freeze(jobs);
    this.lastError = lastError;
    this.startedAt = record.startedAt === undefined ? undefined : new Date(record.startedAt);
    this.stopReason = record.stopReason;
    this.events = record.history.history().events;
    Object.freeze(this);
  }
}
