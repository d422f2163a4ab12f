import { WorkerPool } from 'nestjs-worker';
import { type EventRecorder, FakeClock, recordEvents } from 'nestjs-worker/testing';
import { onTestFinished } from 'vitest';
import type { ConsumerOptions } from '../../lib/jobs/consumer-options.js';
import type {
  EnqueueAnswer,
  JobBackend,
  NewJob,
  QueueCounts,
  StoredJob,
} from '../../lib/jobs/job-backend.js';
import { JobConnection } from '../../lib/jobs/job-connection.js';
import { JobConsumer } from '../../lib/jobs/job-consumer.js';
import type { JobHandlerEntry } from '../../lib/jobs/job-handler-entry.js';
import type { JobMiddleware } from '../../lib/jobs/job-middleware.js';
import type { Job, JobContext } from '../../lib/jobs/job.js';
import { MemoryJobBackend } from '../../lib/jobs/memory-job-backend.js';
import { msgpackCodec } from '../../lib/jobs/payload-codec.js';
import { Pool } from '../../lib/pool/index.js';
import { RecordingLogger } from './recording-logger.js';

/** One attempt that a test moves. */
export interface HeldJob {
  readonly job: Job;
  readonly ctx: JobContext;
  readonly succeed: (value?: unknown) => void;
  readonly fail: (error?: unknown) => void;
}

/** A handler whose attempts end when the test says so, or, if it is obedient, when they are told to. */
export class ManualHandler {
  readonly attempts: HeldJob[] = [];
  running = 0;
  mostAtOnce = 0;
  readonly #obedient: boolean;

  constructor({ obedient = true }: { obedient?: boolean } = {}) {
    this.#obedient = obedient;
  }

  /** The last one that began. */
  get attempt(): HeldJob {
    const last = this.attempts.at(-1);
    if (last === undefined) throw new Error('No attempt has begun.');
    return last;
  }

  readonly handle = async (job: Job, ctx: JobContext): Promise<unknown> => {
    this.running++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.running);
    try {
      return await new Promise((resolve, reject) => {
        this.attempts.push({
          job,
          ctx,
          succeed: resolve,
          fail: (error = new Error('boom')) => reject(error),
        });
        if (!this.#obedient) return;
        const obey = (): void => reject(ctx.signal.reason);
        ctx.signal.addEventListener('abort', obey);
        if (ctx.signal.aborted) obey();
      });
    } finally {
      this.running--;
    }
  };
}

type Call = 'open' | 'enqueue' | 'claim' | 'extend' | 'settle' | 'counts';

/** A real backend whose calls fail, or never answer, for as long as a test says so. */
export class FaultyBackend implements JobBackend {
  readonly calls: Record<Call, number> = { open: 0, enqueue: 0, claim: 0, extend: 0, settle: 0, counts: 0 };
  readonly settledAtOnce: number[] = [];
  readonly #broken = new Map<Call, 'fails' | 'hangs'>();

  constructor(readonly sound: MemoryJobBackend) {}

  get capabilities(): JobBackend['capabilities'] {
    return this.sound.capabilities;
  }

  break(how: 'fails' | 'hangs', ...calls: Call[]): void {
    calls.forEach((call) => this.#broken.set(call, how));
  }

  mend(): void {
    this.#broken.clear();
  }

  readonly open: JobBackend['open'] = (host) => this.#call('open', () => this.sound.open(host));
  readonly close: JobBackend['close'] = () => this.sound.close();
  readonly enqueue: JobBackend['enqueue'] = (jobs) => this.#call('enqueue', () => this.sound.enqueue(jobs));
  readonly claim: JobBackend['claim'] = (queue, options) =>
    this.#call('claim', () => this.sound.claim(queue, options));
  readonly extend: JobBackend['extend'] = (queue, extensions) =>
    this.#call('extend', () => this.sound.extend(queue, extensions));
  readonly settle: JobBackend['settle'] = (queue, settlements, thenClaim) => {
    this.settledAtOnce.push(settlements.length);
    return this.#call('settle', () => this.sound.settle(queue, settlements, thenClaim));
  };
  readonly get: JobBackend['get'] = (queue, ids) => this.sound.get(queue, ids);
  readonly list: JobBackend['list'] = (queue, options) => this.sound.list(queue, options);
  readonly delete: JobBackend['delete'] = (queue, ids) => this.sound.delete(queue, ids);
  readonly cancel: JobBackend['cancel'] = (queue, ids, options) => this.sound.cancel(queue, ids, options);
  readonly retry: JobBackend['retry'] = (queue, ids) => this.sound.retry(queue, ids);
  readonly pause: JobBackend['pause'] = (queue, paused) => this.sound.pause(queue, paused);
  readonly counts: JobBackend['counts'] = (queues, options) =>
    this.#call('counts', () => this.sound.counts(queues, options));

  #call<Result>(call: Call, run: () => Promise<Result>): Promise<Result> {
    this.calls[call]++;
    const broken = this.#broken.get(call);
    if (broken === 'hangs') return new Promise(() => {});
    return broken === 'fails' ? Promise.reject(new Error(`${call}: connection lost`)) : run();
  }
}

