import { AttemptAbortedError } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import type { AbortReason } from '../../lib/events/index.js';
import type { Handler, Outcome } from '../../lib/execution/index.js';
import { TestAttempt } from '../support/attempt.js';

type Ending = 'value' | 'own error' | 'reason' | 'wrapped reason' | 'other AbortError' | 'wrapped AbortError';

const boom = new Error('boom');
const abortError = (): Error => Object.assign(new Error('fetch was aborted'), { name: 'AbortError' });

const endings: Record<Ending, Handler> = {
  value: () => 7,
  'own error': () => {
    throw boom;
  },
  reason: (ctx) => {
    throw ctx.signal.reason as Error;
  },
  'wrapped reason': (ctx) => {
    throw new Error('query failed', { cause: new Error('socket', { cause: ctx.signal.reason }) });
  },
  'other AbortError': () => {
    throw abortError();
  },
  'wrapped AbortError': () => {
    throw new Error('query failed', { cause: abortError() });
  },
};

type Expected = Outcome['kind'];

/** How each ending counts, by the reason for which the attempt was aborted before it. */
const table: Record<
  AbortReason | 'nothing',
  Record<Exclude<Ending, 'reason' | 'wrapped reason'>, Expected>
> = {
  nothing: {
    value: 'succeeded',
    'own error': 'failed',
    'other AbortError': 'failed',
    'wrapped AbortError': 'failed',
  },
  shutdown: {
    value: 'succeeded',
    'own error': 'cancelled',
    'other AbortError': 'cancelled',
    'wrapped AbortError': 'cancelled',
  },
  'stop-requested': {
    value: 'succeeded',
    'own error': 'cancelled',
    'other AbortError': 'cancelled',
    'wrapped AbortError': 'cancelled',
  },
  timeout: {
    value: 'timed-out',
    'own error': 'timed-out',
    'other AbortError': 'timed-out',
    'wrapped AbortError': 'timed-out',
  },
  stalled: {
    value: 'failed',
    'own error': 'failed',
    'other AbortError': 'failed',
    'wrapped AbortError': 'failed',
  },
  'lease-lost': {
    value: 'cancelled',
    'own error': 'cancelled',
    'other AbortError': 'cancelled',
    'wrapped AbortError': 'cancelled',
  },
};

async function outcomeOf(handler: Handler, abortFor: AbortReason | 'nothing'): Promise<Outcome> {
  const attempt = new TestAttempt();
  return attempt.execute((ctx) => {
    if (abortFor !== 'nothing') attempt.context.abort(abortFor);
    return handler(ctx);
  });
}

const cases = Object.entries(table).flatMap(([reason, row]) =>
  Object.entries(row).map(([ending, kind]) => [reason, ending, kind] as const),
);

describe('the outcome of an attempt', () => {
  it.each(cases)('aborted for %s and ended with %s: %s', async (reason, ending, kind) => {
    const outcome = await outcomeOf(endings[ending as Ending], reason as AbortReason);
    expect(outcome.kind).toBe(kind);
    if (outcome.kind === 'cancelled') expect(outcome.reason).toBe(reason);
  });

  it.each(['shutdown', 'stop-requested', 'lease-lost'] as const)(
    'is cancelled when the reason comes back, also as a cause (%s)',
    async (reason) => {
      const expected = { kind: 'cancelled', reason };
      expect(await outcomeOf(endings.reason, reason)).toEqual(expected);
      expect(await outcomeOf(endings['wrapped reason'], reason)).toEqual(expected);
    },
  );

  it.each(['timeout', 'stalled'] as const)(
    'names the abort when the reason comes back (%s)',
    async (reason) => {
      for (const ending of ['value', 'reason', 'wrapped reason', 'other AbortError'] as const) {
        const outcome = await outcomeOf(endings[ending], reason);
        expect(outcome).toMatchObject({ error: { code: 'ATTEMPT_ABORTED', reason } });
      }
    },
  );

  it.each(['timeout', 'stalled'] as const)(
    'keeps an own error thrown after the abort (%s)',
    async (reason) => {
      expect(await outcomeOf(endings['own error'], reason)).toMatchObject({ error: boom });
    },
  );

  it.each(['shutdown', 'stop-requested', 'lease-lost'] as const)(
    'is no failure, and keeps an own error thrown after the abort (%s)',
    async (reason) => {
      expect(await outcomeOf(endings['own error'], reason)).toEqual({
        kind: 'cancelled',
        reason,
        error: boom,
      });
    },
  );

  it('is the cancellation where all of several errors are', async () => {
    const several =
      (...more: Error[]): Handler =>
      (ctx) => {
        throw new AggregateError([ctx.signal.reason, ...more]);
      };
    expect(await outcomeOf(several(), 'shutdown')).toEqual({ kind: 'cancelled', reason: 'shutdown' });
    expect(await outcomeOf(several(boom), 'shutdown')).toHaveProperty('error');
  });

  it('keeps the value', async () => {
    expect(await outcomeOf(endings.value, 'nothing')).toEqual({ kind: 'succeeded', value: 7 });
    expect(await outcomeOf(async () => 'later', 'nothing')).toEqual({ kind: 'succeeded', value: 'later' });
  });

  it('takes a foreign AbortError, with a reason of its own, for a failure', async () => {
    const controller = new AbortController();
    controller.abort();
    const foreign: unknown = controller.signal.reason;
    expect(await outcomeOf(() => Promise.reject(foreign as Error), 'nothing')).toEqual({
      kind: 'failed',
      error: foreign,
    });
  });

  it.each([undefined, null, 42, 'text', Symbol('x')])('is failed by a thrown %o', async (thrown) => {
    const outcome = await outcomeOf(() => Promise.reject(thrown), 'nothing');
    expect(outcome).toEqual({ kind: 'failed', error: thrown });
    expect(await outcomeOf(() => Promise.reject(thrown as never), 'shutdown')).toEqual({
      kind: 'cancelled',
      reason: 'shutdown',
      error: thrown,
    });
  });

  it('is not led in circles by a chain of causes', async () => {
    const a = new Error('a');
    a.cause = new Error('b', { cause: a });
    expect(await outcomeOf(() => Promise.reject(a), 'timeout')).toEqual({ kind: 'timed-out', error: a });
  });

  it('is an AbortError by its reason, which code that looks for that name understands', () => {
    const attempt = new TestAttempt();
    attempt.context.abort('timeout', 'timeout: 5s');
    const reason = attempt.context.signal.reason as AttemptAbortedError;
    expect(reason).toBeInstanceOf(AttemptAbortedError);
    expect(reason).toMatchObject({ name: 'AbortError', code: 'ATTEMPT_ABORTED', reason: 'timeout' });
    expect(reason.message).toBe(
      'Attempt 2 of worker "relay" was aborted: it ran longer than its timeout (timeout: 5s).',
    );
  });
});
