import { currentContext, InvalidOptionError, isWorkError } from 'nestjs-worker';
import { describe, expect, it, vi } from 'vitest';
import { CancelJob, DiscardJob, SnoozeJob } from '../../lib/jobs/control-flow.js';
import { idleJobs, startedJobs } from '../support/fake-jobs.js';
import { stateOf } from '../support/fake-queue.js';

describe('a consumer', () => {
  it('runs a job and completes it', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ payload: { to: 'a@example.com' }, headers: { traceparent: 'x' } });
    const { job, ctx, succeed } = jobs.handler.attempt;
    expect({ ...(job.payload as object) }).toEqual({ to: 'a@example.com' });
    expect(job).toMatchObject({
      id: 'job-000001',
      queue: 'mail',
      name: '',
      attempt: 1,
      lastError: undefined,
    });
    expect(job.headers).toEqual({ traceparent: 'x' });
    expect(job.createdAt).toEqual(new Date(jobs.clock.now()));
    expect(ctx).toMatchObject({ kind: 'job-consumer', name: 'mail', attempt: 1, maxAttempts: 3 });
    expect(ctx.job).toBe(job);
    expect(ctx.token).toMatch(/^\d+$/);
    expect(await jobs.counts()).toMatchObject({ active: 1, ready: 0 });
    succeed();
    await jobs.clock.settle();
    expect(await jobs.stored(job.id)).toBeUndefined();
    expect(await jobs.counts()).toMatchObject({ active: 0, ready: 0, scheduled: 0, dead: 0 });
    expect(jobs.consumer.runner.tally.attempts.succeeded).toBe(1);
  });

  it('is reached by currentContext(), and names the job in its lines', async () => {
    let seen: unknown;
    const jobs = await startedJobs({
      entries: [
        {
          handle: (_, ctx) => {
            seen = currentContext();
            ctx.logger.warn('hello');
          },
        },
      ],
    });
    await jobs.enqueue({ id: 'one' });
    expect(seen).toMatchObject({ kind: 'job-consumer', name: 'mail' });
    const line = jobs.logger.lines.find(({ message }) => message === 'hello');
    expect(line?.fields).toMatchObject({ queue: 'mail', jobID: 'one', jobExecutionID: expect.any(String) });
  });

  it('runs as many at once as it may, and the next as soon as one has ended', async () => {
    const jobs = await startedJobs({ concurrency: 3 });
    await jobs.enqueue(...Array.from({ length: 10 }, () => ({})));
    expect(jobs.handler.running).toBe(3);
    for (let ended = 0; ended < 10; ended++) {
      jobs.handler.attempts[ended]?.succeed();
      await jobs.clock.settle();
      expect(jobs.handler.running).toBe(Math.min(3, 9 - ended));
    }
    expect(jobs.handler.mostAtOnce).toBe(3);
    expect(jobs.handler.attempts.map(({ job }) => job.id)).toEqual(
      jobs.handler.attempts.map(({ job }) => job.id).toSorted(),
    );
  });

  it('takes a delayed job at the very moment that it is due', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ due: { inMs: 10_000 } });
    await jobs.clock.advance(9_999);
    expect(jobs.handler.attempts).toHaveLength(0);
    await jobs.clock.advance(1);
    expect(jobs.handler.attempts).toHaveLength(1);
    jobs.handler.attempt.succeed();
  });

  it('keeps a result where it is to, and does not run again what it cannot encode', async () => {
    const jobs = await startedJobs({ entries: [{ keepCompletedMs: 60_000 }] });
    await jobs.enqueue({}, {});
    jobs.handler.attempts[0]?.succeed({ sent: true });
    jobs.handler.attempts[1]?.succeed(() => {});
    await jobs.clock.settle();
    const [kept, plain] = await Promise.all([jobs.stored('job-000001'), jobs.stored('job-000002')]);
    expect(kept).toMatchObject({ state: 'completed', result: expect.any(Uint8Array) });
    expect(plain).toMatchObject({ state: 'completed', result: undefined });
    expect(jobs.pool.snapshot().isolatedErrors).toBe(1);
  });
});

