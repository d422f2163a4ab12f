import { type Duration, formatDuration } from '../clock/index.js';
import { OptionReader } from '../execution/index.js';
import {
  type Backoff,
  type BackoffFunction,
  type BackoffOptions,
  defaultBackoff,
  type ExponentialBackoff,
  longestDelay,
} from './backoff.js';
import type { RestartMode, RestartPolicy } from './restart-policy.js';

/** What happens when something is given up on. */
export type OnExhausted = 'unhealthy' | 'ignore' | 'shutdown';

/** How one worker is kept running. Every option may also be given to the pool, as the default of all workers. */
export interface SupervisionOptions {
  /** Wait so long after the app has started. Default 0. */
  readonly deferredStart?: Duration;
  /**
   * Consecutive failed attempts allowed; a success, or an attempt that stayed up for `resetAfter`, resets the
   * count. Default 1: no restart. `Infinity` is allowed, and right for most loops.
   */
  readonly maxAttempts?: number;
  /** After what to restart. Default `'on-failure'`; `'always'` restarts after a success too. */
  readonly restart?: RestartMode;
  /** How long to wait before a restart. Default 500 ms, doubling up to 60 s, jittered. */
  readonly backoff?: BackoffOptions | BackoffFunction | 'none';
  /** An attempt that stayed up this long resets the count of failures. Default `'1m'`. */
  readonly resetAfter?: Duration;
  /** Give up at the restart that would be one more than `max` within `window`. Default: `'none'`. */
  readonly restartLimit?: { readonly max: number; readonly window: Duration } | 'none';
  /** The longest that one attempt may take. Default, and with `Infinity`: no limit. */
  readonly timeout?: Duration;
  /** The longest that an attempt may go without `ctx.heartbeat()`. Default, and with `Infinity`: not watched. */
  readonly stallTimeout?: Duration;
  /** How long an attempt may go on after `timeout` or `stallTimeout` aborted it before it is stuck. Default `'10s'`. */
  readonly abortGrace?: Duration;
  /**
   * When it is given up on: `'unhealthy'` (default) turns health down, `'ignore'` does not, `'shutdown'` closes
   * the app and lets the process end with an error.
   */
  readonly onExhausted?: OnExhausted;
  /** `false` lists it but never runs it, for a process that only serves requests. Default `true`. */
  readonly enabled?: boolean;
}

/** Supervision options, checked and complete. */
export interface ResolvedSupervision extends RestartPolicy {
  readonly deferredStartMs: number;
  readonly timeoutMs: number | undefined;
  readonly stallTimeoutMs: number | undefined;
  readonly abortGraceMs: number;
  readonly onExhausted: OnExhausted;
  readonly enabled: boolean;
}

/** The names of all supervision options. */
export const supervisionOptionNames: readonly (keyof SupervisionOptions)[] = [
  'deferredStart',
  'maxAttempts',
  'restart',
  'backoff',
  'resetAfter',
  'restartLimit',
  'timeout',
  'stallTimeout',
  'abortGrace',
  'onExhausted',
  'enabled',
];

const builtIn: ResolvedSupervision = {
  deferredStartMs: 0,
  maxAttempts: 1,
  restart: 'on-failure',
  backoff: defaultBackoff,
  resetAfterMs: 60_000,
  restartLimit: undefined,
  timeoutMs: undefined,
  stallTimeoutMs: undefined,
  abortGraceMs: 10_000,
  onExhausted: 'unhealthy',
  enabled: true,
};

/**
 * Checks the options of `owner` and completes them: a worker's from `ofPool`, the pool's own from what is built in.
 * Throws `InvalidOptionError` for what cannot be meant, contradictions included. `reader` has already refused names
 * that it does not know.
 */
export function resolveSupervision(
  owner: string,
  reader: OptionReader,
  ofPool?: ResolvedSupervision,
): ResolvedSupervision {
  const defaults = ofPool ?? builtIn;
  if (supervisionOptionNames.every((name) => reader.get(name) === undefined)) return defaults;
  const resolved: ResolvedSupervision = {
    deferredStartMs: reader.duration('deferredStart', defaults.deferredStartMs),
    maxAttempts: reader.count('maxAttempts', defaults.maxAttempts, { min: 1, infinite: true }),
    restart: reader.oneOf('restart', defaults.restart, ['on-failure', 'always', 'never']),
    backoff: readBackoff(owner, reader, defaults.backoff),
    resetAfterMs: reader.duration('resetAfter', defaults.resetAfterMs, { infinite: true }),
    restartLimit: readRestartLimit(owner, reader, defaults.restartLimit),
    timeoutMs: readLimit(reader, 'timeout', defaults.timeoutMs),
    stallTimeoutMs: readLimit(reader, 'stallTimeout', defaults.stallTimeoutMs),
    abortGraceMs: reader.duration('abortGrace', defaults.abortGraceMs),
    onExhausted: reader.oneOf('onExhausted', defaults.onExhausted, ['unhealthy', 'ignore', 'shutdown']),
    enabled: defaults.enabled && reader.flag('enabled', true),
  };
  refuseContradictions(reader, resolved, ofPool !== undefined);
  return resolved;
}

/** Milliseconds; nothing for `Infinity`, which takes back a default. */
export function readLimit(
  reader: OptionReader,
  name: 'timeout' | 'stallTimeout',
  fallback: number | undefined,
): number | undefined {
  const limitMs = reader.duration(name, undefined, { min: 1, infinite: true });
  return limitMs === Infinity ? undefined : (limitMs ?? fallback);
}

