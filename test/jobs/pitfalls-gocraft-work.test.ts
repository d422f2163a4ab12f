import { describe, expect, it } from 'vitest';
import type { ClaimedJob, JobBackend } from '../../lib/jobs/job-backend.js';
import { idleJobs, startedJobs } from '../support/fake-jobs.js';

// The defects of gocraft/work v2, one by one: see the table of its rows W1 to W15. Those that are Redis's own are in
// test/integrations/redis.

const { signal } = new AbortController();
const month = 30 * 86_400_000;

const claim = (backend: JobBackend, limit = 1, leaseMs = 1_000): Promise<readonly ClaimedJob[]> =>
  backend.claim('mail', { limit, prefetch: 0, leaseMs, waitMs: 0, signal });

it('W1: a running job is no delayed one', async () => {
  const jobs = await startedJobs();
  await jobs.enqueue({}, { due: { inMs: month } });
  expect(await jobs.counts()).toMatchObject({ active: 1, ready: 0, scheduled: 1 });
  jobs.handler.attempt.succeed();
});

it('W2: who has lost its claim settles nothing', async () => {
  const jobs = idleJobs();
  await jobs.enqueue({ id: 'one' });
  const [late] = await claim(jobs.memory);
  await jobs.clock.advance(1_001);
  const [holder] = await claim(jobs.memory);
  expect(holder?.id).toBe('one');
  const { accepted } = await jobs.memory.settle('mail', [{ kind: 'completed', job: late!, keepMs: 0 }]);
  expect(accepted).toEqual([false]);
  expect(await jobs.stored('one')).toMatchObject({ state: 'active' });
  expect(await jobs.memory.extend('mail', [{ job: late!, leaseMs: 1_000 }])).toEqual([false]);
  expect(
    (await jobs.memory.settle('mail', [{ kind: 'completed', job: holder!, keepMs: 0 }])).accepted,
  ).toEqual([true]);
});

it('W3: a job that is deleted while it runs stays deleted, and its handler is told', async () => {
  const jobs = await startedJobs({ obedient: false });
  await jobs.enqueue({ id: 'one' });
  jobs.handler.attempt.ctx.progress('half');
  await jobs.memory.delete('mail', ['one']);
  await jobs.clock.advance('1m');
  expect(jobs.handler.attempt.ctx.signal.reason).toMatchObject({ reason: 'lease-lost' });
  expect(await jobs.stored('one')).toBeUndefined();
  jobs.handler.attempt.fail(new Error('late'));
  await jobs.clock.advance('1h');
  expect(await jobs.stored('one')).toBeUndefined();
  expect(jobs.handler.attempts).toHaveLength(1);
});

it('W4: a retry that cannot be written is said, and written in the end', async () => {
  const jobs = await startedJobs();
  await jobs.enqueue({ id: 'one' });
  jobs.backend.break('fails', 'settle');
  jobs.handler.attempt.fail(new Error('no'));
  await jobs.clock.advance('1s');
  expect(jobs.logger.lines.map(({ message }) => message)).toContainEqual(
    expect.stringContaining('cannot tell the backend what became of 1 jobs'),
  );
  jobs.backend.mend();
  await jobs.clock.advance('5s');
  expect(await jobs.stored('one')).toMatchObject({ failures: 1 });
});

it('W5: a dead backend is not asked in a hot loop', async () => {
  const jobs = await startedJobs();
  jobs.backend.break('fails', 'claim');
  await jobs.clock.advance('10s');
  // The first claim, and the backoff from 100 ms on, doubled each time.
  expect(jobs.backend.calls.claim).toBeLessThanOrEqual(15);
});

it.each([1_000, 1_001, 1_999])('W6: a lease of %d ms is one of that length', async (leaseMs) => {
  const jobs = idleJobs();
  await jobs.enqueue({ id: 'one' });
  const [job] = await claim(jobs.memory, 10, leaseMs);
  expect(job!.leaseEndsAt - job!.claimedAt).toBe(leaseMs);
  expect(await claim(jobs.memory, 10, leaseMs)).toEqual([]);
  await jobs.clock.advance(leaseMs - 1);
  expect(await claim(jobs.memory, 10, leaseMs)).toEqual([]);
  await jobs.clock.advance(1);
  expect(await claim(jobs.memory, 10, leaseMs)).toHaveLength(1);
});

it('W7: a stop takes no attempt', async () => {
  const jobs = await startedJobs();
  await jobs.enqueue({ id: 'one' });
  const stopped = jobs.pool.stop();
  await jobs.clock.advance('25s');
  await stopped;
  expect(await jobs.stored('one')).toMatchObject({ state: 'ready', failures: 0 });
});

