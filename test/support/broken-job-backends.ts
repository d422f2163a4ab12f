import {
  type BlockingClaimOptions,
  type CancelAnswer,
  type CancelOptions,
  type ClaimedJob,
  type ClaimOptions,
  type EnqueueAnswer,
  type JobAttempt,
  type JobBackendHost,
  MemoryJobBackend,
  type NewJob,
  type Settlement,
  type StoredJob,
} from 'nestjs-worker';
import { ArrivalJobBackend, type Turn } from './arrival-job-backend.js';

/** Backends with one defect each, most of which some queue has had. */

class AnyTokenSettles extends MemoryJobBackend {
  readonly #holders = new Map<string, ClaimedJob>();

  override async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    const claimed = await super.claim(queue, options);
    for (const job of claimed) this.#holders.set(job.id, job);
    return claimed;
  }

  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    const held = settlements.map((settlement) =>
      Object.assign({ ...settlement }, { job: this.#holders.get(settlement.job.id) ?? settlement.job }),
    );
    return super.settle(queue, held, then);
  }
}

class EverySettlementAccepted extends MemoryJobBackend {
  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    return { ...(await super.settle(queue, settlements, then)), accepted: settlements.map(() => true) };
  }
}

class ExtendsWhatIsLost extends MemoryJobBackend {
  override async extend(queue: string, extensions: Parameters<MemoryJobBackend['extend']>[1]) {
    return (await super.extend(queue, extensions)).map(() => true);
  }
}

class NewestFirst extends MemoryJobBackend {
  #enqueued = 0;

