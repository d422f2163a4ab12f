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
import { atMost, CallsUnderWay } from './calls-under-way.js';
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

/** So long a close may take for what is under way; then it is cut off. */
const longestCloseMs = 1_000;

/** What there is while the backend is open. An opening has its own: what is still under way of one uses no other's. */
interface OpenBackend extends BullMqContext {
  readonly calls: CallsUnderWay;
  readonly claims: ReadonlyMap<string, QueueClaims>;
  readonly claimsOf: (queue: string) => QueueClaims;
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
    this.#opened = this.#openOn(store, host);
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    const opening = this.#opening;
    this.#opened = undefined;
    this.#opening = undefined;
    await Promise.allSettled([opening?.store?.close(), opened && endOf(opened)]);
    await opened?.store.close();
  }

  async enqueue(jobs: readonly NewJob[]): Promise<readonly EnqueueAnswer[]> {
    return this.#call(({ enqueueing }) => enqueueing.enqueue(jobs));
  }

  async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    return this.#call(({ claimsOf }) => claimsOf(queue).claim(options));
  }

  async extend(queue: string, extensions: readonly Extension[]): Promise<readonly boolean[]> {
    return this.#call(({ renewing }) => renewing.extend(queue, extensions));
  }

  async settle(
    queue: string,
    settlements: readonly Settlement[],
    thenClaim?: ClaimOptions,
  ): Promise<SettleAnswer> {
    return this.#call(({ settling }) => settling.settle(queue, settlements, thenClaim));
  }

  async get(queue: string, ids: readonly string[]): Promise<readonly (StoredJob | undefined)[]> {
    return this.#call(({ looking }) => looking.get(queue, ids));
  }

  async list(queue: string, options: ListOptions): Promise<JobPage> {
    return this.#call(({ looking }) => looking.list(queue, options));
  }

  async delete(queue: string, ids: readonly string[]): Promise<readonly DeleteAnswer[]> {
    return this.#call(({ commands }) => commands.delete(queue, ids));
  }

  async cancel(
    queue: string,
    ids: readonly string[],
    options: CancelOptions,
  ): Promise<readonly CancelAnswer[]> {
    return this.#call(({ commands }) => commands.cancel(queue, ids, options));
  }

  async retry(queue: string, ids: readonly string[]): Promise<readonly RetryAnswer[]> {
    return this.#call(({ commands }) => commands.retry(queue, ids));
  }

  async pause(queue: string, paused: boolean): Promise<void> {
    await this.#call(({ store }) => store.calls(queue).pause(paused));
  }

  async counts(queues: readonly string[], options: CountOptions): Promise<readonly QueueCounts[]> {
    return this.#call(({ looking }) => looking.counts(queues, options));
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

  #openOn(store: BullMqStore, host: JobBackendHost): OpenBackend {
    const { priorities, pollIntervalMs } = this.#options;
    const instance = randomUUID();
    let locks = 0;
    const context: BullMqContext = {
      store,
      host,
      held: new HeldJobs(store, host),
      ended: new EndedCounts(store, host, instance),
      schedules: new JobSchedules(store, host),
      processedBy: `${hostname()}:${process.pid}`,
      priorities,
      pollIntervalMs,
      newLock: () => `${instance}:${(locks++).toString(36)}`,
    };
    const past = new PastJobs(store, host);
    const claims = new Map<string, QueueClaims>();
    const claimsOf = (queue: string): QueueClaims => {
      let one = claims.get(queue);
      if (one === undefined) {
        past.lookAt(queue);
        one = new QueueClaims(context, queue, (jobs) => settling.settle(queue, jobs.map(released)));
        claims.set(queue, one);
      }
      return one;
    };
    const renewing = new JobRenewing(context, claimsOf);
    const settling = new JobSettling(context, claimsOf, renewing);
    return {
      ...context,
      calls: new CallsUnderWay((error) => (store.explained ? store.explained(error) : error)),
      claims,
      claimsOf,
      renewing,
      settling,
      enqueueing: new JobEnqueueing(context),
      commands: new JobCommands(context),
      looking: new JobLooking(context),
      past,
    };
  }

  /** Throws where it is not open. */
  #call<Answer>(run: (opened: OpenBackend) => Promise<Answer>): Promise<Answer> {
    const opened = this.#opened;
    if (opened === undefined) throw new Error('the connection of BullMQ is not open');
    return opened.calls.run(run(opened));
  }
}

/** Ends all but the store. What is under way gets a moment: what it claims goes back. */
async function endOf({ calls, claims, ended, held, past }: OpenBackend): Promise<void> {
  held.close();
  past.close();
  for (const one of claims.values()) void calls.run(one.close()).catch(() => {});
  const until = performance.now() + longestCloseMs;
  await atMost(longestCloseMs, calls.idle());
  calls.cutOff();
  await atMost(until - performance.now(), ended.close());
}

const released = (job: ClaimedJob): Settlement => ({ kind: 'released', job });

const closedError = (): Error => new Error('it was closed while it was opened');
