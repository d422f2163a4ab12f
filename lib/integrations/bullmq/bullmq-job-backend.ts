import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type {
  BlockingClaimOptions,
  CancelAnswer,
  CancelOptions,
  ClaimedJob,
  ClaimOptions,
  CountOptions,
  DeleteAnswer,
  EnqueueAnswer,
  Extension,
  JobBackend,
  JobBackendCapabilities,
  JobBackendHost,
  JobPage,
  ListOptions,
  NewJob,
  QueueCounts,
  RetryAnswer,
  Settlement,
  SettleAnswer,
  StoredJob,
} from '../../jobs/index.js';
import type { BullMqContext } from './bullmq-context.js';
import {
  type BullMqJobBackendOptions,
  type ResolvedBullMqOptions,
  resolveBullMqOptions,
} from './bullmq-options.js';
import type { BullMqStore } from './bullmq-store.js';
import { JobCommands } from './commands.js';
import { EndedCounts } from './ended-counts.js';
import { JobEnqueueing } from './enqueueing.js';
import { HeldJobs } from './held-jobs.js';
import { JobSchedules } from './job-schedules.js';
import { JobLooking } from './looking.js';
import { PastJobs } from './past-jobs.js';
import { QueueClaims } from './queue-claims.js';
import { JobRenewing } from './renewing.js';
import { JobSettling } from './settling.js';

/** What there is while the backend is open. */
interface OpenBackend extends BullMqContext {
  readonly claims: Map<string, QueueClaims>;
  readonly renewing: JobRenewing;
  readonly settling: JobSettling;
  readonly enqueueing: JobEnqueueing;
  readonly commands: JobCommands;
  readonly looking: JobLooking;
  readonly past: PastJobs;
}

/**
 * Keeps jobs in BullMQ 6, on Redis or on PostgreSQL, for all processes that share it. They are ordinary jobs of BullMQ:
 * its own producers, workers and dashboards may be used on the same queues.
 */
export class BullMqJobBackend implements JobBackend {
  readonly capabilities: JobBackendCapabilities;
  readonly #options: ResolvedBullMqOptions;
  #opened: OpenBackend | undefined;
  /** An `open()` that is under way, and its store. */
  #opening: { store?: BullMqStore } | undefined;

  /** Throws `InvalidOptionError`. */
  constructor(options: BullMqJobBackendOptions) {
    this.#options = resolveBullMqOptions(options);
    const { at, priorities } = this.#options;
    this.capabilities = {
      name: at.kind === 'redis' ? 'bullmq' : 'bullmq-postgres',
      namespace: at.kind === 'redis' ? at.prefix : at.schema,
      durable: true,
      shared: true,
      clock: 'client',
      // Its SQL leaves what comes due where it was enqueued.
      order: at.kind === 'redis' ? 'arrival' : 'enqueued',
      format: 'json',
      priority: priorities,
      limits: { concurrency: false, perKey: false, rate: false },
      fencing: false,
      leaseThread: false,
      transactions: at.kind === 'postgres',
    };
  }

