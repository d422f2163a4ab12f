import { InvalidOptionError } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { OptionReader } from '../../lib/execution/index.js';

const read = (values: object, path?: string): OptionReader =>
  new OptionReader(
    'worker "relay" (Relay in AppModule)',
    values,
    ['delay', 'count', 'mode', 'on', 'fn'],
    path,
  );

/** Each kind of value with those that it refuses, and the words that the message must have for them. */
const refused: [what: string, use: (given: unknown) => unknown, given: unknown[], words: RegExp][] = [
  [
    'delay',
    (delay) => read({ delay }).duration('delay', 0),
    ['soon', -1, '-1s', Number.NaN, Infinity, null, {}, true],
    /a number of milliseconds or a string like '500ms', '3s' or '10m', not negative\. Give a length of time\./,
  ],
  [
    'delay',
    (delay) => read({ delay }).duration('delay', 0, { min: 1, infinite: true }),
    [0, 0.5, 'x'],
    /, of 1 ms or more, or Infinity\. Give a length of time\./,
  ],
  [
    'count',
    (count) => read({ count }).count('count', 0, { min: 1 }),
    [0, -1, 1.5, '3', Infinity, Number.NaN, null],
    /a whole number of 1 or more\. Give such a number\./,
  ],
  [
    'count',
    (count) => read({ count }).count('count', 0, { infinite: true }),
    [-Infinity, 0.5, 'Infinity'],
    /a whole number of 0 or more, or Infinity\./,
  ],
  [
    'mode',
    (mode) => read({ mode }).oneOf('mode', 'a', ['a', 'b']),
    ['c', '', 1, null],
    /accepted is 'a', 'b'\. Choose one of these\./,
  ],
  [
    'on',
    (on) => read({ on }).flag('on', true),
    ['false', 'true', 0, 1, null],
    /true or false\. .*process\.env\.X === "true"/,
  ],
];

describe('OptionReader', () => {
  it.each(refused)(
    'refuses a bad %s in words that name option, owner, value and cure',
    (name, use, given, words) => {
      for (const value of given) {
        let thrown: unknown;
        try {
          use(value);
        } catch (error) {
          thrown = error;
        }
        expect(thrown, `for ${String(value)}`).toBeInstanceOf(InvalidOptionError);
        const { message } = thrown as Error;
        expect(message).toContain(`Option "${name}" of worker "relay" (Relay in AppModule) is `);
        expect(message).toContain(typeof value === 'string' ? `'${value}'` : 'is ');
        expect(message).toMatch(words);
        expect(thrown).toMatchObject({ option: name, owner: 'worker "relay" (Relay in AppModule)' });
      }
    },
  );

  it('refuses an option that it does not know, with the list of those that there are', () => {
    expect(() => read({ cuont: 3 })).toThrow(
      'Option "cuont" of worker "relay" (Relay in AppModule) is 3, but accepted is one of the options ' +
        'delay, count, mode, on, fn. Correct the name of the option, or remove it.',
    );
  });

  it('names a nested option by its path', () => {
    expect(() => read({ delay: 'x' }, 'backoff.').duration('delay', 0)).toThrow('Option "backoff.delay" of');
    expect(() => read({ other: 'x' }, 'backoff.')).toThrow('Option "backoff.other" of');
  });

  it('reads what is fine', () => {
    expect(read({ delay: '0.1s' }).duration('delay', 5)).toBe(100);
    expect(read({ delay: Infinity }).duration('delay', 5, { infinite: true })).toBe(Infinity);
    expect(read({ count: 3 }).count('count', 5)).toBe(3);
    expect(read({ count: Infinity }).count('count', 5, { infinite: true })).toBe(Infinity);
    expect(read({ mode: 'b' }).oneOf('mode', 'a', ['a', 'b'])).toBe('b');
    expect(read({ on: false }).flag('on', true)).toBe(false);
    expect(read({ fn: 7 }).get('fn')).toBe(7);
  });

  it('answers the fallback for what is not given, also as undefined', () => {
    for (const reader of [
      read({}),
      read({ delay: undefined, count: undefined, mode: undefined, on: undefined }),
    ]) {
      expect(reader.duration('delay', 5)).toBe(5);
      expect(reader.duration('delay', undefined)).toBeUndefined();
      expect(reader.count('count', 5)).toBe(5);
      expect(reader.oneOf('mode', 'a', ['a', 'b'])).toBe('a');
      expect(reader.flag('on', true)).toBe(true);
    }
  });
});
