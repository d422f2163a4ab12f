import type { JobBackend, JobBackendCapabilities, JobBackendHost } from '../../jobs/index.js';

type Test = (name: string, body: () => Promise<void>) => unknown;

/** Where tests are declared: `{ describe, it }` of vitest, of Jest and of node:test all fit. */
export interface ConformanceRunner {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly it: Test & { readonly skip: Test };
}

/** A backend for one test. */
export interface ConformanceSubject {
  /** Not opened yet, with no jobs in it. */
  readonly backend: JobBackend;
  /** Another handle on the same jobs, as another process has one; not opened. Needed where jobs are shared or durable. */
  readonly another?: () => JobBackend | Promise<JobBackend>;
  /** What time it is by the backend's clock, in milliseconds since the epoch. */
  readonly now: () => number | Promise<number>;
  /** Lets so much of that time pass: moves a clock, or waits. */
  readonly advance: (ms: number) => Promise<unknown>;
  /** Where the backend is to time its waits. Default: the timers of this machine. */
  readonly setTimer?: JobBackendHost['setTimer'];
  /** Called at the end of the test, when all handles are closed. */
  readonly dispose?: () => unknown;
}

export interface JobBackendConformanceOptions {
  readonly runner: ConformanceRunner;
  /** What the backend says of itself. What it cannot do is not asked of it, and shown as skipped. */
  readonly capabilities: JobBackendCapabilities;
  /** Makes a backend, once for each test. */
  readonly make: () => ConformanceSubject | Promise<ConformanceSubject>;
  /** Whether `advance()` is a matter of a moment, however long it is told. Tests that wait for hours are skipped without. Default false. */
  readonly timeTravels?: boolean;
  /**
   * Milliseconds. Delays and leases in the tests are a few of these: few enough that the tests are quick, and so many
   * that the backend is called several times meanwhile. Default 100.
   */
  readonly unitMs?: number;
  /** Milliseconds by which what is due may come late. Default 1 where the time travels, else 500. */
  readonly slackMs?: number;
  /** Milliseconds of this machine that a test waits for what must happen. Default 4000. */
  readonly patienceMs?: number;
  /** Jobs in the tests that take many. Default 10,000. */
  readonly many?: number;
}

export type ResolvedConformance = Required<JobBackendConformanceOptions>;

export function resolveConformance(options: JobBackendConformanceOptions): ResolvedConformance {
  const { timeTravels = false } = options;
  return {
    unitMs: 100,
    slackMs: timeTravels ? 1 : 500,
    patienceMs: 4_000,
    many: 10_000,
    ...options,
    timeTravels,
  };
}

/** What a test cannot do without. */
export type Need =
  | 'dueOrder'
  | 'arrivalOrder'
  | 'comesDueInTurn'
  | 'shared'
  | 'durable'
  | 'priority'
  | 'concurrency'
  | 'perKey'
  | 'rate'
  | 'fencing'
  | 'leaseThread'
  | 'timeTravels';

export function has(need: Need, { capabilities, timeTravels }: ResolvedConformance): boolean {
  switch (need) {
    case 'timeTravels':
      return timeTravels;
    case 'dueOrder':
      return capabilities.order === 'due';
    case 'arrivalOrder':
      return capabilities.order !== 'due';
    case 'comesDueInTurn':
      return capabilities.order !== 'enqueued';
    case 'concurrency':
    case 'perKey':
    case 'rate':
      return capabilities.limits[need];
    default:
      return capabilities[need];
  }
}
