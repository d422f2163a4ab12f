import type { Gauge } from 'prom-client';
import type { JobRegistry, QueueCounts } from '../../jobs/index.js';
import type { Pool } from '../../pool/index.js';
import { onCollect } from './on-collect.js';
import { dropGauge, largest, smallest, tellGauge } from './shared-gauge.js';

/** Prometheus waits for 10 s where nothing else is said, and there is more to read. */
const longestMs = 2_000;

/** What a gauge tells of how a queue stands. */
export interface BackendLevel {
  readonly gauge: Gauge;
  readonly of: (counts: QueueCounts) => number;
}

/**
 * Tells gauges how the queues of an app stand at its backend, whenever they are read. One call to the backend
 * does for all gauges, and for readings at the same time. While the backend does not answer, the gauges have
 * nothing to tell.
 */
export class BackendMeter {
  readonly #pool: Pool;
  readonly #registry: JobRegistry;
  readonly #levels: readonly BackendLevel[];
  readonly #up: Gauge;
  readonly #off: (() => void)[] = [];
  #closed = false;
  #asking: Promise<readonly QueueCounts[] | undefined> | undefined;

  /** `up`: whether the backend answers. */
  constructor(pool: Pool, registry: JobRegistry, levels: readonly BackendLevel[], up: Gauge) {
    this.#pool = pool;
    this.#registry = registry;
    this.#levels = levels;
    this.#up = up;
  }

  open(): void {
    this.#off.push(
      onCollect(this.#up, async () => this.#tellUp(await this.#ask())),
      ...this.#levels.map((level) =>
        onCollect(level.gauge, async () => this.#tell(level, await this.#ask())),
      ),
    );
  }

  close(): void {
    this.#closed = true;
    this.#off.splice(0).forEach((off) => off());
    dropGauge(this.#up, this, smallest);
    for (const { gauge } of this.#levels) dropGauge(gauge, this, largest);
  }

  #ask(): Promise<readonly QueueCounts[] | undefined> {
    this.#asking ??= this.#counts().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #counts(): Promise<readonly QueueCounts[] | undefined> {
    const queues = [...this.#registry.queues()];
    if (this.#registry.connection === undefined || queues.length === 0) return undefined;
    try {
      return await this.#registry.counts(queues, { dueWithinMs: 0, timeoutMs: longestMs });
    } catch {
      // The gauge that says so does, and the consumers say it in the log.
      return undefined;
    }
  }

  #tellUp(answer: readonly QueueCounts[] | undefined): void {
    const { connection } = this.#registry;
    if (connection === undefined || [...this.#registry.queues()].length === 0 || this.#closed) return;
    const labels = { backend: connection.capabilities.name };
    tellGauge(this.#up, labels, this, answer === undefined ? 0 : 1, smallest);
  }

  /** What a backend of the user's answers must not make the whole reading fail. */
  #tell({ gauge, of }: BackendLevel, answer: readonly QueueCounts[] | undefined): void {
    if (this.#closed) return;
    try {
      for (const counts of answer ?? []) {
        const value = of(counts);
        if (!Number.isFinite(value))
          throw new TypeError(`The backend counted ${value} of queue "${counts.queue}"`);
        tellGauge(gauge, { queue: counts.queue }, this, value, largest);
      }
      if (answer !== undefined) return;
    } catch (error) {
      this.#pool.report('telling the metrics how the job queues stand', error);
    }
    dropGauge(gauge, this, largest);
  }
}