describe('an attempt that fails', () => {
  it('is followed by another after a delay that grows, and then by none', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    jobs.handler.attempt.fail(new Error('first'));
    await jobs.clock.settle();
    expect(await jobs.stored('one')).toMatchObject({ state: 'scheduled', failures: 1, lastError: 'first' });
    await jobs.clock.advance(999);
    expect(jobs.handler.attempts).toHaveLength(1);
    await jobs.clock.advance(1);
    expect(jobs.handler.attempt.job).toMatchObject({ attempt: 2, lastError: 'first' });
    expect(jobs.handler.attempt.ctx.attempt).toBe(2);
    jobs.handler.attempt.fail(new Error('second'));
    await jobs.clock.advance(1_600);
    expect(jobs.handler.attempt.job.attempt).toBe(3);
    jobs.handler.attempt.fail(new RangeError('third'));
    await jobs.clock.advance('1h');
    expect(jobs.handler.attempts).toHaveLength(3);
    expect(await jobs.stored('one')).toMatchObject({
      state: 'dead',
      cause: 'exhausted',
      failures: 3,
      lastError: 'RangeError: third',
      history: [
        { attempt: 1, outcome: 'failed', error: 'first' },
        { attempt: 2, outcome: 'failed', error: 'second' },
        { attempt: 3, outcome: 'failed', error: 'RangeError: third' },
      ],
    });
    expect(jobs.consumer.runner.tally).toMatchObject({ dead: 1, attempts: { failed: 3 } });
  });

  it('is the last where the handler says so', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    jobs.handler.attempt.fail(new DiscardJob('no such address'));
    await jobs.clock.settle();
    expect(await jobs.stored('one')).toMatchObject({ state: 'dead', cause: 'discarded', failures: 1 });
  });

  it('W15: success at the last attempt is a success', async () => {
    const jobs = await startedJobs({ entries: [{ maxAttempts: 1 }] });
    await jobs.enqueue({ id: 'one' });
    jobs.handler.attempt.succeed();
    await jobs.clock.settle();
    expect(jobs.consumer.runner.tally).toMatchObject({ dead: 0, attempts: { succeeded: 1, failed: 0 } });
  });

  it('tells of its retry', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    jobs.handler.attempt.fail();
    await jobs.clock.settle();
    const line = jobs.logger.lines.find(({ fields }) => fields?.jobID === 'one');
    expect(line).toMatchObject({ level: 'warn' });
    expect(line?.message).toBe(
      'Job one in job consumer "mail" failed after 0 ms and is tried again in 1000 ms: boom',
    );
  });
});

describe('a handler that ends otherwise', () => {
  it('snoozes without taking an attempt', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    jobs.handler.attempt.fail(new SnoozeJob('1m'));
    await jobs.clock.settle();
    expect(await jobs.stored('one')).toMatchObject({ state: 'scheduled', failures: 0 });
    await jobs.clock.advance('59s');
    expect(jobs.handler.attempts).toHaveLength(1);
    await jobs.clock.advance('1s');
    expect(jobs.handler.attempt.job.attempt).toBe(1);
    expect(jobs.consumer.runner.tally.attempts).toMatchObject({ snoozed: 1, failed: 0 });
    jobs.handler.attempt.succeed();
  });

  it.each([NaN, Infinity, 'soon'])('fails where it snoozes for %s', async (duration) => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    jobs.handler.attempt.fail(new SnoozeJob(duration as number));
    await jobs.clock.settle();
    expect(await jobs.stored('one')).toMatchObject({
      failures: 1,
      lastError: expect.stringContaining('SnoozeJob'),
    });
  });

  it('calls the job off', async () => {
    const jobs = await startedJobs({ entries: [{ keepCancelledMs: 60_000 }] });
    await jobs.enqueue({ id: 'one' });
    jobs.handler.attempt.fail(new CancelJob('the order is gone'));
    await jobs.clock.settle();
    expect(await jobs.stored('one')).toMatchObject({
      state: 'cancelled',
      lastError: expect.stringContaining('gone'),
    });
    expect(jobs.consumer.runner.tally).toMatchObject({ dead: 0, attempts: { cancelled: 1 } });
  });
});

describe('a timeout', () => {
  it('aborts the attempt, which then counts as failed', async () => {
    const jobs = await startedJobs({ entries: [{ timeoutMs: 5_000 }] });
    await jobs.enqueue({ id: 'one' });
    await jobs.clock.advance(5_000);
    expect(jobs.handler.attempts[0]?.ctx.signal.reason).toMatchObject({ reason: 'timeout' });
    expect(await jobs.stored('one')).toMatchObject({ state: 'scheduled', failures: 1 });
    expect(jobs.consumer.runner.tally.attempts['timed-out']).toBe(1);
  });

  it('never begins another beside code that goes on: that is stuck, and keeps its lease and its slot', async () => {
    const jobs = await startedJobs({ concurrency: 1, obedient: false, entries: [{ timeoutMs: 5_000 }] });
    await jobs.enqueue({ id: 'one' }, { id: 'two' });
    await jobs.clock.advance('2m');
    expect(jobs.handler.attempts).toHaveLength(1);
    expect(jobs.consumer.status).toBe('stuck');
    expect(await jobs.stored('one')).toMatchObject({ state: 'active' });
    jobs.handler.attempt.fail(new Error('at last'));
    await jobs.clock.settle();
    expect(jobs.consumer.status).toBe('running');
    expect(await jobs.stored('one')).toMatchObject({ state: 'scheduled', failures: 1 });
    jobs.handler.attempt.succeed();
  });
});

