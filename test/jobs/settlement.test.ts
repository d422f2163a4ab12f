import * as fc from 'fast-check';
import {
  AttemptAbortedError,
  CancelJob,
  DiscardError,
  DiscardJob,
  InvalidPayloadError,
  JobExpiredError,
  SnoozeJob,
} from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import type { Outcome } from '../../lib/execution/index.js';
import type { ClaimedJob } from '../../lib/jobs/job-backend.js';
import {
  jobOutcome,
  type JobOutcome,
  type JobPolicy,
  settlementFor,
  textOf,
} from '../../lib/jobs/settlement.js';

const policy: JobPolicy = {
  maxAttempts: 3,
  backoff: { initialMs: 1_000, factor: 2, maxMs: 10_000, jitter: 0.5 },
  keepCompletedMs: 5,
  keepCancelledMs: 6,
  maxDead: 7,
};

const times = { startedAt: 100, endedAt: 150 };

function claimed(failures = 0): ClaimedJob {
  return {
    id: 'a',
    queue: 'emails',
    name: '',
    state: 'active',
    payload: undefined,
    priority: 0,
    createdAt: 0,
    dueAt: 0,
    failures,
    deaths: 0,
    history: [],
    token: '1',
    leaseEndsAt: 1_000,
    claimedAt: 0,
  };
}

const failed = (error: unknown): JobOutcome => jobOutcome({ kind: 'failed', error });
const settle = (outcome: JobOutcome, failures = 0, random = 0) =>
  settlementFor(outcome, claimed(failures), policy, times, random);

