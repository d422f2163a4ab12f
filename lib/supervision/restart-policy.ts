import type { ExhaustedBecause } from '../events/index.js';
import type { Outcome } from '../execution/index.js';
import { type Backoff, defaultBackoff, delayAfter } from './backoff.js';
import { RestartWindow } from './restart-window.js';

/** After what an attempt is followed by another one. */
export type RestartMode = 'on-failure' | 'always' | 'never';

/** When to restart, how soon, and when to give up. */
export interface RestartPolicy {
  readonly restart: RestartMode;
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  readonly resetAfterMs: number;
  readonly restartLimit: { readonly max: number; readonly windowMs: number } | undefined;
}

/** What an ended attempt means for the one that is supervised. */
export type Decision =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: 'finished' }
  | { readonly kind: 'exhausted'; readonly because: ExhaustedBecause };

// Without a limit the window only informs: it looks an hour back and counts to 100.
const informative = { max: 100, windowMs: 3_600_000 };

/** What the policy remembers between attempts. */
export class RestartState {
  /** Consecutive failed attempts. */
  failures = 0;
  readonly #limit: { readonly max: number; readonly windowMs: number };
  #window: RestartWindow | undefined;

  constructor(policy: RestartPolicy) {
    this.#limit = policy.restartLimit ?? informative;
  }

  restartsInWindow(now: number): number {
    return this.#window?.count(now) ?? 0;
  }

  /** Whether one more restart would be too many. */
  limitReached(now: number): boolean {
    return this.#window?.full(now) ?? false;
  }

  addRestart(now: number): void {
    this.#window ??= new RestartWindow(this.#limit.max, this.#limit.windowMs);
    this.#window.add(now);
  }
}

/**
 * Decides what follows an attempt that ended by itself, and counts it. `uptimeMs` is how long the attempt lasted,
 * `now` a time that never goes back, `random` a number from 0 up to 1.
 */
export function decide(
  policy: RestartPolicy,
  state: RestartState,
  outcome: Outcome,
  uptimeMs: number,
  now: number,
  random: number,
): Decision {
  const failed = outcome.kind === 'failed' || outcome.kind === 'timed-out';
  state.failures = failed ? (uptimeMs >= policy.resetAfterMs ? 1 : state.failures + 1) : 0;

  if (policy.restart === 'never' || (!failed && policy.restart === 'on-failure')) {
    return failed ? { kind: 'exhausted', because: 'restart-never' } : { kind: 'finished' };
  }
  if (failed && state.failures >= policy.maxAttempts) return { kind: 'exhausted', because: 'max-attempts' };
  if (policy.restartLimit !== undefined && state.limitReached(now)) {
    return { kind: 'exhausted', because: 'restart-limit' };
  }
  state.addRestart(now);
  const error = failed ? outcome.error : undefined;
  return { kind: 'restart', delayMs: delayAfter(policy.backoff, Math.max(1, state.failures), error, random) };
}

/**
 * The same policy, with a backoff function that cannot fail: where it throws or answers no duration, that is
 * reported and the default backoff stands in.
 */
export function withSafeBackoff<Policy extends Pick<RestartPolicy, 'backoff'>>(
  policy: Policy,
  report: (error: unknown) => void,
): Policy {
  const { backoff } = policy;
  if (typeof backoff !== 'function') return policy;
  const safe = (failures: number, error: unknown): number => {
    try {
      return delayAfter(backoff, failures, error, 0);
    } catch (thrown) {
      report(thrown);
      return delayAfter(defaultBackoff, failures, error, 0);
    }
  };
  return { ...policy, backoff: safe };
}