describe('a lease', () => {
  it('is renewed for as long as its job runs', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    await jobs.clock.advance('10m');
    expect(jobs.handler.attempts).toHaveLength(1);
    expect(jobs.handler.attempt.ctx.signal.aborted).toBe(false);
    // About every third of a lease.
    expect(jobs.backend.calls.extend).toBeGreaterThanOrEqual(40);
    expect(jobs.backend.calls.extend).toBeLessThanOrEqual(80);
    jobs.handler.attempt.succeed();
    await jobs.clock.settle();
    expect(await jobs.stored('one')).toBeUndefined();
  });

  it('is renewed for all jobs in one call', async () => {
    const jobs = await startedJobs({ concurrency: 50 });
    await jobs.enqueue(...Array.from({ length: 50 }, () => ({})));
    await jobs.clock.advance('30s');
    expect(jobs.backend.calls.extend).toBeLessThanOrEqual(4);
    jobs.handler.attempts.forEach(({ succeed }) => succeed());
  });

  it('that is lost aborts the attempt at once, whose result is dropped (W3, F4, F29)', async () => {
    const jobs = await startedJobs({ obedient: false });
    await jobs.enqueue({ id: 'one' });
    expect(await jobs.memory.delete('mail', ['one'])).toEqual(['active']);
    await jobs.clock.settle();
    const { ctx, succeed } = jobs.handler.attempt;
    expect(ctx.signal.reason).toMatchObject({ reason: 'lease-lost' });
    succeed();
    await jobs.clock.advance('1h');
    expect(await jobs.stored('one')).toBeUndefined();
    expect(jobs.handler.attempts).toHaveLength(1);
    expect(jobs.consumer.runner.tally.leasesLost).toBe(1);
    expect(jobs.consumer.runner.tally.attempts).toMatchObject({ cancelled: 1, succeeded: 0 });
  });

  it('of a job that is cancelled from outside aborts its attempt at once, whose result is dropped', async () => {
    const jobs = await startedJobs({ obedient: false, concurrency: 1 });
    await jobs.enqueue({ id: 'one' }, { id: 'two' });
    expect(await jobs.memory.cancel('mail', ['one'], { keepMs: 60_000, error: 'not wanted' })).toEqual([
      'active',
    ]);
    await jobs.clock.settle();
    const { ctx, succeed } = jobs.handler.attempt;
    expect(ctx.signal.reason).toMatchObject({ reason: 'lease-lost' });
    const cancelled = await jobs.stored('one');
    expect(cancelled).toMatchObject({ state: 'cancelled', lastError: 'not wanted' });
    succeed('late');
    await jobs.clock.advance('5s');
    expect(await jobs.stored('one')).toEqual(cancelled);
    expect(jobs.consumer.runner.tally).toMatchObject({ leasesLost: 1 });
    expect(jobs.consumer.runner.tally.attempts).toMatchObject({ cancelled: 1, succeeded: 0 });
    // Its slot is the next one's.
    expect(jobs.handler.attempt.job.id).toBe('two');
    jobs.handler.attempt.succeed();
  });

  it('of a job that is cancelled while it is at hand is let go of, and the job never begins', async () => {
    const jobs = await startedJobs({ concurrency: 1 });
    // Quick ones, so that some more are claimed than can begin.
    await jobs.enqueue(...Array.from({ length: 100 }, () => ({})));
    for (let ended = 0; ended < 40; ended++) {
      jobs.handler.attempt.succeed();
      await jobs.clock.settle();
    }
    const held = (await jobs.memory.list('mail', { state: 'active', limit: 100 })).jobs.map(({ id }) => id);
    const running = jobs.handler.attempt.job.id;
    const atHand = held.filter((id) => id !== running);
    expect(atHand.length).toBeGreaterThan(0);
    await jobs.memory.cancel('mail', atHand, { keepMs: 3_600_000 });
    await jobs.clock.settle();
    while (jobs.handler.running > 0) {
      jobs.handler.attempt.succeed();
      await jobs.clock.settle();
    }
    const began = new Set(jobs.handler.attempts.map(({ job }) => job.id));
    expect(atHand.filter((id) => began.has(id))).toEqual([]);
    expect(began.size + atHand.length).toBe(100);
    for (const id of atHand) expect(await jobs.stored(id)).toMatchObject({ state: 'cancelled', history: [] });
  });

  it('that nobody can be asked about is given up before it ends', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    jobs.backend.break('fails', 'extend');
    await jobs.clock.advance('24s');
    expect(jobs.handler.attempt.ctx.signal.aborted).toBe(false);
    const { ctx } = jobs.handler.attempt;
    await jobs.clock.advance('5s');
    expect(ctx.signal.reason).toMatchObject({ reason: 'lease-lost' });
  });

  it('is given back by who has lost it, as far as that is known, and has not died', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    jobs.backend.break('fails', 'extend');
    await jobs.clock.advance('29s');
    jobs.backend.mend();
    expect(jobs.handler.attempts).toHaveLength(2);
    expect(await jobs.stored('one')).toMatchObject({ state: 'active', deaths: 0, failures: 0 });
    jobs.handler.attempt.succeed();
  });

  it('survives a backend that is away for half of it', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    jobs.backend.break('hangs', 'extend');
    await jobs.clock.advance('15s');
    jobs.backend.mend();
    await jobs.clock.advance('5m');
    expect(jobs.handler.attempt.ctx.signal.aborted).toBe(false);
    jobs.handler.attempt.succeed();
  });

  it('carries what the handler says of how far it is', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    jobs.handler.attempt.ctx.progress({ done: 3, of: 10 });
    await jobs.clock.advance('10s');
    expect((await jobs.stored('one'))?.progress).toBeInstanceOf(Uint8Array);
    jobs.handler.attempt.succeed();
  });
});

