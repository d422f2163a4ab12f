import {
  type ClaimedJob,
  type JobBackend,
  type JobState,
  MemoryJobBackend,
  type NewJob,
  type QueueCounts,
  type StoredJob,
} from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { msgpackCodec } from '../../lib/jobs/payload-codec.js';

export const queue = 'emails';

type Method = 'open' | 'close' | 'enqueue' | 'get' | 'list' | 'delete' | 'pause' | 'counts';
type Calls = {
  [Name in Method]?: (
    run: () => ReturnType<JobBackend[Name]>,
    args: Parameters<JobBackend[Name]>,
  ) => ReturnType<JobBackend[Name]>;
};
type AnyCall = (run: () => unknown, args: readonly unknown[]) => unknown;

/** The same backend; what is named is called by way of the test. */
export function around(backend: JobBackend, calls: Calls, capabilities = backend.capabilities): JobBackend {
  return new Proxy(backend, {
    get(target, key) {
      if (key === 'capabilities') return capabilities;
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      const run = (args: readonly unknown[]): unknown => Reflect.apply(value, target, args) as unknown;
      const call = calls[key as Method] as AnyCall | undefined;
      return (...args: unknown[]) => (call === undefined ? run(args) : call(() => run(args), args));
    },
  });
}

/** Two stores in memory, on one clock. */
export class TwoStores {
  readonly clock = new FakeClock();
  readonly from = new MemoryJobBackend({ clock: this.clock });
  readonly to = new MemoryJobBackend({ clock: this.clock });
  #made = 0;

  /** Stores a job, at the source if nothing else is said. Its payload is the number that it is. */
  async add(job: Partial<NewJob> = {}, backend: JobBackend = this.from): Promise<string> {
    const number = ++this.#made;
    const id = `job-${String(number).padStart(5, '0')}`;
    const payload = msgpackCodec.encode(number);
    const plain: NewJob = { id, queue, name: '', payload, due: { inMs: 0 }, priority: 0 };
    await backend.enqueue([{ ...plain, ...job }]);
    return job.id ?? id;
  }

  async addMany(count: number): Promise<string[]> {
    const ids: string[] = [];
    for (let at = 0; at < count; at++) ids.push(await this.add());
    return ids;
  }

  async claim(backend: JobBackend = this.from, leaseMs = 60_000): Promise<ClaimedJob> {
    const signal = new AbortController().signal;
    const [job] = await backend.claim(queue, { limit: 1, prefetch: 0, leaseMs, waitMs: 0, signal });
    if (job === undefined) throw new Error('There is no job to be claimed.');
    return job;
  }

  async complete(job: ClaimedJob, backend: JobBackend = this.from, keepMs = 0): Promise<void> {
    await backend.settle(queue, [{ kind: 'completed', job, keepMs }]);
  }

  /** Claims the next job at the source, and gives it up. */
  async kill(): Promise<string> {
    const job = await this.claim();
    await this.from.settle(queue, [
      { kind: 'dead', job, cause: 'discarded', failures: 1, error: 'boom', maxDead: 100 },
    ]);
    return job.id;
  }

  async counts(backend: JobBackend = this.from): Promise<QueueCounts> {
    const [counts] = await backend.counts([queue], { dueWithinMs: 0 });
    return counts!;
  }

  async stored(id: string, backend: JobBackend = this.to): Promise<StoredJob> {
    const [job] = await backend.get(queue, [id]);
    if (job === undefined) throw new Error(`${id} is not stored.`);
    return job;
  }

  /** The ids of what a store has of these states, sorted. */
  async idsAt(backend: JobBackend, ...states: readonly JobState[]): Promise<readonly string[]> {
    const ids: string[] = [];
    for (const state of states.length > 0 ? states : (['ready', 'scheduled'] as const)) {
      const { jobs } = await backend.list(queue, { state, limit: 100_000 });
      ids.push(...jobs.map(({ id }) => id));
    }
    return ids.toSorted();
  }
}
