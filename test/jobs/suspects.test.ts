import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { JobHandlerEntry } from '../../lib/jobs/job-handler-entry.js';
import { MemoryJobBackend } from '../../lib/jobs/memory-job-backend.js';
import { type FakeJobs, type FakeJobsOptions, idleJobs } from '../support/fake-jobs.js';
import { JobProcess, type JobProcessOptions } from './job-process.js';

const { signal } = new AbortController();

/** Has these jobs die so often: claimed each time by a process that is not heard of again. */
async function die(memory: MemoryJobBackend, clock: FakeClock, times: number, queue = 'mail'): Promise<void> {
  for (let time = 0; time < times; time++) {
    const died = await memory.claim(queue, { limit: 100, prefetch: 0, leaseMs: 1_000, waitMs: 0, signal });
    if (died.length === 0) throw new Error('There is nothing to die.');
    await clock.advance(1_000);
  }
}

/** A consumer that is given jobs which have died so often. */
async function withSuspects(
  ids: readonly string[],
  options?: FakeJobsOptions,
  deaths = 2,
): Promise<FakeJobs> {
  const jobs = idleJobs({ concurrency: 10, ...options });
  await jobs.enqueue(...ids.map((id) => ({ id })));
  await die(jobs.memory, jobs.clock, deaths);
  await jobs.start();
  // It is let in, and begins once the others are known to have been put off.
  await jobs.clock.settle();
  return jobs;
}

const running = (jobs: FakeJobs): string[] =>
  [...jobs.consumer.runner.runs].map(({ claimed }) => claimed.id).toSorted();

type Handle = (one: JobProcess, ...given: Parameters<JobHandlerEntry['handle']>) => unknown;

/** Several processes, one after the other or at once, on one backend. */
class World {
  readonly clock = new FakeClock();
  readonly memory = new MemoryJobBackend({ clock: this.clock });
  readonly processes: JobProcess[] = [];

  constructor() {
    onTestFinished(async () => {
      for (const one of this.processes) await one.close();
      if (this.clock.pending > 0) throw new Error(`${this.clock.pending} timers are left`);
    });
  }

  async enqueue(...jobs: { readonly id: string; readonly queue?: string }[]): Promise<void> {
    const given = { queue: 'mail', name: '', payload: undefined, due: { inMs: 0 }, priority: 0 };
    await this.memory.enqueue(jobs.map((job) => Object.assign({ ...given }, job)));
  }

  async begin(handle: Handle, options?: JobProcessOptions): Promise<JobProcess> {
    const one: JobProcess = new JobProcess(
      this.memory,
      this.clock,
      (...given) => handle(one, ...given),
      options,
    );
    this.processes.push(one);
    await one.start();
    await this.clock.settle();
    return one;
  }

  async waiting(): Promise<number> {
    const [counts] = await this.memory.counts(['mail'], { dueWithinMs: 0 });
    return counts!.ready + counts!.scheduled + counts!.active;
  }
}

