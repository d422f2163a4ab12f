import type { JobMiddleware } from 'nestjs-worker';
import { expect, it } from 'vitest';
import { type FakeJobsOptions, type FakeJobs, idleJobs } from '../support/fake-jobs.js';

async function started(
  middlewares: readonly JobMiddleware[],
  options: FakeJobsOptions = {},
): Promise<FakeJobs> {
  const jobs = idleJobs({ ...options, middlewares });
  await jobs.start();
  return jobs;
}

it('is around each claim, the first one outermost', async () => {
  const seen: string[] = [];
  const note = (name: string): JobMiddleware => ({
    claim: async (claim, next) => {
      seen.push(`${name} before ${claim.queue} ${claim.limit}`);
      const jobs = await next();
      seen.push(`${name} after ${jobs.map(({ id }) => id).join()}`);
      return jobs;
    },
  });
  const jobs = await started([note('outer'), note('inner')]);
  await jobs.enqueue({ id: 'a' });
  expect(seen.slice(0, 4)).toEqual([
    'outer before mail 2',
    'inner before mail 2',
    'inner after a',
    'outer after a',
  ]);
  expect(jobs.handler.attempts).toHaveLength(1);
  jobs.handler.attempt.succeed();
});

it('may ask for fewer', async () => {
  const jobs = await started(
    [
      {
        claim: (claim, next) => {
          claim.limit = 1;
          return next();
        },
      },
    ],
    { concurrency: 10 },
  );
  await jobs.enqueue({}, {}, {});
  // One after the other, but all of them: each claim is for one.
  expect(jobs.handler.running).toBe(3);
  expect(jobs.backend.calls.claim).toBeGreaterThanOrEqual(3);
  jobs.handler.attempts.forEach(({ succeed }) => succeed());
});

it('may let none through, and is asked again after a second', async () => {
  let open = false;
  let asked = 0;
  const jobs = await started([
    {
      claim: async (_, next) => {
        asked++;
        return open ? next() : [];
      },
    },
  ]);
  await jobs.enqueue({});
  await jobs.clock.advance('10s');
  expect(jobs.handler.attempts).toHaveLength(0);
  expect(asked).toBeGreaterThanOrEqual(10);
  expect(asked).toBeLessThanOrEqual(12);
  open = true;
  await jobs.clock.advance('1s');
  expect(jobs.handler.attempts).toHaveLength(1);
  jobs.handler.attempt.succeed();
});

it('hands back what it leaves out, which takes no attempt', async () => {
  const jobs = await started([
    { claim: async (_, next) => (await next()).filter(({ name }) => name !== 'not here') },
  ]);
  await jobs.enqueue({ id: 'a', name: 'not here' }, { id: 'b' });
  expect(jobs.handler.attempts.map(({ job }) => job.id)).toEqual(['b']);
  await jobs.clock.advance(500);
  expect(await jobs.stored('a')).toMatchObject({ state: 'ready', failures: 0, deaths: 0 });
  jobs.handler.attempt.succeed();
});

it.each([
  ['throws', () => Promise.reject(new Error('boom'))],
  ['answers no list', () => Promise.resolve('none' as never)],
  [
    'throws after the claim',
    async (_: unknown, next: () => Promise<unknown>) => {
      await next();
      throw new Error('boom');
    },
  ],
])('loses nothing where it %s', async (_, claim) => {
  let broken = true;
  const jobs = await started([{ claim: (request, next) => (broken ? claim(request, next) : next()) }]);
  await jobs.enqueue({ id: 'a' });
  await jobs.clock.advance('3s');
  expect(jobs.handler.attempts).toHaveLength(0);
  expect(jobs.pool.snapshot().isolatedErrors).toBeGreaterThanOrEqual(1);
  expect(jobs.consumer.degraded).toBe(false);
  broken = false;
  await jobs.clock.advance('2s');
  expect(jobs.handler.attempts).toHaveLength(1);
  expect(jobs.handler.attempt.job.attempt).toBe(1);
  jobs.handler.attempt.succeed();
});

it('leaves a backend that fails to the backoff', async () => {
  const jobs = await started([{ claim: (_, next) => next() }]);
  jobs.backend.break('fails', 'claim');
  await jobs.clock.advance('20s');
  expect(jobs.consumer.degraded).toBe(true);
  expect(jobs.pool.snapshot().isolatedErrors).toBe(0);
});
