import { array, assert, constantFrom, nat, oneof, property, string, tuple } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { goDurationMs } from '../../lib/http/go-duration.js';

const unitMs = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1e3, m: 6e4, h: 3.6e6 };

describe('goDurationMs', () => {
  it.each([
    ['0', 0],
    ['+0', 0],
    ['-0', 0],
    ['0s', 0],
    ['10s', 10_000],
    ['+10s', 10_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['5.s', 5_000],
    ['100ms', 100],
    ['1h1m1s1ms1us1ns', 3_661_001.001_001],
    ['1s1s', 2_000],
    ['2562047h47m16.854775807s', 9_223_372_036_854.775],
  ])('takes %s for %d ms', (text, ms) => {
    expect(goDurationMs(text)).toBeCloseTo(ms, 3);
  });

  it.each([
    '',
    '-1s',
    '-0s',
    '10',
    's',
    '.s',
    '+',
    '1 s',
    ' 1s',
    '1s ',
    '1S',
    '1d',
    '1e3s',
    '1_000s',
    '0x1s',
    'Infinity',
    'NaN',
    '1s\n',
    '9223372036855s',
    '99999999999999999999h',
    '١s',
    '1s'.repeat(60),
  ])('takes %o for none', (text) => {
    expect(goDurationMs(text)).toBeUndefined();
  });

  const number = oneof(
    nat(10_000).map(String),
    tuple(nat(1_000), nat(999)).map(([whole, rest]) => `${whole}.${rest}`),
  );
  const parts = array(tuple(number, constantFrom(...Object.keys(unitMs))), {
    minLength: 1,
    maxLength: 6,
  });

  it('is the sum of its parts', () => {
    assert(
      property(parts, (given) => {
        const text = given.map((part) => part.join('')).join('');
        const sum = given.reduce((ms, [value, unit]) => ms + Number(value) * unitMs[unit as 's'], 0);
        expect(goDurationMs(text)).toBeCloseTo(sum, 3);
      }),
    );
  });

  it('is a number of milliseconds or nothing, and quickly, for whatever is given', () => {
    const alphabet = constantFrom(...'0123456789.+-hmsnuµ e_'.split(''));
    assert(
      property(string({ unit: alphabet, maxLength: 300 }), (text) => {
        const ms = goDurationMs(text);
        expect(ms === undefined || (Number.isFinite(ms) && ms >= 0)).toBe(true);
      }),
    );
    const from = performance.now();
    goDurationMs(`${'1'.repeat(100_000)}s`);
    goDurationMs(`${'9.'.repeat(49)}x`);
    expect(performance.now() - from).toBeLessThan(100);
  });
});
