import type { Type } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { getJobQueueToken, type JobQueue, JobsModule } from 'nestjs-worker';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { ClaimedJob, Extension, LeaseKeeper } from '../../../lib/jobs/index.js';
import { HeldLeases } from '../../../lib/integrations/redis/held-leases.js';
import { LeaseKeeping } from '../../../lib/integrations/redis/lease-keeping.js';
import { LoopLeases } from '../../../lib/integrations/redis/loop-leases.js';
import { extendScript } from '../../../lib/integrations/redis/scripts/extend.js';
import { BlackHole } from '../../support/black-hole.js';
import { jobHandler } from '../../support/job-handlers.js';
import { bootContext } from '../../support/nest.js';
import { type Handle, queue, SomeRedis } from './some-redis.js';

const redis = new SomeRedis();

/** Nothing of this thread runs meanwhile: no timer, no answer. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

interface Kept {
  readonly handle: Handle;
  readonly keeper: LeaseKeeper;
  readonly lost: string[];
  /** Whether its thread is connected. */
  readonly isConnected: () => Promise<boolean>;
}

let connections = 0;

/** Whether the thread of the backend is connected whose connections have this name. */
async function isLeasing(connectionName: string): Promise<boolean> {
  return String(await redis.client.client('LIST')).includes(`${connectionName}:leases`);
}

async function keeping(leaseMs: number, blockedLimitMs = 60_000): Promise<Kept> {
  const connectionName = `connection-${++connections}`;
  const handle = await redis.handle({ options: { connectionName } });
  const lost: string[] = [];
  const onLost = (jobs: readonly ClaimedJob[]): void => void lost.push(...jobs.map(({ id }) => id));
  const keeper = handle.backend.keepLeases!({ queue, leaseMs, blockedLimitMs, onLost });
  onTestFinished(() => keeper.close());
  return { handle, keeper, lost, isConnected: () => isLeasing(connectionName) };
}

/** Threads that begin while the test runs. */
function threadsFromNowOn(): { isOver: boolean }[] {
  const threads: { isOver: boolean }[] = [];
  const note = (thread: Worker): void => {
    const noted = { isOver: false };
    threads.push(noted);
    thread.once('exit', () => (noted.isOver = true));
  };
  process.on('worker', note);
  onTestFinished(() => void process.off('worker', note));
  return threads;
}

/** The thread takes a moment to begin. */
async function renewed(handle: Handle, job: ClaimedJob): Promise<void> {
  const isLater = async (): Promise<boolean> =>
    ((await handle.stored(job.id))?.leaseEndsAt ?? 0) > job.leaseEndsAt;
  await vi.waitUntil(isLater, { timeout: 5_000, interval: 10 });
}

/** It is renewed for as long as its keeper says, which is shorter than what was claimed. */
async function shortened(handle: Handle, job: ClaimedJob): Promise<void> {
  const isSooner = async (): Promise<boolean> =>
    (await handle.stored(job.id))!.leaseEndsAt! < job.leaseEndsAt;
  await vi.waitUntil(isSooner, { timeout: 5_000, interval: 10 });
}

