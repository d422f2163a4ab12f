import type { Operation } from '../../../lib/http/operation.js';

// Of `operatedApp()`, with a job `one`.
const values: Readonly<Record<string, string>> = {
  'workers/name': 'steady',
  'task-queues/name': 'thumbs',
  queue: 'mails',
  id: 'one',
  file: 'app.js',
};
const queries: Readonly<Record<string, string>> = {
  listJobs: '?state=ready',
  getJob: '?namespace=work&job_id=one',
  deleteJob: '?namespace=work&job_id=one&queue_id=idle',
  getMetrics: '?namespace=work&queue_id=mails',
};
const bodies: Readonly<Record<string, object>> = {
  enqueueJob: {},
  createJob: { namespace: 'work', queue_id: 'idle' },
  redriveQueue: {},
};

/** A request for that operation that finds what it asks for. */
export function requestOf({
  id,
  method,
  path,
}: Operation): [method: string, path: string, body: object | undefined] {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name] ?? values[`${path.split('/')[0]}/${name}`];
    if (value === undefined) throw new Error(`This test does not know what to ask ${id} for.`);
    return value;
  });
  return [method.toUpperCase(), `${path === '' ? '' : '/'}${filled}${queries[id] ?? ''}`, bodies[id]];
}
