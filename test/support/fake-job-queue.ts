import { FakeClock } from 'nestjs-worker/testing';
import type { JobBackend, JobBackendCapabilities, JobQueueOptions, PoolOptions } from 'nestjs-worker';
import { JobQueue } from 'nestjs-worker';
import type { JobConnection } from '../../lib/jobs/job-connection.js';
import { resolveJobQueueOptions } from '../../lib/jobs/job-queue-options.js';
import { type JobRegistry, jobRegistryOf } from '../../lib/jobs/job-registry.js';
import { MemoryJobBackend } from '../../lib/jobs/memory-job-backend.js';
import { Pool } from '../../lib/pool/index.js';
import { RecordingLogger } from './recording-logger.js';

type Method = Exclude<keyof JobBackend, 'capabilities' | 'keepLeases'>;

/** A memory backend that a test can slow down, break, and look at. */
export class WatchedBackend extends MemoryJobBackend {
  /** Of each call of `enqueue()`, the ids in it. */
  readonly batches: string[][] = [];
  /** How often each method was called. */
  readonly calls: Partial<Record<Method, number>> = {};
  underWay = 0;
  mostUnderWay = 0;
  mostJobsUnderWay = 0;
  #jobsUnderWay = 0;
  /** What each call waits for before it is made: a promise that rejects makes it fail. */
  hold: ((method: Method) => Promise<unknown> | undefined) | undefined;

  override enqueue(
    ...given: Parameters<MemoryJobBackend['enqueue']>
  ): ReturnType<MemoryJobBackend['enqueue']> {
    const [jobs] = given;
    this.batches.push(jobs.map(({ id }) => id));
    this.#jobsUnderWay += jobs.length;
    this.mostJobsUnderWay = Math.max(this.mostJobsUnderWay, this.#jobsUnderWay);
    return this.#through('enqueue', () => super.enqueue(...given)).finally(
      () => (this.#jobsUnderWay -= jobs.length),
    );
  }

  override open(...given: Parameters<MemoryJobBackend['open']>): ReturnType<MemoryJobBackend['open']> {
    return this.#through('open', () => super.open(...given));
  }

  override get(...given: Parameters<MemoryJobBackend['get']>): ReturnType<MemoryJobBackend['get']> {
    return this.#through('get', () => super.get(...given));
  }

  override list(...given: Parameters<MemoryJobBackend['list']>): ReturnType<MemoryJobBackend['list']> {
    return this.#through('list', () => super.list(...given));
  }

  override delete(...given: Parameters<MemoryJobBackend['delete']>): ReturnType<MemoryJobBackend['delete']> {
    return this.#through('delete', () => super.delete(...given));
  }

  override cancel(...given: Parameters<MemoryJobBackend['cancel']>): ReturnType<MemoryJobBackend['cancel']> {
    return this.#through('cancel', () => super.cancel(...given));
  }

  override retry(...given: Parameters<MemoryJobBackend['retry']>): ReturnType<MemoryJobBackend['retry']> {
    return this.#through('retry', () => super.retry(...given));
  }

  override close(...given: Parameters<MemoryJobBackend['close']>): ReturnType<MemoryJobBackend['close']> {
    return this.#through('close', () => super.close(...given));
  }

  async #through<Result>(method: Method, call: () => Promise<Result>): Promise<Result> {
    this.calls[method] = (this.calls[method] ?? 0) + 1;
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
    try {
      const held = this.hold?.(method);
      if (held !== undefined) await held;
      return await call();
    } finally {
      this.underWay--;
    }
  }
}

export interface FakeJobQueue<Payload> {
  readonly clock: FakeClock;
  readonly backend: WatchedBackend;
  readonly pool: Pool;
  readonly logger: RecordingLogger;
  readonly connection: JobConnection;
  readonly registry: JobRegistry;
  readonly queue: JobQueue<Payload>;
}

/** A queue called `emails` without Nest, whose time stands still, on a backend of its own. */
export function fakeJobQueue<Payload = unknown>(
  options: Partial<JobQueueOptions> = {},
  poolOptions: PoolOptions = {},
  hold?: WatchedBackend['hold'],
  capabilities: Partial<JobBackendCapabilities> = {},
): FakeJobQueue<Payload> {
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  const pool = new Pool({ clock, logger, ...poolOptions });
  const backend = new WatchedBackend({ clock });
  backend.hold = hold;
  Object.assign(backend.capabilities, capabilities);
  const registry = jobRegistryOf(pool);
  const connection = registry.connect(backend, () => backend, 'a test');
  const resolved = resolveJobQueueOptions({ name: 'emails', ...options }, backend.capabilities);
  const { headerProviders, aroundEnqueueing } = registry;
  const queue = new JobQueue<Payload>({ connection, options: resolved, headerProviders, aroundEnqueueing });
  registry.addQueue(queue, 'a test');
  registry.begin();
  return { clock, backend, pool, logger, connection, registry, queue };
}

/** A promise that nobody settles. */
export const never = (): Promise<never> => new Promise(() => {});

/** What `promise` rejects with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('It did not reject.');
}
