import * as fc from 'fast-check';
import type { JobJson } from 'bullmq';
import { readToken } from '../../../lib/integrations/bullmq/claim-token.js';
import { describe, expect, it } from 'vitest';
import {
  type BullState,
  cancelledValue,
  type Death,
  dueAtOf,
  failuresOf,
  isPast,
  type JobRecord,
  lastErrorOf,
  type OwnState,
  priorityLimit,
  recordOfClaim,
  recordOfCopy,
  stateOf,
  toBullPriority,
  toClaimedJob,
  toStoredJob,
  toStoredName,
  unwrapOptions,
  wrapOptions,
} from '../../../lib/integrations/bullmq/job-record.js';

const now = 1_000_000_000_000;
const minute = 60_000;

const fresh: JobRecord = {
  id: 'job-1',
  name: 'welcome',
  data: '{"a":1}',
  own: {},
  state: undefined,
  deaths: [],
  at: 'wait',
  timestamp: now - minute,
  delay: 0,
  processAt: undefined,
  priority: 0,
  made: 0,
  claims: 0,
  processedOn: undefined,
  processedBy: undefined,
  finishedOn: undefined,
  failedReason: undefined,
  returnValue: undefined,
  progress: undefined,
  deduplicationId: undefined,
  lockEndsAt: undefined,
};
const record = (fields: Partial<JobRecord>): JobRecord => ({ ...fresh, ...fields });
const state = (fields: Partial<OwnState> = {}): OwnState => ({
  failures: 0,
  made: 0,
  attempts: [],
  ...fields,
});
const stored = (fields: Partial<JobRecord>) => toStoredJob('mail', record(fields), now);
const death = (fields: Partial<Death> = {}): Death => {
  return { claim: 1, startedAt: now - 2_000, endedAt: now - 1_000, attempt: 1, ...fields };
};
const textOf = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && new TextDecoder().decode(bytes);

describe('what we keep with a job of BullMQ', () => {
  it('is there again, wrapped where the store does not keep all of it', () => {
    const own = {
      by: 'me',
      headers: { a: '\0', b: '\ud800' },
      limitKey: 'k',
      keyTtlMs: 5,
      empty: true as const,
    };
    for (const keeps of [true, false]) {
      const written = JSON.stringify(wrapOptions(own, () => keeps));
      // By whom it was enqueued is looked at in the store itself.
      expect(JSON.parse(written)).toMatchObject({ by: 'me' });
      expect(unwrapOptions(JSON.parse(written) as typeof own)).toEqual(JSON.parse(JSON.stringify(own)));
    }
    expect(JSON.stringify(wrapOptions(own, () => false))).not.toContain('\\u0000');
    expect(unwrapOptions({})).toEqual({});
  });
});

describe('a priority', () => {
  it('is higher in BullMQ where it is lower here, in the bounds of BullMQ', () => {
    expect(toBullPriority(0)).toBe(toBullPriority(0.9));
    expect(toBullPriority(priorityLimit + 5)).toBe(1);
    expect(toBullPriority(-priorityLimit - 5)).toBeLessThanOrEqual(2 ** 21);
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (a, b) => {
        const [ours, theirs] = [Math.sign(a - b), Math.sign(toBullPriority(b) - toBullPriority(a))];
        const isWithin = Math.max(Math.abs(a), Math.abs(b)) <= priorityLimit;
        expect(isWithin ? theirs : Math.abs(theirs - ours) <= 1).toEqual(isWithin ? ours : true);
      }),
    );
  });

  it('comes back; one of BullMQ that has none is 0', () => {
    for (const priority of [0, 5, -5, 100, -100]) {
      expect(stored({ priority: toBullPriority(priority) }).priority).toBe(priority);
    }
    expect(stored({ priority: 0 }).priority).toBe(0);
  });
});

describe('a name', () => {
  it('is one also where we have none, which BullMQ does not take', () => {
    expect(toStoredName('welcome')).toBe('welcome');
    expect(toStoredName('')).not.toBe('');
    expect(stored({ name: toStoredName('') }).name).toBe('');
    expect(stored({ name: 'welcome' }).name).toBe('welcome');
  });
});

