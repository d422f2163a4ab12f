import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, parseDuration } from '../../lib/clock/index.js';

describe('parseDuration', () => {
  it.each([
    [0, 0],
    [1.5, 1.5],
    [-5, -5],
    [Infinity, Infinity],
    ['500ms', 500],
    ['500', 500],
    ['3s', 3_000],
    ['0.1s', 100],
    ['.5s', 500],
    ['1.5 s', 1_500],
    ['0.5ms', 0.5],
    ['-3s', -3_000],
    ['10m', 600_000],
    ['2 days', 172_800_000],
    ['1h', 3_600_000],
  ])('reads %j as %d ms', (given, expected) => {
    expect(parseDuration(given)).toBe(expected);
  });

  it.each([
    Number.NaN,
    '',
    ' ',
    'soon',
    '3 parsecs',
    '1s2',
    's',
    '1,5s',
    `${'9'.repeat(100)}s`,
    null,
    undefined,
    true,
    {},
    [],
    10n,
    new Date(0),
  ])('refuses %s', (given) => {
    expect(parseDuration(given)).toBeUndefined();
  });

  it('never answers NaN and never throws', () => {
    fc.assert(
      fc.property(fc.anything(), (given) => {
        expect(parseDuration(given)).not.toBeNaN();
      }),
    );
  });

  it('keeps every number but NaN as it is', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), (given) => {
        expect(parseDuration(given)).toBe(given);
      }),
    );
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0 ms'],
    [0.4, '0 ms'],
    [250, '250 ms'],
    [1_500, '1500 ms'],
    [92_540, '92.5 s'],
    [600_000, '10m'],
    [7_200_000, '2h'],
    [Infinity, 'forever'],
  ])('writes %d ms as %s', (given, expected) => {
    expect(formatDuration(given)).toBe(expected);
  });
});
