import { describe, expect, it } from 'vitest';
import type { BullState, Death, OwnState } from '../../../lib/integrations/bullmq/job-record.js';
import { withoutUnmade, yetToBeMade } from '../../../lib/integrations/bullmq/job-record.js';

const attempt = (number: number) => {
  return { attempt: number, startedAt: number, endedAt: number, outcome: 'failed' as const };
};
const before: OwnState = { failures: 1, made: 1, attempts: [attempt(1)], lastError: 'first' };
const after: OwnState = {
  failures: 2,
  made: 2,
  attempts: [attempt(1), attempt(2)],
  lastError: 'second',
  cause: 'discarded',
};
const death = (claim: number, lost = false): Death => {
  return { claim, startedAt: 5, endedAt: 6, attempt: 2, lost };
};
/** What is told of a job that claim 3 has written of. */
const told = (at: BullState, claims: number, deaths: readonly Death[] = []) => {
  return withoutUnmade({ at, claims, deaths, state: yetToBeMade(after, before, 3) }).state;
};

describe('what was written of a job before BullMQ was told', () => {
  it.each([
    ['while the one who wrote it holds the job', 'active', 3, []],
    ['where that one died', 'wait', 3, [death(3)]],
    ['where that one has lost it', 'wait', 3, [death(3, true)]],
    ['where somebody else has it after that', 'active', 4, [death(2), death(3)]],
  ] as const)('does not hold %s', (_, at, claims, deaths) => {
    expect(told(at, claims, deaths)).toEqual(before);
  });

  it.each([
    ['where BullMQ has put it off', 'delayed', 3],
    ['where BullMQ has given up on it', 'failed', 3],
    ['where somebody else has it after that', 'active', 4],
  ] as const)('holds %s', (_, at, claims) => {
    expect(told(at, claims)).toMatchObject(after);
  });

  it('holds after other claims have died', () => {
    expect(told('active', 5, [death(2), death(4)])).toMatchObject(after);
  });

  it('is left as it is where nothing was there to be made', () => {
    const record = { at: 'active' as const, claims: 3, deaths: [death(3)], state: after };
    expect(withoutUnmade(record)).toBe(record);
    expect(withoutUnmade({ ...record, state: undefined }).state).toBeUndefined();
  });
});