  override async enqueue(jobs: readonly NewJob[]) {
    return super.enqueue(jobs.map((job) => Object.assign({ ...job }, { priority: ++this.#enqueued })));
  }
}

class DuplicatesAccepted extends MemoryJobBackend {
  override async enqueue(jobs: readonly NewJob[]) {
    return super.enqueue(jobs.map((job) => Object.assign({ ...job }, { unique: undefined })));
  }
}

class KeyNeverFreed extends MemoryJobBackend {
  readonly #keys = new Map<string, string>();

  override async enqueue(jobs: readonly NewJob[]) {
    const answers = [];
    for (const job of jobs) {
      const holder = job.unique && this.#keys.get(job.unique.key);
      const [known] = await this.get(job.queue, [job.id]);
      if (holder !== undefined && known === undefined)
        answers.push({ kind: 'duplicate', id: holder } as const);
      else answers.push(...(await super.enqueue([job])));
      if (job.unique !== undefined && holder === undefined) this.#keys.set(job.unique.key, job.id);
    }
    return answers;
  }
}

class TooEarly extends MemoryJobBackend {
  override async enqueue(jobs: readonly NewJob[]) {
    const early = jobs.map((job) =>
      Object.assign({ ...job }, { due: 'inMs' in job.due ? { inMs: job.due.inMs % 2 ** 31 } : job.due }),
    );
    return super.enqueue(early);
  }
}

/** Looks once, and then again when the time is over. */
class LostWakeUp extends MemoryJobBackend {
  #host: JobBackendHost | undefined;

  override async open(host: JobBackendHost) {
    this.#host = host;
    return super.open(host);
  }

  override async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    const now = await super.claim(queue, { ...options, waitMs: 0 });
    if (now.length > 0 || options.waitMs === 0) return now;
    await new Promise<void>((resolve) => {
      const cancel = this.#host?.setTimer(resolve, options.waitMs);
      options.signal.addEventListener('abort', () => {
        cancel?.();
        resolve();
      });
    });
    return super.claim(queue, { ...options, waitMs: 0 });
  }
}

/** Leases in whole seconds: a short one is none. */
class ShortLeaseIsNone extends MemoryJobBackend {
  override async claim(queue: string, options: BlockingClaimOptions) {
    return super.claim(queue, { ...options, leaseMs: Math.floor(options.leaseMs / 1_000) * 1_000 });
  }
}

class ActiveCountsAsScheduled extends MemoryJobBackend {
  override async counts(...args: Parameters<MemoryJobBackend['counts']>) {
    const counts = await super.counts(...args);
    return counts.map((one) =>
      Object.assign({ ...one }, { active: 0, scheduled: one.scheduled + one.active }),
    );
  }
}

class RetryKeepsFailures extends MemoryJobBackend {
  readonly #failures = new Map<string, number>();

  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    for (const settlement of settlements) {
      if ('failures' in settlement) this.#failures.set(settlement.job.id, settlement.failures);
    }
    return super.settle(queue, settlements, then);
  }

  override async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    return (await super.claim(queue, options)).map((job) =>
      Object.assign({ ...job }, { failures: this.#failures.get(job.id) ?? 0 }),
    );
  }
}

class AbortLosesJobs extends MemoryJobBackend {
  override async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    if (options.waitMs === 0) return super.claim(queue, options);
    const claimed = super.claim(queue, { ...options, signal: new AbortController().signal });
    const aborted = new Promise<readonly ClaimedJob[]>((resolve) => {
      options.signal.addEventListener('abort', () => resolve([]), { once: true });
    });
    return Promise.race([claimed, aborted]);
  }
}

class HistoryUnbounded extends MemoryJobBackend {
  readonly #attempts = new Map<string, JobAttempt[]>();

  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    for (const settlement of settlements) {
      if (!('attempt' in settlement) || settlement.attempt === undefined) continue;
      const { id } = settlement.job;
      this.#attempts.set(id, [...(this.#attempts.get(id) ?? []), settlement.attempt]);
    }
    return super.settle(queue, settlements, then);
  }

  override async get(queue: string, ids: readonly string[]): Promise<readonly (StoredJob | undefined)[]> {
    return (await super.get(queue, ids)).map((job) =>
      job === undefined || job.history.length < 20
        ? job
        : Object.assign({ ...job }, { history: this.#attempts.get(job.id) ?? job.history }),
    );
  }
}

class CursorIgnored extends MemoryJobBackend {
  override async list(queue: string, options: Parameters<MemoryJobBackend['list']>[1]) {
    return super.list(queue, { ...options, cursor: undefined });
  }
}

/** Pages by how many jobs came before: what is deleted meanwhile shifts the rest. */
class PagesByNumber extends MemoryJobBackend {
  override async list(queue: string, options: Parameters<MemoryJobBackend['list']>[1]) {
    const { jobs } = await super.list(queue, { state: options.state, limit: 1_000_000 });
    if (options.cursor !== undefined && !/^\d+$/u.test(options.cursor)) return super.list(queue, options);
    const from = Number(options.cursor ?? 0);
    const next = from + options.limit;
    return { jobs: jobs.slice(from, next), cursor: next < jobs.length ? String(next) : undefined };
  }
}

/** Renewing a lease stores the job anew. */
class RenewalResurrects extends MemoryJobBackend {
  override async extend(queue: string, extensions: Parameters<MemoryJobBackend['extend']>[1]) {
    const answers = await super.extend(queue, extensions);
    const jobs = extensions.map(({ job }): NewJob => ({
      id: job.id,
      queue,
      name: job.name,
      payload: job.payload,
      priority: job.priority,
      due: { inMs: 0 },
    }));
    await super.enqueue(jobs);
    return answers;
  }
}

class ReleaseTakesAnAttempt extends MemoryJobBackend {
  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    const changed = settlements.map((settlement): Settlement => {
      if (settlement.kind !== 'released') return settlement;
      const { job } = settlement;
      const attempt: JobAttempt = { attempt: 1, startedAt: 0, endedAt: 0, outcome: 'cancelled' };
      return { kind: 'scheduled', job, delayMs: 0, failures: job.failures + 1, attempt };
    });
    return super.settle(queue, changed, then);
  }
}

class DeadUnbounded extends MemoryJobBackend {
  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    const changed = settlements.map((settlement): Settlement =>
      settlement.kind === 'dead' ? Object.assign({ ...settlement }, { maxDead: Infinity }) : settlement,
    );
    return super.settle(queue, changed, then);
  }
}

class LimitsIgnored extends MemoryJobBackend {
  override async claim(queue: string, options: BlockingClaimOptions) {
    return super.claim(queue, { ...options, limits: undefined });
  }
}

/** Counts the places that it gave and got back, and knows nothing of leases that are over. */
class PlacesLeak extends MemoryJobBackend {
  #held = 0;