describe('what an outcome means for a job', () => {
  it('is completed, with its result, where it succeeded', () => {
    const result = new Uint8Array([1]);
    const job = claimed(2);
    expect(settlementFor({ kind: 'succeeded', value: 1 }, job, policy, times, 0, result)).toEqual({
      kind: 'completed',
      job,
      result,
      keepMs: 5,
    });
  });

  it.each([
    [0, 0, 1_000],
    [0, 1, 500],
    [1, 0, 2_000],
    [1, 0.5, 1_500],
  ])('is another attempt, where %i had failed (random %d): in %i ms', (failures, random, delayMs) => {
    expect(settle(failed(new Error('boom')), failures, random)).toEqual({
      kind: 'scheduled',
      job: claimed(failures),
      delayMs,
      failures: failures + 1,
      attempt: { attempt: failures + 1, ...times, outcome: 'failed', error: 'boom' },
    });
  });

  it('is the same after a timeout', () => {
    const error = new AttemptAbortedError('timeout', 'it took too long');
    expect(settle({ kind: 'timed-out', error })).toMatchObject({
      kind: 'scheduled',
      failures: 1,
      attempt: { outcome: 'timed-out', error: 'AbortError: it took too long' },
    });
  });

  it('is exhausted after the last attempt', () => {
    expect(settle(failed(new Error('boom')), 2)).toEqual({
      kind: 'dead',
      job: claimed(2),
      cause: 'exhausted',
      failures: 3,
      error: 'boom',
      attempt: { attempt: 3, ...times, outcome: 'failed', error: 'boom' },
      maxDead: 7,
    });
  });

  it('is a success also at the last attempt (W15)', () => {
    expect(settle({ kind: 'succeeded', value: undefined }, 2)).toMatchObject({ kind: 'completed' });
  });

  it('is never exhausted with endless attempts', () => {
    const endless = { ...policy, maxAttempts: Infinity };
    expect(settlementFor(failed(new Error('boom')), claimed(1e9), endless, times, 0)).toMatchObject({
      kind: 'scheduled',
      delayMs: 10_000,
    });
  });

  class Bounced extends DiscardJob {}

  it.each([
    ['discarded', new DiscardJob('no such address')],
    ['discarded', new Bounced('no such address')],
    ['discarded', new DiscardError()],
    ['invalid', new InvalidPayloadError('emails', 'a', 'is broken')],
    ['expired', new JobExpiredError('emails', 'a', '2h', '1h')],
  ])('is dead as %s at once with %o', (cause, error) => {
    expect(settle(failed(error))).toMatchObject({
      kind: 'dead',
      cause,
      failures: 1,
      maxDead: 7,
      error: expect.stringContaining(error.message) as string,
    });
  });

  it.each([
    ['1m' as const, 60_000],
    [500, 500],
    [-5, 0],
  ])('is later, and no attempt, with SnoozeJob(%j)', (duration, delayMs) => {
    expect(settle(failed(new SnoozeJob(duration)), 2)).toEqual({
      kind: 'scheduled',
      job: claimed(2),
      delayMs,
      failures: 2,
      attempt: { attempt: 3, ...times, outcome: 'snoozed' },
    });
  });

  it.each(['soon', Infinity, Number.NaN, undefined])('is a failure with SnoozeJob(%j)', (duration) => {
    const settlement = settle(failed(new SnoozeJob(duration as never, 'later')));
    expect(settlement).toMatchObject({ kind: 'scheduled', failures: 1, attempt: { outcome: 'failed' } });
  });

  it('is cancelled with CancelJob, which is no failure', () => {
    expect(settle(failed(new CancelJob('the user has left')), 1)).toEqual({
      kind: 'cancelled',
      job: claimed(1),
      keepMs: 6,
      error: 'CancelJob: the user has left',
      attempt: { attempt: 2, ...times, outcome: 'cancelled', error: 'CancelJob: the user has left' },
    });
  });

  it.each(['shutdown', 'stop-requested'] as const)(
    'is as if it had never been claimed after a %s',
    (reason) => {
      expect(settle({ kind: 'cancelled', reason }, 2)).toEqual({
        kind: 'released',
        job: claimed(2),
        attempt: { attempt: 3, ...times, outcome: 'cancelled' },
      });
    },
  );

  it('goes back once its lease is lost, should nobody else have it yet', () => {
    expect(settle({ kind: 'cancelled', reason: 'lease-lost' })).toMatchObject({ kind: 'released' });
  });

  it('takes the handler by its own word after a shutdown: what it finished is finished', () => {
    expect(settle({ kind: 'succeeded', value: 1 })).toMatchObject({ kind: 'completed' });
  });

  it('knows the errors of another copy of this package', () => {
    const brand = Symbol.for('nestjs-worker:error:v1');
    const foreign = Object.assign(new Error('no such address'), { code: 'DISCARD', [brand]: true });
    expect(settle(failed(foreign))).toMatchObject({ kind: 'dead', cause: 'discarded' });
    const lookalike = Object.assign(new Error('no such address'), { code: 'DISCARD' });
    expect(settle(failed(lookalike))).toMatchObject({ kind: 'scheduled' });
  });

  it('always is one thing, keeps the job, and never takes more attempts than are allowed', () => {
    const outcome = fc.oneof<fc.Arbitrary<Outcome>[]>(
      fc.anything().map((value) => ({ kind: 'succeeded', value })),
      fc
        .oneof(
          fc.anything(),
          fc.string().map((text) => new Error(text)),
          fc.constantFrom(
            new DiscardJob(),
            new SnoozeJob('1s'),
            new SnoozeJob('x' as never),
            new CancelJob(),
          ),
        )
        .map((error) => ({ kind: 'failed', error })),
      fc
        .constantFrom('shutdown' as const, 'stop-requested' as const)
        .map((reason) => ({ kind: 'cancelled', reason })),
    );
    fc.assert(
      fc.property(
        outcome,
        fc.nat({ max: 5 }),
        fc.integer({ min: 1, max: 5 }),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        (ended, failures, maxAttempts, random) => {
          const job = claimed(failures);
          const settlement = settlementFor(jobOutcome(ended), job, { ...policy, maxAttempts }, times, random);
          expect(settlement?.job).toBe(job);
          if (settlement?.kind !== 'scheduled') return;
          expect(settlement.delayMs).toBeGreaterThanOrEqual(0);
          expect(settlement.delayMs).toBeLessThanOrEqual(10_000);
          const snoozed = settlement.attempt?.outcome === 'snoozed';
          expect(settlement.failures).toBe(snoozed ? failures : failures + 1);
          if (!snoozed) expect(settlement.failures).toBeLessThan(maxAttempts);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('the text of an error', () => {
  it.each<[unknown, string]>([
    [new Error('boom'), 'boom'],
    [new TypeError('boom'), 'TypeError: boom'],
    ['boom', 'boom'],
    [undefined, 'undefined'],
    [{ code: 5 }, '{ code: 5 }'],
  ])('of %o is %j', (error, text) => {
    expect(textOf(error)).toBe(text);
  });

  it('is cut where it is long', () => {
    const text = textOf(new Error('x'.repeat(10_000)));
    expect(text).toHaveLength(2_000);
    expect(text.endsWith('…')).toBe(true);
  });

  it('can be had of what throws when it is looked at', () => {
    const hostile = new Proxy(
      {},
      {
        get() {
          throw new Error('do not touch');
        },
      },
    );
    expect(typeof textOf(hostile)).toBe('string');
  });
});
