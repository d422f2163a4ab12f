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
  LeaseKeeper,
  LeaseKeeperOptions,
  ListOptions,
  NewJob,
  QueueCounts,
  RetryAnswer,
  Settlement,
  SettleAnswer,
  StoredJob,
} from '../../jobs/index.js';
import { LeaseKeeping } from './lease-keeping.js';
import { RedisClaims } from './redis-claims.js';
import { makeSubscriber, threadAddress } from './redis-clients.js';
import { closedError, RedisConnection } from './redis-connection.js';
import { RedisJobs } from './redis-jobs.js';
import {
  type RedisJobBackendOptions,
  type ResolvedRedisOptions,
  resolveRedisOptions,
} from './redis-options.js';
import { RedisScripts } from './redis-scripts.js';
import { extendScript } from './scripts/extend.js';
import { checkServer } from './server-check.js';
import { WakeSubscriber } from './wake-subscriber.js';

/** What there is while the backend is open. */
interface OpenBackend {
  readonly host: JobBackendHost;
  readonly connection: RedisConnection;
  readonly subscriber: WakeSubscriber;
  readonly claims: RedisClaims;
  readonly jobs: RedisJobs;
}

/**
 * Keeps jobs in Redis 6.2 or newer, or Valkey, alone or as a Cluster, for all processes that share it. The keys are those
 * of gocraft/work v2, so that Go programs may share the queues; ids of jobs are therefore shared by all queues of a
 * namespace.
 *
 * Holds a connection for calls, one for announcements once somebody waits for jobs or holds some, and, in the thread
 * that renews leases, a third one once a queue is consumed.
 */
export class RedisJobBackend implements JobBackend {
  readonly capabilities: JobBackendCapabilities;
  /** Not with a `client` of your own, nor with `options` that a thread cannot be given, such as functions. */
  readonly keepLeases?: (options: LeaseKeeperOptions) => LeaseKeeper;
  readonly #options: ResolvedRedisOptions;
  #opened: OpenBackend | undefined;
  /** The connection of an `open()` that is under way. */
  #connecting: RedisConnection | undefined;
  #keeping: LeaseKeeping | undefined;

  /** Throws `InvalidOptionError`. */
  constructor(options: RedisJobBackendOptions = {}) {
    this.#options = resolveRedisOptions(options);
    const { at, threadable, namespace } = this.#options;
    this.capabilities = {
      name: 'redis',
      namespace,
      durable: true,
      shared: true,
      clock: 'backend',
      order: 'due',
      priority: false,
      limits: { concurrency: true, perKey: true, rate: true },
      fencing: true,
      leaseThread: threadable,
    };
    if (threadable && 'address' in at) {
      const { commandTimeoutMs } = this.#options;
      const address = threadAddress(at.address, commandTimeoutMs);
      const setting = { address, namespace, commandTimeoutMs, extend: extendScript };
      this.keepLeases = (keeper) => {
        this.#keeping ??= new LeaseKeeping(setting, {
          extend: (queue, extensions) => this.extend(queue, extensions),
          setTimer: (callback, delayMs) => this.#opening.host.setTimer(callback, delayMs),
          warn: (message) => this.#opened?.host.warn(message),
        });
        return this.#keeping.keep(keeper);
      };
    }
  }

  async open(host: JobBackendHost): Promise<void> {
    const closed = this.close();
    const { namespace, commandTimeoutMs, pollIntervalMs } = this.#options;
    const connection = new RedisConnection(this.#options, host);
    const scripts = new RedisScripts(connection, namespace);
    this.#connecting = connection;
    try {
      await closed;
      await connection.open();
      await checkServer(connection, host.warn);
      await scripts.learnTime();
      if (this.#connecting !== connection) throw closedError();
    } catch (error) {
      await connection.close();
      throw error;
    } finally {
      if (this.#connecting === connection) this.#connecting = undefined;
    }
    const subscriber = new WakeSubscriber(
      {
        connect: () => makeSubscriber(connection.client, commandTimeoutMs),
        onMessage: (channel, message) => {
          const queue = scripts.queueOf(channel);
          if (message === '') return claims.waiting.wake(queue);
          const revoked = revokedIn(message);
          if (revoked !== undefined) host.onRevoked(queue, revoked);
        },
        onUp: () => claims.waiting.wakeAll(),
      },
      commandTimeoutMs,
    );
    const claims = new RedisClaims(scripts, subscriber, host, pollIntervalMs);
    this.#opened = { host, connection, subscriber, claims, jobs: new RedisJobs(scripts) };
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    const keeping = this.#keeping;
    const connecting = this.#connecting;
    this.#opened = undefined;
    this.#keeping = undefined;
    this.#connecting = undefined;
    await Promise.all([opened?.claims.close(), connecting?.close()]);
    await Promise.all([keeping?.close(), opened?.subscriber.close(), opened?.connection.close()]);
  }

  async enqueue(jobs: readonly NewJob[]): Promise<readonly EnqueueAnswer[]> {
    return this.#opening.jobs.enqueue(jobs);
  }

  async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    return this.#opening.claims.claim(queue, options);
  }

  async extend(queue: string, extensions: readonly Extension[]): Promise<readonly boolean[]> {
    return this.#opening.jobs.extend(queue, extensions);
  }

  async settle(
    queue: string,
    settlements: readonly Settlement[],
    thenClaim?: ClaimOptions,
  ): Promise<SettleAnswer> {
    return this.#opening.claims.settle(queue, settlements, thenClaim);
  }

  async get(queue: string, ids: readonly string[]): Promise<readonly (StoredJob | undefined)[]> {
    return this.#opening.jobs.get(queue, ids);
  }

  async list(queue: string, options: ListOptions): Promise<JobPage> {
    return this.#opening.jobs.list(queue, options);
  }

  async delete(queue: string, ids: readonly string[]): Promise<readonly DeleteAnswer[]> {
    return this.#opening.jobs.delete(queue, ids);
  }

  async cancel(
    queue: string,
    ids: readonly string[],
    options: CancelOptions,
  ): Promise<readonly CancelAnswer[]> {
    return this.#opening.jobs.cancel(queue, ids, options);
  }

  async retry(queue: string, ids: readonly string[]): Promise<readonly RetryAnswer[]> {
    return this.#opening.jobs.retry(queue, ids);
  }

  async pause(queue: string, paused: boolean): Promise<void> {
    return this.#opening.jobs.pause(queue, paused);
  }

  async counts(queues: readonly string[], options: CountOptions): Promise<readonly QueueCounts[]> {
    return this.#opening.jobs.counts(queues, options);
  }

  /** Throws where it is not open. */
  get #opening(): OpenBackend {
    if (this.#opened === undefined) throw new Error('the connection to Redis is not open');
    return this.#opened;
  }
}

/** The ids that an announcement names. Anybody may say anything on a channel: what is not ours is ignored. */
function revokedIn(message: string): readonly string[] | undefined {
  try {
    const ids: unknown = JSON.parse(message);
    return Array.isArray(ids) && ids.every((id) => typeof id === 'string') ? ids : undefined;
  } catch {
    return undefined;
  }
}
