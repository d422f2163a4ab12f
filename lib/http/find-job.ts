import type { JobQueue } from '../jobs/index.js';
import type { HttpApp } from './http-app.js';

/**
 * What `look` finds of a job, and its queue: the queue named or, since an id is given once over all queues, any of the app's.
 * Throws `Problem` for a queue that is not registered.
 */
export async function findJob<Job>(
  app: HttpApp,
  queue: string | undefined,
  look: (queue: JobQueue) => Promise<Job | undefined>,
): Promise<[JobQueue, Job] | undefined> {
  const queues = queue === undefined ? [...app.jobs.queues()] : [app.queue(queue)];
  const jobs = await Promise.all(queues.map(look));
  const index = jobs.findIndex((job) => job !== undefined);
  return index === -1 ? undefined : [queues[index]!, jobs[index]!];
}
