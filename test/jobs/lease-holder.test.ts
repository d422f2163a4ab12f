import type { ClaimedJob, JobBackend, LeaseKeeper, LeaseKeeperOptions } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { type FakeJobs, idleJobs } from '../support/fake-jobs.js';
import { fakeJobQueue } from '../support/fake-job-queue.js';

/** What a backend was asked to keep. */
class RecordingKeeper implements LeaseKeeper {
  readonly held: [id: string, heldForMs: number][] = [];
  readonly letGone: string[] = [];
  closed = 0;

  constructor(readonly options: LeaseKeeperOptions) {}

  hold(jobs: readonly ClaimedJob[], heldForMs: number): void {
    this.held.push(...jobs.map(({ id }): [string, number] => [id, heldForMs]));
  }

  letGo(jobs: readonly ClaimedJob[]): void {
    this.letGone.push(...jobs.map(({ id }) => id));
  }

  async close(): Promise<void> {
    this.closed++;
  }
}

/** Lets a backend keep leases; `begin` is what happens when it is asked to. Answers its keepers. */
function keepersOf(backend: JobBackend, begin: () => void = () => {}): RecordingKeeper[] {
  const keepers: RecordingKeeper[] = [];
  const keepLeases = (options: LeaseKeeperOptions): LeaseKeeper => {
    begin();
    const keeper = new RecordingKeeper(options);
    keepers.push(keeper);
    return keeper;
  };
  Object.assign(backend, { keepLeases });
  return keepers;
}

/** Of each claim, the answer takes so long. */
function slowClaims({ backend, memory, clock }: FakeJobs, delayMs: number): void {
  const claim: JobBackend['claim'] = async (queue, options) => {
    const claimed = await memory.claim(queue, options);
    if (claimed.length > 0) await new Promise<void>((resolve) => void clock.setTimer(resolve, delayMs));
    return claimed;
  };
  Object.assign(backend, { claim });
}

describe('a backend that keeps leases', () => {
  it('is told to before the first claim, also where nothing is to be done', async () => {
    const jobs = idleJobs();
    const claims: number[] = [];
    const keepers = keepersOf(jobs.backend, () => claims.push(jobs.backend.calls.claim));
    await jobs.start();
    expect(claims).toEqual([0]);
    expect(keepers[0]?.options).toMatchObject({ queue: 'mail', leaseMs: 30_000, blockedLimitMs: 120_000 });
    expect(jobs.backend.calls.claim).toBe(1);
  });

  it('is told to once it is open at last, and the start waits for neither', async () => {
    const jobs = idleJobs();
    const keepers = keepersOf(jobs.backend);
    jobs.backend.break('fails', 'open');
    await jobs.start();
    expect(jobs.consumer.active).toBe(true);
    await jobs.clock.advance('5s');
    expect(keepers).toEqual([]);
    jobs.backend.mend();
    await jobs.clock.advance('1m');
    expect(keepers).toHaveLength(1);
  });

  it('is not told to by a consumer that has stopped before it was open', async () => {
    const jobs = idleJobs();
    const keepers = keepersOf(jobs.backend);
    jobs.backend.break('fails', 'open');
    await jobs.start();
    const stopped = jobs.pool.stop();
    await jobs.clock.advance('1m');
    await stopped;
    jobs.backend.mend();
    await jobs.clock.advance('1m');
    expect(jobs.connection.isOpen).toBe(true);
    expect(keepers).toEqual([]);
  });

  it('is told to anew when the consumer starts again, and to stop when it stops', async () => {
    const jobs = idleJobs();
    const keepers = keepersOf(jobs.backend);
    await jobs.start();
    await jobs.pool.stop();
    expect(keepers.map(({ closed }) => closed)).toEqual([1]);
    await jobs.start();
    expect(keepers.map(({ closed }) => closed)).toEqual([1, 0]);
    await jobs.enqueue({ id: 'one' });
    expect(keepers[1]?.held).toEqual([['one', 0]]);
    jobs.handler.attempt.succeed();
    await jobs.clock.settle();
    expect(keepers[1]?.letGone).toEqual(['one']);
  });

  it('D5: is told how much of their leases may be gone when jobs come late', async () => {
    const jobs = idleJobs({ leaseMs: 20_000 });
    const keepers = keepersOf(jobs.backend);
    slowClaims(jobs, 10_000);
    await jobs.start();
    await jobs.clock.advance('2s');
    // The claim had waited for two seconds by then.
    await jobs.enqueue({ id: 'one' });
    await jobs.clock.advance('10s');
    expect(keepers[0]?.held).toEqual([['one', 12_000]]);
    expect(jobs.handler.running).toBe(1);
    jobs.handler.attempt.succeed();
  });

  it('that cannot costs nothing but that: leases are renewed without it', async () => {
    const jobs = idleJobs();
    keepersOf(jobs.backend, () => {
      throw new Error('no more threads');
    });
    await jobs.start();
    expect(jobs.logger.lines.map(({ message }) => message).join('\n')).toMatch(
      /keeping the leases of queue "mail"/,
    );
    await jobs.enqueue({ id: 'one' });
    await jobs.clock.advance('2m');
    expect(jobs.handler.running).toBe(1);
    expect(jobs.backend.calls.extend).toBeGreaterThan(5);
    expect(jobs.consumer.runner.tally.leasesLost).toBe(0);
    jobs.handler.attempt.succeed();
  });

  it('is not told to where jobs are only enqueued', async () => {
    const { queue, backend, clock, connection } = fakeJobQueue();
    const keepers = keepersOf(backend);
    await queue.enqueue(1);
    await clock.advance('1m');
    expect(connection.isOpen).toBe(true);
    expect(keepers).toEqual([]);
  });
});
