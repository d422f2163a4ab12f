import type { CancelTimer } from '../clock/index.js';
import type { UnitEnvironment } from '../pool/index.js';
import type { ClaimedJob } from './job-backend.js';

/** What cannot begin for so long is handed back: somebody else may have a free slot. */
const longestMs = 250;
/** So long may jobs follow each other before the event loop gets its turn. */
const yieldAfterMs = 10;
/** So many short ones may: what they end with is on its way to the backend while the next ones run. */
const yieldAfterStarts = 100;

interface JobsAtHandHost {
  /** The event loop had its turn, for which `next()` had withheld a job. */
  readonly onTurn: () => void;
  /** These have waited for too long, and are no longer at hand. */
  readonly onOld: (jobs: readonly ClaimedJob[]) => void;
}

/** Jobs that are claimed and wait for a slot, in order. */
export class JobsAtHand {
  readonly #environment: UnitEnvironment;
  readonly #host: JobsAtHandHost;
  #jobs: ClaimedJob[] = [];
  /** Those before it have begun. */
  #first = 0;
  #cancelTimer: CancelTimer | undefined;
  #isYielding = false;
  /** When the event loop last had its turn, as far as is known. */
  #turnAt = 0;
  /** Jobs that have begun since. */
  #starts = 0;

  constructor(environment: UnitEnvironment, host: JobsAtHandHost) {
    this.#environment = environment;
    this.#host = host;
  }

  get length(): number {
    return this.#jobs.length - this.#first;
  }

  /** Adds what has just come in, which is a turn of the event loop. */
  add(jobs: readonly ClaimedJob[]): void {
    this.#newTurn();
    for (const job of jobs) this.#jobs.push(job);
  }

  /** The next one to begin; `undefined` where there is none, or where the event loop must have its turn first. */
  next(): ClaimedJob | undefined {
    const job = this.#jobs[this.#first];
    if (job === undefined) {
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
      return undefined;
    }
    if (this.#isYielding) return undefined;
    const isLong = this.#environment.clock.monotonic() - this.#turnAt >= yieldAfterMs;
    if (isLong || this.#starts >= yieldAfterStarts) {
      this.#yield();
      return undefined;
    }
    this.#starts++;
    if (++this.#first === this.#jobs.length) {
      this.#jobs = [];
      this.#first = 0;
    }
    return job;
  }

  /** Some are left, and every slot is taken. */
  watch(): void {
    if (this.length > 0) this.#cancelTimer ??= this.#watch();
  }

  takeAll(): readonly ClaimedJob[] {
    const all = this.#jobs.slice(this.#first);
    this.#jobs = [];
    this.#first = 0;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    return all;
  }

  drop(lost: ReadonlySet<ClaimedJob>): void {
    if (this.length === 0) return;
    this.#jobs = this.#jobs.filter((job, index) => index >= this.#first && !lost.has(job));
    this.#first = 0;
  }

  #watch(): CancelTimer {
    const oldest = this.#jobs[this.#first];
    const { clock } = this.#environment;
    const look = (): void => {
      this.#cancelTimer = undefined;
      // It has waited all that time, and those behind it with it.
      if (this.#jobs[this.#first] === oldest) this.#host.onOld(this.takeAll());
      else this.watch();
    };
    return this.#environment.inScope(() => clock.setTimer(look, longestMs));
  }

  #newTurn(): void {
    this.#turnAt = this.#environment.clock.monotonic();
    this.#starts = 0;
  }

  #yield(): void {
    this.#isYielding = true;
    this.#environment.inScope(() =>
      setImmediate(() => {
        this.#isYielding = false;
        this.#newTurn();
        this.#host.onTurn();
      }),
    );
  }
}
