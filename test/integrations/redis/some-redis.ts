import type { Redis } from 'ioredis';
import type {
  BlockingClaimOptions,
  ClaimedJob,
  JobBackendHost,
  NewJob,
  QueueCounts,
  StoredJob,
} from '../../../lib/jobs/index.js';
import { RedisJobBackend, type RedisJobBackendOptions } from 'nestjs-worker/redis';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { RedisServer } from '../../support/redis.js';

export const queue = 'mail';

/** One handle on the jobs of a namespace, and what it has told. */
export class Handle {
  readonly backend: RedisJobBackend;
  readonly namespace: string;
  readonly warnings: string[] = [];
  readonly connection: (string | undefined)[] = [];
  readonly revoked: string[] = [];
  #ids = 0;

  constructor(options: RedisJobBackendOptions & { readonly namespace: string }) {
    this.namespace = options.namespace;
    this.backend = new RedisJobBackend(options);
  }

  readonly host: JobBackendHost = {
    onRevoked: (_, ids) => void this.revoked.push(...ids),
    onConnection: (error) => void this.connection.push(error?.message),
    warn: (message) => void this.warnings.push(message),
    setTimer: (callback, delayMs) => {
      const timer = setTimeout(callback, delayMs);
      return () => clearTimeout(timer);
    },
  };

  async open(): Promise<this> {
    await this.backend.open(this.host);
    return this;
  }

  job(fields: Partial<NewJob> = {}): NewJob {
    const id = `job-${String(++this.#ids).padStart(6, '0')}`;
    return { id, queue, name: '', payload: undefined, due: { inMs: 0 }, priority: 0, ...fields };
  }

  async add(...jobs: readonly Partial<NewJob>[]): Promise<string[]> {
    const made = jobs.map((fields) => this.job(fields));
    await this.backend.enqueue(made);
    return made.map(({ id }) => id);
  }

  claim(options: Partial<BlockingClaimOptions> = {}): Promise<readonly ClaimedJob[]> {
    const { signal } = new AbortController();
    return this.backend.claim(queue, {
      limit: 1,
      prefetch: 0,
      leaseMs: 60_000,
      waitMs: 0,
      signal,
      ...options,
    });
  }

  /** Claims the one that there must be. */
  async claimOne(options: Partial<BlockingClaimOptions> = {}): Promise<ClaimedJob> {
    const [job] = await this.claim(options);
    if (job === undefined) throw new Error('There is no job to be claimed.');
    return job;
  }

  async complete(...jobs: readonly ClaimedJob[]): Promise<readonly boolean[]> {
    const settlements = jobs.map((job) => ({ kind: 'completed', job, keepMs: 0 }) as const);
    return (await this.backend.settle(queue, settlements)).accepted;
  }

  /** One attempt has failed; it is due again at once. */
  async fail(job: ClaimedJob, error = 'boom', delayMs = 0): Promise<readonly boolean[]> {
    const at = Date.now();
    const failures = job.failures + 1;
    const attempt = { attempt: failures, startedAt: at, endedAt: at, outcome: 'failed', error } as const;
    return (await this.backend.settle(queue, [{ kind: 'scheduled', job, delayMs, failures, attempt }]))
      .accepted;
  }

  async stored(id: string): Promise<StoredJob | undefined> {
    return (await this.backend.get(queue, [id]))[0];
  }

  async counts(): Promise<QueueCounts> {
    const [counts] = await this.backend.counts([queue], { dueWithinMs: 0 });
    if (counts === undefined) throw new Error('It has answered nothing.');
    return counts;
  }

  keyOf(kind: string, name: string | undefined = queue): string {
    return `${this.namespace}:${kind}:${name}`;
  }
}

/** A server for the tests of a file, and a new namespace for each of them. */
export class SomeRedis {
  server!: RedisServer;
  /** For looking at what is stored. */
  client!: Redis;
  #handles: Handle[] = [];
  #namespaces = 0;
  namespace = '';

  constructor(...settings: readonly string[]) {
    beforeAll(async () => {
      this.server = await RedisServer.start(...settings);
      this.client = this.server.client();
    }, 60_000);
    afterEach(async () => {
      for (const { backend } of this.#handles.splice(0)) await backend.close();
      this.#namespaces++;
    });
    afterAll(async () => {
      this.client?.disconnect();
      await this.server?.stop();
    });
  }

  /** A handle that is not open yet. All of one test have one namespace. */
  closedHandle(options: RedisJobBackendOptions = {}): Handle {
    this.namespace = `test-${this.#namespaces}`;
    const at = options.client === undefined ? { url: this.server.url } : {};
    const handle = new Handle({ ...at, ...options, namespace: this.namespace });
    this.#handles.push(handle);
    return handle;
  }

  handle(options: RedisJobBackendOptions = {}): Promise<Handle> {
    return this.closedHandle(options).open();
  }
}