describe('a job that kills its process', () => {
  const innocent = Array.from({ length: 8 }, (_, index) => `job-${index}`);

  it.each([
    ['is the first of those', 'a-poison', 0],
    ['is the last of those', 'z-poison', 0],
    ['takes its time, and is the first of those', 'a-poison', 3_000],
    ['takes its time, and is the last of those', 'z-poison', 3_000],
  ])('and %s that ran beside it each time is quarantined alone', async (_, poison, afterMs) => {
    const world = new World();
    await world.enqueue(...[...innocent, poison].map((id) => ({ id })));
    const done = new Set<string>();
    const isOver = async (): Promise<boolean> => (await world.waiting()) === 0;
    while (!(await isOver())) {
      if (world.processes.length > 6) throw new Error('It has killed too many.');
      const process = await world.begin(async (one, { id }, ctx) => {
        if (id === poison && afterMs === 0) return one.kill();
        await ctx.sleep(id === poison ? afterMs : 5_000);
        if (id === poison) one.kill();
        else if (one.lives) done.add(id);
      });
      for (let second = 0; process.lives && !(await isOver()); second++) {
        if (second > 600) throw new Error('It does not come to an end.');
        await world.clock.advance('1s');
      }
    }
    expect(world.processes.filter(({ lives }) => !lives)).toHaveLength(3);
    expect([...done].toSorted()).toEqual(innocent);
    const { jobs: dead } = await world.memory.list('mail', { state: 'dead', limit: 10 });
    expect(dead.map(({ id, cause, deaths }) => [id, cause, deaths])).toEqual([[poison, 'quarantined', 3]]);
  });

  it('does not take along a suspect that was claimed while it ran, and not put off in time', async () => {
    const world = new World();
    await world.enqueue({ id: 'a-poison' }, { id: 'b' });
    await die(world.memory, world.clock, 2);
    const process = await world.begin((_, __, ctx) => ctx.sleep('1h'));
    expect(await world.memory.get('mail', ['b'])).toMatchObject([{ state: 'scheduled', deaths: 2 }]);
    process.backend.break('hangs', 'settle');
    await world.clock.advance('2s');
    expect(await world.memory.get('mail', ['b'])).toMatchObject([{ state: 'active' }]);
    process.kill();
    await world.clock.advance('31s');
    const claimed = await world.memory.claim('mail', {
      limit: 10,
      prefetch: 0,
      leaseMs: 1_000,
      waitMs: 0,
      signal,
    });
    expect(Object.fromEntries(claimed.map(({ id, deaths }) => [id, deaths]))).toEqual({
      'a-poison': 3,
      b: 2,
    });
    await world.memory.delete('mail', ['a-poison', 'b']);
  });

  it('does not take along those of another queue of its process', async () => {
    const world = new World();
    await world.enqueue({ id: 'a' }, { id: 'b' }, { id: 'c', queue: 'sms' }, { id: 'd', queue: 'sms' });
    for (let death = 0; death < 2; death++) {
      for (const queue of ['mail', 'sms'])
        await world.memory.claim(queue, { limit: 9, prefetch: 0, leaseMs: 1_000, waitMs: 0, signal });
      await world.clock.advance(1_000);
    }
    const ran: string[] = [];
    let [now, mostAtOnce] = [0, 0];
    await world.begin(
      async (_, { id }, ctx) => {
        mostAtOnce = Math.max(mostAtOnce, ++now);
        ran.push(id);
        await ctx.sleep(100).finally(() => now--);
      },
      { queues: ['mail', 'sms'] },
    );
    await world.clock.advance('20s');
    expect(ran.toSorted()).toEqual(['a', 'b', 'c', 'd']);
    expect(mostAtOnce).toBe(1);
  });

  it('is one of two that run at once where there are two processes', async () => {
    const world = new World();
    await world.enqueue({ id: 'a' }, { id: 'b' });
    await die(world.memory, world.clock, 2);
    let now = 0;
    const handle: Handle = async (_, __, ctx) => {
      now++;
      await ctx.sleep('1h').finally(() => now--);
    };
    await world.begin(handle);
    await world.begin(handle);
    await world.clock.advance('5s');
    expect(now).toBe(2);
    await world.memory.delete('mail', ['a', 'b']);
  });
});

