/** What became of the jobs of one queue. */
export interface DrainedQueue {
  readonly queue: string;
  /** Are stored at the target now, and gone from the source. In a dry run: would be. */
  readonly moved: number;
  /** The same, but they were stored there already: by a run that ended in between. */
  readonly alreadyThere: number;
  /** What is still at the source. */
  readonly left: DrainLeft;
  /** Some of these, 100 at most, and why. */
  readonly leftJobs: readonly LeftJob[];
}

/** How many jobs are still at the source, by why that is so. */
export interface DrainLeft {
  /** They were still being run when the time to wait was over. */
  readonly active: number;
  /** Another job holds their unique key at the target. */
  readonly duplicate: number;
  /** Their payload cannot be read, or would be another one in the format of the target. */
  readonly unreadable: number;
  /** The target does not take them, another job has their id, or they mean nothing without a flow or a scheduler. */
  readonly refused: number;
  /** They are stored at the target, but cannot be deleted here: they would be run twice. */
  readonly undeleted: number;
  /** They came after all others had gone: somebody still enqueues here. */
  readonly late: number;
  /** They are dead, and dead ones were not asked for. */
  readonly dead: number;
}

/** A job that is still at the source. */
export interface LeftJob {
  readonly id: string;
  readonly why: LeftCause;
  readonly reason: string;
}

export type LeftCause = 'duplicate' | 'unreadable' | 'refused' | 'undeleted';

/** So many are named. */
const mostNamed = 100;

/** Counts what becomes of the jobs of a queue. */
export class DrainTally {
  readonly #queue: string;
  readonly #left = new Map<LeftCause, number>();
  readonly #leftJobs: LeftJob[] = [];
  moved = 0;
  alreadyThere = 0;
  active = 0;
  late = 0;
  dead = 0;

  constructor(queue: string) {
    this.#queue = queue;
  }

  /** How many are left that were looked at. */
  get lookedAt(): number {
    let sum = 0;
    for (const count of this.#left.values()) sum += count;
    return sum;
  }

  leave(id: string, why: LeftCause, reason: string): void {
    this.#left.set(why, this.#of(why) + 1);
    if (this.#leftJobs.length < mostNamed) this.#leftJobs.push({ id, why, reason });
  }

  /** All that is left is about to be looked at once more. */
  forgetLeft(): void {
    this.#left.clear();
    this.#leftJobs.length = 0;
  }

  read(): DrainedQueue {
    const { moved, alreadyThere, active, late, dead } = this;
    return {
      queue: this.#queue,
      moved,
      alreadyThere,
      left: {
        active,
        duplicate: this.#of('duplicate'),
        unreadable: this.#of('unreadable'),
        refused: this.#of('refused'),
        undeleted: this.#of('undeleted'),
        late,
        dead,
      },
      leftJobs: [...this.#leftJobs],
    };
  }

  #of(why: LeftCause): number {
    return this.#left.get(why) ?? 0;
  }
}
