import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromStoredId, isCounted, toStoredId } from '../../../lib/integrations/bullmq/stored-id.js';

/** As users may give them. */
const safeId = fc.stringMatching(/^[\w.:-]{1,40}$/);

describe('ids in BullMQ', () => {
  it.each(['a', 'order-5', '01a20243-c7da-75ed-a152-ae5c9107422f', 'x.y_z', '5a', '-5', '1.5'])(
    'are the same: %s',
    (id) => {
      expect(toStoredId(id)).toBe(id);
      expect(fromStoredId(id)).toBe(id);
    },
  );

  it.each([
    'a:b',
    '5',
    '0',
    '00',
    'wait',
    'meta',
    'id',
    'events',
    'waiting-children',
    'stalled-check',
    '~a',
    '',
  ])('are others where BullMQ would take them for something else: %s', (id) => {
    const stored = toStoredId(id);
    expect(stored).not.toBe(id);
    expect(stored).not.toContain(':');
    expect(isCounted(stored)).toBe(false);
    expect(fromStoredId(stored)).toBe(id);
  });

  it('come back, and no two are the same', () => {
    const id = fc.oneof(
      safeId,
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('wait', 'pc', '~', '~~wait', '%'),
    );
    fc.assert(fc.property(id, (one) => fromStoredId(toStoredId(one)) === one));
    fc.assert(fc.property(id, id, (a, b) => a === b || toStoredId(a) !== toStoredId(b)));
  });

  it('of others are what they are, also where they look like ours', () => {
    for (const id of ['17', 'custom', '~%', '~%zz']) expect(fromStoredId(id)).toBe(id);
    expect(['17', '0', '007'].every(isCounted)).toBe(true);
    expect(['', '1a', '-1', '1.0', '\u0661'].some(isCounted)).toBe(false);
  });
});