describe('the thread that renews leases', () => {
  it('holds them for as long as it is told to', async () => {
    const { handle, keeper, lost } = await keeping(600);
    await handle.add({}, {});
    const [kept, other] = await handle.claim({ limit: 2, leaseMs: 600 });
    keeper.hold([kept!], 0);
    await renewed(handle, kept!);
    await delay(700);
    expect((await handle.claim({ limit: 2 })).map(({ id }) => id)).toEqual([other!.id]);
    expect(await handle.complete(kept!)).toEqual([true]);
    keeper.letGo([kept!]);
    expect(lost).toEqual([]);
  });

  it('F2: holds them while the event loop is blocked, also from the moment of the claim', async () => {
    const { handle, keeper, lost } = await keeping(600);
    const other = await redis.handle();
    await handle.add({});
    const first = await handle.claimOne({ leaseMs: 600 });
    keeper.hold([first], 0);
    await renewed(handle, first);
    await handle.complete(first);
    keeper.letGo([first]);

    await handle.add({});
    const job = await handle.claimOne({ leaseMs: 600 });
    keeper.hold([job], 0);
    block(1_500);
    expect(await other.claim()).toEqual([]);
    expect(await other.stored(job.id)).toMatchObject({ state: 'active', deaths: 0 });
    expect(await handle.complete(job)).toEqual([true]);
    expect(lost).toEqual([]);
  });

  it('gives them up when the event loop is blocked for too long, and says so', async () => {
    const { handle, keeper, lost } = await keeping(600, 700);
    const other = await redis.handle();
    await handle.add({});
    const job = await handle.claimOne({ leaseMs: 600 });
    keeper.hold([job], 0);
    await renewed(handle, job);
    block(2_500);
    const again = await vi.waitUntil(async () => (await other.claim())[0], { timeout: 3_000 });
    expect(again).toMatchObject({ id: job.id, deaths: 1, history: [{ attempt: 1, outcome: 'died' }] });
    await vi.waitUntil(() => lost.length > 0, { timeout: 3_000 });
    expect(lost).toEqual([job.id]);
    expect(await handle.complete(job)).toEqual([false]);
  });

  it('says which are lost: deleted, and claimed by somebody else', async () => {
    const { handle, keeper, lost } = await keeping(300);
    await handle.add({}, {}, {});
    const jobs = await handle.claim({ limit: 3, leaseMs: 60_000 });
    keeper.hold(jobs, 0);
    await handle.backend.delete(queue, [jobs[0]!.id]);
    await redis.client.zadd(handle.keyOf('queue'), 9_999_999_999, handle.keyOf('job', jobs[1]!.id));
    await vi.waitUntil(() => lost.length === 2, { timeout: 5_000 });
    expect(lost.toSorted()).toEqual([jobs[0]!.id, jobs[1]!.id]);
    expect(await handle.complete(jobs[2]!)).toEqual([true]);
  });

  /** A job under a lease of 1.2 s that a thread renews, until nothing gets through to Redis any more. */
  async function heldBehindHole(commandTimeout: number) {
    const hole = await BlackHole.before(redis.server.port);
    const handle = redis.closedHandle({ url: hole.url, commandTimeout });
    await handle.open();
    const lost: string[] = [];
    const leaseMs = 1_200;
    const onLost = (jobs: readonly ClaimedJob[]): void => void lost.push(...jobs.map(({ id }) => id));
    const keeper = handle.backend.keepLeases!({ queue, leaseMs, blockedLimitMs: 60_000, onLost });
    onTestFinished(async () => {
      await handle.backend.close();
      await hole.close();
    });
    await handle.add({}, {});
    const job = await handle.claimOne({ leaseMs });
    keeper.hold([job], 0);
    await renewed(handle, job);
    return { handle, keeper, hole, job, lost, leaseMs };
  }

  it('says that they are lost when Redis cannot be reached, before they are over', async () => {
    const { hole, job, lost, leaseMs } = await heldBehindHole(200);
    const since = performance.now();
    hole.open();
    await vi.waitUntil(() => lost.length > 0, { timeout: 5_000 });
    expect(performance.now() - since).toBeLessThan(leaseMs + 300);
    expect(lost).toEqual([job.id]);
  });

  it('says so in time also when its call hangs for longer than the lease', async () => {
    const { hole, job, lost, leaseMs } = await heldBehindHole(30_000);
    const since = performance.now();
    hole.open();
    await vi.waitUntil(() => lost.length > 0, { timeout: 5_000, interval: 5 });
    expect(performance.now() - since).toBeLessThan(leaseMs);
    await delay(leaseMs);
    expect(lost).toEqual([job.id]);
  });

  it('has hundreds, of several queues, and what is let go at once is another again', async () => {
    const { handle, keeper, lost } = await keeping(500);
    const others: string[] = [];
    const more = handle.backend.keepLeases!({
      queue: 'other',
      leaseMs: 500,
      blockedLimitMs: 60_000,
      onLost: (jobs) => void others.push(...jobs.map(({ id }) => id)),
    });
    onTestFinished(() => more.close());
    await handle.add(...Array.from({ length: 700 }, () => ({})));
    const jobs = await handle.claim({ limit: 700, leaseMs: 60_000 });
    keeper.hold(jobs, 0);
    keeper.letGo(jobs.slice(0, 500));
    await handle.add(
      ...Array.from({ length: 300 }, (_, index) => ({ id: `other-${index}`, queue: 'other' })),
    );
    const { signal } = new AbortController();
    const held = await handle.backend.claim('other', {
      limit: 300,
      prefetch: 0,
      leaseMs: 60_000,
      waitMs: 0,
      signal,
    });
    more.hold(held, 0);
    const endOf = async (name: string, id: string): Promise<number> =>
      Number(await redis.client.zscore(handle.keyOf('active', name), handle.keyOf('job', id))) * 1_000;
    // Renewed for as long as the keeper says, which is shorter than what was claimed.
    await vi.waitUntil(async () => (await endOf(queue, jobs[699]!.id)) < jobs[0]!.leaseEndsAt, {
      timeout: 5_000,
    });
    await vi.waitUntil(async () => (await endOf('other', held[299]!.id)) < held[0]!.leaseEndsAt, {
      timeout: 5_000,
    });
    expect(await endOf(queue, jobs[499]!.id)).toBe(jobs[499]!.leaseEndsAt);
    expect([lost, others]).toEqual([[], []]);
  });

  it('D5: counts a lease from when its claim was sent, and not from when the answer came', async () => {
    const { handle, keeper, hole, job, lost, leaseMs } = await heldBehindHole(30_000);
    const sentAt = performance.now();
    const late = await handle.claimOne({ leaseMs });
    // The answer was on its way for half a lease, and after it nothing gets through any more.
    await delay(leaseMs / 2);
    hole.open();
    keeper.hold([late], performance.now() - sentAt);
    await vi.waitUntil(() => lost.includes(late.id), { timeout: 5_000, interval: 5 });
    expect(performance.now() - sentAt).toBeLessThan(leaseMs);
    await vi.waitUntil(() => lost.length === 2, { timeout: 5_000 });
    expect(lost.toSorted()).toEqual([job.id, late.id]);
  });

  it('D5: renews in time what came with most of its lease gone', async () => {
    const { handle, keeper, lost, isConnected } = await keeping(30_000);
    await vi.waitUntil(isConnected, { timeout: 5_000 });
    await handle.add({}, {});
    // By itself it looks every ten seconds, and half of that after the first look it is lost.
    for (const job of await handle.claim({ limit: 2, leaseMs: 60_000 })) {
      keeper.hold([job], 20_000);
      await shortened(handle, job);
    }
    expect(lost).toEqual([]);
  });

  it('D5: has lost what came when its lease was over', async () => {
    const { handle, keeper, lost } = await keeping(30_000);
    await handle.add({});
    const job = await handle.claimOne();
    keeper.hold([job], 30_000);
    await vi.waitUntil(() => lost.length > 0, { timeout: 5_000 });
    expect(lost).toEqual([job.id]);
  });

  it('renews at once what came while it began', async () => {
    const other = await redis.handle();
    await other.add({});
    const job = await other.claimOne({ leaseMs: 60_000 });
    const { handle, keeper, lost } = await keeping(30_000);
    keeper.hold([job], 0);
    await shortened(handle, job);
    expect(lost).toEqual([]);
  });

  it.each(['begins', 'waits for jobs'])('ends when it is closed while it %s', async (when) => {
    const threads = threadsFromNowOn();
    const { handle, keeper, isConnected } = await keeping(1_000);
    if (when === 'waits for jobs') await vi.waitUntil(isConnected, { timeout: 5_000 });
    await handle.backend.close();
    expect(threads).toEqual([{ isOver: true }]);
    await keeper.close();
    await vi.waitUntil(async () => !(await isConnected()), { timeout: 5_000 });
    expect(handle.warnings).toEqual([]);
  });

  it.each(['begins', 'waits for jobs'])(
    'ends with its last keeper that is closed while it %s',
    async (when) => {
      const threads = threadsFromNowOn();
      const { handle, keeper, isConnected } = await keeping(1_000);
      if (when === 'waits for jobs') await vi.waitUntil(isConnected, { timeout: 5_000 });
      await keeper.close();
      expect(threads).toEqual([{ isOver: true }]);
      expect(handle.warnings).toEqual([]);
    },
  );

  it('ends with the last keeper, and begins again with the next', async () => {
    const { handle, keeper } = await keeping(300);
    await keeper.close();
    await keeper.close();
    keeper.hold([], 0);
    const lost: string[] = [];
    const next = handle.backend.keepLeases!({
      queue,
      leaseMs: 300,
      blockedLimitMs: 60_000,
      onLost: (jobs) => void lost.push(...jobs.map(({ id }) => id)),
    });
    await handle.add({});
    const job = await handle.claimOne({ leaseMs: 60_000 });
    await handle.backend.delete(queue, [job.id]);
    next.hold([job], 0);
    await vi.waitUntil(() => lost.length > 0, { timeout: 5_000 });
    await handle.backend.close();
    await next.close();
  });
});

