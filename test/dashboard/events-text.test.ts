import { expect, it } from 'vitest';
import { eventText, toneOfEvent } from '../../dashboard/events-text.js';

const event = (type: string, rest: object = {}) => ({ type, time: '', execution_id: 'x', ...rest });

it.each([
  [event('started', { attempt: 2, max_attempts: null }), 'Started · attempt 2 of ∞'],
  [event('backoff', { attempt: 3, delay_seconds: 4 }), 'Waits for its next attempt · attempt 3 · in 4 s'],
  [event('failed', { duration_seconds: 75, reason: 'timeout' }), 'Failed · after 1 min 15 s · timeout'],
  [event('exhausted', { reason: 'restart-limit' }), 'Given up on · restart limit'],
  [event('something-new'), 'something-new'],
])('tells of %j', (given, text) => {
  expect(eventText(given)).toBe(text);
});

it('marks what is bad', () => {
  expect([toneOfEvent(event('exhausted')), toneOfEvent(event('started')), toneOfEvent(event('?'))]).toEqual([
    'bad',
    'good',
    'idle',
  ]);
});
