import type { Duration } from '../clock/index.js';
import { OptionReader } from '../execution/index.js';
import {
  type Backoff,
  type BackoffFunction,
  type BackoffOptions,
  defaultBackoff,
  readBackoff,
  readLimit,
  withSafeBackoff,
} from '../supervision/index.js';
import type { TaskOutcome } from './task.js';

/** How a task is tried. A queue may give them to all of its tasks. */
export interface TaskPolicyOptions {
  /** Attempts allowed. Default 1: no retry. `Infinity` never gives up. `DiscardError` ends it at any attempt. */
  readonly maxAttempts?: number;
  /** How long to wait before the next attempt. Default 500 ms, doubling up to 60 s, jittered. */
  readonly backoff?: BackoffOptions | BackoffFunction | 'none';
  /** The longest that one attempt may take; then `ctx.signal` aborts. Default, and with `Infinity`: no limit. */
  readonly timeout?: Duration;
  /**
   * How long an attempt may go on after it was told to end. Then its task is `stuck`: it settles, and its place is
   * taken until the code ends. Default `'10s'`.
   */
  readonly abortGrace?: Duration;
  /** True: an attempt that ran into its timeout is left to itself, and the next may run beside it. Default `false`. */
  readonly overlap?: boolean;
}

/** Options of one task; what is not given of its policy comes from the queue. */
export interface TaskOptions<Result = unknown> extends TaskPolicyOptions {
  /** For logs, traces and errors. Default: the name of the function. */
  readonly name?: string | undefined;
  /** Do not run it before this time of day. */
  readonly notBefore?: Date | undefined;
  /** Do not run it before this much time has passed. */
  readonly delay?: Duration | undefined;
  /** A whole number from -100 to 100, higher first. Default 0. */
  readonly priority?: number | undefined;
  /** Cancels the task when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** What marks are recorded under: a label of a metric, so keep them few. Default: the name of the task. */
  readonly scope?: string | undefined;
  /**
   * Called once, when the task has settled. What it throws is counted and logged. A promise that it returns holds the
   * queue from being idle.
   */
  readonly after?: ((outcome: TaskOutcome<Result>) => unknown) | undefined;
}

/** Policy options, checked and complete. */
export interface TaskPolicy {
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  readonly timeoutMs: number | undefined;
  readonly abortGraceMs: number;
  readonly overlap: boolean;
}

/** Task options, checked and complete. */
export interface ResolvedTaskOptions extends TaskPolicy {
  readonly name: string | undefined;
  /** In milliseconds since the epoch. */
  readonly notBefore: number | undefined;
  readonly delayMs: number;
  readonly priority: number;
  readonly signal: AbortSignal | undefined;
  readonly scope: string | undefined;
  readonly after: ((outcome: TaskOutcome<never>) => unknown) | undefined;
}

export const taskPolicyNames: readonly (keyof TaskPolicyOptions)[] = [
  'maxAttempts',
  'backoff',
  'timeout',
  'abortGrace',
  'overlap',
];

export const taskOptionNames: readonly (keyof TaskOptions)[] = [
  ...taskPolicyNames,
  'name',
  'notBefore',
  'delay',
  'priority',
  'signal',
  'scope',
  'after',
];

const builtIn: TaskPolicy = {
  maxAttempts: 1,
  backoff: defaultBackoff,
  timeoutMs: undefined,
  abortGraceMs: 10_000,
  overlap: false,
};

/** Beyond it a task's place in the queue would be looked for among too many lists. */
const highestPriority = 100;

/**
 * Reads what `owner` says of how tasks are tried. Throws `InvalidOptionError`. `report` is told when a backoff
 * function fails; the default backoff stands in.
 */