  override async claim(queue: string, options: BlockingClaimOptions) {
    const most = options.limits?.concurrency ?? Infinity;
    const limit = Math.min(options.limit, most - this.#held);
    if (limit < 1) return super.claim(queue, { ...options, limits: { concurrency: 0 } });
    const claimed = await super.claim(queue, { ...options, limit });
    this.#held += claimed.length;
    return claimed;
  }

  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    this.#held = Math.max(0, this.#held - settlements.length);
    return super.settle(queue, settlements, then);
  }
}

class PrefetchedDie extends MemoryJobBackend {
  override async claim(queue: string, options: BlockingClaimOptions) {
    return super.claim(queue, { ...options, limit: options.limit + options.prefetch, prefetch: 0 });
  }
}

/** Of what comes with a settlement, what is told last is to be started. */
class LastOnesStarted extends MemoryJobBackend {
  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    const answer = await super.settle(queue, settlements, then);
    return { ...answer, claimed: answer.claimed.toReversed() };
  }
}

class LateHoldersDie extends MemoryJobBackend {
  readonly #tokens = new Map<string, string>();

  override async claim(queue: string, options: BlockingClaimOptions) {
    const claimed = await super.claim(queue, options);
    this.#note(claimed);
    return claimed;
  }

  override async extend(queue: string, extensions: Parameters<MemoryJobBackend['extend']>[1]) {
    return super.extend(
      queue,
      extensions.map((extension) => ({ ...extension, job: this.#known(extension.job) })),
    );
  }

  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    const known = settlements.map((settlement) =>
      Object.assign({ ...settlement }, { job: this.#known(settlement.job) }),
    );
    const answer = await super.settle(queue, known, then);
    this.#note(answer.claimed);
    return answer;
  }

  #note(claimed: readonly ClaimedJob[]): void {
    for (const { id, token } of claimed) this.#tokens.set(id, token);
  }

  #known(job: ClaimedJob): ClaimedJob {
    return this.#tokens.get(job.id) === job.token ? job : { ...job, token: 'late' };
  }
}

class PuttingOffFails extends MemoryJobBackend {
  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    const failed = settlements.map((one) =>
      one.kind === 'scheduled' && one.attempt === undefined
        ? Object.assign({ ...one }, { failures: one.failures + 1 })
        : one,
    );
    return super.settle(queue, failed, then);
  }
}

class AgeInSeconds extends MemoryJobBackend {
  override async counts(...args: Parameters<MemoryJobBackend['counts']>) {
    const counts = await super.counts(...args);
    return counts.map((one) => Object.assign({ ...one }, { oldestReadyAgeMs: one.oldestReadyAgeMs / 1_000 }));
  }
}

class PauseForOneOnly extends MemoryJobBackend {
  readonly #paused = new Set<string>();

  override async pause(queue: string, paused: boolean) {
    if (paused) this.#paused.add(queue);
    else this.#paused.delete(queue);
  }

  override async claim(queue: string, options: BlockingClaimOptions) {
    return this.#paused.has(queue) ? [] : super.claim(queue, options);
  }
}

class CloseLeavesWaiting extends MemoryJobBackend {
  override async close() {}
}

/** One connection for all: while a claim waits, every other call does. */
class WaitingHindersOthers extends MemoryJobBackend {
  readonly #waiting = new Set<Promise<unknown>>();