export interface FakeJobsOptions extends Partial<ConsumerOptions> {
  readonly entries?: readonly Partial<JobHandlerEntry>[];
  readonly obedient?: boolean;
  readonly middlewares?: readonly JobMiddleware[];
}

/** A consumer of queue "mail" on a memory backend, in a pool whose time stands still. */
export class FakeJobs {
  readonly clock = new FakeClock();
  readonly logger = new RecordingLogger();
  readonly pool: Pool;
  readonly events: EventRecorder;
  readonly memory = new MemoryJobBackend({ clock: this.clock });
  readonly backend = new FaultyBackend(this.memory);
  readonly connection: JobConnection;
  readonly consumer: JobConsumer;
  readonly handler: ManualHandler;
  #ids = 0;

  constructor({ entries = [{}], obedient = true, middlewares = [], ...options }: FakeJobsOptions = {}) {
    this.pool = new Pool({ clock: this.clock, logger: this.logger });
    this.events = recordEvents(new WorkerPool(this.pool));
    this.connection = new JobConnection(this.pool, this.backend);
    this.handler = new ManualHandler({ obedient });
    const complete = entries.map((entry) => ({ ...plainEntry, handle: this.handler.handle, ...entry }));
    this.consumer = new JobConsumer(
      this.pool,
      this.connection,
      { ...plainOptions, ...options },
      complete,
      middlewares,
      'a test',
    );
    this.pool.add(this.consumer);
  }

  /** Starts everything, and lets it come to rest. */
  async start(): Promise<void> {
    this.pool.start();
    await this.clock.settle();
  }

  /** Puts jobs into the queue, and lets what follows happen. */
  async enqueue(
    ...jobs: Partial<Omit<NewJob, 'payload'> & { payload: unknown }>[]
  ): Promise<readonly EnqueueAnswer[]> {
    const complete = jobs.map(({ payload, ...job }) => {
      const id = `job-${String(++this.#ids).padStart(6, '0')}`;
      const plain = { id, queue: 'mail', name: '', due: { inMs: 0 }, priority: 0 };
      return Object.assign(plain, job, { payload: msgpackCodec.encode(payload) });
    });
    const answers = await this.connection.call('to enqueue', 1_000, (backend) => backend.enqueue(complete));
    await this.clock.settle();
    return answers;
  }

  async stored(id: string): Promise<StoredJob | undefined> {
    const [job] = await this.memory.get('mail', [id]);
    return job;
  }

  async counts(): Promise<QueueCounts> {
    const [counts] = await this.memory.counts(['mail'], { dueWithinMs: 0 });
    if (counts === undefined) throw new Error('The backend answered nothing.');
    return counts;
  }

  /** Ends everything, at once if it can. */
  async close(): Promise<void> {
    this.backend.mend();
    const closed = this.pool.close();
    await this.clock.advance('1m');
    await closed;
    await this.connection.close();
  }
}

/** A handler that says nothing of itself. */
export const plainEntry: Omit<JobHandlerEntry, 'handle'> = {
  name: '',
  origin: 'a test',
  maxAttempts: 3,
  backoff: { initialMs: 1_000, factor: 1.6, maxMs: 3_600_000, jitter: 0 },
  timeoutMs: undefined,
  abortGraceMs: 10_000,
  keepCompletedMs: 0,
  keepCancelledMs: 0,
  maxDead: 10_000,
  maxAgeMs: undefined,
  schema: undefined,
  middlewares: [],
};

/** Of a queue that says nothing of itself but how many run at a time. */
export const plainOptions: ConsumerOptions = {
  queue: 'mail',
  codec: msgpackCodec,
  concurrency: 2,
  limits: {},
  leaseMs: 30_000,
  blockedLimitMs: 120_000,
  quarantineAfter: 3,
  callTimeoutMs: 10_000,
  notConsumingAfterMs: 60_000,
  autoStart: true,
};

/** A consumer that has not started. It is closed after the test, and is to leave no timer then. */
export function idleJobs(options?: FakeJobsOptions): FakeJobs {
  const jobs = new FakeJobs(options);
  onTestFinished(async () => {
    await jobs.close();
    if (jobs.clock.pending > 0) throw new Error(`${jobs.clock.pending} timers are left`);
  });
  return jobs;
}

/** The same, started. */
export async function startedJobs(options?: FakeJobsOptions): Promise<FakeJobs> {
  const jobs = idleJobs(options);
  await jobs.start();
  return jobs;
}