describe('stopping', () => {
  it('takes no more, and lets what runs end (F3, F30)', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'a' }, { id: 'b' }, { id: 'c' });
    const stopped = jobs.pool.stop();
    await jobs.clock.advance('1s');
    expect(await stateOf(stopped)).toBe('pending');
    expect(jobs.handler.attempt.ctx.shutdown.aborted).toBe(true);
    expect(jobs.handler.attempt.ctx.signal.aborted).toBe(false);
    jobs.handler.attempts.forEach(({ succeed }) => succeed());
    await jobs.clock.settle();
    expect(await stateOf(stopped)).toBe('fulfilled');
    expect(jobs.handler.attempts).toHaveLength(2);
    expect(await jobs.stored('c')).toMatchObject({ state: 'ready' });
    expect(await jobs.stored('a')).toBeUndefined();
  });

  it('aborts in time what goes on, which takes no attempt (W7, F24)', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    const stopped = jobs.pool.stop();
    await jobs.clock.advance('20s');
    expect(jobs.handler.attempt.ctx.signal.reason).toMatchObject({ reason: 'shutdown' });
    expect(await stateOf(stopped)).toBe('fulfilled');
    expect(await jobs.stored('one')).toMatchObject({ state: 'ready', failures: 0, deaths: 0 });
  });

  it('names what does not end, and renews its lease no longer', async () => {
    const jobs = await startedJobs({ obedient: false });
    await jobs.enqueue({ id: 'one' });
    const stopped = jobs.pool.stop();
    await jobs.clock.advance('25s');
    expect(await stopped).toMatchObject({ orphans: [{ name: 'mail' }] });
    expect(jobs.events.of('orphaned').filter(({ jobId }) => jobId === undefined)).toMatchObject([
      { tasks: ['one'] },
    ]);
    const calls = jobs.backend.calls.extend;
    // It was renewed last after 20 s.
    await jobs.clock.advance('24s');
    expect(jobs.backend.calls.extend).toBe(calls);
    expect(await jobs.stored('one')).toMatchObject({ state: 'active' });
    await jobs.clock.advance('2s');
    expect(await jobs.stored('one')).toMatchObject({ state: 'ready' });
    jobs.handler.attempt.succeed();
    await jobs.clock.settle();
  });

  it('hands back what a claim brings too late (F11)', async () => {
    const jobs = await startedJobs();
    const stopped = jobs.pool.stop();
    await jobs.enqueue({ id: 'one' });
    await stopped;
    expect(await jobs.stored('one')).toMatchObject({ state: 'ready', deaths: 0 });
    expect(jobs.handler.attempts).toHaveLength(0);
  });

  it('can be followed by another start', async () => {
    const jobs = await startedJobs();
    await jobs.pool.stop();
    await jobs.enqueue({ id: 'one' });
    expect(jobs.handler.attempts).toHaveLength(0);
    jobs.pool.start();
    await jobs.clock.settle();
    expect(jobs.handler.attempts).toHaveLength(1);
    jobs.handler.attempt.succeed();
  });

  it('is done in time where the backend does not answer', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    jobs.backend.break('hangs', 'settle', 'claim');
    jobs.handler.attempt.succeed();
    const stopped = jobs.pool.stop();
    await jobs.clock.advance('25s');
    expect(await stateOf(stopped)).toBe('fulfilled');
  });
});

