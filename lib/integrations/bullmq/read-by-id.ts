import type { BullMqStore } from './bullmq-store.js';
import type { JobRecord } from './job-record.js';
import { toStoredId } from './stored-id.js';

/** What BullMQ has of jobs, by the ids that we know them by. Where one of others has the same id as one of ours, ours. */
export async function readById(
  store: BullMqStore,
  queue: string,
  ids: readonly string[],
): Promise<readonly (JobRecord | undefined)[]> {
  const ours = await store.read(queue, ids.map(toStoredId));
  // Those of others are under their own ids, such as the numbers of BullMQ's own count.
  const missing = ids.filter((id, index) => ours[index] === undefined && toStoredId(id) !== id);
  if (missing.length === 0) return ours;
  const others = await store.read(queue, missing);
  return ids.map((id, index) => ours[index] ?? others[missing.indexOf(id)]);
}
