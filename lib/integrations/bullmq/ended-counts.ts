import type { IQueueBackend } from 'bullmq';
import type { CancelTimer } from '../../clock/index.js';
import type { JobBackendHost, ThroughputBucket } from '../../jobs/index.js';
import type { BullMqStore } from './bullmq-store.js';

/** What is counted here is told to the others so often. */
const tellMs = 1_000;
const minuteMs = 60_000;
const keptMinutes = 60;
const fieldStart = 'nestjs-worker:ended:';

type Bucket = [at: number, completed: number, failed: number];

/**
 * How many jobs ended in each minute. BullMQ counts neither attempts that failed nor apart what was cancelled, so each
 * process counts for itself, in a field of its own beside BullMQ's settings of the queue; a reader adds them up.
 */
export class EndedCounts {
  readonly #store: BullMqStore;
  readonly #host: JobBackendHost;
  readonly #field: string;
  readonly #buckets = new Map<string, Bucket[]>();
  readonly #untold = new Set<string>();
  /** When it last looked through a queue for what others have left. */
  readonly #forgotAt = new Map<string, number>();
  #cancelTimer: CancelTimer | undefined;
  #closed = false;

  /** `instance`: a text that no other has. */
  constructor(store: BullMqStore, host: JobBackendHost, instance: string) {
    this.#store = store;
    this.#host = host;
    this.#field = fieldStart + instance;
  }

  count(queue: string, kind: 'completed' | 'failed', now: number): void {
    let buckets = this.#buckets.get(queue);
    if (buckets === undefined) this.#buckets.set(queue, (buckets = []));
    const at = Math.floor(now / minuteMs) * minuteMs;
    let last = buckets.at(-1);
    if (last === undefined || last[0] < at) {
      last = [at, 0, 0];
      buckets.push(last);
      while (buckets.length > keptMinutes) buckets.shift();
    }
    last[kind === 'completed' ? 1 : 2]++;
    this.#untold.add(queue);
    if (!this.#closed) this.#cancelTimer ??= this.#host.setTimer(() => void this.#tellAll(), tellMs);
  }

  /** What all processes have counted, from the settings of the queue. Forgets those that have ended nothing for an hour. */
  async read(
    queue: string,
    settings: Readonly<Record<string, string>>,
    now: number,
  ): Promise<ThroughputBucket[]> {
    const sums = new Map<number, Bucket>();
    const since = keptSince(now);
    const add = (buckets: readonly Bucket[]): void => {
      for (const [at, completed, failed] of buckets) {
        if (at < since) continue;
        const sum = sums.get(at) ?? [at, 0, 0];
        sum[1] += completed;
        sum[2] += failed;
        sums.set(at, sum);
      }
    };
    // Its own, as of now.
    add(this.#buckets.get(queue) ?? []);
    const old: string[] = [];
    for (const [field, buckets] of this.#others(settings)) {
      if (isOld(buckets, since)) old.push(field);
      else add(buckets);
    }
    if (old.length > 0) await this.#store.calls(queue).removeQueueMetaFields(old);
    return [...sums.values()]
      .toSorted(([a], [b]) => a - b)
      .map(([at, completed, failed]) => ({ at, completed, failed }));
  }

  /** Tells what is left to tell. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    await this.#tellAll();
  }

  async #tellAll(): Promise<void> {
    this.#cancelTimer = undefined;
    const queues = [...this.#untold];
    this.#untold.clear();
    const told = queues.map(async (queue) => {
      const buckets = this.#buckets.get(queue) ?? [];
      const calls = this.#store.calls(queue);
      await calls.setQueueMeta({ [this.#field]: JSON.stringify(buckets) });
      // What cannot be removed now can be another time.
      await this.#forgetOld(queue, calls, buckets.at(-1)?.[0] ?? 0).catch(() => {});
    });
    const results = await Promise.allSettled(told);
    results.forEach(({ status }, index) => {
      if (status === 'rejected') this.#untold.add(queues[index]!);
    });
  }

  /** Where nobody reads, each process would leave a field for ever: each looks after those of the others, once an hour. */
  async #forgetOld(queue: string, calls: IQueueBackend, now: number): Promise<void> {
    const since = keptSince(now);
    if ((this.#forgotAt.get(queue) ?? -Infinity) >= since) return;
    this.#forgotAt.set(queue, now);
    const others = this.#others(await calls.getQueueMeta());
    const old = others.filter(([, buckets]) => isOld(buckets, since));
    if (old.length > 0) await calls.removeQueueMetaFields(old.map(([field]) => field));
  }

  /** What other processes have told. */
  #others(settings: Readonly<Record<string, string>>): (readonly [field: string, readonly Bucket[]])[] {
    return Object.entries(settings)
      .filter(([field]) => field.startsWith(fieldStart) && field !== this.#field)
      .map(([field, text]) => [field, readBuckets(text)]);
  }
}

/** The minute with which those begin that are kept. */
const keptSince = (now: number): number =>
  Math.floor(now / minuteMs) * minuteMs - (keptMinutes - 1) * minuteMs;

const isOld = (buckets: readonly Bucket[], since: number): boolean => (buckets.at(-1)?.[0] ?? 0) < since;

function readBuckets(text: string): readonly Bucket[] {
  try {
    const buckets: unknown = JSON.parse(text);
    return Array.isArray(buckets) ? (buckets as Bucket[]) : [];
  } catch {
    return [];
  }
}