describe('jobs that one death more would quarantine', () => {
  it('run one at a time; the others are put off, which takes no attempt', async () => {
    const jobs = await withSuspects(['a', 'b', 'c']);
    expect(running(jobs)).toEqual(['a']);
    const begin = jobs.clock.now();
    const { history } = (await jobs.stored('b'))!;
    expect(history.map(({ outcome }) => outcome)).toEqual(['died', 'died']);
    expect(await jobs.stored('b')).toMatchObject({ state: 'scheduled', failures: 0, deaths: 2 });
    const { dueAt } = (await jobs.stored('c'))!;
    expect(dueAt - begin).toBeGreaterThanOrEqual(500);
    expect(dueAt - begin).toBeLessThanOrEqual(1_500);
    await jobs.clock.advance('30s');
    expect(running(jobs)).toEqual(['a']);
    expect(await jobs.stored('b')).toMatchObject({ failures: 0, deaths: 2, history });
    for (let ended = 1; ended <= 3; ended++) {
      jobs.handler.attempt.succeed();
      await jobs.clock.advance('2s');
      expect(jobs.handler.attempts).toHaveLength(Math.min(3, ended + 1));
    }
    expect(jobs.handler.mostAtOnce).toBe(1);
    expect(jobs.handler.attempts.map(({ job }) => job.attempt)).toEqual([1, 1, 1]);
    expect(await jobs.counts()).toMatchObject({ ready: 0, scheduled: 0, active: 0, dead: 0 });
    expect(jobs.consumer.runner.tally.attempts).toMatchObject({ succeeded: 3, snoozed: 0 });
  });

  it('are looked for about once a second, and in no tight loop', async () => {
    const jobs = await withSuspects(['a', 'b']);
    const before = jobs.consumer.runner.tally.released;
    await jobs.clock.advance('100s');
    const putOff = jobs.consumer.runner.tally.released - before;
    expect(putOff).toBeGreaterThanOrEqual(66);
    expect(putOff).toBeLessThanOrEqual(200);
    jobs.handler.attempt.succeed();
    await jobs.clock.advance('2s');
    jobs.handler.attempt.succeed();
  });

  it('do not hold up others, which run beside one of them', async () => {
    const jobs = await withSuspects(['a', 'b'], { concurrency: 3 });
    await jobs.enqueue({ id: 'x' }, { id: 'y' }, { id: 'z' });
    expect(running(jobs)).toEqual(['a', 'x', 'y']);
    jobs.handler.attempts[1]?.succeed();
    await jobs.clock.settle();
    expect(running(jobs)).toEqual(['a', 'y', 'z']);
    jobs.handler.attempts.forEach(({ succeed }) => succeed());
    await jobs.clock.advance('2s');
    expect(running(jobs)).toEqual(['b']);
    jobs.handler.attempt.succeed();
  });

  it.each([
    ['have died too seldom', { quarantineAfter: 4 }, 2],
    ['are never quarantined', { quarantineAfter: Infinity }, 5],
    ['have not died', { quarantineAfter: 1 }, 0],
  ])('are none where they %s: those run at once', async (_, options, deaths) => {
    const jobs = await withSuspects(['a', 'b', 'c'], options, deaths);
    expect(running(jobs)).toEqual(['a', 'b', 'c']);
    jobs.handler.attempts.forEach(({ succeed }) => succeed());
  });

  it('are those with one death where two are too many', async () => {
    const jobs = await withSuspects(['a', 'b'], { quarantineAfter: 2 }, 1);
    expect(running(jobs)).toEqual(['a']);
    jobs.handler.attempt.succeed();
    await jobs.clock.advance('2s');
    jobs.handler.attempt.succeed();
  });

  it('are suspects for as long as their deaths count, and no longer', async () => {
    const jobs = await withSuspects(['a', 'b', 'c']);
    await jobs.clock.advance('59m');
    expect(running(jobs)).toEqual(['a']);
    await jobs.clock.advance('62s');
    expect(running(jobs)).toEqual(['a', 'b', 'c']);
    jobs.handler.attempts.forEach(({ succeed }) => succeed());
  });

  it('begin only once the others are known to be put off: a death would count for these', async () => {
    const jobs = idleJobs({ concurrency: 10 });
    await jobs.enqueue({ id: 'a' }, { id: 'b' }, { id: 'c' });
    await die(jobs.memory, jobs.clock, 2);
    jobs.backend.break('fails', 'settle');
    await jobs.start();
    await jobs.clock.advance('10s');
    expect(running(jobs)).toEqual([]);
    expect(jobs.consumer.runner.free).toBe(9);
    jobs.backend.mend();
    await jobs.clock.advance('5s');
    expect(running(jobs)).toEqual(['a']);
    await jobs.memory.delete('mail', ['a', 'b', 'c']);
  });

  it('count as started when they begin, however they were claimed', async () => {
    const world = new World();
    await world.enqueue({ id: 'a' }, { id: 'b' });
    await die(world.memory, world.clock, 2);
    const process = await world.begin(async (one, { id }, ctx) => {
      await ctx.sleep(100);
      if (id === 'b') one.kill();
    });
    // Its claim was sent while the other one ran.
    await world.clock.advance('10s');
    expect(process.lives).toBe(false);
    await world.clock.advance('31s');
    const [b] = await world.memory.claim('mail', { limit: 1, prefetch: 0, leaseMs: 1, waitMs: 0, signal });
    expect(b).toMatchObject({ id: 'b', deaths: 3 });
    await world.memory.delete('mail', ['b']);
  });

  it('are handed back where the consumer stops before they have begun', async () => {
    const jobs = idleJobs({ concurrency: 10 });
    await jobs.enqueue({ id: 'a' }, { id: 'b' });
    await die(jobs.memory, jobs.clock, 2);
    jobs.backend.break('fails', 'settle');
    await jobs.start();
    await jobs.clock.advance('1s');
    const stopped = jobs.pool.stop();
    jobs.backend.mend();
    await jobs.clock.advance('10s');
    await stopped;
    expect(jobs.handler.attempts).toHaveLength(0);
    expect(await jobs.stored('a')).toMatchObject({ state: 'ready', failures: 0, deaths: 2 });
    jobs.pool.start();
    await jobs.clock.advance('3s');
    expect(jobs.handler.running).toBe(1);
    await jobs.memory.delete('mail', ['a', 'b']);
  });

  it('are not run where they are lost before they have begun', async () => {
    const jobs = idleJobs({ concurrency: 10 });
    await jobs.enqueue({ id: 'a' }, { id: 'b' });
    await die(jobs.memory, jobs.clock, 2);
    jobs.backend.break('fails', 'settle');
    await jobs.start();
    await jobs.memory.delete('mail', ['a']);
    await jobs.clock.advance('1s');
    jobs.backend.mend();
    await jobs.clock.advance('10s');
    expect(running(jobs)).toEqual(['b']);
    expect(jobs.handler.attempts).toHaveLength(1);
    jobs.handler.attempt.succeed();
  });

  it('are handed back where their leases cannot be renewed', async () => {
    const jobs = idleJobs({ concurrency: 10 });
    await jobs.enqueue({ id: 'a' });
    await die(jobs.memory, jobs.clock, 2);
    vi.spyOn(jobs.memory, 'extend').mockImplementationOnce(() => Promise.reject(new Error('not now')));
    await jobs.start();
    await jobs.clock.advance('1s');
    expect(running(jobs)).toEqual(['a']);
    expect(jobs.consumer.runner.tally.released).toBe(1);
    jobs.handler.attempt.succeed();
  });
});

