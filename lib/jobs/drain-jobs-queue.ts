import { toErrorInfo } from '../events/index.js';
import { askBackend } from './drain-jobs-backend.js';
import type { DrainPlan } from './drain-jobs-options.js';
import { boundToSource, idAtTarget } from './drain-jobs-origin.js';
import { PayloadCarrier } from './drain-jobs-payload.js';
import { DrainTally } from './drain-jobs-tally.js';
import type {
  EnqueueAnswer,
  JobBackend,
  JobPage,
  JobState,
  NewJob,
  QueueCounts,
  StoredJob,
} from './job-backend.js';

/** A job on its way. */
interface Carried {
  /** At the source: at the target it may have another one. */
  readonly id: string;
  readonly job: NewJob;
}

/** A job that is stored at the target, and may go from the source. */
interface Stored {
  /** At the source. */
  readonly id: string;
  readonly how: 'moved' | 'alreadyThere';
}

/** What the target says of a job. */
type Answer = EnqueueAnswer | { readonly kind: 'refused'; readonly reason: string };

const hiddenJob =
  'another job of this queue has the same id, and would be deleted in its place: let one of the two end first, ' +
  'then run this again';

/** Moves the jobs of one queue. Holds two pages of them at most. */
export class QueueDrain {
  readonly tally: DrainTally;
  readonly #plan: DrainPlan;
  readonly #queue: string;
  readonly #payloads: PayloadCarrier;
  #taken = 0;

  constructor(plan: DrainPlan, queue: string) {
    this.tally = new DrainTally(queue);
    this.#plan = plan;
    this.#queue = queue;
    this.#payloads = new PayloadCarrier(plan.fromCodec, plan.toCodec);
  }