describe('a backend that is away', () => {
  it('is asked less and less often, and taken up again without a restart (W5)', async () => {
    const jobs = await startedJobs();
    jobs.backend.break('fails', 'claim');
    await jobs.clock.advance('6s');
    const before = jobs.backend.calls.claim;
    expect(jobs.consumer.degraded).toBe(true);
    expect(jobs.consumer.status).toBe('running');
    await jobs.clock.advance('10s');
    expect(jobs.backend.calls.claim - before).toBeLessThanOrEqual(12);
    await jobs.clock.advance('1m');
    expect(jobs.consumer.status).toBe('error');
    expect(jobs.consumer.snapshot().lastError?.message).toContain('connection lost');
    jobs.backend.mend();
    await jobs.enqueue({ id: 'one' });
    await jobs.clock.advance('10s');
    expect(jobs.handler.attempts).toHaveLength(1);
    expect(jobs.consumer).toMatchObject({ degraded: false, status: 'running' });
    jobs.handler.attempt.succeed();
  });

  it('that answers claims with nothing at once is not asked in a hot loop', async () => {
    const jobs = await startedJobs();
    vi.spyOn(jobs.memory, 'claim').mockImplementation(() => Promise.resolve([]));
    await jobs.clock.advance('10s');
    expect(jobs.backend.calls.claim).toBeLessThanOrEqual(105);
  });

  it('that hangs does not hold up the stop of a consumer that runs nothing', async () => {
    const jobs = await startedJobs();
    jobs.backend.break('hangs', 'claim');
    await jobs.clock.advance('10s');
    const stopped = jobs.pool.stop();
    await jobs.clock.advance('1s');
    expect(await stateOf(stopped)).toBe('fulfilled');
    expect(jobs.consumer.status).toBe('cancelled');
  });

  it('that never answers a claim does not hold up the next (F14)', async () => {
    const jobs = await startedJobs();
    jobs.backend.break('hangs', 'claim');
    await jobs.clock.advance('1m');
    jobs.backend.mend();
    await jobs.enqueue({ id: 'one' });
    await jobs.clock.advance('20s');
    expect(jobs.handler.attempts).toHaveLength(1);
    jobs.handler.attempt.succeed();
  });

  it('is told in the end what became of a job (W4, F28)', async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    jobs.backend.break('fails', 'settle');
    jobs.handler.attempt.fail(new Error('no'));
    await jobs.clock.advance('10s');
    expect(await jobs.stored('one')).toMatchObject({ state: 'active' });
    jobs.backend.mend();
    await jobs.clock.advance('5s');
    expect(await jobs.stored('one')).toMatchObject({ failures: 1, lastError: 'no' });
  });

  it('does not keep the app from starting, and is opened once it is there', async () => {
    const jobs = idleJobs();
    jobs.backend.break('fails', 'open');
    await jobs.start();
    await jobs.clock.advance('1m');
    expect(jobs.consumer.degraded).toBe(true);
    jobs.backend.mend();
    await jobs.clock.advance('10s');
    await jobs.enqueue({ id: 'one' });
    expect(jobs.handler.attempts).toHaveLength(1);
    jobs.handler.attempt.succeed();
  });
});

describe('what cannot be run', () => {
  it('is dead at once where its payload is not to be read', async () => {
    const jobs = await startedJobs();
    await jobs.connection.call('', 1_000, (backend) =>
      backend.enqueue([
        { id: 'one', queue: 'mail', name: '', payload: Uint8Array.of(0xc1), due: { inMs: 0 }, priority: 0 },
      ]),
    );
    await jobs.clock.settle();
    expect(await jobs.stored('one')).toMatchObject({ state: 'dead', cause: 'invalid', failures: 1 });
    expect(jobs.handler.attempts).toHaveLength(0);
    expect(jobs.consumer.status).toBe('running');
  });

  it('is dead at once where it is too old', async () => {
    const jobs = await startedJobs({ entries: [{ maxAgeMs: 60_000 }] });
    await jobs.enqueue({ id: 'late', due: { inMs: 60_001 } }, { id: 'fine', due: { inMs: 60_000 } });
    await jobs.clock.advance('2m');
    expect(await jobs.stored('late')).toMatchObject({ state: 'dead', cause: 'expired' });
    expect(jobs.handler.attempts.map(({ job }) => job.id)).toEqual(['fine']);
    jobs.handler.attempt.succeed();
  });

  it('fails, to be tried again elsewhere, where no handler has its name', async () => {
    const jobs = await startedJobs({ entries: [{ name: 'welcome' }] });
    await jobs.enqueue({ id: 'one', name: 'goodbye' }, { id: 'two', name: 'welcome' });
    expect(jobs.handler.attempts.map(({ job }) => job.id)).toEqual(['two']);
    expect(await jobs.stored('one')).toMatchObject({
      state: 'scheduled',
      lastError: expect.stringContaining('"goodbye"'),
    });
    jobs.handler.attempt.succeed();
  });

  it('is quarantined once the process has died of it three times (F25)', async () => {
    const jobs = idleJobs();
    await jobs.enqueue({ id: 'poison' });
    for (let death = 0; death < 3; death++) {
      const { signal } = new AbortController();
      const claimed = await jobs.memory.claim('mail', {
        limit: 1,
        prefetch: 0,
        leaseMs: 1_000,
        waitMs: 0,
        signal,
      });
      expect(claimed).toHaveLength(1);
      await jobs.clock.advance(1_001);
    }
    await jobs.start();
    expect(jobs.handler.attempts).toHaveLength(0);
    expect(await jobs.stored('poison')).toMatchObject({ state: 'dead', cause: 'quarantined', failures: 0 });
    expect(jobs.consumer.runner.tally).toMatchObject({ quarantined: 1, dead: 1 });
  });
});

