import ms from 'ms';

type Unit =
  | 'y'
  | 'yr'
  | 'yrs'
  | 'year'
  | 'years'
  | 'w'
  | 'week'
  | 'weeks'
  | 'd'
  | 'day'
  | 'days'
  | 'h'
  | 'hr'
  | 'hrs'
  | 'hour'
  | 'hours'
  | 'm'
  | 'min'
  | 'mins'
  | 'minute'
  | 'minutes'
  | 's'
  | 'sec'
  | 'secs'
  | 'second'
  | 'seconds'
  | 'ms'
  | 'msec'
  | 'msecs'
  | 'millisecond'
  | 'milliseconds';

/**
 * A length of time: a number of milliseconds, or a string of the `ms` package (`'500ms'`, `'3s'`, `'0.1s'`,
 * `'10m'`, `'2 days'`). Fractions are honoured.
 */
export type Duration = number | `${number}` | `${number}${Unit}` | `${number} ${Unit}`;

/** The milliseconds of a duration, or `undefined` where `value` is none. Negative and `Infinity` pass. */
export function parseDuration(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isNaN(value) ? undefined : value;
  if (typeof value !== 'string' || value.length === 0 || value.length > 100) return undefined;
  const parsed: number | undefined = ms(value as ms.StringValue);
  return parsed === undefined || Number.isNaN(parsed) ? undefined : parsed;
}

/** A duration for people, exact where it matters: `250 ms`, `1500 ms`, `92.5 s`, `10m`, `2d`. */
export function formatDuration(durationMs: number): string {
  if (!Number.isFinite(durationMs)) return 'forever';
  if (durationMs < 10_000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 600_000) return `${Math.round(durationMs / 100) / 10} s`;
  return ms(durationMs);
}
