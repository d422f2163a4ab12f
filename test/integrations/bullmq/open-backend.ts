import type { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { onTestFinished } from 'vitest';
import type {
  BlockingClaimOptions,
  ClaimedJob,
  JobBackendHost,
  NewJob,
  StoredJob,
} from '../../../lib/jobs/index.js';
import { newQueueName } from './some-stores.js';

/** An open backend on one queue, and what it has told. Closed when the test is over. */
export class OpenBackend {
  readonly backend: BullMqJobBackend;
  readonly queue: string;
  readonly revoked: string[] = [];
  readonly #timers = new Map<() => void, number>();
  readonly #manual: boolean;
  #ids = 0;

  private constructor(backend: BullMqJobBackend, queue: string, manual: boolean) {
    this.backend = backend;
    this.queue = queue;
    this.#manual = manual;
  }

  /** `manual`: no timer of the backend goes off but by `passTimers()`. */
  static async open(
    backend: BullMqJobBackend,
    { queue = newQueueName(), manual = false } = {},
  ): Promise<OpenBackend> {
    const open = new OpenBackend(backend, queue, manual);
    onTestFinished(() => backend.close());
    await backend.open(open.#host);
    return open;
  }

  readonly #host: JobBackendHost = {
    onRevoked: (_, ids) => void this.revoked.push(...ids),
    onConnection: () => {},
    warn: () => {},
    setTimer: (callback, delayMs) => {
      if (this.#manual) {
        this.#timers.set(callback, delayMs);
        return () => this.#timers.delete(callback);
      }
      const timer = setTimeout(callback, delayMs);
      return () => clearTimeout(timer);
    },
  };

  /** Lets those timers go off that wait by now. */
  passTimers(): void {
    const timers = [...this.#timers.keys()];
    this.#timers.clear();
    timers.forEach((callback) => callback());
  }

  /** How many wait for no longer than that. */
  timersWithin(ms: number): number {
    return [...this.#timers.values()].filter((delayMs) => delayMs <= ms).length;
  }

  async add(fields: Partial<NewJob> = {}): Promise<string> {
    const id = fields.id ?? `job-${++this.#ids}`;
    const due = { inMs: 0 };
    await this.backend.enqueue([
      { queue: this.queue, name: '', payload: undefined, due, priority: 0, ...fields, id },
    ]);
    return id;
  }

  claim(options: Partial<BlockingClaimOptions> = {}): Promise<readonly ClaimedJob[]> {
    const { signal } = new AbortController();
    const defaults = { limit: 1, prefetch: 0, leaseMs: 60_000, waitMs: 0, signal };
    return this.backend.claim(this.queue, { ...defaults, ...options });
  }

  async claimOne(options: Partial<BlockingClaimOptions> = {}): Promise<ClaimedJob> {
    const [job] = await this.claim(options);
    if (job === undefined) throw new Error('There is no job to be claimed.');
    return job;
  }

  extend(job: ClaimedJob, leaseMs = 60_000): Promise<readonly boolean[]> {
    return this.backend.extend(this.queue, [{ job, leaseMs }]);
  }

  async complete(job: ClaimedJob, keepMs = 0): Promise<boolean | undefined> {
    return (await this.backend.settle(this.queue, [{ kind: 'completed', job, keepMs }])).accepted[0];
  }

  async stored(id: string): Promise<StoredJob | undefined> {
    return (await this.backend.get(this.queue, [id]))[0];
  }
}
