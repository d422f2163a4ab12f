import type { WorkEventMap } from 'nestjs-worker';
import { describe, expect, it, vi } from 'vitest';
import { TestAttempt } from '../support/attempt.js';

type Marked = WorkEventMap['marked'];

const lap = (events: readonly unknown[]): unknown[] =>
  (events as Marked[]).map(({ action, durationMs, outcome }) => [action, durationMs, outcome]);

describe('ctx.sleep', () => {
  it('waits for its time', async () => {
    const attempt = new TestAttempt();
    const outcome = attempt.execute(async (ctx) => {
      await ctx.sleep('1.5s');
      return 'awake';
    });
    await attempt.clock.advance(1_499);
    expect(attempt.clock.pending).toBe(1);
    await attempt.clock.advance(1);
    expect(await outcome).toEqual({ kind: 'succeeded', value: 'awake' });
  });

  it('rejects at once with the reason when the attempt is told to end', async () => {
    const attempt = new TestAttempt();
    const outcome = attempt.execute((ctx) => ctx.sleep('10m'));
    attempt.context.abort('shutdown');
    expect(attempt.clock.pending).toBe(0);
    expect(await outcome).toEqual({ kind: 'cancelled', reason: 'shutdown' });
  });

  it('rejects with the reason when it begins after the abort', async () => {
    const attempt = new TestAttempt();
    attempt.context.abort('stop-requested');
    await expect(attempt.context.sleep(1)).rejects.toBe(attempt.context.signal.reason);
    expect(attempt.clock.pending).toBe(0);
  });

  it('leaves no timer when the attempt ends before it, as in Promise.race', async () => {
    const attempt = new TestAttempt();
    const awake = vi.fn<() => void>();
    const outcome = attempt.execute(async (ctx) => {
      const slept = ctx.sleep('10m').then(awake, awake);
      await Promise.race([slept, Promise.resolve('won')]);
      expect(attempt.clock.pending).toBe(1);
      return 'raced';
    });
    expect(await outcome).toEqual({ kind: 'succeeded', value: 'raced' });
    expect(attempt.clock.pending).toBe(0);
    await attempt.clock.advance('1h');
    expect(awake).not.toHaveBeenCalled();
  });

  it('begins no timer in what an ended attempt left behind', async () => {
    const attempt = new TestAttempt();
    await attempt.execute(() => undefined);
    void attempt.context.sleep('1s');
    expect(attempt.clock.pending).toBe(0);
  });

  it.each(['soon', Number.NaN, {} as never])('refuses %s in words', async (given) => {
    await expect(new TestAttempt().context.sleep(given as number)).rejects.toThrow(
      /"duration" of ctx\.sleep\(\) in "relay" is .+accepted is a number of milliseconds.+ctx\.sleep\('1s'\)/,
    );
  });
});

describe('ctx.mark', () => {
  it('records each segment, and the closing one', async () => {
    const attempt = new TestAttempt();
    await attempt.execute(async (ctx) => {
      await attempt.clock.advance(10);
      ctx.mark('fetch');
      await attempt.clock.advance(20);
      ctx.mark('store');
      await attempt.clock.advance(5);
    });
    expect(lap(attempt.events)).toEqual([
      ['fetch', 10, 'success'],
      ['store', 20, 'success'],
      ['end', 5, 'success'],
    ]);
    expect(attempt.events[0]).toMatchObject({
      type: 'marked',
      kind: 'worker',
      name: 'relay',
      scope: 'relay',
      executionId: 'id-1',
    });
  });

  it('records the failing segment as an error', async () => {
    const attempt = new TestAttempt();
    await attempt.execute(async (ctx) => {
      ctx.mark('fetch');
      await attempt.clock.advance(30);
      throw new Error('boom');
    });
    expect(lap(attempt.events)).toEqual([
      ['fetch', 0, 'success'],
      ['end', 30, 'error'],
    ]);
  });

  it('records the segment of an attempt that fails before its first mark, once the work has marked', async () => {
    const first = new TestAttempt();
    await first.execute((ctx) => ctx.mark('fetch'));
    const second = new TestAttempt(first);
    await second.execute(async () => {
      await second.clock.advance(7);
      throw new Error('boom');
    });
    expect(lap(first.events).at(-1)).toEqual(['end', 7, 'error']);
  });

  it('records nothing for work that never marks', async () => {
    const attempt = new TestAttempt();
    await attempt.execute(() => Promise.reject(new Error('boom')));
    expect(attempt.events).toEqual([]);
  });

  it('counts a segment that was cut short by a stop as no error', async () => {
    const attempt = new TestAttempt();
    await attempt.execute((ctx) => {
      ctx.mark('fetch');
      attempt.context.abort('shutdown');
      return ctx.sleep(1);
    });
    expect(lap(attempt.events)).toEqual([
      ['fetch', 0, 'success'],
      ['end', 0, 'success'],
    ]);
  });
});

describe('ctx.signal', () => {
  it('is made only when it is asked for', async () => {
    const made = vi.spyOn(globalThis, 'AbortController');
    const attempt = new TestAttempt();
    made.mockClear();
    await attempt.execute(async (ctx) => {
      const slept = ctx.sleep('1s');
      await attempt.clock.advance('1s');
      return slept;
    });
    attempt.context.abort('shutdown');
    expect(made).not.toHaveBeenCalled();
    expect(attempt.context.signal).toBe(attempt.context.signal);
    expect(made).toHaveBeenCalledTimes(1);
    made.mockRestore();
  });

  it('is aborted already when it is first asked for after the abort', () => {
    const { context } = new TestAttempt();
    context.abort('stalled');
    expect(context.signal.aborted).toBe(true);
    expect(context.signal.reason).toMatchObject({ reason: 'stalled' });
  });

  it('is left alone by the end of the attempt', async () => {
    const attempt = new TestAttempt();
    const { signal } = attempt.context;
    await attempt.execute(() => undefined);
    attempt.context.abort('shutdown');
    expect(signal.aborted).toBe(false);
  });
});

describe('the context', () => {
  it('tells who runs', () => {
    const { context, shutdown, observer } = new TestAttempt();
    expect(context).toMatchObject({
      kind: 'worker',
      name: 'relay',
      executionId: 'id-1',
      attempt: 2,
      maxAttempts: 5,
      tracer: observer.environment.tracer,
    });
    expect(context.shutdown).toBe(shutdown.signal);
  });

  it('passes heartbeats on', () => {
    const attempt = new TestAttempt();
    attempt.context.heartbeat();
    attempt.context.heartbeat();
    expect(attempt.beats).toBe(2);
  });

  it('passes no heartbeat on once the attempt has ended', async () => {
    const attempt = new TestAttempt();
    await attempt.execute(() => undefined);
    attempt.context.heartbeat();
    expect(attempt.beats).toBe(0);
  });

  it('has a tracer that works without OpenTelemetry', () => {
    const { tracer } = new TestAttempt().context;
    const result = tracer.startActiveSpan('fetch', (span) => {
      span.setAttribute('rows', 3);
      span.addEvent('fetched');
      span.recordException(new Error('x'));
      span.end();
      return 'done';
    });
    expect(result).toBe('done');
    expect(tracer.startSpan('x').end()).toBeUndefined();
  });
});
