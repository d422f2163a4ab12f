import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, jsonOf, valueOf } from '../../../lib/integrations/bullmq/json-bytes.js';

const all = (): boolean => true;
const none = (): boolean => false;
const utf8 = new TextEncoder();

describe('bytes in BullMQ', () => {
  it.each(['{"a":1}', '[]', '"text"', '-1.5', '0', 'true', 'false', 'null', '{"ä":"\u{1f600}"}', '[ 1 ]'])(
    'that are JSON are kept as they are: %s',
    (text) => {
      expect(jsonOf(utf8.encode(text), all)).toBe(text);
      expect(valueOf(utf8.encode(text), all)).toEqual(JSON.parse(text));
    },
  );

  it.each<[what: string, bytes: Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['MessagePack', Uint8Array.of(0x81, 0xa1, 0x61, 0x01)],
    ['half of a text', utf8.encode('{"a":')],
    ['a text after a JSON', utf8.encode('{} {}')],
    ['a space before a JSON', utf8.encode(' {}')],
    ['no UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
    ['a byte order mark', Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d)],
    ['a word', utf8.encode('nothing')],
    ['what we have wrapped', utf8.encode('{"nestjs-worker:bytes":"AAAA"}')],
    ['what looks like it', utf8.encode('{ "nestjs-worker:bytes" : 5 }')],
  ])('that are %s are wrapped in JSON, and come back', (_, bytes) => {
    const json = jsonOf(bytes, all);
    expect(Object.keys(JSON.parse(json) as object)).toEqual(['nestjs-worker:bytes']);
    expect(bytesOf(json)).toEqual(bytes);
    expect(bytesOf(JSON.stringify(valueOf(bytes, all)))).toEqual(bytes);
  });

  it('that are JSON which the store cannot keep are wrapped as well', () => {
    const bytes = utf8.encode('{"a":"\\u0000"}');
    expect(Object.keys(JSON.parse(jsonOf(bytes, none)) as object)).toEqual(['nestjs-worker:bytes']);
    expect(bytesOf(jsonOf(bytes, none))).toEqual(bytes);
  });

  it('come back, whatever they are and whatever the store keeps', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.json({ maxDepth: 3 }).map((text) => utf8.encode(text)),
    );
    fc.assert(
      fc.property(bytes, fc.boolean(), (given, keeps) => {
        const json = jsonOf(given, () => keeps);
        JSON.parse(json);
        return Buffer.compare(bytesOf(json), given) === 0;
      }),
    );
  });

  it('of others: what they have put into a key of ours that is no wrapped bytes is left as it is', () => {
    for (const json of ['{"nestjs-worker:bytes":5}', '{"nestjs-worker:bytes":null,"a":1}']) {
      expect(new TextDecoder().decode(bytesOf(json))).toBe(json);
    }
  });
});
