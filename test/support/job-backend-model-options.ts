/** What backends may differ in. */
export interface ModelOptions {
  readonly priority: boolean;
  /** As in the capabilities. In order of arrival, what comes due joins when the next claim looks, of whoever. */
  readonly order: 'due' | 'arrival' | 'enqueued';
  /** Whether tokens are numbers that grow. If not, each is given once. */
  readonly fencing: boolean;
  /**
   * With `client`, a call does what it does bit by bit, at times that nobody knows but that they lie between when it was
   * made and when it was answered. With `backend`, all at once, and when is known.
   */
  readonly clock: 'backend' | 'client';
  /** Milliseconds by which the times that a store tells, or goes by, may differ from the clock. Default 0. */
  readonly slackMs?: number;
  /**
   * When it is the turn of a job whose lease is over. In order of due times: as when it was due, or when its lease ended.
   * In order of arrival: first, or some time, at the latest when a claim would find nothing else.
   */
  readonly lostTurn: 'due' | 'lease-end' | 'first' | 'some-time';
  /**
   * When a lease that is over is void, although nobody else has the job: never, once a claim has gone past the job, for
   * whose limit key there was no place, or some time.
   */
  readonly lapses: 'never' | 'when-passed' | 'some-time';
}

/** What is known of how a claim came to what it got. */
export interface ClaimCourse {
  /** Whether what it got was taken in the order in which it is told, or each thing when there was nothing before it, or neither. */
  readonly order: 'told' | 'any' | 'none';
  /** Whether it took all that it could. */
  readonly isComplete: boolean;
  /** Whether it would have looked further before it went away with nothing. */
  readonly isLast: boolean;
  /** These may have come too late for it. */
  readonly late: ReadonlySet<string>;
}

export const allAtOnce: ClaimCourse = { order: 'told', isComplete: true, isLast: true, late: new Set() };