describe('where a job stands', () => {
  const cancelled = JSON.stringify(cancelledValue({ keptUntil: now + minute }));

  it.each<[what: string, fields: Partial<JobRecord>, expected: string]>([
    ['one that waits', { at: 'wait' }, 'ready'],
    ['one for later', { at: 'delayed', processAt: now + 1 }, 'scheduled'],
    ['one that is due and was not moved yet', { at: 'delayed', processAt: now }, 'ready'],
    ['a parent that waits for its children', { at: 'children' }, 'scheduled'],
    ['one that is locked', { at: 'active', lockEndsAt: now + 1 }, 'active'],
    ['one whose lock has ended', { at: 'active', lockEndsAt: now }, 'ready'],
    ['one whose lock is gone', { at: 'active' }, 'ready'],
    ['one that has ended', { at: 'completed', returnValue: '5' }, 'completed'],
    ['one that was cancelled', { at: 'completed', returnValue: cancelled }, 'cancelled'],
    [
      'one that returned what looks like it',
      { at: 'completed', returnValue: '{"nestjs-worker":5}' },
      'completed',
    ],
    ['one that has failed', { at: 'failed' }, 'dead'],
  ])('%s', (_, fields, expected) => {
    expect(stateOf(record(fields), now)).toBe(expected);
  });

  it('is past once it has ended and is not kept any longer', () => {
    const ends = (keptUntil: number): JobRecord => record({ at: 'completed', state: state({ keptUntil }) });
    expect([isPast(ends(now + 1), now), isPast(ends(now), now)]).toEqual([false, true]);
    const off = record({ at: 'completed', returnValue: cancelled });
    expect([isPast(off, now), isPast(off, now + minute)]).toEqual([false, true]);
    // Who completed it by BullMQ keeps it for as long as BullMQ does.
    expect(isPast(record({ at: 'completed' }), Infinity)).toBe(false);
    // It has come back.
    expect(isPast(record({ at: 'wait', state: state({ keptUntil: now }) }), now)).toBe(false);
  });
});

describe('attempts that have failed', () => {
  const failures = (fields: Partial<JobRecord>): number => failuresOf(record(fields));

  it('are those of BullMQ where nobody of ours has had the job', () => {
    expect(failures({ made: 3 })).toBe(3);
    expect(failures({ at: 'completed', made: 3 })).toBe(2);
    expect(failures({ at: 'completed', made: 0 })).toBe(0);
    expect(failures({ at: 'failed', made: 1 })).toBe(1);
  });

  it('are ours, and what others have counted since', () => {
    expect(failures({ made: 7, state: state({ failures: 2, made: 7 }) })).toBe(2);
    expect(failures({ made: 9, state: state({ failures: 2, made: 7 }) })).toBe(4);
    // BullMQ counts anew when somebody retries it by hand.
    expect(failures({ made: 0, state: state({ failures: 2, made: 7 }) })).toBe(2);
  });

  it('have the error of whoever was last', () => {
    expect(lastErrorOf(record({ failedReason: 'theirs' }))).toBe('theirs');
    expect(lastErrorOf(record({ failedReason: '' }))).toBeUndefined();
    const ours = state({ made: 1, lastError: 'ours' });
    expect(lastErrorOf(record({ made: 1, state: ours, failedReason: 'cut' }))).toBe('ours');
    expect(lastErrorOf(record({ made: 2, state: ours, failedReason: 'theirs' }))).toBe('theirs');
    expect(lastErrorOf(record({ made: 2, state: ours }))).toBe('ours');
  });
});

