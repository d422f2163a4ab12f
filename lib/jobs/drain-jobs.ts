import { askBackend, openAlone } from './drain-jobs-backend.js';
import {
  type DrainJobsOptions,
  type DrainPlan,
  refusedTarget,
  resolveDrainOptions,
} from './drain-jobs-options.js';
import { QueueDrain } from './drain-jobs-queue.js';
import type { DrainedQueue } from './drain-jobs-tally.js';
import type { JobBackend, QueueCounts } from './job-backend.js';

/** How often it looks whether jobs are still being run. */
const lookEveryMs = 250;
/** While somebody still enqueues at the source there is always more: this is no time to go on for ever. */
const mostPasses = 10;

/**
 * Moves the jobs of some queues from one backend to another: for an app that has changed its backend, once it is
 * deployed with the new one. The backends may be any two.
 *
 * It pauses each queue at the source, and leaves it paused; stores what waits there at the target, and deletes each job
 * at the source once it is stored; waits until what is being run there has ended, or `wait` is over; and moves what came
 * of that. It may be stopped at any moment and run again: ids are stored once, so it ends the same. What was stored, but
 * not yet deleted when it was stopped, is run twice only if it has been completed and forgotten at the target since.
 *
 * Kept are id, name, payload, headers, due time, priority, limit key and unique key; the key is held for as long as the
 * job lives, since nobody tells what is left of its `ttl`. An id that is only a number that BullMQ has counted becomes
 * one with the namespace and the queue before it. Not kept, since the contract of backends has no place for them:
 * attempts that have failed, the last error and the history, so that a job has all its attempts before it; when it was
 * enqueued, by which `maxAge` goes; and jobs that have ended. What BullMQ's flows and job schedulers have made stays.
 *
 * Rejects with `JobBackendError` where a backend cannot be reached, and with `InvalidOptionError` where both are one
 * store, or where a queue is paused at the target, in which case it has done nothing.
 */
export async function drainJobs(options: DrainJobsOptions): Promise<readonly DrainedQueue[]> {
  const plan = resolveDrainOptions(options);
  const { from, to, signal, clock, onWarning } = plan;
  signal?.throwIfAborted();
  const opened: JobBackend[] = [];
  try {
    for (const backend of [from, to]) {
      // One that failed to open may hold something, too.
      opened.push(backend);
      await openAlone(backend, clock, onWarning);
      signal?.throwIfAborted();
    }
    return await drain(plan);
  } finally {
    // What is done is done, however that ends.
    await Promise.allSettled(opened.map((backend) => backend.close()));
  }
}

async function drain(plan: DrainPlan): Promise<readonly DrainedQueue[]> {
  const queues = plan.queues.map((queue) => new QueueDrain(plan, queue));
  await refusePausedTarget(plan);
  if (plan.dryRun) {
    await sweepAll(queues);
  } else {
    await pauseSource(plan);
    const waitUntil = plan.clock.monotonic() + plan.waitMs;
    for (let pass = 1; pass <= mostPasses; pass++) {
      const moved = await sweepAll(queues);
      const hasWaited = await waitForActive(plan, queues, waitUntil);
      if (moved === 0 && !hasWaited) break;
    }
  }
  const counts = await noteCounts(plan, queues);
  return queues.map((queue, index) => {
    if (!plan.dryRun) queue.noteLate(counts[index]!);
    return queue.tally.read();
  });
}

async function sweepAll(queues: readonly QueueDrain[]): Promise<number> {
  let moved = 0;
  for (const queue of queues) moved += await queue.sweep();
  return moved;
}

const resume = 'Resume it there, where its jobs are to be run: JobQueue.resume(), or the dashboard.';

async function refusePausedTarget(plan: DrainPlan): Promise<void> {
  const paused = await pausedAtTarget(plan);
  if (paused === undefined) return;
  throw refusedTarget(plan.to, `a backend in which queue "${paused}" is not paused`, resume);
}

/** Throws where both are one store: everything would be there already, and would be deleted. */
async function pauseSource(plan: DrainPlan): Promise<void> {
  plan.signal?.throwIfAborted();
  await pauseAll(plan, true);
  const pausedToo = await pausedAtTarget(plan);
  if (pausedToo === undefined) return;
  await pauseAll(plan, false);
  throw refusedTarget(
    plan.to,
    `another store than "from": pausing queue "${pausedToo}" there paused it here`,
    `Its jobs are there already. Where somebody else paused it just now: ${resume}`,
  );
}

async function pauseAll({ from, queues }: DrainPlan, paused: boolean): Promise<void> {
  for (const queue of queues) {
    await askBackend(from, `did not pause queue "${queue}"`, () => from.pause(queue, paused));
  }
}

async function pausedAtTarget({ to, queues }: DrainPlan): Promise<string | undefined> {
  const counts = await askBackend(to, 'did not tell how queues stand', () =>
    to.counts(queues, { dueWithinMs: 0 }),
  );
  return counts.find(({ paused }) => paused)?.queue;
}

/** Answers whether there was anything to wait for: what was run may be back. */
async function waitForActive(
  plan: DrainPlan,
  queues: readonly QueueDrain[],
  untilMs: number,
): Promise<boolean> {
  for (let hasWaited = false; ; hasWaited = true) {
    plan.signal?.throwIfAborted();
    const counts = await noteCounts(plan, queues);
    const leftMs = untilMs - plan.clock.monotonic();
    if (counts.every(({ active }) => active === 0) || leftMs <= 0) return hasWaited;
    for (const [index, { active }] of counts.entries()) if (active > 0) queues[index]!.tell();
    await passTime(plan, Math.min(lookEveryMs, leftMs));
  }
}

async function noteCounts(
  { from, queues: names }: DrainPlan,
  queues: readonly QueueDrain[],
): Promise<readonly QueueCounts[]> {
  const counts = await askBackend(from, 'did not tell how queues stand', () =>
    from.counts(names, { dueWithinMs: 0 }),
  );
  counts.forEach((one, index) => queues[index]!.note(one));
  return counts;
}

/** Rejects as soon as it is to end. */
function passTime({ clock, signal }: DrainPlan, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      cancelTimer();
      signal?.removeEventListener('abort', end);
      if (signal?.aborted === true) reject(signal.reason as Error);
      else resolve();
    };
    const cancelTimer = clock.setTimer(end, ms);
    signal?.addEventListener('abort', end);
  });
}