export function resolveTaskPolicy(
  owner: string,
  reader: OptionReader,
  report: (what: string, error: unknown) => void,
  defaults: TaskPolicy = builtIn,
  /** What is said of the owner where there may be any number of such. */
  kind = owner,
): TaskPolicy {
  const policy = {
    maxAttempts: reader.count('maxAttempts', defaults.maxAttempts, { min: 1, infinite: true }),
    backoff: readBackoff(owner, reader, defaults.backoff),
    timeoutMs: readLimit(reader, 'timeout', defaults.timeoutMs),
    abortGraceMs: reader.duration('abortGrace', defaults.abortGraceMs),
    overlap: reader.flag('overlap', defaults.overlap),
  };
  if (reader.get('overlap') === true && policy.timeoutMs === undefined) {
    reader.refuse(
      'overlap',
      'true only beside a timeout',
      'Without one no attempt is ever left to itself: give a timeout.',
    );
  }
  return withSafeBackoff(policy, (error) => report(`the backoff function of ${kind}`, error));
}

/** The options of tasks that are given none. */
export function plainTask(policy: TaskPolicy): ResolvedTaskOptions {
  return {
    ...policy,
    name: undefined,
    notBefore: undefined,
    delayMs: 0,
    priority: 0,
    signal: undefined,
    scope: undefined,
    after: undefined,
  };
}

/** Checks the options of a task for `queue` and completes them. Throws `InvalidOptionError`. */
export function resolveTaskOptions<Result>(
  queue: string,
  options: TaskOptions<Result>,
  defaults: TaskPolicy,
  report: (what: string, error: unknown) => void,
): ResolvedTaskOptions {
  const called: unknown = (options as Partial<TaskOptions> | null)?.name;
  const owner = `a task${typeof called === 'string' ? ` "${called}"` : ''} of queue "${queue}"`;
  const reader = new OptionReader(owner, options, taskOptionNames);
  const { name, notBefore, priority = 0, signal, scope, after } = options;
  if (name !== undefined && (typeof name !== 'string' || name === '')) {
    reader.refuse('name', 'a text that is not empty', "Name the task, as in { name: 'render' }.");
  }
  if (scope !== undefined && (typeof scope !== 'string' || scope === '')) {
    reader.refuse('scope', 'a text that is not empty', 'It becomes the label of a metric.');
  }
  if (notBefore !== undefined && !(notBefore instanceof Date && !Number.isNaN(notBefore.getTime()))) {
    reader.refuse('notBefore', 'a valid Date', 'For a length of time there is the option delay.');
  }
  if (notBefore !== undefined && options.delay !== undefined) {
    reader.refuse('delay', 'nothing beside notBefore', 'Give the one or the other.');
  }
  if (!Number.isInteger(priority) || Math.abs(priority) > highestPriority) {
    reader.refuse(
      'priority',
      `a whole number from -${highestPriority} to ${highestPriority}`,
      'Higher runs first.',
    );
  }
  if (signal !== undefined && !isSignal(signal)) {
    reader.refuse('signal', 'an AbortSignal', 'Pass controller.signal, not the controller.');
  }
  if (after !== undefined && typeof after !== 'function') {
    reader.refuse('after', 'a function of the outcome', 'Pass one.');
  }
  const policy = taskPolicyNames.some((option) => options[option] !== undefined)
    ? resolveTaskPolicy(owner, reader, report, defaults, `a task of queue "${queue}"`)
    : defaults;
  return {
    maxAttempts: policy.maxAttempts,
    backoff: policy.backoff,
    timeoutMs: policy.timeoutMs,
    abortGraceMs: policy.abortGraceMs,
    overlap: policy.overlap,
    name,
    notBefore: notBefore?.getTime(),
    delayMs: reader.duration('delay', 0),
    priority,
    signal,
    scope,
    after,
  };
}

function isSignal(value: unknown): boolean {
  const { addEventListener, aborted } = (value ?? {}) as Partial<AbortSignal>;
  return typeof addEventListener === 'function' && typeof aborted === 'boolean';
}

/** Whether a task is to wait for a time, and so takes room also where it could begin at once. */
export function isLater({ delayMs, notBefore }: ResolvedTaskOptions): boolean {
  return delayMs > 0 || notBefore !== undefined;
}
