import { expect, it } from 'vitest';
import {
  currentMinute,
  extended,
  joined,
  levelsShownMs,
  throughputOf,
  withMinute,
} from '../../dashboard/state/series.js';
import { noJobs } from './documents.js';

const start = Date.parse('2026-01-02T03:04:00Z');
const at = (seconds: number) => new Date(start + seconds * 1_000).toISOString();
const minute = (seconds: number, completed: number) => ({ at: at(seconds), completed, failed: 0 });
const sample = (seconds: number, ready: number) => ({ ...noJobs, ready, at: at(seconds) });
const seen = (samples: readonly { at: string; ready: number }[]) =>
  samples.map((one) => [(Date.parse(one.at) - start) / 1_000, one.ready]);

it('fills minutes without any', () => {
  const { times, completed, failed } = throughputOf([minute(-120, 7), minute(0, 3)], start + 59_000, 4);
  expect(times).toEqual([-180, -120, -60, 0].map((seconds) => start / 1_000 + seconds));
  expect(completed).toEqual([0, 7, 0, 3]);
  expect(failed).toEqual([0, 0, 0, 0]);
});

it('leaves out what is older than it shows', () => {
  expect(throughputOf([minute(-7_200, 7)], start).completed.every((count) => count === 0)).toBe(true);
});

it('puts a minute in the place of its like', () => {
  const minutes = [minute(-60, 1), minute(0, 2)];
  expect(withMinute(minutes, minute(0, 5))).toEqual([minute(-60, 1), minute(0, 5)]);
  expect(withMinute(minutes, minute(60, 1))).toHaveLength(3);
  expect(withMinute(minutes, null)).toBe(minutes);
});

it('does not take an old minute for the current one', () => {
  expect(currentMinute(minute(0, 5), start + 59_999)).toEqual(minute(0, 5));
  expect(currentMinute(minute(0, 5), start + 60_000)).toBeUndefined();
  expect(currentMinute(null, start)).toBeUndefined();
});

it('goes on with the levels that are told', () => {
  const one = extended([], start, { ...noJobs, ready: 1 });
  expect(seen(extended(one, start + 1_000, { ...noJobs, ready: 2 }))).toEqual([
    [0, 1],
    [1, 2],
  ]);
});

it('draws a step where a level has lasted', () => {
  const one = extended([], start, { ...noJobs, ready: 1 });
  expect(seen(extended(one, start + 60_000, { ...noJobs, ready: 9 }))).toEqual([
    [0, 1],
    [59, 1],
    [60, 9],
  ]);
});

it('keeps one sample of a moment, and does not go back', () => {
  const one = extended([], start, { ...noJobs, ready: 1 });
  expect(seen(extended(one, start, { ...noJobs, ready: 2 }))).toEqual([[0, 2]]);
  expect(extended(one, start - 1, { ...noJobs, ready: 2 })).toBe(one);
});

it('drops what is too old to be shown', () => {
  const end = levelsShownMs / 1_000;
  expect(
    seen(extended([sample(-5, 1), sample(0, 2)], start + levelsShownMs, { ...noJobs, ready: 3 })),
  ).toEqual([
    [0, 2],
    [end - 1, 2],
    [end, 3],
  ]);
});

it('joins what was stored and what was seen after it', () => {
  expect(seen(joined([sample(0, 1), sample(5, 2)], [sample(4, 7), sample(5, 8), sample(6, 9)]))).toEqual([
    [0, 1],
    [5, 2],
    [6, 9],
  ]);
  expect(seen(joined([], [sample(4, 7)]))).toEqual([[4, 7]]);
});