/** Reads the option `backoff` of `owner`; what is not said of it comes from `fallback`. Throws `InvalidOptionError`. */
export function readBackoff(owner: string, reader: OptionReader, fallback: Backoff): Backoff {
  const given = reader.get('backoff');
  if (given === undefined) return fallback;
  if (given === 'none' || typeof given === 'function') return given as Backoff;
  if (typeof given !== 'object' || given === null) {
    return reader.refuse(
      'backoff',
      "{ initial, factor, max, jitter }, a function, or 'none'",
      'Give one of these.',
    );
  }
  const inner = new OptionReader(owner, given, ['initial', 'factor', 'max', 'jitter'], 'backoff.');
  const base = typeof fallback === 'object' ? fallback : defaultBackoff;
  const initialMs = inner.duration('initial', base.initialMs);
  const maxMs = inner.duration('max', Math.max(base.maxMs, inner.get('max') === undefined ? initialMs : 0));
  const factor = inner.get('factor') ?? base.factor;
  if (typeof factor !== 'number' || !(factor >= 1) || !Number.isFinite(factor)) {
    return inner.refuse(
      'factor',
      'a number of 1 or more',
      'Use 2 to double each delay, 1 to keep it constant.',
    );
  }
  const jitter = inner.get('jitter') ?? base.jitter;
  if (typeof jitter !== 'boolean' && !(typeof jitter === 'number' && jitter >= 0 && jitter <= 1)) {
    return inner.refuse(
      'jitter',
      'true, false, or a share from 0 to 1',
      'Use true unless you need exact delays.',
    );
  }
  if (initialMs > maxMs) {
    return inner.refuse(
      'initial',
      `at most backoff.max, which is ${formatDuration(maxMs)}`,
      'Raise max or lower initial.',
    );
  }
  return Object.freeze({
    initialMs,
    factor,
    maxMs,
    jitter: typeof jitter === 'number' ? jitter : jitter ? 0.5 : 0,
  });
}

function readRestartLimit(
  owner: string,
  reader: OptionReader,
  fallback: ResolvedSupervision['restartLimit'],
): ResolvedSupervision['restartLimit'] {
  const given = reader.get('restartLimit');
  if (given === undefined) return fallback;
  if (given === 'none') return undefined;
  if (typeof given !== 'object' || given === null) {
    return reader.refuse(
      'restartLimit',
      "{ max, window } or 'none'",
      "Write for example { max: 5, window: '1m' }.",
    );
  }
  const inner = new OptionReader(owner, given, ['max', 'window'], 'restartLimit.');
  if (inner.get('max') === undefined || inner.get('window') === undefined) {
    return reader.refuse(
      'restartLimit',
      '{ max, window }, both of them',
      "Write for example { max: 5, window: '1m' }.",
    );
  }
  return Object.freeze({
    max: inner.count('max', 0, { min: 1 }),
    windowMs: inner.duration('window', 0, { min: 1 }),
  });
}

// Only what was given here is held against the rest: a default of the pool may be pointless for one worker.
function refuseContradictions(reader: OptionReader, options: ResolvedSupervision, ofWorker: boolean): void {
  const given = (...names: (keyof SupervisionOptions)[]): boolean =>
    names.every((name) => reader.get(name) !== undefined);
  const { timeoutMs, stallTimeoutMs, restart, restartLimit, backoff, maxAttempts } = options;

  if (
    given('stallTimeout') &&
    timeoutMs !== undefined &&
    stallTimeoutMs !== undefined &&
    stallTimeoutMs >= timeoutMs
  ) {
    reader.refuse(
      'stallTimeout',
      `less than timeout, which is ${formatDuration(timeoutMs)}`,
      'It could never fire: lower it, or raise timeout.',
    );
  }
  if (!given('restartLimit') || restartLimit === undefined) return;
  // What the pool gives are defaults: a worker may still give the rest.
  const settled = (name: keyof SupervisionOptions): boolean => ofWorker || given(name);
  if (restart === 'never' && settled('restart')) {
    reader.refuse('restartLimit', `nothing beside restart: 'never'`, 'Remove one of the two.');
  }
  if (typeof backoff === 'object') {
    const fastestMs = fastestRestarts(options, backoff, restartLimit.max);
    if (fastestMs >= restartLimit.windowMs) {
      reader.refuse(
        'restartLimit',
        `a limit that backoff lets through: ${restartLimit.max} restarts take at least ${formatDuration(fastestMs)}`,
        'It could never be reached: lengthen its window, lower its max, or shorten backoff.',
      );
    }
  }
  // An attempt that resets the count does not help where the first failure is the last.
  const resets = maxAttempts > 1 && restartLimit.max * options.resetAfterMs < restartLimit.windowMs;
  if (restart === 'on-failure' && settled('maxAttempts') && maxAttempts - 1 <= restartLimit.max && !resets) {
    reader.refuse(
      'restartLimit',
      `a max below the number of restarts that maxAttempts allows, which is ${maxAttempts - 1}`,
      'It could never be reached, since maxAttempts ends it first: set maxAttempts to Infinity, or remove restartLimit.',
    );
  }
}

// The least time from the first restart to the one that is too many: delays as short as chance makes them, and
// attempts that end at once.
function fastestRestarts(options: ResolvedSupervision, backoff: ExponentialBackoff, count: number): number {
  const share = 1 - backoff.jitter;
  // After a success, or a failure that reset the count, the delay is the first one again.
  const steady = options.restart === 'always' || options.resetAfterMs === 0 || backoff.factor === 1;
  if (steady) return count * backoff.initialMs * share;
  let sumMs = 0;
  for (let failures = 1; failures <= count; failures++) {
    const delayMs = longestDelay(backoff, failures);
    if (delayMs === backoff.maxMs) return sumMs + (count - failures + 1) * delayMs * share;
    sumMs += delayMs * share;
  }
  return sumMs;
}
