import { AttemptAbortedError } from 'nestjs-worker';
import { describe, expect, it, vi } from 'vitest';
import { Cancellation } from '../../lib/execution/index.js';

const reason = new AttemptAbortedError('shutdown', 'x');

describe('Cancellation', () => {
  it('tells its listeners once, and the signal after them', () => {
    const cancellation = new Cancellation();
    const told: string[] = [];
    cancellation.signal.addEventListener('abort', () => told.push('signal'));
    cancellation.onAbort(() => told.push('listener'));
    cancellation.abort(reason);
    cancellation.abort(new AttemptAbortedError('timeout', 'y'));
    cancellation.end();
    expect(told).toEqual(['listener', 'signal']);
    expect(cancellation.reason).toBe(reason);
    expect(cancellation.aborted).toBe(true);
  });

  it('frees its listeners at the end, without a reason and without the signal', () => {
    const cancellation = new Cancellation();
    const listener = vi.fn();
    const { signal } = cancellation;
    cancellation.onAbort(listener);
    cancellation.end();
    cancellation.abort(reason);
    expect(listener).toHaveBeenCalledTimes(1);
    expect(cancellation.reason).toBeUndefined();
    expect(signal.aborted).toBe(false);
  });

  it('forgets a listener that was taken off, whichever it is', () => {
    const cancellation = new Cancellation();
    const listeners = [vi.fn(), vi.fn(), vi.fn()];
    const offs = listeners.map((listener) => cancellation.onAbort(listener));
    offs[1]?.();
    offs[1]?.();
    cancellation.abort(reason);
    expect(listeners.map((listener) => listener.mock.calls.length)).toEqual([1, 0, 1]);
    expect(() => offs[0]?.()).not.toThrow();
  });
});