  /**
   * Goes once through what waits, and answers how many jobs the target took. What it left before it tries again: what was
   * left the last time is what is left.
   */
  async sweep(): Promise<number> {
    this.#taken = 0;
    this.tally.forgetLeft();
    const states: readonly JobState[] = ['ready', 'scheduled', ...(this.#plan.dead ? ['dead' as const] : [])];
    for (const state of states) await this.#sweepState(state);
    return this.#taken;
  }

  /** Takes down what no sweep sees. */
  note({ active, dead }: QueueCounts): void {
    this.tally.active = active;
    this.tally.dead = this.#plan.dead ? 0 : dead;
  }

  /** Takes down what waits now, after the last sweep. */
  noteLate({ ready, scheduled, dead }: QueueCounts): void {
    const waiting = ready + scheduled + (this.#plan.dead ? dead : 0);
    this.tally.late = Math.max(0, waiting - this.tally.lookedAt);
  }

  tell(): void {
    this.#plan.onProgress(this.tally.read());
  }

  async #sweepState(state: JobState): Promise<void> {
    let page: JobPage | undefined = await this.#list(state, undefined);
    while (page !== undefined) {
      this.#plan.signal?.throwIfAborted();
      const stored = await this.#move(page.jobs);
      // Asked for before these are gone: a cursor may go by jobs that are still there.
      const next: JobPage | undefined =
        page.cursor === undefined ? undefined : await this.#list(state, page.cursor);
      await this.#delete(stored);
      if (page.jobs.length > 0) this.tell();
      page = next;
    }
  }

  #list(state: JobState, cursor: string | undefined): Promise<JobPage> {
    const { from, pageSize: limit } = this.#plan;
    return askBackend(from, `did not list jobs of queue "${this.#queue}"`, () =>
      from.list(this.#queue, { state, cursor, limit }),
    );
  }

  async #move(jobs: readonly StoredJob[]): Promise<readonly Stored[]> {
    const carried: Carried[] = [];
    const hidden = await this.#hidden(jobs);
    for (const job of jobs) {
      const reason = boundToSource(job) ?? (hidden.has(job) ? hiddenJob : undefined);
      if (reason !== undefined) {
        this.tally.leave(job.id, 'refused', reason);
        continue;
      }
      try {
        carried.push({ id: job.id, job: this.#make(job) });
      } catch (error) {
        this.tally.leave(job.id, 'unreadable', `its payload ${toErrorInfo(error).message}`);
      }
    }
    return this.#store(carried);
  }

  /**
   * Those whose id the source takes for that of another job, which it would delete in their place. One that is gone by
   * now is among them: nobody wants it stored.
   */
  async #hidden(jobs: readonly StoredJob[]): Promise<ReadonlySet<StoredJob>> {
    const counted = jobs.filter(({ origin }) => origin === 'counter');
    if (counted.length === 0) return new Set();
    const ids = counted.map(({ id }) => id);
    const meant = await this.#get(this.#plan.from, ids);
    return new Set(counted.filter((_, index) => meant[index]?.origin !== 'counter'));
  }

  /** Throws where its payload cannot be carried over. */
  #make(job: StoredJob): NewJob {
    const { name, priority, headers, uniqueKey, limitKey } = job;
    // A record that its backend cannot read has neither: nothing of it would be left.
    if (job.payload === undefined && job.createdAt === 0) {
      throw new Error(`is not to be had: ${job.lastError ?? 'what is stored of it cannot be read'}`);
    }
    return {
      id: idAtTarget(job, this.#plan.from.capabilities.namespace),
      queue: this.#queue,
      name,
      payload: this.#payloads.carry(job.payload),
      due: job.state === 'dead' ? { inMs: 0 } : { at: job.dueAt },
      priority,
      ...(headers !== undefined && { headers }),
      ...(limitKey !== undefined && { limitKey }),
      // For as long as the job lives: nobody tells how much is left of a time that was set.
      ...(uniqueKey !== undefined && { unique: { key: uniqueKey } }),
    };
  }

  async #store(carried: readonly Carried[]): Promise<readonly Stored[]> {
    const answers = await this.#enqueue(carried.map(({ job }) => job));
    const stored: Stored[] = [];
    const known: Carried[] = [];
    const withoutKey: Carried[] = [];
    carried.forEach((one, index) => {
      const { id, job } = one;
      const answer = answers[index]!;
      switch (answer.kind) {
        case 'enqueued':
          this.#taken++;
          stored.push({ id, how: 'moved' });
          break;
        case 'exists':
          known.push(one);
          break;
        case 'duplicate':
          if (this.#plan.duplicates) withoutKey.push({ id, job: { ...job, unique: undefined } });
          else this.tally.leave(id, 'duplicate', `job ${answer.id} holds its unique key at the target`);
          break;
        case 'refused':
          this.tally.leave(id, 'refused', answer.reason);
      }
    });
    if (known.length > 0) stored.push(...(await this.#recognise(known)));
    if (withoutKey.length > 0) stored.push(...(await this.#store(withoutKey)));
    return stored;
  }

  async #enqueue(jobs: readonly NewJob[]): Promise<readonly Answer[]> {
    const { to, dryRun } = this.#plan;
    if (jobs.length === 0) return [];
    if (dryRun) {
      const ids = jobs.map(({ id }) => id);
      const stored = await this.#get(to, ids);
      return ids.map((id, index) => ({ id, kind: stored[index] === undefined ? 'enqueued' : 'exists' }));
    }
    try {
      return await to.enqueue(jobs);
    } catch (error) {
      return jobs.length === 1 ? [await this.#refusal(error)] : this.#enqueueEach(jobs);
    }
  }

  /** One that the target does not take would hold up all others of its page for ever. */
  async #enqueueEach(jobs: readonly NewJob[]): Promise<readonly Answer[]> {
    const answers: Answer[] = [];
    for (const job of jobs) answers.push(...(await this.#enqueue([job])));
    return answers;
  }

  /** It is the job where the target answers all else. Throws where it does not. */
  async #refusal(error: unknown): Promise<Answer> {
    const { to } = this.#plan;
    await askBackend(to, 'could not be reached', () => to.counts([this.#queue], { dueWithinMs: 0 }));
    return { kind: 'refused', reason: toErrorInfo(error).message };
  }

  /** Answers those whose id the target has for the very same job. */
  async #recognise(carried: readonly Carried[]): Promise<readonly Stored[]> {
    const ids = carried.map(({ job }) => job.id);
    const stored = await this.#get(this.#plan.to, ids);
    return carried.flatMap(({ id, job }, index): Stored[] => {
      const there = stored[index];
      if (there === undefined) {
        const where = 'in another queue there, or has ended there this moment';
        this.tally.leave(id, 'refused', `a job of its id is ${where}`);
        return [];
      }
      if (there.name !== job.name || !this.#payloads.isSame(job.payload, there.payload)) {
        this.tally.leave(id, 'refused', 'another job has its id there');
        return [];
      }
      return [{ id, how: 'alreadyThere' }];
    });
  }

  #get(side: JobBackend, ids: readonly string[]): Promise<readonly (StoredJob | undefined)[]> {
    return askBackend(side, `did not tell of jobs of queue "${this.#queue}"`, () =>
      side.get(this.#queue, ids),
    );
  }

  async #delete(stored: readonly Stored[]): Promise<void> {
    const { from, dryRun } = this.#plan;
    if (stored.length === 0) return;
    try {
      const ids = stored.map(({ id }) => id);
      if (!dryRun) await from.delete(this.#queue, ids);
      for (const { how } of stored) this.tally[how]++;
    } catch (error) {
      if (stored.length > 1) {
        // As with what the target does not take.
        for (const one of stored) await this.#delete([one]);
        return;
      }
      await askBackend(from, 'could not be reached', () => from.counts([this.#queue], { dueWithinMs: 0 }));
      this.tally.leave(stored[0]!.id, 'undeleted', toErrorInfo(error).message);
    }
  }
}