describe('an app', () => {
  const boot = async (...providers: Type[]) => {
    const connectionName = `connection-${++connections}`;
    const handle = redis.closedHandle({ options: { connectionName } });
    const app = await bootContext({
      imports: [JobsModule.forRoot({ backend: handle.backend }), JobsModule.registerQueue({ name: queue })],
      providers,
    });
    return {
      app,
      jobs: app.get<JobQueue>(getJobQueueToken(queue)),
      isConnected: () => isLeasing(connectionName),
    };
  };

  it('D4: has the thread as soon as it consumes, before there is any job', async () => {
    const threads = threadsFromNowOn();
    const { app, isConnected } = await boot(jobHandler(queue, () => {}));
    await vi.waitUntil(isConnected, { timeout: 5_000 });
    await app.close();
    expect(threads).toEqual([{ isOver: true }]);
  });

  it('has none any more when it is closed while it starts', async () => {
    const threads = threadsFromNowOn();
    const { app } = await boot(jobHandler(queue, () => {}));
    await vi.waitUntil(() => threads.length > 0, { timeout: 5_000, interval: 1 });
    await app.close();
    expect(threads).toEqual([{ isOver: true }]);
  });

  it('has none where it only enqueues', async () => {
    const threads = threadsFromNowOn();
    const { app, jobs } = await boot();
    expect(await jobs.enqueue({})).toMatchObject({ status: 'enqueued' });
    expect((await jobs.counts()).ready).toBe(1);
    await app.close();
    expect(threads).toEqual([]);
  });
});

