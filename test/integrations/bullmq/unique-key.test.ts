import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromDeduplicationId, toDeduplicationId } from '../../../lib/integrations/bullmq/unique-key.js';

describe('unique keys in BullMQ', () => {
  it('are deduplication ids of the same text', () => {
    for (const key of ['daily', 'a:b', ' ', 'x=y']) expect(toDeduplicationId(key)).toBe(key);
  });

  it('are none that BullMQ takes for none', () => {
    expect(toDeduplicationId('')).not.toBe('');
    expect(toDeduplicationId('=')).not.toBe(toDeduplicationId(''));
  });

  it('come back, and no two are the same', () => {
    const key = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('', '=', '=='));
    fc.assert(fc.property(key, (one) => fromDeduplicationId(toDeduplicationId(one)) === one));
    fc.assert(fc.property(key, key, (a, b) => a === b || toDeduplicationId(a) !== toDeduplicationId(b)));
  });

  it('of others are what they are', () => {
    for (const id of ['daily', 'a=b']) expect(fromDeduplicationId(id)).toBe(id);
  });
});
