import { anything, assert, jsonValue, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toJsonValue } from '../../lib/http/documents/json-value.js';

/** As the other side reads it. */
const sent = (value: unknown): unknown => JSON.parse(JSON.stringify(toJsonValue(value))) as unknown;

describe('toJsonValue', () => {
  it('leaves JSON as it is', () => {
    assert(
      property(jsonValue({ maxDepth: 6 }), (value) => {
        // There is no -0 in JSON.
        expect(sent(value)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it.each<[string, unknown, unknown]>([
    ['nothing', undefined, null],
    ['bytes', Uint8Array.of(0, 255, 128), { $bytes: 'AP+A' }],
    ['a Buffer', Buffer.from('ä'), { $bytes: 'w6Q=' }],
    ['a big number', 2n ** 70n, '1180591620717411303424'],
    ['no number', Number.NaN, 'NaN'],
    ['an endless number', -Infinity, '-Infinity'],
    ['a date', new Date('2026-01-01T00:00:00Z'), '2026-01-01T00:00:00.000Z'],
    ['no date', new Date('nonsense'), 'Invalid Date'],
    ['a symbol', Symbol('a'), 'Symbol(a)'],
    [
      'a Map',
      new Map<unknown, unknown>([
        [1, 'a'],
        [{}, undefined],
      ]),
      { 1: 'a' },
    ],
    ['holes', [undefined, 1], [null, 1]],
    ['fields without a value', { a: undefined, b: 1 }, { b: 1 }],
    [
      'a field that is called like the prototype',
      JSON.parse('{"__proto__":{"a":1}}'),
      JSON.parse('{"__proto__":{"a":1}}'),
    ],
  ])('has a form for %s', (_what, value, expected) => {
    expect(sent(value)).toEqual(expected);
  });

  it('does not take what asks to be turned into something else at its word', () => {
    expect(sent({ toJSON: 'me', a: 1 })).toEqual({ toJSON: 'me', a: 1 });
  });

  it('cuts what is too deep, and what holds itself', () => {
    let deep: unknown = 'end';
    for (let depth = 0; depth < 100_000; depth++) deep = [deep];
    expect(JSON.stringify(toJsonValue(deep))).toContain('…');
    const ring: unknown[] = [];
    ring.push(ring);
    expect(JSON.stringify(toJsonValue(ring))).toContain('…');
  });

  it('never throws, whatever it is given', () => {
    const hostile: readonly unknown[] = [
      {
        get a(): never {
          throw new Error('no');
        },
      },
      new Proxy(
        {},
        {
          ownKeys() {
            throw new Error('no');
          },
        },
      ),
      {
        toJSON() {
          throw new Error('no');
        },
      },
      Object.create(null),
      () => 1,
    ];
    for (const value of hostile) expect(() => JSON.stringify(toJsonValue(value))).not.toThrow();
  });

  it('never throws, whatever fast-check thinks of', () => {
    const whatever = anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: true,
      withNullPrototype: true,
      withObjectString: true,
    });
    assert(
      property(whatever, (value) => {
        expect(typeof JSON.stringify(toJsonValue(value))).toBe('string');
      }),
    );
  });
});
