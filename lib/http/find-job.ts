import type { JobQueue, JobView } from '../jobs/index.js';
import type { HttpApp } from './http-app.js';

/**
 * The job of that id and its queue, in the queue named or, since an id is given once over all queues, in any of the app's.
 * Throws `Problem` for a queue that is not registered.
 */
export async function findJob(
  app: HttpApp,
  id: string,
  queue: string | undefined,
): Promise<[JobQueue, JobView] | undefined> {
  const queues = queue === undefined ? [...app.jobs.queues()] : [app.queue(queue)];
  const jobs = await Promise.all(queues.map((one) => one.get(id)));
  const index = jobs.findIndex((job) => job !== undefined);
  return index === -1 ? undefined : [queues[index]!, jobs[index]!];
}