describe('a suspect does not hold up the others for ever', () => {
  it('where it is deleted', async () => {
    const jobs = await withSuspects(['a', 'b']);
    await jobs.memory.delete('mail', ['a']);
    await jobs.clock.advance('2s');
    expect(running(jobs)).toEqual(['b']);
    jobs.handler.attempt.succeed();
  });

  it('where it fails and is to be tried again', async () => {
    const jobs = await withSuspects(['a', 'b']);
    jobs.handler.attempt.fail();
    await jobs.clock.advance('10s');
    expect(jobs.handler.attempts.length).toBe(2);
    jobs.handler.attempt.succeed();
    await jobs.clock.advance('10s');
    const ran = jobs.handler.attempts.map(({ job }) => `${job.id} ${job.attempt}`);
    expect(ran.toSorted()).toEqual(['a 1', 'a 2', 'b 1']);
    jobs.handler.attempt.succeed();
  });

  it('where the backend never takes what became of it', async () => {
    const jobs = await withSuspects(['a', 'b']);
    const original = jobs.memory.settle.bind(jobs.memory);
    vi.spyOn(jobs.memory, 'settle').mockImplementation((queue, settlements, thenClaim) => {
      if (settlements.some(({ kind }) => kind === 'completed')) throw new TypeError('not this one');
      return original(queue, settlements, thenClaim);
    });
    jobs.handler.attempt.succeed();
    await jobs.clock.advance('25s');
    expect(running(jobs)).toEqual(['b']);
    vi.restoreAllMocks();
    jobs.handler.attempt.succeed();
  });

  it('where it is stuck', async () => {
    const jobs = await withSuspects(['a', 'b'], { obedient: false, entries: [{ timeoutMs: 5_000 }] });
    await jobs.clock.advance('14s');
    expect(running(jobs)).toEqual(['a']);
    await jobs.clock.advance('3s');
    expect(jobs.consumer.status).toBe('stuck');
    expect(running(jobs)).toEqual(['a', 'b']);
    jobs.handler.attempts.forEach(({ succeed }) => succeed());
  });

  it('where its consumer was stopped and has left it behind', async () => {
    const world = new World();
    await world.enqueue({ id: 'a' }, { id: 'b', queue: 'sms' });
    await die(world.memory, world.clock, 2);
    await die(world.memory, world.clock, 2, 'sms');
    const held: (() => void)[] = [];
    const ran: string[] = [];
    const process = await world.begin(
      (_, { id }) => {
        ran.push(id);
        return id === 'a' ? new Promise<void>((resolve) => held.push(resolve)) : undefined;
      },
      { queues: ['mail', 'sms'] },
    );
    await world.clock.advance('5s');
    expect(ran).toEqual(['a']);
    const stopped = process.pool.stopOnly([process.consumer], 5_000);
    await world.clock.advance('5s');
    expect(ran).toEqual(['a']);
    process.consumer.abandon();
    await stopped;
    await world.clock.advance('2s');
    expect(ran).toEqual(['a', 'b']);
    held.forEach((release) => release());
    await world.clock.advance('1s');
    await world.memory.delete('mail', ['a']);
  });
});