describe('health', () => {
  it('is down while it lives and takes nothing that it should', async () => {
    const jobs = await startedJobs();
    jobs.backend.break('hangs', 'claim');
    await jobs.clock.advance('10s');
    await jobs.memory.enqueue([
      { id: 'one', queue: 'mail', name: '', payload: undefined, due: { inMs: 0 }, priority: 0 },
    ]);
    await jobs.clock.advance('3m');
    expect(jobs.consumer.status).toBe('error');
    expect(jobs.logger.lines.map(({ message }) => message)).toContainEqual(
      expect.stringContaining('Job consumer "mail" takes no jobs: 1 are ready'),
    );
    jobs.backend.mend();
    await jobs.clock.advance('1m');
    expect(jobs.consumer.status).toBe('running');
    jobs.handler.attempt.succeed();
  });

  it('is well while the queue is paused, or empty', async () => {
    const jobs = await startedJobs();
    await jobs.memory.pause('mail', true);
    await jobs.enqueue({ id: 'one' });
    await jobs.clock.advance('1h');
    expect(jobs.consumer.status).toBe('running');
    await jobs.memory.pause('mail', false);
    await jobs.clock.settle();
    expect(jobs.handler.attempts).toHaveLength(1);
    jobs.handler.attempt.succeed();
    await jobs.clock.advance('1h');
    expect(jobs.consumer.status).toBe('running');
  });
});

describe('many short jobs', () => {
  it('are claimed ahead, settled many at a time, and each once', async () => {
    let ran = 0;
    const jobs = await startedJobs({ concurrency: 1, entries: [{ handle: () => void ran++ }] });
    await jobs.enqueue(...Array.from({ length: 2_000 }, () => ({})));
    await vi.waitUntil(() => ran === 2_000);
    expect(ran).toBe(2_000);
    await jobs.clock.settle();
    expect(await jobs.counts()).toMatchObject({ ready: 0, active: 0 });
    expect(jobs.backend.calls.settle).toBeLessThan(400);
    expect(Math.max(...jobs.backend.settledAtOnce)).toBeGreaterThan(20);
  });

  it('are handed back, untouched, where a long one comes in between', async () => {
    const held: (() => void)[] = [];
    let ran = 0;
    const jobs = await startedJobs({
      concurrency: 1,
      entries: [
        {
          handle: (job) =>
            job.id === 'long' ? new Promise<void>((resolve) => held.push(resolve)) : void ran++,
        },
      ],
    });
    await jobs.enqueue(...Array.from({ length: 200 }, () => ({})));
    await vi.waitUntil(() => ran === 200);
    await jobs.memory.pause('mail', true);
    await jobs.enqueue({ id: 'long' }, ...Array.from({ length: 50 }, () => ({ id: `z-${Math.random()}` })));
    await jobs.memory.pause('mail', false);
    await jobs.clock.settle();
    expect(jobs.consumer.runner.atHand).toBeGreaterThan(0);
    await jobs.clock.advance(600);
    expect(jobs.consumer.runner.atHand).toBe(0);
    expect(await jobs.counts()).toMatchObject({ active: 1, ready: 50 });
    held.forEach((release) => release());
    await vi.waitUntil(() => ran === 250);
    expect(ran).toBe(250);
  });
});

