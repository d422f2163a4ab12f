// The role of a process that looks at a queue when all is over: what the package says of each job. Then it deletes them.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode } from '@msgpack/msgpack';
import { openApp } from './app.mjs';
import { queueName } from './names.mjs';

const states = ['scheduled', 'ready', 'active', 'completed', 'cancelled', 'dead'];
const together = 500;

async function listed(queue, state) {
  const ids = [];
  let cursor;
  do {
    const page = await queue.list({ state, cursor, limit: together });
    for (const { id } of page.jobs) ids.push(id);
    ({ cursor } = page);
  } while (cursor !== undefined);
  return ids;
}

/** By the format of the queue, which is the backend's own. */
const readers = { msgpack: decode, json: (bytes) => JSON.parse(Buffer.from(bytes).toString()) };

function factsOf({ state, cause, failures, deaths, result, history, lastError }, read) {
  const outcomes = history.map(({ outcome }) => outcome);
  return { state, cause, failures, deaths, lastError, outcomes, result: result && read(result) };
}

export async function inspect(order, { ledger, say }) {
  const { folder } = order;
  const ids = JSON.parse(readFileSync(join(folder, 'ids.json'), 'utf8'));
  const { app, backend, queue } = await openApp(order, ledger);
  const read = readers[backend.capabilities.format ?? 'msgpack'];
  // The queue waits until the backend is open.
  const counts = await queue.counts();
  const jobs = {};
  for (let from = 0; from < ids.length; from += together) {
    const some = ids.slice(from, from + together);
    const stored = await backend.get(queueName, some);
    some.forEach((id, index) => (jobs[id] = stored[index] && factsOf(stored[index], read)));
  }
  const lists = {};
  for (const state of states) lists[state] = await listed(queue, state);
  for (let from = 0; from < ids.length; from += together)
    await queue.delete(ids.slice(from, from + together));
  const cleaned = await queue.counts();
  writeFileSync(join(folder, 'found.json'), JSON.stringify({ jobs, lists, counts, cleaned }));
  say('done');
  await app.close();
}
