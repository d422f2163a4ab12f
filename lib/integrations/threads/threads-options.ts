import { availableParallelism } from 'node:os';
import type { ResourceLimits } from 'node:worker_threads';
import { type Duration, longestTimerMs } from '../../clock/index.js';
import { OptionReader } from '../../execution/index.js';

export interface ThreadsOptions {
  /** How many threads there may be at a time. Default: `os.availableParallelism()`. */
  readonly maxThreads?: number;
  /** How long a thread without work stays for the next. Default `'10s'`; with `Infinity` until `close()`. */
  readonly idleTimeout?: Duration;
  /**
   * What each thread may use at most. An attempt that goes beyond fails, as a rule: where memory is taken faster than
   * V8 notices, Node ends the whole process. Default: what Node allows.
   */
  readonly resourceLimits?: Readonly<ResourceLimits>;
}

/** Options of threads, checked and complete. */
export interface ResolvedThreadsOptions {
  readonly maxThreads: number;
  readonly idleTimeoutMs: number;
  readonly resourceLimits: ResourceLimits;
}

const limitNames: readonly (keyof ResourceLimits)[] = [
  'maxOldGenerationSizeMb',
  'maxYoungGenerationSizeMb',
  'codeRangeSizeMb',
  'stackSizeMb',
];

/** Checks the options and completes them. Throws `InvalidOptionError`. */
export function resolveThreadsOptions(options: ThreadsOptions): ResolvedThreadsOptions {
  const reader = new OptionReader('createThreads()', options, [
    'maxThreads',
    'idleTimeout',
    'resourceLimits',
  ]);
  const idleTimeoutMs = reader.duration('idleTimeout', 10_000, { infinite: true });
  return {
    maxThreads: reader.count('maxThreads', availableParallelism(), { min: 1 }),
    // A timer cannot wait for longer, and would fire at once.
    idleTimeoutMs: idleTimeoutMs > longestTimerMs ? Infinity : idleTimeoutMs,
    resourceLimits: readLimits(reader),
  };
}

function readLimits(reader: OptionReader): ResourceLimits {
  const limits = reader.get('resourceLimits');
  if (limits === undefined) return {};
  if (typeof limits !== 'object' || limits === null)
    return reader.refuse('resourceLimits', 'an object', 'As in { maxOldGenerationSizeMb: 256 }.');
  const limit = new OptionReader('createThreads()', limits, limitNames, 'resourceLimits.');
  for (const name of limitNames) {
    const value = limit.get(name);
    if (value !== undefined && !(typeof value === 'number' && value > 0))
      limit.refuse(name, 'a number of megabytes above 0', 'Node would ignore it.');
  }
  return { ...limits };
}