describe('when a job is due', () => {
  it.each<[what: string, fields: Partial<JobRecord>, expected: number]>([
    ['at once, when it was enqueued', {}, now - minute],
    ['as it was enqueued', { delay: 5_000 }, now - minute + 5_000],
    ['before it was enqueued', { own: { dueAt: 5 } }, 5],
    ['as BullMQ has it', { at: 'delayed', processAt: now + 7, delay: 5_000 }, now + 7],
    ['as its last attempt has left it', { state: state({ dueAt: now - 5 }), delay: 5_000 }, now - 5],
    ['when somebody has run it before its time', { at: 'active', delay: 90_000, processedOn: now }, now],
    ['when it ran, which was later', { at: 'active', processedOn: now }, now - minute],
    [
      'again in a while, whenever it ran before',
      { processedOn: now, state: state({ dueAt: now + 9 }) },
      now + 9,
    ],
  ])('%s', (_, fields, expected) => {
    expect(dueAtOf(record(fields))).toBe(expected);
  });
});

describe('deaths', () => {
  it('are those whose holder was not heard of, since they were last forgiven', () => {
    const deaths = [
      death({ endedAt: now - 9 }),
      death({ endedAt: now - 5, lost: true }),
      death({ endedAt: now - 4 }),
    ];
    expect(stored({ deaths }).deaths).toBe(2);
    expect(stored({ deaths, state: state({ forgivenAt: now - 5 }) }).deaths).toBe(1);
    expect(stored({ deaths, state: state({ forgivenAt: now }) }).deaths).toBe(0);
  });

  it('are forgiven where a dead job was brought back by BullMQ, and later ones are not', () => {
    const deaths = [death({ endedAt: now - 9 }), death({ endedAt: now - 8 })];
    const dead = state({ cause: 'quarantined', deadAt: now - 7 });
    expect(stored({ at: 'failed', deaths, state: dead }).deaths).toBe(2);
    for (const at of ['wait', 'active', 'delayed'] as const) {
      expect(stored({ at, deaths, state: dead }).deaths).toBe(0);
      expect(stored({ at, deaths: [...deaths, death({ endedAt: now - 1 })], state: dead }).deaths).toBe(1);
    }
  });

  it('are in the history, between the attempts that we know of', () => {
    const failed = {
      attempt: 1,
      startedAt: now - 3_000,
      endedAt: now - 2_500,
      outcome: 'failed',
      error: 'x',
    } as const;
    const { history } = stored({
      state: state({ attempts: [failed] }),
      deaths: [death({ attempt: 2, startedAt: now - 2_000 }), death({ startedAt: now - 4_000, lost: true })],
    });
    expect(history.map(({ outcome }) => outcome)).toEqual(['lost', 'failed', 'died']);
  });

  it('push out older attempts where there are too many', () => {
    const attempts = Array.from({ length: 20 }, (_, at) => {
      return { attempt: at + 1, startedAt: at, endedAt: at, outcome: 'snoozed' as const };
    });
    const { history } = stored({ state: state({ attempts }), deaths: [death()] });
    expect([history.length, history[0]!.startedAt, history.at(-1)!.outcome]).toEqual([20, 1, 'died']);
  });
});

