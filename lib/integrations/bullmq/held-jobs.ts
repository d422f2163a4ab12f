import type { CancelTimer } from '../../clock/index.js';
import type { JobBackendHost } from '../../jobs/index.js';
import type { BullMqStore, Held } from './bullmq-store.js';
import { fromStoredId } from './stored-id.js';

/** What is held is looked at so often: BullMQ does not say when somebody takes it away. */
const lookMs = 1_000;

/** The jobs that this handle holds, and whether they are still its own. */
export class HeldJobs {
  readonly #store: BullMqStore;
  readonly #host: JobBackendHost;
  /** By queue and id, those that are to be looked at; the others came since the last look. */
  readonly #held = new Map<string, Map<string, Held>>();
  readonly #fresh = new Map<string, Map<string, Held>>();
  #cancelTimer: CancelTimer | undefined;
  #closed = false;

  constructor(store: BullMqStore, host: JobBackendHost) {
    this.#store = store;
    this.#host = host;
  }

  /** By the ids that BullMQ knows them by: one of others may have the same as one of ours. */
  hold(queue: string, held: Held): void {
    let jobs = this.#fresh.get(queue);
    if (jobs === undefined) this.#fresh.set(queue, (jobs = new Map<string, Held>()));
    jobs.set(held.id, held);
    this.#cancelTimer ??= this.#closed ? undefined : this.#host.setTimer(() => void this.#look(), lookMs);
  }

  letGo(queue: string, { id, lock }: Held): void {
    for (const held of [this.#fresh, this.#held]) {
      const jobs = held.get(queue);
      // It may have been claimed again.
      if (jobs?.get(id)?.lock === lock) jobs.delete(id);
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  async #look(): Promise<void> {
    for (const [queue, jobs] of this.#held) {
      if (jobs.size > 0) await this.#lookAt(queue, jobs).catch(() => {});
    }
    for (const [queue, jobs] of this.#fresh) {
      const held = this.#held.get(queue) ?? new Map<string, Held>();
      for (const [id, job] of jobs) held.set(id, job);
      this.#held.set(queue, held);
    }
    this.#fresh.clear();
    const isIdle = [...this.#held.values()].every((jobs) => jobs.size === 0);
    if (isIdle) this.#held.clear();
    this.#cancelTimer =
      this.#closed || isIdle ? undefined : this.#host.setTimer(() => void this.#look(), lookMs);
  }

  async #lookAt(queue: string, jobs: Map<string, Held>): Promise<void> {
    const asked = [...jobs];
    const answers = await this.#store.areHeld(
      queue,
      asked.map(([, job]) => job),
    );
    const revoked = asked.filter(([id, job], index) => !answers[index] && jobs.get(id) === job);
    if (revoked.length === 0 || this.#closed) return;
    for (const [id] of revoked) jobs.delete(id);
    this.#host.onRevoked(
      queue,
      revoked.map(([id]) => fromStoredId(id)),
    );
  }
}
