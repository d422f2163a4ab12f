import { getEventListeners } from 'node:events';
import { stressStartStop } from 'nestjs-worker/testing';
import { describe, expect, it, vi } from 'vitest';
import type { JobContext } from '../../lib/jobs/job.js';
import { idleJobs, startedJobs } from '../support/fake-jobs.js';
import { unhandledDuring } from '../support/fake-queue.js';
import { seeded } from '../support/fake-pool.js';
import { heapUsed } from '../support/heap.js';

// F3, F4, F11, F14, F24, F25, F28 to F30 are in job-consumer.test.ts, F6, F22 and F27 in pitfalls-gocraft-work.test.ts;
// those that need real processes (F1, F2, F5, F7, F8, F10, F21, F32, F39) in test/integrations/redis and test/chaos.

const day = 86_400_000;
const { signal } = new AbortController();

// Thrown on purpose: what user code may throw.
const raise = (thrown: unknown): never => {
  throw thrown;
};
const hostile = new Proxy({}, { get: () => raise(new Error('do not look')) });
// oxlint-disable-next-line unicorn/no-thenable
const thenable = Object.fromEntries([['then', () => raise(new Error('boom'))]]) as object;

describe('the failure modes of this field (pitfalls 7), for jobs', () => {
  it.each([1, 2, 3])('F9: any number of starts, stops and jobs lose no job, seed %i', async (seed) => {
    const random = seeded(seed);
    let ran = 0;
    const jobs = idleJobs({
      concurrency: 3,
      entries: [
        {
          maxAttempts: Infinity,
          backoff: 'none',
          handle: async (_, ctx) => {
            await Promise.race([ctx.sleep(1), new Promise((resolve) => setImmediate(resolve))]);
            if (random() < 0.2) throw new Error('no');
            ran++;
          },
        },
      ],
    });
    jobs.connection.open();
    let enqueued = 0;
    const enqueue = (): unknown => {
      enqueued++;
      return jobs.enqueue({});
    };
    await stressStartStop(
      {
        start: () => (jobs.pool.start(), enqueue()),
        stop: () => Promise.all([enqueue(), jobs.pool.stop()]),
      },
      { actors: 10, calls: 20, random },
    );
    expect(jobs.consumer.snapshot()).toMatchObject({
      status: 'cancelled',
      running: 0,
      atHand: 0,
      settling: 0,
    });
    expect(await jobs.counts()).toMatchObject({ active: 0, dead: 0 });
    jobs.pool.start();
    await vi.waitUntil(async () => {
      await jobs.clock.advance(1);
      const { ready, active, scheduled } = await jobs.counts();
      return ready + active + scheduled === 0;
    });
    expect(ran).toBe(enqueued);
  });

  it('F12: ten thousand deletions at once reach every handler', async () => {
    const count = 10_000;
    const jobs = await startedJobs({ concurrency: count });
    await jobs.enqueue(...Array.from({ length: count }, () => ({})));
    // They begin a hundred in each turn of the event loop.
    await vi.waitUntil(() => jobs.handler.running === count, { timeout: 10_000 });
    const ids = jobs.handler.attempts.map(({ job }) => job.id);
    await jobs.memory.delete('mail', ids);
    await jobs.clock.advance('1s');
    expect(jobs.handler.running).toBe(0);
    expect(jobs.consumer.runner.tally).toMatchObject({ leasesLost: count, attempts: { cancelled: count } });
  });

  it.each(['claim', 'extend', 'settle', 'counts'] as const)(
    'F13: the loop that calls %s() goes on after it has thrown',
    async (call) => {
      const jobs = await startedJobs();
      await jobs.enqueue({ id: 'one' });
      const original = jobs.memory[call].bind(jobs.memory);
      const broken = vi.spyOn(jobs.memory, call as 'claim').mockImplementationOnce(() => {
        throw new Error('out of order');
      });
      await jobs.clock.advance('3m');
      jobs.handler.attempt.succeed();
      await jobs.clock.advance('3m');
      broken.mockImplementation(original as never);
      await jobs.enqueue({ id: 'two' });
      await jobs.clock.advance('30s');
      expect(jobs.handler.attempts.map(({ job }) => job.id)).toEqual(['one', 'two']);
      expect(await jobs.stored('one')).toBeUndefined();
      jobs.handler.attempt.succeed();
    },
  );

  it('F16: a thousand failures at once are not tried again at once', async () => {
    const backoff = { initialMs: 10_000, factor: 2, maxMs: 60_000, jitter: 0.5 };
    const jobs = await startedJobs({
      concurrency: 1_000,
      entries: [{ backoff, handle: () => Promise.reject(new Error('no')) }],
    });
    const begin = jobs.clock.now();
    await jobs.enqueue(...Array.from({ length: 1_000 }, () => ({})));
    await vi.waitUntil(async () => (await jobs.counts()).scheduled === 1_000);
    const delays: number[] = [];
    let cursor: string | undefined;
    do {
      const page = await jobs.memory.list('mail', { state: 'scheduled', limit: 300, cursor });
      delays.push(...page.jobs.map(({ dueAt }) => dueAt - begin));
      ({ cursor } = page);
    } while (cursor !== undefined);
    expect(delays).toHaveLength(1_000);
    for (let tenth = 0; tenth < 10; tenth++) {
      const from = 5_000 + 500 * tenth;
      expect(delays.filter((delayMs) => delayMs > from && delayMs <= from + 500).length).toBeGreaterThan(40);
    }
  });

  it('F18: a hundred thousand jobs leave nothing behind', async () => {
    let ran = 0;
    const jobs = await startedJobs({ concurrency: 50, entries: [{ handle: () => void ran++ }] });
    jobs.events.stop();
    const run = async (count: number): Promise<void> => {
      const before = ran;
      for (let done = 0; done < count; done += 1_000) {
        await jobs.enqueue(...Array.from({ length: 1_000 }, () => ({})));
      }
      await vi.waitUntil(() => ran === before + count, { timeout: 20_000 });
      await jobs.clock.settle();
    };
    await run(20_000);
    const before = heapUsed();
    await run(100_000);
    // Bytes per job.
    expect((heapUsed() - before) / 100_000).toBeLessThan(2);
    expect(jobs.consumer.runner.leases.held).toBe(0);
  }, 30_000);

  it('F19: the shutdown signal is listened to by as many as run, and no more', async () => {
    const contexts: JobContext[] = [];
    const jobs = await startedJobs({
      concurrency: 10,
      entries: [
        {
          handle: (_, ctx) => {
            contexts.push(ctx);
            ctx.shutdown.addEventListener('abort', () => {}, { once: true, signal: ctx.signal });
          },
        },
      ],
    });
    for (let round = 0; round < 20; round++) await jobs.enqueue(...Array.from({ length: 50 }, () => ({})));
    await vi.waitUntil(() => contexts.length === 1_000);
    // What the handlers themselves add is theirs; we add none to what lives longer than an attempt.
    expect(getEventListeners(contexts[0]!.shutdown, 'abort').length).toBeLessThanOrEqual(1_000);
    expect(getEventListeners(contexts[0]!.signal, 'abort')).toHaveLength(1);
  });

  it("F23: an AbortError of the handler's own is a failure", async () => {
    const jobs = await startedJobs();
    await jobs.enqueue({ id: 'one' });
    jobs.handler.attempt.fail(new DOMException('This operation was aborted', 'AbortError'));
    await jobs.clock.settle();
    expect(await jobs.stored('one')).toMatchObject({ state: 'scheduled', failures: 1 });
  });

  it('F26: ten thousand jobs of a process that died do not hold up those behind them', async () => {
    const jobs = idleJobs({ concurrency: 100, entries: [{ handle: (job) => void ran.push(job.id) }] });
    const ran: string[] = [];
    for (let batch = 0; batch < 10; batch++) {
      await jobs.enqueue(...Array.from({ length: 1_000 }, () => ({})));
    }
    const lost = await jobs.memory.claim('mail', {
      limit: 10_000,
      prefetch: 0,
      leaseMs: 1_000,
      waitMs: 0,
      signal,
    });
    expect(lost).toHaveLength(10_000);
    await jobs.clock.advance('2s');
    await jobs.enqueue({ id: 'zz-last' });
    await jobs.start();
    await vi.waitUntil(() => ran.length === 10_001);
    expect(new Set(ran).size).toBe(10_001);
    expect(ran.at(-1)).toBe('zz-last');
  });

  it('F31: a job is due in thirty days, and not at once', async () => {
    const jobs = idleJobs();
    await jobs.enqueue({ due: { inMs: 30 * day } });
    await jobs.clock.advance(30 * day - 1);
    await jobs.start();
    expect(jobs.handler.attempts).toHaveLength(0);
    await jobs.clock.advance(1);
    expect(jobs.handler.attempts).toHaveLength(1);
    jobs.handler.attempt.succeed();
  });

  it('F31: attempts without end never overflow', async () => {
    const backoff = { initialMs: 1_000, factor: 1.6, maxMs: 60_000, jitter: 0 };
    const jobs = await startedJobs({
      entries: [{ maxAttempts: Infinity, backoff, handle: () => Promise.reject(new Error('no')) }],
    });
    await jobs.enqueue({ id: 'one' });
    await jobs.clock.advance('1h');
    const stored = await jobs.stored('one');
    expect(stored).toMatchObject({ state: 'scheduled' });
    expect(stored!.failures).toBeGreaterThan(55);
    expect(stored!.history).toHaveLength(20);
    expect(stored!.dueAt - jobs.clock.now()).toBeLessThanOrEqual(60_000);
  });

  it.each([
    ['throws', () => raise(new Error('boom'))],
    ['rejects', () => Promise.reject(new Error('boom'))],
    ['throws nothing', () => raise(undefined)],
    ['throws what throws when it is looked at', () => raise(hostile)],
    ['answers a thenable that throws', () => thenable],
  ])('F33: a handler that %s fails its job once, and nothing else', async (_, handle) => {
    const jobs = await startedJobs({ entries: [{ maxAttempts: 1, handle }] });
    const unhandled = await unhandledDuring(async () => {
      await jobs.enqueue({ id: 'one' });
      await jobs.clock.settle();
    });
    expect(unhandled).toEqual([]);
    expect(await jobs.stored('one')).toMatchObject({ state: 'dead', failures: 1 });
    expect(jobs.consumer.runner.tally.attempts).toMatchObject({ failed: 1 });
    expect(jobs.consumer.status).toBe('running');
  });
});
