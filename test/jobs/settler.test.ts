import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { ClaimedJob, ClaimOptions, SettleAnswer, Settlement } from '../../lib/jobs/job-backend.js';
import { Settler, type SettlerHost } from '../../lib/jobs/settler.js';
import { type FakeJobs, startedJobs } from '../support/fake-jobs.js';

/** A call of the backend that the test answers. */
interface Call {
  readonly settlements: readonly Settlement[];
  readonly thenClaim: ClaimOptions | undefined;
  readonly answer: () => void;
  readonly fail: () => void;
}

class RecordingHost implements SettlerHost {
  readonly queue = 'mail';
  readonly callTimeoutMs = 10_000;
  readonly asked: number[] = [];
  readonly told: (readonly [count: number, repeated: boolean])[] = [];
  idle = 0;

  wantedToo(asked: number): ClaimOptions {
    this.asked.push(asked);
    return { limit: 5, prefetch: 2, leaseMs: 1_000 };
  }

  took(): void {}

  settled(settlements: readonly Settlement[], _: unknown, repeated: boolean): void {
    this.told.push([settlements.length, repeated]);
  }

  gaveUp(): void {}

  settlerIdle(): void {
    this.idle++;
  }
}

let jobs: FakeJobs;
let host: RecordingHost;
let settler: Settler;
let calls: Call[];

const sizes = (): number[] => calls.map(({ settlements }) => settlements.length);

/** So many jobs have ended, and the event loop has had its turn. */
async function end(count: number): Promise<void> {
  for (let index = 0; index < count; index++) settler.add({ kind: 'released', job: {} as ClaimedJob });
  await jobs.clock.settle();
}

describe('settlements', () => {
  beforeEach(async () => {
    jobs = await startedJobs({ autoStart: false });
    host = new RecordingHost();
    settler = new Settler(jobs.connection, host);
    calls = [];
    vi.spyOn(jobs.memory, 'settle').mockImplementation(
      (_, settlements, thenClaim) =>
        new Promise<SettleAnswer>((resolve, reject) => {
          const accepted = settlements.map(() => true);
          calls.push({
            settlements,
            thenClaim,
            answer: () => resolve({ accepted, pushedOut: 0, claimed: [] }),
            fail: () => reject(new Error('connection lost')),
          });
        }),
    );
  });

  it('go in two calls at once where there are many, and in one where there are few', async () => {
    await end(1);
    await end(63);
    expect(sizes()).toEqual([1]);
    await end(1);
    expect(sizes()).toEqual([1, 64]);
    await end(200);
    expect(sizes()).toEqual([1, 64]);
    calls[0]!.answer();
    await jobs.clock.settle();
    expect(sizes()).toEqual([1, 64, 200]);
    await end(3);
    calls[1]!.answer();
    await jobs.clock.settle();
    expect(sizes()).toEqual([1, 64, 200]);
    calls[2]!.answer();
    await jobs.clock.settle();
    expect(sizes()).toEqual([1, 64, 200, 3]);
    expect(host.idle).toBe(0);
    calls[3]!.answer();
    await jobs.clock.settle();
    expect(host.idle).toBe(1);
    expect(settler.isActive).toBe(false);
  });

  it('say what the other call has asked for', async () => {
    await end(1);
    await end(64);
    expect(host.asked).toEqual([0, 7]);
    calls[0]!.answer();
    calls[1]!.answer();
    await jobs.clock.settle();
    await end(1);
    expect(host.asked).toEqual([0, 7, 0]);
    calls[2]!.answer();
    await jobs.clock.settle();
  });

  it('are told again where their call failed, and only those', async () => {
    await end(1);
    await end(64);
    calls[0]!.fail();
    await jobs.clock.settle();
    expect(settler.failure).toMatchObject({ message: expect.stringContaining('connection lost') });
    calls[1]!.answer();
    await jobs.clock.settle();
    expect(settler.failure).toBeUndefined();
    await jobs.clock.advance('1s');
    expect(sizes()).toEqual([1, 64, 1]);
    calls[2]!.answer();
    await jobs.clock.settle();
    expect(host.told).toEqual([
      [64, false],
      [1, true],
    ]);
    expect(settler.isActive).toBe(false);
  });

  it('go in one call at a time while calls fail, after one wait for both', async () => {
    await end(1);
    await end(64);
    calls[0]!.fail();
    calls[1]!.fail();
    await jobs.clock.settle();
    await end(100);
    expect(sizes()).toEqual([1, 64]);
    await jobs.clock.advance('1s');
    expect(sizes()).toEqual([1, 64, 165]);
    await end(100);
    expect(sizes()).toEqual([1, 64, 165]);
    calls[2]!.answer();
    await jobs.clock.settle();
    expect(sizes()).toEqual([1, 64, 165, 100]);
    calls[3]!.answer();
    await jobs.clock.settle();
    expect(host.told).toEqual([
      [165, true],
      [100, false],
    ]);
  });

  it('that the backend has not been told are known when it closes', async () => {
    await end(1);
    await end(64);
    await end(10);
    expect(settler.close()).toHaveLength(75);
    calls.forEach(({ fail }) => fail());
    await jobs.clock.settle();
    expect(settler.isActive).toBe(false);
    expect(jobs.clock.pending).toBe(0);
  });
});
