import { afterAll, expect, it } from 'vitest';
import type { BlockingClaimOptions, ClaimedJob, NewJob } from 'nestjs-worker';
import { StepCounter } from '../support/steps.js';

const counter = await StepCounter.start((url) => /\/lib\/jobs\/memory-[\w-]+\.ts/.test(url));
const { MemoryJobBackend } = await import('nestjs-worker');

afterAll(() => counter.stop());

const queue = 'emails';
const hourMs = 3_600_000;

let made = 0;
const jobs = (count: number, fields: Partial<NewJob> = {}): NewJob[] =>
  Array.from({ length: count }, () => ({
    id: `job-${String(++made).padStart(8, '0')}`,
    queue,
    name: '',
    payload: undefined,
    due: { inMs: 0 },
    priority: 0,
    ...fields,
  }));

/** Steps that it takes to put in, claim, put off and complete a few jobs beside so many that are ready and scheduled. */
async function stepsAt(backlog: number): Promise<number> {
  const backend = new MemoryJobBackend();
  await backend.enqueue(jobs(backlog));
  await backend.enqueue(jobs(backlog, { due: { inMs: hourMs } }));
  await backend.enqueue(jobs(backlog / 10, { limitKey: 'one', priority: 1 }));
  const { signal } = new AbortController();
  const limits = { perKey: 5 };
  const claiming: BlockingClaimOptions = {
    limit: 50,
    prefetch: 0,
    leaseMs: hourMs,
    waitMs: 0,
    signal,
    limits,
  };
  const round = async (): Promise<void> => {
    const added = jobs(50);
    await backend.enqueue(added);
    const claimed: readonly ClaimedJob[] = await backend.claim(queue, claiming);
    expect(claimed).toHaveLength(50);
    await backend.extend(
      queue,
      claimed.map((job) => ({ job, leaseMs: hourMs })),
    );
    await backend.settle(
      queue,
      claimed.map((job, index) =>
        index % 10 === 0
          ? { kind: 'scheduled', job, delayMs: hourMs / 2, failures: job.failures }
          : { kind: 'completed', job, keepMs: 0 },
      ),
    );
    await backend.counts([queue], { dueWithinMs: hourMs });
    await backend.list(queue, { state: 'scheduled', limit: 50 });
    await backend.delete(
      queue,
      added.map(({ id }) => id),
    );
  };
  await round();
  const steps = await counter.stepsOf(async () => {
    for (let times = 0; times < 5; times++) await round();
  });
  await backend.close();
  return steps;
}

it('a memory backend takes about as many steps for each job, whatever the backlog', async () => {
  const [small, large] = [await stepsAt(1_000), await stepsAt(100_000)];
  // Something is counted, and more than once per job.
  expect(small).toBeGreaterThan(250 * 3);
  // A hundred times as many jobs: what goes through all of them takes a hundred times as many.
  expect(large / small).toBeLessThan(2);
}, 60_000);
