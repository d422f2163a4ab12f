import {
  type BlockingClaimOptions,
  type ClaimedJob,
  type ClaimOptions,
  type CountOptions,
  type JobBackendCapabilities,
  type ListOptions,
  MemoryJobBackend,
  type MemoryJobBackendOptions,
  type NewJob,
  type QueueCounts,
  type Settlement,
  type StoredJob,
} from 'nestjs-worker';
import { systemClock } from '../../lib/clock/index.js';

/** When it is the turn of a job. The memory backend takes it for its priority, and compares that first. */
export class Turn {
  readonly priority: number;
  dueAt = 0;
  /** The how-many-eth it came to wait; `undefined`: no claim has seen yet that it is due. */
  arrival: number | undefined;

  constructor(priority: number) {
    this.priority = priority;
  }

  /** Those that nobody has seen are behind all others, where the memory backend has them by when they came due. */
  valueOf(): number {
    return this.priority * 1e9 - (this.arrival ?? 9e8);
  }
}

/**
 * The memory backend with its jobs in order of arrival, and with tokens that are texts; BullMQ has both. A job that was
 * claimed keeps its turn while it is held: what waits has come after it, so that it is the first where it is put back.
 */
export class ArrivalJobBackend extends MemoryJobBackend {
  override readonly capabilities: JobBackendCapabilities = {
    ...new MemoryJobBackend().capabilities,
    name: 'arrival',
    order: 'arrival',
    fencing: false,
  };
  readonly #now: () => number;
  readonly #turns = new Map<string, Turn>();
  #arrivals = 0;

  constructor(options: MemoryJobBackendOptions = {}) {
    super(options);
    const { clock = systemClock } = options;
    this.#now = () => Math.floor(clock.now());
  }

  protected turn(id: string): Turn | undefined {
    return this.#turns.get(id);
  }

  /** Of a job that is to wait. */
  protected arrive(turn: Turn, dueAt: number): void {
    turn.dueAt = dueAt;
    turn.arrival = dueAt <= this.#now() ? ++this.#arrivals : undefined;
  }

  override async enqueue(jobs: readonly NewJob[]) {
    const turns = jobs.map(({ priority, due }) => {
      const turn = new Turn(priority);
      this.arrive(turn, 'at' in due ? due.at : this.#now() + due.inMs);
      return turn;
    });
    const answers = await super.enqueue(
      jobs.map((job, index) => Object.assign({ ...job }, { priority: turns[index] as unknown as number })),
    );
    answers.forEach(({ kind, id }, index) => {
      if (kind === 'enqueued') this.#turns.set(id, turns[index]!);
    });
    return answers;
  }

  override async claim(queue: string, options: BlockingClaimOptions): Promise<readonly ClaimedJob[]> {
    this.#look();
    const claimed = await super.claim(queue, options);
    // What it has waited for has come due meanwhile, and maybe more.
    this.#look();
    return claimed.map(toldClaim);
  }

  override async extend(queue: string, extensions: Parameters<MemoryJobBackend['extend']>[1]) {
    return super.extend(
      queue,
      extensions.map((extension) => ({ ...extension, job: givenClaim(extension.job) })),
    );
  }

  override async settle(queue: string, settlements: readonly Settlement[], then?: ClaimOptions) {
    const given = settlements.map((settlement) => {
      const job = givenClaim(settlement.job);
      return settlement.kind === 'scheduled' ? this.#putBack({ ...settlement, job }) : { ...settlement, job };
    });
    if (then !== undefined) this.#look();
    const answer = await super.settle(queue, given, then);
    return { ...answer, claimed: answer.claimed.map(toldClaim) };
  }

  override async retry(queue: string, ids: readonly string[]) {
    for (const job of await super.get(queue, ids)) {
      const waitsNot = job?.state === 'scheduled' || job?.state === 'dead';
      if (waitsNot) this.arrive(turnOf(job), this.#now());
    }
    return super.retry(queue, ids);
  }

  override async get(queue: string, ids: readonly string[]): Promise<readonly (StoredJob | undefined)[]> {
    return (await super.get(queue, ids)).map((job) => job && told(job));
  }

  override async list(queue: string, options: ListOptions) {
    const page = await super.list(queue, options);
    return { ...page, jobs: page.jobs.map(told) };
  }

  override async counts(queues: readonly string[], options: CountOptions): Promise<readonly QueueCounts[]> {
    const counts = await super.counts(queues, options);
    const heads = await Promise.all(queues.map((queue) => super.list(queue, { state: 'ready', limit: 1 })));
    return counts.map((one, index) => {
      const [head] = heads[index]!.jobs;
      const oldestReadyAgeMs = head === undefined ? 0 : this.#now() - head.dueAt;
      return Object.assign({ ...one }, { oldestReadyAgeMs });
    });
  }

  /** Has all come to wait that is due. Where they are among the others does not change by that. */
  #look(): void {
    const due = [...this.#turns]
      .filter(([, { arrival, dueAt }]) => arrival === undefined && dueAt <= this.#now())
      .toSorted(([a, one], [b, other]) => one.dueAt - other.dueAt || (a < b ? -1 : 1));
    for (const [, turn] of due) turn.arrival = ++this.#arrivals;
  }

  #putBack({ delayMs, ...rest }: Extract<Settlement, { readonly kind: 'scheduled' }>): Settlement {
    const arrive = (): void => {
      const turn = this.turn(rest.job.id);
      if (turn !== undefined) this.arrive(turn, this.#now() + delayMs);
    };
    return {
      ...rest,
      // It is asked for once the job has been taken out of where it is, and only where its token holds.
      get delayMs() {
        arrive();
        return delayMs;
      },
    };
  }
}

const turnOf = (job: StoredJob): Turn => job.priority as unknown as Turn;

const told = (job: StoredJob): StoredJob => ({ ...job, priority: turnOf(job).priority });

const prefix = 'token ';

const toldClaim = (job: ClaimedJob): ClaimedJob => ({
  ...job,
  priority: turnOf(job).priority,
  token: prefix + job.token,
});

const givenClaim = (job: ClaimedJob): ClaimedJob =>
  job.token.startsWith(prefix) ? { ...job, token: job.token.slice(prefix.length) } : { ...job, token: '' };