  override async claim(queue: string, options: BlockingClaimOptions) {
    const claimed = super.claim(queue, options);
    this.#waiting.add(claimed);
    void claimed.finally(() => this.#waiting.delete(claimed));
    return claimed;
  }

  override async counts(...args: Parameters<MemoryJobBackend['counts']>) {
    await Promise.all(this.#waiting);
    return super.counts(...args);
  }
}

/** Looks for jobs first, and holds them a little later. */
class ClaimsTwice extends MemoryJobBackend {
  #found: Promise<readonly ClaimedJob[]> | undefined;

  override async claim(queue: string, options: BlockingClaimOptions) {
    if (options.waitMs > 0) return super.claim(queue, options);
    const found = (this.#found ??= super.claim(queue, options));
    await found;
    this.#found = undefined;
    return found;
  }
}

class PayloadByReference extends MemoryJobBackend {
  readonly #payloads = new Map<string, Uint8Array | undefined>();

  override async enqueue(jobs: readonly NewJob[]) {
    for (const { id, payload } of jobs) if (!this.#payloads.has(id)) this.#payloads.set(id, payload);
    return super.enqueue(jobs);
  }

  override async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    return (await super.claim(queue, options)).map((job) =>
      Object.assign({ ...job }, { payload: this.#payloads.get(job.id) }),
    );
  }
}

class NothingIsKept extends MemoryJobBackend {
  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    const changed = settlements.map((settlement) =>
      'keepMs' in settlement ? Object.assign({ ...settlement }, { keepMs: 0 }) : settlement,
    );
    return super.settle(queue, changed, then);
  }
}

/** Notes an id as known before its job is stored. */
class RemembersTooEarly extends MemoryJobBackend {
  readonly #known = new Set<string>();

  override async enqueue(jobs: readonly NewJob[]) {
    const answers: EnqueueAnswer[] = [];
    for (const job of jobs) {
      const { id } = job;
      if (this.#known.has(id)) answers.push({ kind: 'exists', id });
      else answers.push(...(await super.enqueue([this.#noted(job)])));
    }
    return answers;
  }

  #noted(job: NewJob): NewJob {
    this.#known.add(job.id);
    return job;
  }
}

/** Takes the key first, and does not give it back where the job cannot be stored. */
class KeyOutlivesFailure extends MemoryJobBackend {
  readonly #failed = new Map<string, string>();

  override async enqueue(jobs: readonly NewJob[]) {
    const answers: EnqueueAnswer[] = [];
    for (const job of jobs) {
      const holder = job.unique && this.#failed.get(job.unique.key);
      if (holder !== undefined && holder !== job.id) answers.push({ kind: 'duplicate', id: holder });
      else answers.push(...(await this.#store(job)));
    }
    return answers;
  }

  async #store(job: NewJob): Promise<readonly EnqueueAnswer[]> {
    try {
      return await super.enqueue([job]);
    } catch (error) {
      if (job.unique !== undefined) this.#failed.set(job.unique.key, job.id);
      throw error;
    }
  }
}

/** Settles in calls of 500, and answers as their answers come. */
class AnswersAsTheyCome extends MemoryJobBackend {
  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    const first = await super.settle(queue, settlements.slice(0, 500), then);
    if (settlements.length <= 500) return first;
    const rest = await super.settle(queue, settlements.slice(500));
    return { ...first, accepted: [...rest.accepted, ...first.accepted] };
  }
}

/** A claim ends when its signal aborts, and not where it has done so before. */
class EarlyAbortIgnored extends MemoryJobBackend {
  override async claim(queue: string, options: BlockingClaimOptions) {
    const signal = options.signal.aborted ? new AbortController().signal : options.signal;
    return super.claim(queue, { ...options, signal });
  }
}

/** Begins to look for jobs from time to time once it is open, whether it was closed meanwhile or not. */
class CloseMissesOpening extends MemoryJobBackend {
  #cancelTimer: (() => void) | undefined;

  override async open(host: JobBackendHost) {
    await super.open(host);
    await new Promise((resolve) => setImmediate(resolve));
    this.#cancelTimer = host.setTimer(() => {}, 3_600_000);
  }

  override async close() {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    await super.close();
  }
}

/** Cancels what waits, and leaves what runs to its end. */
class CancelledRunsOn extends MemoryJobBackend {
  override async cancel(queue: string, ids: readonly string[], options: CancelOptions) {
    const answers: CancelAnswer[] = [];
    for (const id of ids) {
      const [job] = await this.get(queue, [id]);
      if (job?.state === 'active') answers.push('active');
      else answers.push(...(await super.cancel(queue, [id], options)));
    }
    return answers;
  }
}

/** Ends a job by cancelling it, and forgets that it held a key. */
class CancelKeepsKey extends MemoryJobBackend {
  readonly #held = new Map<string, string>();

  override async cancel(queue: string, ids: readonly string[], options: CancelOptions) {
    const jobs = await this.get(queue, ids);
    const answers = await super.cancel(queue, ids, options);
    jobs.forEach((job, index) => {
      const isOver = answers[index] === 'cancelled' || answers[index] === 'active';
      if (isOver && job?.uniqueKey !== undefined) this.#held.set(job.uniqueKey, job.id);
    });
    return answers;
  }

  override async enqueue(jobs: readonly NewJob[]) {
    const answers: EnqueueAnswer[] = [];
    for (const job of jobs) {
      const holder = job.unique && this.#held.get(job.unique.key);
      if (holder === undefined) answers.push(...(await super.enqueue([job])));
      else answers.push({ kind: 'duplicate', id: holder });
    }
    return answers;
  }
}

/** Puts back what runs, to cancel it where it waits. */
class CancelPutsBack extends MemoryJobBackend {
  readonly #holders = new Map<string, ClaimedJob>();

  override async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    const claimed = await super.claim(queue, options);
    for (const job of claimed) this.#holders.set(job.id, job);
    return claimed;
  }

  override async cancel(queue: string, ids: readonly string[], options: CancelOptions) {
    const held = ids.flatMap((id) => this.#holders.get(id) ?? []);
    await super.settle(
      queue,
      held.map((job) => ({ kind: 'released', job })),
    );
    const answers = await super.cancel(queue, ids, options);
    return answers.map((answer) => (answer === 'cancelled' ? 'active' : answer));
  }
}

/** Takes the dead for living ones. */
class CancelsTheDead extends MemoryJobBackend {
  override async cancel(queue: string, ids: readonly string[], options: CancelOptions) {
    const jobs = await this.get(queue, ids);
    await this.retry(
      queue,
      jobs.flatMap((job) => (job?.state === 'dead' ? [job.id] : [])),
    );
    return super.cancel(queue, ids, options);
  }
}

class CancelKeepsNothing extends MemoryJobBackend {
  override async cancel(queue: string, ids: readonly string[], options: CancelOptions) {
    return super.cancel(queue, ids, { ...options, keepMs: 0 });
  }
}

/** Says that its jobs are in order of arrival. */
class InDueOrder extends MemoryJobBackend {
  override readonly capabilities = new ArrivalJobBackend().capabilities;
}

/** Puts what comes due behind all that will ever come. */
class DueComesLast extends ArrivalJobBackend {
  protected override arrive(turn: Turn, dueAt: number): void {
    super.arrive(turn, dueAt);
    turn.arrival ??= 1e8;
  }
}

class ReleasedComesLast extends ArrivalJobBackend {
  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    const changed = settlements.map((one): Settlement => {
      if (one.kind !== 'released') return one;
      return { ...one, kind: 'scheduled', delayMs: 0, failures: one.job.failures };
    });
    return super.settle(queue, changed, then);
  }
}

class LostComesLast extends ArrivalJobBackend {
  override async claim(queue: string, options: BlockingClaimOptions) {
    const claimed = await super.claim(queue, options);
    for (const { id } of claimed) this.turn(id)!.arrival = undefined;
    return claimed;
  }
}

/** What has failed, or is retried, is where it was. */
class PlacesKept extends ArrivalJobBackend {
  protected override arrive(turn: Turn, dueAt: number): void {
    if (turn.arrival === undefined) super.arrive(turn, dueAt);
  }
}

/** Looks for the age of the oldest beyond the head of the queue. */
class OldestOfAll extends ArrivalJobBackend {
  override async counts(...args: Parameters<MemoryJobBackend['counts']>) {
    const counts = await super.counts(...args);
    return Promise.all(
      counts.map(async (one) => {
        const { jobs } = await this.list(one.queue, { state: 'ready', limit: 100 });
        const [head] = jobs;
        if (head === undefined) return one;
        const oldest = Math.min(...jobs.map(({ dueAt }) => dueAt));
        const oldestReadyAgeMs = one.oldestReadyAgeMs + head.dueAt - oldest;
        return Object.assign({ ...one }, { oldestReadyAgeMs });
      }),
    );
  }
}

/** What is wrong, and a test of the suite that must find it. */
type BrokenBackend = readonly [defect: string, Backend: typeof MemoryJobBackend, caughtBy: RegExp];

/** With jobs in order of arrival. */
export const brokenArrivalBackends: readonly BrokenBackend[] = [
  ['hands out what is due for longest', InDueOrder, /in the order in which they came, whatever their ids/],
  [
    'puts what comes due behind all others',
    DueComesLast,
    /what has come due behind what waited when a claim/,
  ],
  ['puts what is released behind all others', ReleasedComesLast, /hands out first what was released/],
  ['puts what is lost behind all others', LostComesLast, /hands out first what was lost with its lease/],
  ['puts what has failed where it was', PlacesKept, /puts what has failed, and what is retried, behind all/],
  [
    'tells of the oldest behind the head of the queue',
    OldestOfAll,
    /the job at the head of the queue, however/,
  ],
];

export const brokenBackends: readonly BrokenBackend[] = [
  ['settles with any token', AnyTokenSettles, /refuses "completed" of who has lost the job/],
  ['accepts every settlement', EverySettlementAccepted, /refuses "completed" of who has lost the job/],
  ['says that a lost lease was renewed', ExtendsWhatIsLost, /refuses to extend a lease that was lost/],
  ['hands out the newest first', NewestFirst, /in the order in which they were enqueued/],
  ['accepts duplicates', DuplicatesAccepted, /refuses a job whose unique key is held/],
  ['never frees a unique key', KeyNeverFreed, /frees the key of a job that has completed/],
  ['hands out too early what is due after 2^31 ms', TooEarly, /due in 30 days, and past 2\^31 ms/],
  ['misses a job that comes while a claim waits', LostWakeUp, /wakes a waiting claim when a job is enqueued/],
  ['rounds leases down to seconds', ShortLeaseIsNone, /holds a job for milliseconds, too/],
  [
    'counts active jobs as scheduled',
    ActiveCountsAsScheduled,
    /tells a running job from one that is for later/,
  ],
  ['keeps the failures of a job that is retried', RetryKeepsFailures, /forgets how often a job has failed/],
  ['loses what a claim got that was called off', AbortLosesJobs, /called off, and leaves all jobs to others/],
  ['keeps all of the history', HistoryUnbounded, /keeps the last 20 attempts/],
  ['gives the first page for any cursor', CursorIgnored, /lists jobs that are ready, each once/],
  ['pages by number', PagesByNumber, /lists each job once that stays ready/],
  [
    'stores a deleted job anew when its lease is renewed',
    RenewalResurrects,
    /deleted, and the job stays away/,
  ],
  ['takes an attempt for a release', ReleaseTakesAnAttempt, /as if it had never been claimed/],
  ['keeps all dead jobs', DeadUnbounded, /how many of the oldest gave way/],
  [
    'hands out a job to two claims at once',
    ClaimsTwice,
    /hands out each job once to claims that come at once/,
  ],
  ['ignores limits', LimitsIgnored, /no more of a queue at once than its concurrency allows/],
  ['never gets back the place of a lost lease', PlacesLeak, /frees the place of a lease that is over, once/],
  ['counts a death of what was only at hand', PrefetchedDie, /counts no death of what was only at hand/],
  [
    'starts the wrong ones of what comes with a settlement',
    LastOnesStarted,
    /tells the same apart of what comes with a settlement/,
  ],
  ['takes a late holder for dead', LateHoldersDie, /counts no death of a late holder that settles it/],
  ['takes putting off for a failure', PuttingOffFails, /puts a job off of which no attempt was made/],
  ['tells the age in seconds', AgeInSeconds, /has been due that waits for longest/],
  [
    'lets waiting claims go on while paused',
    PauseForOneOnly,
    /hands out nothing of a paused queue, to nobody/,
  ],
  ['lets claims wait on when it is closed', CloseLeavesWaiting, /ends claims that wait when it is closed/],
  [
    'keeps other calls waiting while a claim waits',
    WaitingHindersOthers,
    /hinders nothing else while it waits/,
  ],
  ['shares payloads with its callers', PayloadByReference, /not reached by what the caller does/],
  ['keeps no completed job', NothingIsKept, /keeps a completed job, and what it returned/],
  [
    'takes a job for stored that could not be stored',
    RemembersTooEarly,
    /can be repeated where one of many could not be stored/,
  ],
  [
    'holds the key of a job that could not be stored',
    KeyOutlivesFailure,
    /can be repeated where one of many could not be stored/,
  ],
  [
    'mixes up the answers of a large call',
    AnswersAsTheyCome,
    /each of more than a thousand in one call, in the order given/,
  ],
  ['claims for who had called it off before', EarlyAbortIgnored, /called off before it began/],
  ['lets a job run on that is cancelled', CancelledRunsOn, /cancelled while it ran, which stays cancelled/],
  [
    'holds the key of a job that is cancelled',
    CancelKeepsKey,
    /frees the key of a job that was cancelled while it waited$/,
  ],
  [
    'puts back what it cancels',
    CancelPutsBack,
    /hands a job that is cancelled or deleted while it runs to nobody/,
  ],
  ['cancels what is dead', CancelsTheDead, /cancels what has not ended, and says which was being run/],
  ['keeps no job that is cancelled', CancelKeepsNothing, /keeps a cancelled job for as long as is said/],
  ['opens after it was closed', CloseMissesOpening, /is closed while it opens/],
];