describe('runOnce()', () => {
  it('runs one job and says how it ended, and that none was due', async () => {
    let fails = true;
    const jobs = await startedJobs({
      autoStart: false,
      entries: [
        {
          handle: () => {
            if (fails) throw new Error('no');
          },
        },
      ],
    });
    await jobs.enqueue({ id: 'one' }, { id: 'two' });
    await jobs.clock.advance('10s');
    expect(await jobs.counts()).toMatchObject({ ready: 2 });
    expect(await jobs.consumer.runOnce()).toBe('failed');
    expect(await jobs.stored('one')).toMatchObject({ state: 'scheduled', failures: 1 });
    fails = false;
    expect(await jobs.consumer.runOnce()).toBe('succeeded');
    expect(await jobs.stored('two')).toBeUndefined();
    expect(await jobs.consumer.runOnce()).toBeUndefined();
  });

  it('waits for the start', async () => {
    const jobs = idleJobs({ autoStart: false, entries: [{ handle: () => {} }] });
    await jobs.enqueue({ id: 'one' });
    const ran = jobs.consumer.runOnce();
    await jobs.clock.advance('1m');
    expect(await stateOf(ran)).toBe('pending');
    await jobs.start();
    expect(await ran).toBe('succeeded');
  });

  it('rejects where the backend cannot be asked', async () => {
    const jobs = await startedJobs({ autoStart: false });
    jobs.backend.break('fails', 'claim');
    const error: unknown = await jobs.consumer.runOnce().catch((thrown: unknown) => thrown);
    expect(isWorkError(error, 'JOB_BACKEND_UNAVAILABLE')).toBe(true);
  });

  it('rejects where the start does not come any more, and while everything stops', async () => {
    const jobs = idleJobs({ autoStart: false, entries: [{ handle: () => {} }] });
    const early = jobs.consumer.runOnce();
    const refused = early.catch((error: unknown) => error);
    await jobs.pool.stop();
    expect(await refused).toMatchObject({ code: 'POOL_STOPPING' });
    await jobs.start();
    const stopped = jobs.pool.stop();
    await expect(jobs.consumer.runOnce()).rejects.toMatchObject({ code: 'POOL_STOPPING' });
    await stopped;
  });

  it('hands back a job that comes when everything stops', async () => {
    const jobs = await startedJobs({ autoStart: false, entries: [{ handle: () => {} }] });
    await jobs.enqueue({ id: 'one' });
    const original = jobs.memory.claim.bind(jobs.memory);
    let goOn = (): void => {};
    const held = new Promise<void>((resolve) => (goOn = resolve));
    vi.spyOn(jobs.memory, 'claim').mockImplementationOnce(async (queue, options) => {
      const claimed = await original(queue, options);
      await held;
      return claimed;
    });
    const ran = jobs.consumer.runOnce();
    const refused = ran.catch((error: unknown) => error);
    await jobs.clock.settle();
    const stopped = jobs.pool.stop();
    goOn();
    await stopped;
    expect(await refused).toMatchObject({ code: 'POOL_STOPPING' });
    await jobs.clock.settle();
    expect(await jobs.stored('one')).toMatchObject({ state: 'ready', failures: 0, deaths: 0 });
  });

  it('settles where its job is left behind', async () => {
    const jobs = await startedJobs({ autoStart: false, obedient: false });
    await jobs.enqueue({ id: 'one' });
    const ran = jobs.consumer.runOnce();
    await jobs.clock.settle();
    const stopped = jobs.pool.stop();
    await jobs.clock.advance('25s');
    await stopped;
    expect(await ran).toBe('cancelled');
    jobs.handler.attempt.succeed();
  });
});

