import { createHash } from 'node:crypto';
import type { StoredJob } from './job-backend.js';

/** What ids do not have, and how long they may be. */
const unfit = /[^\w.:-]/gu;
const longest = 200;

/** Why a job means nothing without what is around it in its store; `undefined` for one that may be moved. */
export function boundToSource({ origin }: StoredJob): string | undefined {
  if (origin === 'flow') {
    return (
      'it belongs to a flow of BullMQ, whose jobs wait for each other: let flows end before you drain, ' +
      'with the queue resumed here'
    );
  }
  if (origin === 'scheduler') {
    return (
      'a job scheduler of BullMQ has made it: remove that (removeJobScheduler()) and make it anew for the new ' +
      'store; what it has made by then is to be run here'
    );
  }
  return undefined;
}

/** The same id, unless other stores count it, too: then one that says where and when it was made, the same in each run. */
export function idAtTarget(job: StoredJob, namespace: string | undefined): string {
  const { id, queue, createdAt, origin } = job;
  if (origin !== 'counter') return id;
  const full = [...(namespace === undefined ? [] : [namespace]), queue, createdAt, id].join('-');
  const safe = full.replaceAll(unfit, '_');
  if (safe === full && full.length <= longest) return full;
  // Two that differ are not to become one.
  const hash = createHash('sha256').update(full).digest('hex').slice(0, 16);
  return `${hash}-${safe.slice(-(longest - hash.length - 1))}`;
}
