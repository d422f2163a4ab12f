import { expect, it } from 'vitest';
import { filtered, statusCounts, trouble } from '../../dashboard/state/filtering.js';
import {
  toneOfJobQueue,
  toneOfStatus,
  toneOfTaskQueue,
  toneOfWorker,
  troubled,
  troubleFirst,
} from '../../dashboard/state/tone.js';
import { statuses } from '../../lib/http/documents/worker.js';
import { consumer, jobQueue, noJobs, taskQueue, worker } from './documents.js';

const workers = [
  worker('b10'),
  worker('b9'),
  worker('off', { status: 'disabled' }),
  worker('a', { status: 'backoff', last_error: { name: 'TypeError', message: 'Lost the TAPE', code: 'E1' } }),
  worker('c', { status: 'stuck' }),
];
const statusesOf = ({ status }: (typeof workers)[number]) => [status];
const names = (items: readonly { readonly name: string }[]) => items.map(({ name }) => name);
const filterBy = (text: string, status = '') =>
  names(filtered(workers, { text, status }, toneOfWorker, statusesOf));

it('puts those in trouble first, and then sorts by name as people count', () => {
  expect(names(troubleFirst(workers, toneOfWorker))).toEqual(['c', 'a', 'b9', 'b10', 'off']);
  expect(troubled(workers, toneOfWorker)).toBe(2);
});

it('has a tone for each status of the server', () => {
  const bad = statuses.filter((status) => toneOfStatus(status) === 'bad');
  expect(bad).toEqual(['unknown', 'stuck', 'error']);
  expect(statuses.filter((status) => toneOfStatus(status) === 'good')).toEqual(['running']);
});

it('finds words in names and in errors', () => {
  expect(filterBy('B')).toEqual(['b10', 'b9']);
  expect(filterBy('tape typeerror e1')).toEqual(['a']);
  expect(filterBy('tape b')).toEqual([]);
  expect(filterBy('  ')).toHaveLength(5);
});

it('finds by status, and all that are in trouble', () => {
  expect(filterBy('', 'running')).toEqual(['b10', 'b9']);
  expect(filterBy('', trouble)).toEqual(['a', 'c']);
  expect(filterBy('c', trouble)).toEqual(['c']);
  expect(filterBy('', 'nonsense')).toEqual([]);
});

it('counts statuses, the most frequent first', () => {
  expect(statusCounts(workers, statusesOf)).toEqual([
    ['running', 2],
    ['backoff', 1],
    ['disabled', 1],
    ['stuck', 1],
  ]);
});

it('says how task queues stand', () => {
  expect(toneOfTaskQueue(taskQueue('q'))).toBe('good');
  expect(toneOfTaskQueue(taskQueue('q', { degraded: true }))).toBe('warning');
  expect(toneOfTaskQueue(taskQueue('q', { paused: true }))).toBe('warning');
  expect(toneOfTaskQueue(taskQueue('q', { stuck: 1 }))).toBe('bad');
  expect(toneOfTaskQueue(taskQueue('q', { status: 'error' }))).toBe('bad');
});

it('says how job queues stand', () => {
  expect(toneOfJobQueue(jobQueue('q'))).toBe('good');
  expect(toneOfJobQueue(jobQueue('q', { consumer: null }))).toBe('idle');
  expect(toneOfJobQueue(jobQueue('q', { consumer: null, levels: { ...noJobs, dead: 1 } }))).toBe('warning');
  expect(toneOfJobQueue(jobQueue('q', { levels: null, paused: null }))).toBe('warning');
  expect(toneOfJobQueue(jobQueue('q', { paused: true }))).toBe('warning');
  expect(toneOfJobQueue(jobQueue('q', { consumer: { ...consumer, degraded: true } }))).toBe('warning');
  expect(toneOfJobQueue(jobQueue('q', { consumer: { ...consumer, stuck: 1 } }))).toBe('bad');
});
