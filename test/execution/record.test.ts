import * as fc from 'fast-check';
import type { WorkEvent } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { EventRing, ExecutionRecord, nextStatus } from '../../lib/execution/index.js';

const base = { kind: 'worker', name: 'relay', executionId: 'id-1' } as const;
const error = { name: 'Error', message: 'boom' };
const at = (time: number, event: object): WorkEvent => ({ ...base, time, ...event }) as WorkEvent;

function folded(events: readonly WorkEvent[], historySize = 100): ExecutionRecord {
  const record = new ExecutionRecord(historySize);
  events.forEach((event) => record.apply(event));
  return record;
}

describe('ExecutionRecord', () => {
  it('tells the life of a worker that fails, restarts and is stopped', () => {
    const life = [
      at(0, { type: 'registered', enabled: true, executionId: 'id-0' }),
      at(1, { type: 'deferred', delayMs: 99 }),
      at(100, { type: 'started', attempt: 1, maxAttempts: 3, restart: false }),
      at(150, { type: 'failed', durationMs: 50, error }),
      at(150, { type: 'backoff', delayMs: 500, attempt: 2 }),
      at(650, { type: 'started', attempt: 2, maxAttempts: 3, restart: true, executionId: 'id-2' }),
      at(700, { type: 'stopping', reason: 'shutdown', executionId: 'id-2' }),
      at(710, { type: 'cancelled', durationMs: 60, reason: 'shutdown', executionId: 'id-2' }),
    ];
    const states = life.map((_, index) => folded(life.slice(0, index + 1)));
    expect(states.map(({ status }) => status)).toEqual([
      'unknown',
      'deferred',
      'running',
      'error',
      'backoff',
      'running',
      'stopping',
      'cancelled',
    ]);
    expect(states.map(({ nextAttemptAt }) => nextAttemptAt)).toEqual([
      undefined,
      100,
      undefined,
      undefined,
      650,
      undefined,
      undefined,
      undefined,
    ]);
    expect(states.at(-1)).toMatchObject({
      id: 'id-2',
      attempt: 2,
      restarts: 1,
      startedAt: 650,
      endedAt: 710,
      lastError: error,
      stopReason: 'shutdown',
    });
  });

  it('has nothing of the last stop left when it is started again', () => {
    const stopped = [
      at(1, { type: 'started', attempt: 2, maxAttempts: 3, restart: true }),
      at(2, { type: 'stopping', reason: 'stop-requested' }),
      at(3, { type: 'cancelled', durationMs: 2, reason: 'stop-requested' }),
    ];
    expect(folded([...stopped, at(4, { type: 'deferred', delayMs: 5 })]).stopReason).toBeUndefined();
    const again = folded([
      ...stopped,
      at(9, { type: 'started', attempt: 1, maxAttempts: 3, restart: false }),
    ]);
    expect(again).toMatchObject({ attempt: 1, restarts: 0, startedAt: 9 });
    expect(again.endedAt).toBeUndefined();
    expect(again.stopReason).toBeUndefined();
  });

  it('keeps marks out of the history', () => {
    const mark = at(1, { type: 'marked', scope: 'relay', action: 'x', durationMs: 1, outcome: 'success' });
    const record = folded([mark]);
    expect(record.history.history()).toEqual({ events: [], dropped: 0 });
    expect(record.status).toBe('unknown');
  });

  it('is disabled from its registration', () => {
    expect(folded([at(0, { type: 'registered', enabled: false })]).status).toBe('disabled');
  });
});

describe('nextStatus', () => {
  it('stays stuck when a stuck one is told to stop', () => {
    expect(nextStatus('stuck', at(1, { type: 'stopping', reason: 'shutdown' }))).toBe('stuck');
    expect(nextStatus('running', at(1, { type: 'stopping', reason: 'shutdown' }))).toBe('stopping');
  });

  it('is not changed by a mark', () => {
    const mark = at(1, { type: 'marked', scope: 'relay', action: 'x', durationMs: 1, outcome: 'success' });
    expect(nextStatus('running', mark)).toBe('running');
  });
});

describe('EventRing', () => {
  it('keeps the last ones, oldest first, and counts what fell out', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 100 }), (capacity, count) => {
        const ring = new EventRing(capacity);
        const all = Array.from({ length: count }, (_, time) =>
          at(time, { type: 'registered', enabled: true }),
        );
        all.forEach((event) => ring.add(event));
        const { events, dropped } = ring.history();
        expect(events).toEqual(capacity === 0 ? [] : all.slice(-capacity));
        expect(dropped).toBe(Math.max(0, count - capacity));
      }),
    );
  });

  it('hands out a frozen copy that later events do not change', () => {
    const ring = new EventRing(2);
    ring.add(at(1, { type: 'registered', enabled: true }));
    const { events } = ring.history();
    ring.add(at(2, { type: 'registered', enabled: true }));
    expect(events).toHaveLength(1);
    expect(() => (events as WorkEvent[]).push(at(3, {}))).toThrow(TypeError);
    expect(() => Object.assign(events[0] as object, { time: 9 })).toThrow(TypeError);
  });
});
