import type { LevelsDocument, MinuteDocument, SampleDocument } from '../documents.js';

const minuteMs = 60_000;
/** How long the plots of levels go back. */
export const levelsShownMs = 10 * minuteMs;

/** Minutes with that one put in the place of its like. */
export function withMinute(
  minutes: readonly MinuteDocument[],
  minute: MinuteDocument | null,
): readonly MinuteDocument[] {
  if (minute === null) return minutes;
  const at = Date.parse(minute.at);
  const others = minutes.filter((one) => Date.parse(one.at) !== at);
  return [...others, minute].toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

/** Times in seconds, and values at them. */
export interface Throughput {
  readonly times: number[];
  readonly completed: number[];
  readonly failed: number[];
}

/** The last `length` minutes up to the current one; those that are missing have had none. */
export function throughputOf(minutes: readonly MinuteDocument[], now: number, length = 60): Throughput {
  const known = new Map(minutes.map((minute) => [startOfMinute(Date.parse(minute.at)), minute]));
  const last = startOfMinute(now);
  const times = Array.from({ length }, (_, index) => last - (length - 1 - index) * minuteMs);
  return {
    times: times.map((time) => time / 1_000),
    completed: times.map((time) => known.get(time)?.completed ?? 0),
    failed: times.map((time) => known.get(time)?.failed ?? 0),
  };
}

/** What ended in the minute that is now: a queue in which nothing ends any more still has its last one. */
export function currentMinute(minute: MinuteDocument | null, now: number): MinuteDocument | undefined {
  return minute !== null && startOfMinute(Date.parse(minute.at)) === startOfMinute(now) ? minute : undefined;
}

function startOfMinute(ms: number): number {
  return Math.floor(ms / minuteMs) * minuteMs;
}

/** A level that lasted is told once only. Before it changes it is drawn once more, so that it ends in a step. */
const stepMs = 2_000;

/** Samples up to a moment, with the levels at that moment as their last; those too old to be shown are dropped. */
export function extended(
  samples: readonly SampleDocument[],
  at: number,
  levels: LevelsDocument,
): readonly SampleDocument[] {
  const last = samples.at(-1);
  const lastAt = last === undefined ? -Infinity : Date.parse(last.at);
  if (at < lastAt) return samples;
  const more: SampleDocument[] = [];
  if (last !== undefined && at - lastAt > stepMs) more.push({ ...last, at: textOf(at - stepMs / 2) });
  more.push({ ...levels, at: textOf(at) });
  const kept = at === lastAt ? samples.slice(0, -1) : samples;
  return [...kept.filter((sample) => at - Date.parse(sample.at) <= levelsShownMs), ...more];
}

/** What a document says, and what was seen live after it. */
export function joined(
  stored: readonly SampleDocument[],
  live: readonly SampleDocument[],
): readonly SampleDocument[] {
  const end = Date.parse(stored.at(-1)?.at ?? '');
  return [...stored, ...live.filter((sample) => Number.isNaN(end) || Date.parse(sample.at) > end)];
}

function textOf(ms: number): string {
  return new Date(ms).toISOString();
}
