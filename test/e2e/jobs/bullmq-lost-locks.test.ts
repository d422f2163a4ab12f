import type { Job, JobContext } from 'nestjs-worker';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { kinds, type SomeStore, SomeStores } from '../../integrations/bullmq/some-stores.js';
import { signal, type Signal } from '../../support/nest.js';
import { type BullApp, bootBullApp } from './bullmq-app.js';

const stores = new SomeStores();
const soon = { timeout: 8_000, interval: 10 };
/** The locks are looked at every second, and one that came since the last look is looked at from the next one on. */
const aboutASecond = 2_500;

interface Run {
  readonly aborted: Signal<unknown>;
  readonly end: Signal<unknown>;
  readonly ended: Signal;
  /** How long its job has been without its lock. */
  afterMs: number;
  lostAt: number;
}

/** Jobs that run until they are told to end, whether they are aborted or not, by their payloads. */
class Runs {
  readonly #runs = new Map<string, Run>();

  readonly handle = async ({ payload }: Job, { signal: aborts, shutdown }: JobContext): Promise<unknown> => {
    const [aborted, end, ended] = [signal<unknown>(), signal<unknown>(), signal()];
    const run: Run = { aborted, end, ended, afterMs: 0, lostAt: 0 };
    this.#runs.set(payload as string, run);
    aborts.addEventListener('abort', () => {
      run.afterMs = performance.now() - run.lostAt;
      aborted.resolve(aborts.reason);
    });
    shutdown.addEventListener('abort', () => end.resolve(undefined));
    const result = await end.promise;
    setImmediate(ended.resolve);
    return result;
  };

  has(what: string): boolean {
    return this.#runs.has(what);
  }

  of(what: string): Run {
    return this.#runs.get(what)!;
  }

  async endAll(result: unknown): Promise<void> {
    for (const run of this.#runs.values()) run.end.resolve(result);
    await Promise.all(Array.from(this.#runs.values(), ({ ended }) => ended.promise));
  }
}

interface Booted extends BullApp {
  readonly runs: Runs;
  readonly ids: readonly string[];
}

describe.each(kinds)('a lock that is lost, on %s', (kind) => {
  let store: SomeStore;

  beforeEach(() => {
    store = stores.get(kind);
  });

  async function boot(...payloads: readonly string[]): Promise<Booted> {
    const runs = new Runs();
    const app = await bootBullApp(store, {
      // So long that no renewal finds out.
      lease: '2m',
      handlers: [[runs.handle, { keepCompleted: '1h', abortGrace: '1m' }]],
    });
    const enqueued = await app.jobs.enqueueMany(payloads);
    await expect.poll(() => payloads.every((what) => runs.has(what)), soon).toBe(true);
    return { ...app, runs, ids: enqueued.map(({ id }) => id) };
  }

  /** Does it, and waits until the handler is told. */
  async function lose({ runs }: Booted, what: string, by: () => Promise<unknown>): Promise<void> {
    const run = runs.of(what);
    run.lostAt = performance.now();
    await by();
    const late = setTimeout(() => run.aborted.reject(new Error(`${what}: it was not told`)), 10_000);
    onTestFinished(() => clearTimeout(late));
    expect({ what, ...((await run.aborted.promise) as object) }).toMatchObject({
      what,
      reason: 'lease-lost',
    });
    expect(run.afterMs).toBeLessThan(aboutASecond);
  }

  /** Until all of them have returned something, and nothing of it is left to be told to the store. */
  async function endLate({ runs, jobs }: Booted): Promise<void> {
    await runs.endAll('late');
    await expect.poll(() => jobs.consumer?.runner.settler.isActive, soon).toBe(false);
  }

  it('aborts the handler with the reason lease-lost, and what it returns is refused', async () => {
    const booted = await boot('taken', 'moved', 'deleted', 'cancelled', 'kept');
    const swept = await boot('first', 'second');
    const { name, jobs } = booted;
    const [taken, moved, deleted, cancelled, kept] = booted.ids as [string, string, string, string, string];
    const other = await bootBullApp(store, { name });
    const queue = store.queue(name);
    const all = store.queue(swept.name);
    // BullMQ removes nothing that is locked.
    expect(await all.remove(swept.ids[0]!)).toBe(0);
    await all.pause();
    await Promise.all([
      lose(booted, 'taken', () => store.setLock(name, taken, 'somebody else')),
      lose(booted, 'moved', async () => {
        await store.setLock(name, moved, 'somebody else');
        await (await queue.getJob(moved))!.moveToCompleted('theirs', 'somebody else', false);
      }),
      lose(booted, 'deleted', async () => expect(await other.jobs.delete([deleted])).toEqual(['active'])),
      lose(booted, 'cancelled', async () => expect(await other.jobs.cancel([cancelled])).toEqual(['active'])),
      lose(swept, 'first', () => all.obliterate({ force: true })),
      lose(swept, 'second', () => Promise.resolve()),
    ]);
    await Promise.all([endLate(booted), endLate(swept)]);

    expect(await jobs.get(kept)).toMatchObject({ state: 'completed', result: 'late' });
    // Whoever has it by now goes on.
    expect(await jobs.get(taken)).toMatchObject({ state: 'active', failures: 0, deaths: 0 });
    expect(await store.lockOf(name, taken)).toBe('somebody else');
    expect(await jobs.get(moved)).toMatchObject({ state: 'completed', result: 'theirs' });
    expect(await jobs.get(deleted)).toBeUndefined();
    const calledOff = [{ attempt: 1, outcome: 'cancelled' }];
    expect(await jobs.get(cancelled)).toMatchObject({ state: 'cancelled', history: calledOff });
    expect(await queue.getJobCounts()).toMatchObject({ active: 1, completed: 3, failed: 0, waiting: 0 });

    expect(await Promise.all(swept.ids.map((id) => swept.jobs.get(id)))).toEqual([undefined, undefined]);
    expect(await all.getJobCounts()).toMatchObject({ active: 0, completed: 0, waiting: 0, failed: 0 });
  });
});
