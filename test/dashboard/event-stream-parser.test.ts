import { assert, array, integer, property } from 'fast-check';
import { expect, it } from 'vitest';
import { EventStreamParser } from '../../dashboard/net/event-stream-parser.js';

const read = (...chunks: string[]) => {
  const parser = new EventStreamParser();
  return chunks.flatMap((chunk) => parser.read(chunk));
};

it('reads events and their data', () => {
  expect(read('event: change\ndata: {"a":1}\n\ndata: x\n\n')).toEqual([
    { event: 'change', data: '{"a":1}' },
    { event: 'message', data: 'x' },
  ]);
});

it('takes heartbeats, events without data and unknown fields for nothing', () => {
  expect(read(': still here\n\nevent: change\n\nid: 7\nretry: 10\ndata: x\n\n')).toEqual([
    { event: 'message', data: 'x' },
  ]);
});

it('joins lines of data, takes one space off, and knows fields without a colon', () => {
  expect(read('data: a\ndata:b\ndata\ndata:  c\n\n')).toEqual([{ event: 'message', data: 'a\nb\n\n c' }]);
});

it('skips a byte order mark', () => {
  expect(read('\uFEFFdata: a\n\n')).toEqual([{ event: 'message', data: 'a' }]);
});

it('says nothing of an event that has not ended', () => {
  expect(read('event: change\ndata: x\n')).toEqual([]);
});

it.each(['\n', '\r\n', '\r'])('reads the same wherever it is split, with lines that end in %j', (end) => {
  const lines = [
    'event: overview',
    'data: {"title":"Ünïcode ✓ 😀"}',
    '',
    ': beat',
    '',
    'data: 1',
    'data: 2',
    '',
    ': x',
  ];
  const text = lines.join(end) + end;
  const whole = [
    { event: 'overview', data: '{"title":"Ünïcode ✓ 😀"}' },
    { event: 'message', data: '1\n2' },
  ];
  assert(
    property(array(integer({ min: 0, max: text.length })), (cuts) => {
      const places = [0, ...cuts.toSorted((a, b) => a - b), text.length];
      const chunks = places.slice(1).map((place, index) => text.slice(places[index], place));
      expect(read(...chunks)).toEqual(whole);
    }),
  );
});
