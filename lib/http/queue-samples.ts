import type { CancelTimer } from '../clock/index.js';
import type { Pool } from '../pool/index.js';
import { levelsOf, type QueueView, type SampleDocument } from './documents/job-queue.js';
import { timeOf } from './documents/parts.js';

const intervalMs = 5_000;
/** Ten minutes. */
const kept = 120;

/** How the job queues stood over the last minutes, for plots. One call to the backend each five seconds. */
export class QueueSamples {
  readonly #pool: Pool;
  readonly #views: () => Promise<readonly QueueView[]>;
  readonly #samples = new Map<string, SampleDocument[]>();
  #cancelTimer: CancelTimer | undefined;
  /** What is on; whoever looked for one that was ended does not go on for the next. */
  #run: object | undefined;

  constructor(pool: Pool, views: () => Promise<readonly QueueView[]>) {
    this.#pool = pool;
    this.#views = views;
  }

  /** Of one queue, oldest first. */
  of(queue: string): readonly SampleDocument[] {
    return this.#samples.get(queue) ?? [];
  }

  start(): void {
    if (this.#run !== undefined) return;
    this.#run = {};
    this.#wait(this.#run);
  }

  stop(): void {
    this.#run = undefined;
    this.#cancelTimer?.();
  }

  #wait(run: object): void {
    this.#cancelTimer = this.#pool.inScope(() =>
      this.#pool.clock.setTimer(() => void this.#take(run), intervalMs),
    );
  }

  async #take(run: object): Promise<void> {
    try {
      const at = timeOf(this.#pool.clock.now());
      for (const { queue, counts } of await this.#views()) {
        if (counts === undefined) continue;
        const samples = this.#samples.get(queue.name) ?? [];
        this.#samples.set(queue.name, samples);
        samples.push({ at, ...levelsOf(counts) });
        if (samples.length > kept) samples.shift();
      }
    } catch (error) {
      this.#pool.report('looking at how the job queues stand', error);
    }
    if (this.#run === run) this.#wait(run);
  }
}