  async open(host: JobBackendHost): Promise<void> {
    const closed = this.close();
    const instance = randomUUID();
    const processedBy = `${hostname()}:${process.pid}`;
    const opening: { store?: BullMqStore } = {};
    this.#opening = opening;
    const makeStore = await this.#storeMaker();
    if (this.#opening !== opening) throw closedError();
    const store = makeStore(host);
    opening.store = store;
    try {
      await closed;
      await store.open();
      if (this.#opening !== opening) throw closedError();
    } catch (error) {
      await store.close();
      throw error;
    } finally {
      if (this.#opening === opening) this.#opening = undefined;
    }
    const { priorities, pollIntervalMs } = this.#options;
    let locks = 0;
    const context: BullMqContext = {
      store,
      host,
      held: new HeldJobs(store, host),
      ended: new EndedCounts(store, host, instance),
      schedules: new JobSchedules(store, host),
      processedBy,
      priorities,
      pollIntervalMs,
      newLock: () => `${instance}:${(locks++).toString(36)}`,
    };
    const claims = new Map<string, QueueClaims>();
    const claimsOf = (queue: string): QueueClaims => this.#claimsOf(queue);
    const renewing = new JobRenewing(context, claimsOf);
    this.#opened = {
      ...context,
      claims,
      renewing,
      settling: new JobSettling(context, claimsOf, renewing),
      enqueueing: new JobEnqueueing(context),
      commands: new JobCommands(context),
      looking: new JobLooking(context),
      past: new PastJobs(store, host),
    };
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    const opening = this.#opening;
    this.#opened = undefined;
    this.#opening = undefined;
    opened?.held.close();
    opened?.past.close();
    await Promise.allSettled([
      opening?.store?.close(),
      opened?.ended.close(),
      ...[...(opened?.claims.values() ?? [])].map((claims) => claims.close()),
    ]);
    await opened?.store.close();
  }

  async enqueue(jobs: readonly NewJob[]): Promise<readonly EnqueueAnswer[]> {
    return this.#open.enqueueing.enqueue(jobs);
  }

  async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    return this.#claimsOf(queue).claim(options);
  }

  async extend(queue: string, extensions: readonly Extension[]): Promise<readonly boolean[]> {
    return this.#open.renewing.extend(queue, extensions);
  }

  async settle(
    queue: string,
    settlements: readonly Settlement[],
    thenClaim?: ClaimOptions,
  ): Promise<SettleAnswer> {
    return this.#open.settling.settle(queue, settlements, thenClaim);
  }

  async get(queue: string, ids: readonly string[]): Promise<readonly (StoredJob | undefined)[]> {
    return this.#open.looking.get(queue, ids);
  }

  async list(queue: string, options: ListOptions): Promise<JobPage> {
    return this.#open.looking.list(queue, options);
  }

  async delete(queue: string, ids: readonly string[]): Promise<readonly DeleteAnswer[]> {
    return this.#open.commands.delete(queue, ids);
  }

  async cancel(
    queue: string,
    ids: readonly string[],
    options: CancelOptions,
  ): Promise<readonly CancelAnswer[]> {
    return this.#open.commands.cancel(queue, ids, options);
  }

  async retry(queue: string, ids: readonly string[]): Promise<readonly RetryAnswer[]> {
    return this.#open.commands.retry(queue, ids);
  }

  async pause(queue: string, paused: boolean): Promise<void> {
    await this.#open.store.calls(queue).pause(paused);
  }

  async counts(queues: readonly string[], options: CountOptions): Promise<readonly QueueCounts[]> {
    return this.#open.looking.counts(queues, options);
  }

  /** Loads only what the store needs: of ioredis and pg, one is enough. */
  async #storeMaker(): Promise<(host: JobBackendHost) => BullMqStore> {
    const { at, commandTimeoutMs } = this.#options;
    if (at.kind === 'redis') {
      const { RedisStore } = await import('./redis-store.js');
      return (host) => new RedisStore({ ...at, commandTimeoutMs }, host);
    }
    const { PostgresStore } = await import('./postgres-store.js');
    return (host) => new PostgresStore({ ...at, commandTimeoutMs }, host);
  }

  #claimsOf(queue: string): QueueClaims {
    const { claims, settling, past, ...context } = this.#open;
    let one = claims.get(queue);
    if (one === undefined) {
      past.lookAt(queue);
      one = new QueueClaims(context, queue, (jobs) =>
        settling.settle(
          queue,
          jobs.map((job) => ({ kind: 'released', job })),
        ),
      );
      claims.set(queue, one);
    }
    return one;
  }

  /** Throws where it is not open. */
  get #open(): OpenBackend {
    if (this.#opened === undefined) throw new Error('the connection of BullMQ is not open');
    return this.#opened;
  }
}

const closedError = (): Error => new Error('it was closed while it was opened');
