/** How numbers, times and durations are written, in the language of the browser. All of them are plain functions. */

const numbers = new Intl.NumberFormat();
const decimals = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const dateTimes = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const clockTimes = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

/** What stands where there is nothing to show. */
export const nothing = '–';

export function countText(value: number | undefined | null): string {
  return typeof value === 'number' && Number.isFinite(value) ? numbers.format(value) : nothing;
}

/** `null`: without limit. */
export function limitText(value: number | null): string {
  return value === null ? '∞' : numbers.format(value);
}

/** `attempt 2 of 5` in short; 0 stands for: none yet. */
export function attemptText(attempt: number, limit: number | null): string {
  return attempt === 0 ? nothing : `${countText(attempt)} / ${limitText(limit)}`;
}

const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const;

/** Two units at most: `850 ms`, `2.5 s`, `3 min 20 s`, `4 d 2 h`. */
export function durationText(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return nothing;
  if (seconds === 0) return '0 s';
  if (seconds < 0.9995) return `${Math.max(1, Math.round(seconds * 1_000))} ms`;
  if (seconds < 9.95) return `${decimals.format(seconds)} s`;
  return wholeDurationText(seconds);
}

/** As `durationText()`, but never below a second: for what is shown as it runs. */
export function wholeDurationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const first = units.findIndex(([, size]) => whole >= size);
  if (first === -1) return '0 s';
  let rest = whole;
  const parts: string[] = [];
  for (const [unit, size] of units.slice(first, first + 2)) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount > 0) parts.push(`${numbers.format(amount)} ${unit}`);
  }
  return parts.join(' ');
}

/** How long ago, or in how long. */
export function relativeText(at: string, now: number): string {
  const seconds = Math.round((now - Date.parse(at)) / 1_000);
  if (Number.isNaN(seconds)) return nothing;
  if (seconds > -1 && seconds < 2) return 'just now';
  return seconds > 0 ? `${wholeDurationText(seconds)} ago` : `in ${wholeDurationText(-seconds)}`;
}

/** How long since then. */
export function sinceText(at: string, now: number): string {
  return wholeDurationText(Math.max(0, (now - Date.parse(at)) / 1_000));
}

/** How long until then; `now` once the time has come. */
export function untilText(at: string, now: number): string {
  const seconds = Math.ceil((Date.parse(at) - now) / 1_000);
  return seconds <= 0 ? 'now' : wholeDurationText(seconds);
}

export function dateTimeText(at: string | number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? nothing : dateTimes.format(date);
}

export function clockText(at: string | number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? nothing : clockTimes.format(date);
}

/** A value as indented JSON. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, null, 2) ?? 'undefined';
}

/** `one thing`, `2 things`. */
export function pluralText(amount: number, one: string, many = `${one}s`): string {
  return `${countText(amount)} ${amount === 1 ? one : many}`;
}