describe('without a thread', () => {
  it('the main loop renews them, and the log says what that means', async () => {
    const warnings: string[] = [];
    const extended: Extension[] = [];
    const keeping = new LeaseKeeping(
      {
        // What ioredis refuses, in the thread as well.
        address: { url: undefined, nodes: undefined, options: { sentinels: [] } },
        namespace: 'x',
        commandTimeoutMs: 1_000,
        extend: extendScript,
      },
      {
        warn: (message) => void warnings.push(message),
        extend: async (_, extensions) => {
          extended.push(...extensions);
          return extensions.map(({ job }) => job.id !== 'lost');
        },
        setTimer: (callback, delayMs) => {
          const timer = setTimeout(callback, delayMs);
          return () => clearTimeout(timer);
        },
      },
    );
    const lost: string[] = [];
    const onLost = (jobs: readonly ClaimedJob[]): void => void lost.push(...jobs.map(({ id }) => id));
    const keeper = keeping.keep({ queue, leaseMs: 60, blockedLimitMs: 1_000, onLost });
    keeper.hold([{ id: 'kept', token: '1' } as ClaimedJob, { id: 'lost', token: '2' } as ClaimedJob], 0);
    await vi.waitUntil(() => warnings.length > 0, { timeout: 5_000 });
    expect(warnings).toEqual([
      expect.stringMatching(/thread.*cannot run \(.*sentinel.*\).*main loop instead/i),
    ]);
    await vi.waitUntil(() => lost.length > 0 && extended.length > 4);
    expect(lost).toEqual(['lost']);
    const late = { id: 'late', token: '3' } as ClaimedJob;
    keeper.hold([late], 0);
    await vi.waitUntil(() => extended.some(({ job }) => job === late));
    await keeping.close();
    const count = extended.length;
    await delay(100);
    expect(extended).toHaveLength(count);
  });
});

