import { expect, it } from 'vitest';
import { changed, dataOf, mergedByName, withCommands } from '../../dashboard/state/live-data.js';
import { jobQueue, overview, worker } from './documents.js';

const now = '2026-01-02T03:04:05.000Z';
const ms = Date.parse(now);

it('puts what has changed in its place, and leaves the rest as it is', () => {
  const data = dataOf(overview({ workers: [worker('a'), worker('b')], job_queues: [jobQueue('q')] }), ms);
  const b = worker('b', { status: 'error' });
  const next = changed(data, { now, workers: [b, worker('c')] }, ms);
  expect(next.workers.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  expect(next.workers[0]).toBe(data.workers[0]);
  expect(next.workers[1]).toBe(b);
  expect(next.job_queues).toBe(data.job_queues);
  expect(next.pool).toBe(data.pool);
  expect(next.title).toBe('Background work');
});

it('tells a backend that is gone from one that has not changed', () => {
  const backend = { name: 'redis', durable: true, shared: true, status: 'up', error: null } as const;
  const data = dataOf(overview({ backend }), ms);
  expect(changed(data, { now }, ms).backend).toBe(backend);
  expect(changed(data, { now, backend: null }, ms).backend).toBeNull();
});

it('keeps the list itself where nothing has changed', () => {
  const list = [worker('a')];
  expect(mergedByName(list, undefined)).toBe(list);
  expect(mergedByName(list, [])).toBe(list);
});

it('knows by how much the clock of the server is ahead, and does not stumble over the network', () => {
  const data = dataOf(overview({ now }), ms - 60_000);
  expect(data.aheadMs).toBe(60_000);
  expect(changed(data, { now }, ms - 60_300).aheadMs).toBe(60_000);
  expect(changed(data, { now }, ms - 5_000).aheadMs).toBe(5_000);
  expect(dataOf(overview({ now: 'x' }), ms).aheadMs).toBe(0);
});

it('keeps commands newest first, each once, and not too many', () => {
  const command = (id: number) => ({
    id: `${id}`,
    time: new Date(ms + id).toISOString(),
    command: 'restartWorker',
    target: {},
    by: null,
    status: 200,
    code: null,
  });
  const some = withCommands([command(2), command(1)], [command(3), command(2)]);
  expect(some.map(({ id }) => id)).toEqual(['3', '2', '1']);
  const many = withCommands(
    some,
    Array.from({ length: 300 }, (_, index) => command(index)),
  );
  expect(many).toHaveLength(200);
  expect(many[0]?.id).toBe('299');
});