describe('a stored job', () => {
  it('has what there is, and nothing else', () => {
    expect(stored({})).toEqual({
      id: 'job-1',
      queue: 'mail',
      name: 'welcome',
      state: 'ready',
      payload: new TextEncoder().encode('{"a":1}'),
      priority: 0,
      createdAt: now - minute,
      dueAt: now - minute,
      failures: 0,
      deaths: 0,
      history: [],
    });
  });

  it('has its own id and key, and no payload where there was none', () => {
    expect(
      stored({ id: '~5', own: { empty: true, limitKey: 'l', headers: { a: 'b' } }, deduplicationId: '=' }),
    ).toMatchObject({ id: '5', payload: undefined, limitKey: 'l', headers: { a: 'b' }, uniqueKey: '' });
  });

  it('has a result where its handler returned something, and progress where it told of any', () => {
    const done = { at: 'completed', returnValue: 'null', finishedOn: now } as const;
    expect(textOf(stored(done).result)).toBe('null');
    expect(stored({ ...done, state: state({ noResult: true }) })).not.toHaveProperty('result');
    expect(stored(done).endedAt).toBe(now);
    expect(stored({})).not.toHaveProperty('progress');
    expect(textOf(stored({ progress: '40' }).progress)).toBe('40');
  });

  it('says why it is dead: exhausted, where BullMQ itself has given up on it', () => {
    expect(stored({ at: 'failed' }).cause).toBe('exhausted');
    expect(stored({ at: 'failed', state: state({ cause: 'discarded' }) }).cause).toBe('discarded');
    expect(stored({ at: 'wait', state: state({ cause: 'discarded' }) })).not.toHaveProperty('cause');
  });

  it('that was cancelled says why, and has the attempt that was called off', () => {
    const attempt = { attempt: 1, startedAt: 1, endedAt: 2, outcome: 'cancelled' } as const;
    const value = cancelledValue({ keptUntil: now + 1, error: 'not wanted', attempt });
    const job = stored({ at: 'completed', returnValue: JSON.stringify(value), failedReason: 'before' });
    expect(job).toMatchObject({ state: 'cancelled', lastError: 'not wanted', history: [attempt] });
    expect(job).not.toHaveProperty('result');
  });
});

describe('a claimed job', () => {
  const json = (fields: Partial<JobJson> = {}): JobJson => ({
    id: '7',
    name: 'welcome',
    data: '{}',
    opts: {},
    progress: 0,
    attemptsMade: 2,
    attemptsStarted: 3,
    stalledCounter: 0,
    timestamp: now - minute,
    processedOn: now,
    failedReason: '',
    returnvalue: '',
    ...fields,
  });

  it('is none where BullMQ has none', () => {
    expect(recordOfClaim([null, ''])).toBeUndefined();
    expect(recordOfClaim([undefined])).toBeUndefined();
  });

  it('is active, from when BullMQ says for as long as was asked for', () => {
    const claimed = toClaimedJob('mail', recordOfClaim([json(), '7'])!, 'lock', 5_000);
    expect(claimed).toMatchObject({
      id: '7',
      state: 'active',
      failures: 2,
      claimedAt: now,
      leaseEndsAt: now + 5_000,
    });
    expect(claimed).not.toHaveProperty('lastError');
  });

  it('of which somebody has made a copy is settled as it was', () => {
    const options = { 'nestjs-worker': { state: state({ failures: 1, made: 2 }), deaths: [death()] } };
    const original = recordOfClaim([json({ opts: options as JobJson['opts'], deduplicationId: 'k' }), '~5'])!;
    const clone = structuredClone(toClaimedJob('mail', original, 'lock', 5_000));
    const copy = recordOfCopy(clone, readToken(clone.token)!);
    for (const field of ['id', 'name', 'made', 'claims', 'timestamp', 'deduplicationId', 'at'] as const) {
      expect([field, copy[field]]).toEqual([field, original[field]]);
    }
    expect(failuresOf(copy)).toBe(failuresOf(original));
    expect(copy.state?.attempts).toEqual([]);
  });

  it('reads as what is stored, whatever there is of it', () => {
    const at = fc.constantFrom<BullState>('wait', 'delayed', 'active', 'completed', 'failed', 'children');
    const some = fc.record({
      at,
      made: fc.nat(50),
      state: fc.option(fc.record({ failures: fc.nat(50), made: fc.nat(50), attempts: fc.constant([]) }), {
        nil: undefined,
      }),
      failedReason: fc.option(fc.string(), { nil: undefined }),
      processedOn: fc.option(fc.nat(), { nil: undefined }),
      delay: fc.nat(),
    });
    fc.assert(
      fc.property(some, (fields) => {
        const one = stored(fields);
        expect(one.failures).toBeGreaterThanOrEqual(0);
        expect(one.failures).toBeGreaterThanOrEqual(fields.state?.failures ?? 0);
        expect(Number.isFinite(one.dueAt)).toBe(true);
        expect(one.state === 'dead').toBe(fields.at === 'failed');
      }),
    );
  });
});