describe('runOnce()', () => {
  it('runs a suspect whatever else runs: somebody waits for it', async () => {
    const jobs = await withSuspects(['a', 'b'], { autoStart: false });
    const ends = [jobs.consumer.runOnce(), jobs.consumer.runOnce()];
    await jobs.clock.settle();
    expect(running(jobs)).toEqual(['a', 'b']);
    jobs.handler.attempts.forEach(({ succeed }) => succeed());
    expect(await Promise.all(ends)).toEqual(['succeeded', 'succeeded']);
    expect(await jobs.consumer.runOnce()).toBeUndefined();
  });

  it('has the consumer beside it put off the others until it has ended', async () => {
    const jobs = await withSuspects(['a'], { concurrency: 3 });
    await jobs.enqueue({ id: 'x' }, { id: 'y' });
    await jobs.enqueue({ id: 'b' }, { id: 'c' });
    // The consumer has no free slot.
    await die(jobs.memory, jobs.clock, 2);
    const end = jobs.consumer.runOnce();
    await jobs.clock.settle();
    expect(running(jobs)).toEqual(['a', 'b', 'x', 'y']);
    jobs.handler.attempts.slice(0, 2).forEach(({ succeed }) => succeed());
    await jobs.clock.advance('5s');
    expect(running(jobs)).toEqual(['b', 'y']);
    jobs.handler.attempt.succeed();
    expect(await end).toBe('succeeded');
    await jobs.clock.advance('2s');
    expect(running(jobs)).toEqual(['c', 'y']);
    jobs.handler.attempts.forEach(({ succeed }) => succeed());
  });
});

describe('claims', () => {
  it('take what comes beside a suspect for what is only at hand', async () => {
    const jobs = await withSuspects(['a'], { concurrency: 5 });
    const claim = vi.spyOn(jobs.memory, 'claim');
    await jobs.clock.advance('10s');
    expect(claim.mock.calls.map(([, { limit, prefetch }]) => [limit, prefetch])).toContainEqual([0, 4]);
    jobs.handler.attempt.succeed();
    await jobs.clock.advance('10s');
    expect(claim.mock.lastCall?.[1]).toMatchObject({ limit: 5, prefetch: 0 });
  });

  it('are as ever where a middleware is to see how many will be started', async () => {
    const seen: number[][] = [];
    const jobs = await withSuspects(['a'], {
      concurrency: 5,
      middlewares: [
        {
          claim: (claim, next) => {
            seen.push([claim.limit, claim.prefetch]);
            return next();
          },
        },
      ],
    });
    await jobs.clock.advance('10s');
    expect(running(jobs)).toEqual(['a']);
    expect(seen.at(-1)).toEqual([4, 0]);
    jobs.handler.attempt.succeed();
  });
});