describe('W8: a limit over all processes', () => {
  const limits = { concurrency: 3 };

  it('lets exactly so many run, also where each takes longer than its lease', async () => {
    const jobs = await startedJobs({ concurrency: 5, limits });
    await jobs.enqueue(...Array.from({ length: 10 }, () => ({})));
    expect(jobs.handler.running).toBe(3);
    expect(
      await jobs.memory.claim('mail', { limit: 5, prefetch: 0, leaseMs: 1_000, limits, waitMs: 0, signal }),
    ).toEqual([]);
    await jobs.clock.advance('5m');
    expect(jobs.handler.running).toBe(3);
    jobs.handler.attempts[0]!.succeed();
    await jobs.clock.settle();
    expect(jobs.handler.running).toBe(3);
    for (let ended = 1; ended < 10; ended++) {
      jobs.handler.attempts[ended]!.succeed();
      await jobs.clock.settle();
    }
    expect(jobs.handler.attempts).toHaveLength(10);
    expect(jobs.handler.mostAtOnce).toBe(3);
  });

  it('leaks no place where a holder dies, or is late', async () => {
    const jobs = idleJobs();
    await jobs.enqueue(...Array.from({ length: 10 }, () => ({})));
    const take = (): Promise<readonly ClaimedJob[]> =>
      jobs.memory.claim('mail', { limit: 10, prefetch: 0, leaseMs: 1_000, limits, waitMs: 0, signal });
    const late = await take();
    expect(late).toHaveLength(3);
    await jobs.clock.advance(1_001);
    expect(await take()).toHaveLength(3);
    // What the late holder lets go of is not its own any more.
    await jobs.memory.settle(
      'mail',
      late.map((job) => ({ kind: 'released', job })),
    );
    expect(await take()).toEqual([]);
  });
});

describe('W9: a unique key', () => {
  const unique = { key: 'welcome:42' };

  it('holds nothing back where its job was not stored', async () => {
    const jobs = idleJobs();
    jobs.backend.break('fails', 'enqueue');
    await expect(jobs.enqueue({ id: 'one', unique })).rejects.toThrow('connection lost');
    jobs.backend.mend();
    expect(await jobs.enqueue({ id: 'two', unique })).toEqual([{ kind: 'enqueued', id: 'two' }]);
  });

  it('tells whose it is, until that one has ended', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one', unique });
    expect(await jobs.enqueue({ id: 'two', unique })).toEqual([{ kind: 'duplicate', id: 'one' }]);
    jobs.handler.attempt.fail(new Error('no'));
    await jobs.clock.settle();
    expect(await jobs.enqueue({ id: 'two', unique })).toEqual([{ kind: 'duplicate', id: 'one' }]);
    await jobs.clock.advance('1s');
    jobs.handler.attempt.succeed();
    await jobs.clock.settle();
    expect(await jobs.enqueue({ id: 'two', unique })).toEqual([{ kind: 'enqueued', id: 'two' }]);
    jobs.handler.attempt.succeed();
  });
});

it('W10: an unknown job is unknown, and of two with one id there is one', async () => {
  const jobs = idleJobs();
  expect(await jobs.stored('nobody')).toBeUndefined();
  const twice = await Promise.all([jobs.enqueue({ id: 'one' }), jobs.enqueue({ id: 'one' })]);
  expect(twice.flat().map(({ kind }) => kind)).toEqual(['enqueued', 'exists']);
  expect(await jobs.counts()).toMatchObject({ ready: 1 });
});

it('W13: the age of the oldest is a length of time by the clock of the backend', async () => {
  const jobs = idleJobs();
  await jobs.enqueue({}, { due: { inMs: 5_000 } });
  await jobs.clock.advance('20s');
  expect(await jobs.counts()).toMatchObject({ ready: 2, oldestReadyAgeMs: 20_000 });
});

it('W14: what is given up on is kept, with its error, and can be tried again', async () => {
  const jobs = await startedJobs({ entries: [{ maxAttempts: 1 }] });
  await jobs.enqueue({ id: 'one' });
  jobs.handler.attempt.fail(new Error('the printer is out of paper'));
  await jobs.clock.settle();
  const { jobs: dead } = await jobs.memory.list('mail', { state: 'dead', limit: 10 });
  expect(dead).toMatchObject([{ id: 'one', cause: 'exhausted', lastError: 'the printer is out of paper' }]);
  expect(await jobs.memory.retry('mail', ['one'])).toEqual(['retried']);
  await jobs.clock.settle();
  expect(jobs.handler.attempts).toHaveLength(2);
  expect(jobs.handler.attempt.job.attempt).toBe(1);
  jobs.handler.attempt.succeed();
});

it('W15: success at the last attempt is success, and the last error is the one of the handler', async () => {
  const jobs = await startedJobs({ entries: [{ maxAttempts: 2 }] });
  await jobs.enqueue({ id: 'one' }, { id: 'two' });
  const [one, two] = jobs.handler.attempts;
  one!.fail(new Error('first'));
  two!.fail(new Error('first'));
  await jobs.clock.advance('1s');
  const [, , again, last] = jobs.handler.attempts;
  again!.succeed();
  last!.fail(new Error('its own words'));
  await jobs.clock.settle();
  expect(await jobs.stored('one')).toBeUndefined();
  expect(await jobs.stored('two')).toMatchObject({ state: 'dead', lastError: 'its own words' });
  expect(jobs.consumer.runner.tally).toMatchObject({ dead: 1, attempts: { succeeded: 1, failed: 3 } });
});