describe('LoopLeases', () => {
  it('says that leases are lost before they are over, also while a call hangs', async () => {
    const lost: [id: string, afterMs: number][] = [];
    const leaseMs = 300;
    const since = performance.now();
    const answers: ((answer: readonly boolean[]) => void)[] = [];
    const leases = new LoopLeases(
      {
        queue,
        leaseMs,
        blockedLimitMs: 60_000,
        onLost: (jobs) => jobs.forEach(({ id }) => lost.push([id, performance.now() - since])),
      },
      {
        extend: () => new Promise((resolve) => answers.push(resolve)),
        setTimer: (callback, delayMs) => {
          const timer = setTimeout(callback, delayMs);
          return () => clearTimeout(timer);
        },
      },
    );
    onTestFinished(() => leases.close());
    leases.hold([{ id: 'a' } as ClaimedJob], 0);
    await vi.waitUntil(() => answers.length > 0);
    leases.hold([{ id: 'b' } as ClaimedJob], 0);
    await vi.waitUntil(() => lost.length === 2, { interval: 5 });
    expect(lost.map(([id]) => id)).toEqual(['a', 'b']);
    expect(lost[0]![1]).toBeLessThan(leaseMs);
    // What comes after all is of no use.
    answers[0]!([true]);
    await delay(leaseMs);
    expect(lost).toHaveLength(2);
  });

  it('D5: counts a lease from when its claim was sent, also of what comes after others', () => {
    const timers: { readonly callback: () => void; readonly at: number }[] = [];
    const lost: string[] = [];
    let extended = 0;
    const leases = new LoopLeases(
      {
        queue,
        leaseMs: 60_000,
        blockedLimitMs: 60_000,
        onLost: (jobs) => lost.push(...jobs.map(({ id }) => id)),
      },
      {
        extend: () => {
          extended++;
          return new Promise(() => {});
        },
        setTimer: (callback, delayMs) => {
          const timer = { callback, at: delayMs };
          timers.push(timer);
          return () => void timers.splice(timers.indexOf(timer), 1);
        },
      },
    );
    const delays = (): number[] => timers.map(({ at }) => Math.round(at / 1_000)).toSorted((a, b) => a - b);
    leases.hold([{ id: 'fresh' } as ClaimedJob], 0);
    expect(delays()).toEqual([20, 50]);
    // Half a lease on its way: a sixth of it before the end is in 20 s, and to be renewed it was before it came.
    leases.hold([{ id: 'late' } as ClaimedJob], 30_000);
    expect(delays()).toEqual([0, 20]);
    leases.hold([{ id: 'fresh too' } as ClaimedJob], 0);
    expect(delays()).toEqual([0, 20]);
    leases.hold([{ id: 'over' } as ClaimedJob], 59_000);
    expect(delays()).toEqual([0, 0]);
    timers.slice().forEach(({ callback }) => callback());
    expect(lost).toEqual(['over']);
    expect(extended).toBe(1);
    leases.close();
    expect(timers).toEqual([]);
  });
});

describe('HeldLeases', () => {
  const job = (id: string, token = '1'): ClaimedJob => ({ id, token }) as ClaimedJob;

  it('makes room for more, and uses again what is free', () => {
    const pages: SharedArrayBuffer[] = [];
    const held = new HeldLeases((page) => void pages.push(page));
    for (let round = 0; round < 5; round++) {
      const jobs = Array.from({ length: 300 }, (_, index) => job(`${round}-${index}`));
      expect(jobs.every((one) => held.hold(one, 0))).toBe(true);
      expect(held.all()).toEqual(jobs);
      jobs.forEach((one) => held.letGo(one));
    }
    expect(pages).toHaveLength(3);
  });

  it('takes none whose id is too long', () => {
    const held = new HeldLeases(() => {});
    expect(held.hold(job('ü'.repeat(150)), 0)).toBe(false);
    expect(held.hold(job('x'.repeat(200), '1795178096123456'), 0)).toBe(true);
  });

  it('does not take the next one in a place for the one before', () => {
    const held = new HeldLeases(() => {});
    const first = job('a');
    held.hold(first, 0);
    expect(held.at(0, 1)).toBe(first);
    held.letGo(first);
    expect(held.at(0, 1)).toBeUndefined();
    const second = job('b');
    held.hold(second, 0);
    expect(held.at(0, 1)).toBeUndefined();
    expect(held.at(0, 2)).toBe(second);
  });
});
