import type { IQueueBackend } from 'bullmq';
import type { ClaimedJob, Extension } from '../../jobs/index.js';
import { type BullMqContext, claimOf, isAtHand } from './bullmq-context.js';
import { keepsParsed, valueOf } from './json-bytes.js';
import type { QueueClaims } from './queue-claims.js';

/** Jobs whose locks are renewed in one call. */
const largestBatch = 500;

/** Holds on to jobs that are run, and notes how far they are. */
export class JobRenewing {
  readonly #context: BullMqContext;
  readonly #claimsOf: (queue: string) => QueueClaims;

  constructor(context: BullMqContext, claimsOf: (queue: string) => QueueClaims) {
    this.#context = context;
    this.#claimsOf = claimsOf;
  }

  async extend(queue: string, extensions: readonly Extension[]): Promise<readonly boolean[]> {
    const answers = extensions.map(() => true);
    for (const { leaseMs, indexes } of renewalsOf(extensions)) {
      await this.#extend(queue, extensions, indexes, leaseMs, answers);
      this.#claimsOf(queue).noteLease(Date.now() + leaseMs);
    }
    const held = extensions.filter((_, index) => answers[index]);
    const jobs = held.map(({ job }) => job);
    await Promise.all([this.start(queue, jobs), this.#noteProgress(queue, held)]);
    return answers;
  }

  async #extend(
    queue: string,
    extensions: readonly Extension[],
    indexes: readonly number[],
    leaseMs: number,
    answers: boolean[],
  ): Promise<void> {
    const { store, held } = this.#context;
    const renewals = indexes.flatMap((index) => {
      const claim = claimOf(extensions[index]!.job);
      answers[index] = claim !== undefined;
      return claim === undefined ? [] : [{ index, claim }];
    });
    if (renewals.length === 0) return;
    const ids = renewals.map(({ claim }) => claim.id);
    const locks = renewals.map(({ claim }) => claim.lock);
    const lost = new Set(await store.calls(queue).extendLocks(ids, locks, leaseMs));
    await Promise.all(
      renewals.map(async ({ index, claim }) => {
        const { id, which } = claim;
        if (!lost.has(id)) return;
        const isHeld = await store.lockAgain(queue, claim, which, leaseMs);
        answers[index] = isHeld;
        // Whoever said that it was lost does not look at it any more.
        if (isHeld) return held.hold(queue, claim);
        held.letGo(queue, claim);
        await store.noteAlive(queue, id, which);
      }),
    );
  }

  /** Those of them that were to be at hand are to be started now, or may have been. */
  async start(queue: string, jobs: readonly ClaimedJob[]): Promise<void> {
    const { store, processedBy } = this.#context;
    const ids = jobs.flatMap((job) => {
      const record = claimOf(job)?.record;
      return isAtHand(record?.processedBy) ? [record!.id] : [];
    });
    if (ids.length > 0) await store.noteStarted(queue, ids, processedBy);
  }

  async #noteProgress(queue: string, extensions: readonly Extension[]): Promise<void> {
    const { store } = this.#context;
    const calls = store.calls(queue);
    await Promise.all(
      extensions.map(async ({ job, progress }) => {
        const claim = claimOf(job);
        if (progress === undefined || claim === undefined) return;
        const value = valueOf(progress, keepsParsed(this.#context.store.keepsText)) as Parameters<
          IQueueBackend['updateProgress']
        >[1];
        await calls.updateProgress(claim.id, value);
      }),
    );
  }
}

interface Renewals {
  readonly leaseMs: number;
  readonly ids: Set<string>;
  readonly indexes: number[];
}

/** What can be renewed in one call: for the same time, and each job once, since BullMQ answers by ids. */
function renewalsOf(extensions: readonly Extension[]): readonly Renewals[] {
  const all: Renewals[] = [];
  for (const [index, { leaseMs, job }] of extensions.entries()) {
    let renewals = all.find(
      (one) => one.leaseMs === leaseMs && one.indexes.length < largestBatch && !one.ids.has(job.id),
    );
    if (renewals === undefined) {
      renewals = { leaseMs, ids: new Set(), indexes: [] };
      all.push(renewals);
    }
    renewals.ids.add(job.id);
    renewals.indexes.push(index);
  }
  return all;
}
