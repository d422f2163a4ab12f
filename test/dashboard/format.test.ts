import { expect, it } from 'vitest';
import {
  attemptText,
  clockText,
  countText,
  dateTimeText,
  durationText,
  jsonText,
  limitText,
  pluralText,
  relativeText,
  sinceText,
  untilText,
} from '../../dashboard/format.js';

const now = Date.parse('2026-01-02T03:04:05Z');
const at = (seconds: number) => new Date(now + seconds * 1_000).toISOString();

it.each([
  [0, '0 s'],
  [0.000_4, '1 ms'],
  [0.85, '850 ms'],
  [0.999_9, '1 s'],
  [12.4, '12 s'],
  [59.6, '1 min'],
  [200, '3 min 20 s'],
  [3_600, '1 h'],
  [3_605, '1 h'],
  [7_500, '2 h 5 min'],
  [4 * 86_400 + 7_300, '4 d 2 h'],
  [-1, '–'],
  [Number.NaN, '–'],
])('writes %d seconds as %s', (seconds, text) => {
  expect(durationText(seconds)).toBe(text);
});

it('writes short durations with one decimal', () => {
  expect(durationText(2.54)).toBe(`${new Intl.NumberFormat().format(2.5)} s`);
});

it.each([
  [0, 'just now'],
  [0.4, 'just now'],
  [-1.2, 'just now'],
  [-12, '12 s ago'],
  [-200, '3 min 20 s ago'],
  [5, 'in 5 s'],
])('tells a time %d seconds away', (seconds, text) => {
  expect(relativeText(at(seconds), now)).toBe(text);
});

it('counts up and down', () => {
  expect(sinceText(at(-65), now)).toBe('1 min 5 s');
  expect(sinceText(at(3), now)).toBe('0 s');
  expect(untilText(at(4.2), now)).toBe('5 s');
  expect(untilText(at(-1), now)).toBe('now');
});

it('writes numbers as people there do', () => {
  expect(countText(1_234_567)).toBe(new Intl.NumberFormat().format(1_234_567));
  expect(countText(null)).toBe('–');
  expect(limitText(null)).toBe('∞');
  expect(attemptText(0, 5)).toBe('–');
  expect(attemptText(2, 5)).toBe('2 / 5');
  expect(attemptText(2, null)).toBe('2 / ∞');
  expect(pluralText(1, 'worker')).toBe('1 worker');
  expect(pluralText(2, 'lost process', 'lost processes')).toBe('2 lost processes');
});

it('gets along with times that are none', () => {
  expect([dateTimeText('x'), clockText('x'), relativeText('x', now)]).toEqual(['–', '–', '–']);
});

it('writes values as indented JSON', () => {
  expect(jsonText({ a: ['<script>'] })).toBe('{\n  "a": [\n    "<script>"\n  ]\n}');
  expect(jsonText(undefined)).toBe('undefined');
});
