import type { FakeClock } from 'nestjs-worker/testing';
import type { ConsumerOptions } from '../../lib/jobs/consumer-options.js';
import { JobConnection } from '../../lib/jobs/job-connection.js';
import { JobConsumer } from '../../lib/jobs/job-consumer.js';
import type { JobHandlerEntry } from '../../lib/jobs/job-handler-entry.js';
import type { JobMiddleware } from '../../lib/jobs/job-middleware.js';
import type { MemoryJobBackend } from '../../lib/jobs/memory-job-backend.js';
import { Pool } from '../../lib/pool/index.js';
import { FaultyBackend, plainEntry, plainOptions } from '../support/fake-jobs.js';
import { RecordingLogger } from '../support/recording-logger.js';

export interface JobProcessOptions extends Partial<Omit<ConsumerOptions, 'queue'>> {
  readonly queues?: readonly string[];
  readonly entry?: Partial<JobHandlerEntry>;
  readonly middlewares?: readonly JobMiddleware[];
}

/** What `FakeJobs` is for one process: one of several on the same backend, which can be killed. */
export class JobProcess {
  readonly logger = new RecordingLogger();
  readonly pool: Pool;
  readonly backend: FaultyBackend;
  readonly connection: JobConnection;
  /** One for each queue. */
  readonly consumers: readonly JobConsumer[];
  readonly #clock: FakeClock;
  readonly #killed = new AbortController();

  constructor(
    memory: MemoryJobBackend,
    clock: FakeClock,
    handle: JobHandlerEntry['handle'],
    { queues = ['mail'], entry = {}, middlewares = [], ...options }: JobProcessOptions = {},
  ) {
    this.#clock = clock;
    this.pool = new Pool({ clock, logger: this.logger });
    this.backend = new FaultyBackend(memory);
    const { claim } = this.backend;
    const claimUntilKilled: FaultyBackend['claim'] = (queue, request) =>
      claim(queue, { ...request, signal: AbortSignal.any([request.signal, this.#killed.signal]) });
    Object.assign(this.backend, { claim: claimUntilKilled });
    this.connection = new JobConnection(this.pool, this.backend);
    this.consumers = queues.map((queue) => {
      const all = { ...plainOptions, concurrency: 10, ...options, queue };
      const handler = { ...plainEntry, handle, ...entry };
      return new JobConsumer(this.pool, this.connection, all, [handler], middlewares, 'a test');
    });
    for (const consumer of this.consumers) this.pool.add(consumer);
  }

  get consumer(): JobConsumer {
    return this.consumers[0]!;
  }

  /** Whether it was not killed. */
  get lives(): boolean {
    return !this.#killed.signal.aborted;
  }

  async start(): Promise<void> {
    this.pool.start();
    await this.#clock.settle();
  }

  /** From now on nothing that it does reaches the backend. */
  kill(): void {
    this.backend.break('hangs', 'open', 'enqueue', 'claim', 'extend', 'settle', 'counts');
    this.#killed.abort();
  }

  /** Ends it. All that it ever began is at its end after a minute, where that is possible. */
  async close(): Promise<void> {
    const closed = this.pool.close();
    await this.#clock.advance('1m');
    await closed;
    await this.connection.close();
  }
}