describe('what a review has found', () => {
  it('one settlement that the backend refuses does not stop the others', async () => {
    const jobs = await startedJobs({ concurrency: 5 });
    await jobs.enqueue(...Array.from({ length: 5 }, (_, index) => ({ id: `job-${index}` })));
    const original = jobs.memory.settle.bind(jobs.memory);
    vi.spyOn(jobs.memory, 'settle').mockImplementation((queue, settlements, thenClaim) => {
      if (settlements.some(({ job }) => job.id === 'job-2')) throw new TypeError('not this one');
      return original(queue, settlements, thenClaim);
    });
    jobs.handler.attempts.forEach(({ succeed }) => succeed());
    // Less than a lease: it runs out once the job is given up.
    await jobs.clock.advance('20s');
    expect(await jobs.counts()).toMatchObject({ ready: 0, active: 1 });
    expect(jobs.logger.lines).toContainEqual(
      expect.objectContaining({ level: 'error', message: expect.stringContaining('became of job job-2') }),
    );
    await jobs.enqueue({ id: 'next' });
    expect(jobs.handler.attempt.job.id).toBe('next');
    jobs.handler.attempt.succeed();
    await jobs.clock.settle();
    expect(await jobs.stored('next')).toBeUndefined();
    vi.restoreAllMocks();
  });

  it('a codec that gives no bytes for a result or for progress harms its own job only', async () => {
    const codec = { name: 'odd', encode: () => 'no bytes' as never, decode: () => undefined };
    const jobs = await startedJobs({ codec, entries: [{ keepCompletedMs: 60_000 }] });
    await jobs.enqueue({ id: 'one' });
    expect(() => jobs.handler.attempt.ctx.progress(1)).toThrow('gave no Uint8Array');
    jobs.handler.attempt.succeed('done');
    await jobs.clock.settle();
    expect(await jobs.stored('one')).toMatchObject({ state: 'completed', result: undefined });
  });

  it('is well while it lives by what settlements bring, after one claim has failed', async () => {
    const jobs = await startedJobs({ concurrency: 1 });
    jobs.backend.break('fails', 'claim');
    await jobs.clock.advance('6s');
    jobs.backend.mend();
    await jobs.enqueue(...Array.from({ length: 50 }, () => ({})));
    await jobs.clock.advance('10s');
    for (let second = 0; second < 30; second++) {
      jobs.handler.attempt.succeed();
      await jobs.clock.advance('1s');
    }
    expect(jobs.consumer).toMatchObject({ status: 'running', degraded: false });
    await jobs.memory.delete(
      'mail',
      jobs.handler.attempts.map(({ job }) => job.id),
    );
  });

  it('what a settlement brings when nobody waits for it any more goes back', async () => {
    const jobs = await startedJobs({ concurrency: 1 });
    await jobs.enqueue({ id: 'a' }, { id: 'b' });
    const original = jobs.memory.settle.bind(jobs.memory);
    let answer = (): void => {};
    vi.spyOn(jobs.memory, 'settle').mockImplementationOnce(async (queue, settlements, thenClaim) => {
      const settled = await original(queue, settlements, thenClaim);
      await new Promise<void>((resolve) => (answer = resolve));
      return settled;
    });
    jobs.handler.attempt.succeed();
    await jobs.clock.advance('12s');
    answer();
    await jobs.clock.advance('1s');
    expect(jobs.handler.attempt.job.id).toBe('b');
    expect(await jobs.stored('b')).toMatchObject({ deaths: 0 });
    jobs.handler.attempt.succeed();
  });

  it('claims nothing ahead where there are limits', async () => {
    let ran = 0;
    const limits = { rate: { limit: 1_000, periodMs: 1_000 } };
    const jobs = await startedJobs({ concurrency: 1, limits, entries: [{ handle: () => void ran++ }] });
    const claim = vi.spyOn(jobs.memory, 'claim');
    const settle = vi.spyOn(jobs.memory, 'settle');
    await jobs.enqueue(...Array.from({ length: 200 }, () => ({})));
    await vi.waitUntil(() => ran === 200);
    const asked = [
      ...claim.mock.calls.map(([, options]) => options),
      ...settle.mock.calls.map(([, , next]) => next),
    ];
    expect(asked.filter((options) => (options?.prefetch ?? 0) > 0)).toEqual([]);
  });
});

describe('the connection to the backend', () => {
  it('is closed once more where it opens while it is being closed', async () => {
    const jobs = idleJobs();
    const calls: string[] = [];
    let opened = (): void => {};
    vi.spyOn(jobs.backend, 'open').mockImplementation(
      () => new Promise<void>((resolve) => (opened = resolve)),
    );
    vi.spyOn(jobs.backend, 'close').mockImplementation(async () => void calls.push('close'));
    jobs.connection.open();
    await jobs.clock.settle();
    const closed = jobs.connection.close();
    await jobs.clock.settle();
    calls.push('opened');
    opened();
    await closed;
    await jobs.clock.settle();
    expect(calls.slice(calls.indexOf('opened'))).toEqual(['opened', 'close']);
  });

  it('is opened anew where it never answers', async () => {
    const jobs = idleJobs();
    jobs.backend.break('hangs', 'open');
    jobs.connection.open();
    await jobs.clock.advance('35s');
    expect(jobs.backend.calls.open).toBe(2);
    jobs.backend.mend();
    await jobs.clock.advance('1m');
    expect(jobs.connection.isOpen).toBe(true);
  });

  it('is given up where it was told what cannot be meant', async () => {
    const jobs = idleJobs();
    const invalid = { owner: 'x', option: 'namespace', given: 'shop', accepted: '{shop}', cure: 'Do.' };
    vi.spyOn(jobs.backend, 'open').mockRejectedValue(new InvalidOptionError(invalid));
    // Told why, and not that it is closed: also one that waited for it.
    const early = jobs.connection.call('', 1_000, () => Promise.resolve()).catch((error: unknown) => error);
    await jobs.clock.advance('1m');
    expect(String(await early)).toContain('namespace');
    await expect(jobs.connection.call('', 1_000, () => Promise.resolve())).rejects.toThrow('namespace');
  });

  it('ends calls that are under way, and leaves no timer, when it is closed', async () => {
    const jobs = idleJobs();
    jobs.connection.open();
    await jobs.clock.settle();
    jobs.backend.break('hangs', 'enqueue');
    const call = jobs.connection.call('to an enqueueing', 60_000, (backend) => backend.enqueue([]));
    const refused = call.catch((error: unknown) => error);
    await jobs.connection.close();
    expect(String(await refused)).toContain('is closed, and cannot answer to an enqueueing any more');
    expect(jobs.clock.pending).toBe(0);
  });
});
