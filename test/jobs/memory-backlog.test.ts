import { FakeClock } from 'nestjs-worker/testing';
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

/** Steps that it takes to say how a queue stands that has so many jobs in each of its places, all due within an hour. */
async function stepsOfCounts(backlog: number): Promise<number> {
  const clock = new FakeClock();
  const backend = new MemoryJobBackend({ clock });
  const { signal } = new AbortController();
  const claiming: BlockingClaimOptions = {
    limit: backlog + 1,
    prefetch: 0,
    leaseMs: hourMs,
    waitMs: 0,
    signal,
    limits: { perKey: 1 },
  };
  // Held up by their key, but for one that is held.
  await backend.enqueue(jobs(backlog / 10, { limitKey: 'one' }));
  await backend.enqueue(jobs(backlog));
  const claimed = await backend.claim(queue, claiming);
  await backend.settle(
    queue,
    claimed.slice(backlog / 2).map((job) => ({
      kind: 'dead',
      job,
      cause: 'discarded',
      failures: 1,
      error: 'no such address',
      maxDead: Infinity,
    })),
  );
  for (const priority of [-1, 0, 1]) await backend.enqueue(jobs(backlog, { priority }));
  for (let at = 0; at < backlog; at += 1_000) {
    await backend.enqueue(jobs(1_000, { due: { inMs: 1_000 + (at % 7_919) } }));
  }
  const count = async (): Promise<void> => {
    const [counts] = await backend.counts([queue], { dueWithinMs: hourMs });
    expect(counts).toMatchObject({
      ready: 3 * backlog + backlog / 10 - 1,
      scheduled: backlog,
      dueWithin: backlog,
      oldestReadyAgeMs: 0,
    });
    expect(counts!.active + counts!.dead).toBe(backlog + 1);
  };
  await count();
  const steps = await counter.stepsOf(async () => {
    for (let times = 0; times < 20; times++) await count();
  });
  await backend.close();
  return steps;
}

it('a memory backend takes about as many steps to say how a queue stands, whatever the backlog', async () => {
  const [small, large] = [await stepsOfCounts(1_000), await stepsOfCounts(200_000)];
  // Something is counted, and more than once per call.
  expect(small).toBeGreaterThan(20 * 10);
  // Binary searches take a few steps more.
  expect(large / small).toBeLessThan(3);
}, 60_000);
