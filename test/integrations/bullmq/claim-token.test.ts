import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readToken, writeToken } from '../../../lib/integrations/bullmq/claim-token.js';

const lock = fc.stringMatching(/^[\w:.-]{1,40}$/);
const count = fc.nat();

describe('the token of a claim', () => {
  it('says by what the job is locked, which claim it is, and what was counted before', () => {
    const token = { lock: '390b63bb-9952-422a-98f9-e3b1f879241a:6', claim: 3, made: 2 };
    expect(readToken(writeToken(token))).toEqual(token);
    fc.assert(
      fc.property(lock, count, count, (by, claim, made) => {
        expect(readToken(writeToken({ lock: by, claim, made }))).toEqual({ lock: by, claim, made });
      }),
    );
  });

  it.each(['', ' ', '0', '1', 'null', '0 1 0', 'a b c d', 'lock 1 0 0', '  1 0 x'])(
    'is none that nobody was given: "%s"',
    (text) => {
      expect(readToken(text)).toBeUndefined();
    },
  );

  it('is none any more where a letter of it is another', () => {
    const token = fc.record({ lock, claim: count, made: count }).map(writeToken);
    fc.assert(
      fc.property(token, fc.nat(), fc.constantFrom('0', '7', 'x', ' '), (text, at, letter) => {
        const index = at % text.length;
        const changed = text.slice(0, index) + letter + text.slice(index + 1);
        fc.pre(changed !== text);
        expect(readToken(changed)).toBeUndefined();
      }),
    );
  });
});
