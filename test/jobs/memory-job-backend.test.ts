import {
  type BlockingClaimOptions,
  type ClaimedJob,
  type JobBackendHost,
  MemoryJobBackend,
  type NewJob,
} from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../lib/clock/index.js';
import { heapUsed } from '../support/heap.js';

const queue = 'emails';
const hourMs = 3_600_000;

let made = 0;
const newJob = (fields: Partial<NewJob> = {}): NewJob => ({
  id: `job-${String(++made).padStart(8, '0')}`,
  queue,
  name: '',
  payload: undefined,
  due: { inMs: 0 },
  priority: 0,
  ...fields,
});
const jobs = (count: number, fields: Partial<NewJob> = {}): NewJob[] =>
  Array.from({ length: count }, () => newJob(fields));

const claiming = (fields: Partial<BlockingClaimOptions> = {}): BlockingClaimOptions => ({
  limit: 1,
  prefetch: 0,
  leaseMs: 60_000,
  waitMs: 0,
  signal: new AbortController().signal,
  ...fields,
});

class Host implements JobBackendHost {
  readonly revoked: string[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  readonly onRevoked = (of: string, ids: readonly string[]): void => {
    this.revoked.push(...ids.map((id) => `${of} ${id}`));
  };
  readonly onConnection = (): void => {};
  readonly warn = (): void => {};
  readonly setTimer: JobBackendHost['setTimer'] = (callback, delayMs) =>
    this.#clock.setTimer(callback, delayMs);
}

async function opened(clock = new FakeClock()) {
  const backend = new MemoryJobBackend({ clock });
  const host = new Host(clock);
  await backend.open(host);
  return { backend, clock, host };
}

const completed = (job: ClaimedJob, keepMs = 0) => ({ kind: 'completed', job, keepMs }) as const;

describe('MemoryJobBackend', () => {
  it('runs by the time of this machine where no clock is given', async () => {
    const backend = new MemoryJobBackend();
    const before = Date.now();
    const [job] = [newJob()];
    await backend.enqueue([job]);
    const [claimed] = await backend.claim(queue, claiming());
    expect(claimed?.id).toBe(job.id);
    expect(claimed?.createdAt).toBeGreaterThanOrEqual(before);
    expect(claimed?.claimedAt).toBeLessThanOrEqual(Date.now());
  });

  it('holds a timer only while a claim waits', async () => {
    const { backend, clock } = await opened();
    await backend.enqueue([...jobs(5), ...jobs(5, { due: { inMs: hourMs } })]);
    await backend.claim(queue, claiming({ limit: 5 }));
    expect(clock.pending).toBe(0);
    const controller = new AbortController();
    const claim = backend.claim(queue, claiming({ waitMs: 1_000, signal: controller.signal }));
    expect(clock.pending).toBe(2);
    controller.abort();
    await claim;
    expect(clock.pending).toBe(0);
    const forever = backend.claim(queue, claiming({ waitMs: Infinity }));
    expect(clock.pending).toBe(1);
    await backend.close();
    expect(await forever).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('may be shared by two apps: what one of them closes, the other goes on with', async () => {
    const { backend, clock, host } = await opened();
    const other = new Host(clock);
    await backend.open(other);
    const claim = backend.claim(queue, claiming({ waitMs: 1_000 }));
    await backend.close();
    expect(await claim, 'it is asked again').toEqual([]);
    const again = backend.claim(queue, claiming({ waitMs: 1_000 }));
    const [job] = [newJob()];
    await backend.enqueue([job]);
    expect((await again)[0]?.id).toBe(job.id);
    await backend.delete(queue, [job.id]);
    expect([host.revoked, other.revoked]).toEqual([[`${queue} ${job.id}`], [`${queue} ${job.id}`]]);
    await backend.close();
    expect(clock.pending).toBe(0);
  });

  it('tells who held a job that somebody else has it', async () => {
    const { backend, clock, host } = await opened();
    const [job] = [newJob()];
    await backend.enqueue([job]);
    await backend.claim(queue, claiming({ leaseMs: 100 }));
    await clock.advance(100);
    expect(host.revoked).toEqual([]);
    await backend.claim(queue, claiming());
    expect(host.revoked).toEqual([`${queue} ${job.id}`]);
    await backend.close();
  });

  it('takes a call of whoever is told, at once', async () => {
    const { backend, clock, host } = await opened();
    await backend.enqueue(jobs(1));
    const [late] = await backend.claim(queue, claiming({ leaseMs: 100 }));
    const answers: (readonly boolean[])[] = [];
    Object.assign(host, {
      onRevoked: () => {
        void backend.extend(queue, [{ job: late!, leaseMs: 100 }]).then((answer) => answers.push(answer));
      },
    });
    const claim = backend.claim(queue, claiming({ waitMs: 1_000 }));
    await clock.advance(100);
    const [holder] = await claim;
    await clock.settle();
    expect(answers).toEqual([[false]]);
    expect((await backend.settle(queue, [completed(holder!)])).accepted).toEqual([true]);
    expect((await backend.claim(queue, claiming())).length).toBe(0);
    await backend.close();
  });

  it('gives an id once, in whatever queue', async () => {
    const { backend } = await opened();
    const [job] = [newJob()];
    await backend.enqueue([job]);
    expect(await backend.enqueue([{ ...job, queue: 'other' }])).toEqual([{ kind: 'exists', id: job.id }]);
    expect(await backend.get('other', [job.id])).toEqual([undefined]);
    expect(await backend.delete('other', [job.id])).toEqual(['unknown']);
  });

  it('gives higher tokens than the process before', async () => {
    const clock = new FakeClock();
    const tokenOf = async (backend: MemoryJobBackend): Promise<bigint> => {
      await backend.enqueue(jobs(1));
      return BigInt((await backend.claim(queue, claiming()))[0]!.token);
    };
    const first = await tokenOf(new MemoryJobBackend({ clock }));
    await clock.advance(1_000);
    expect((await tokenOf(new MemoryJobBackend({ clock }))) > first).toBe(true);
  });

  it('is not confused by a clock that is set back', async () => {
    const clock = new FakeClock();
    let back = 0;
    const now = clock.now.bind(clock);
    clock.now = () => now() - back;
    const { backend } = await opened(clock);
    await backend.enqueue(jobs(3));
    const [job] = await backend.claim(queue, claiming({ limits: { rate: { limit: 5, periodMs: 1_000 } } }));
    back = hourMs;
    await backend.settle(queue, [completed(job!)]);
    const limited = claiming({ limits: { rate: { limit: 5, periodMs: 1_000 } } });
    expect((await backend.claim(queue, limited)).length).toBe(1);
    const [counts] = await backend.counts([queue], { dueWithinMs: 0 });
    expect(counts).toMatchObject({ ready: 1, active: 1, oldestReadyAgeMs: 0 });
    const claim = backend.claim(queue, claiming({ limit: 5, waitMs: 10 * hourMs }));
    expect((await claim).length).toBe(1);
    await backend.close();
  });

  it('wakes no sooner than a job is due, where a timer fires early', async () => {
    const clock = new FakeClock();
    const { backend } = await opened(clock);
    const early: JobBackendHost['setTimer'] = (callback, delayMs) => clock.setTimer(callback, delayMs * 0.9);
    await backend.open(Object.assign(new Host(clock), { setTimer: early }));
    await backend.enqueue([newJob({ due: { inMs: 1_000 } })]);
    const claim = backend.claim(queue, claiming({ waitMs: hourMs }));
    await clock.advance(2_000);
    const [job] = await claim;
    expect(job!.claimedAt).toBeGreaterThanOrEqual(job!.dueAt);
    expect(job!.claimedAt).toBeLessThanOrEqual(job!.dueAt + 2);
    await backend.close();
  });

  it('keeps whole milliseconds, and rounds up', async () => {
    const { backend, clock } = await opened();
    await clock.advance(0.5);
    const [job] = [newJob({ due: { inMs: 10.25 } })];
    await backend.enqueue([job]);
    const [stored] = await backend.get(queue, [job.id]);
    expect(stored!.createdAt).toBe(Math.floor(clock.now()));
    expect(stored!.dueAt).toBe(stored!.createdAt + 11);
  });

  it('holds the limits of keys that consumers do not agree on', async () => {
    const { backend } = await opened();
    await backend.enqueue(jobs(10, { limitKey: 'a' }));
    const take = async (perKey?: number): Promise<number> =>
      (await backend.claim(queue, claiming({ limit: 2, limits: { perKey } }))).length;
    const taken: number[] = [];
    for (const perKey of [1, 1, 3, 1, 2, undefined, 4, 9]) taken.push(await take(perKey));
    expect(taken).toEqual([1, 0, 2, 0, 0, 2, 0, 2]);
    expect((await backend.counts([queue], { dueWithinMs: 0 }))[0]).toMatchObject({ ready: 3, active: 7 });
  });

  it('forgets queues that were only asked about', async () => {
    const { backend } = await opened();
    await backend.get('warm up', ['x']);
    const before = heapUsed();
    for (let name = 0; name < 20_000; name++) {
      await backend.get(`queue ${name}`, ['x']);
      await backend.counts([`queue ${name}`], { dueWithinMs: 0 });
      await backend.list(`queue ${name}`, { state: 'ready', limit: 1 });
    }
    expect(heapUsed() - before).toBeLessThan(2_000_000);
  });

  it('keeps nothing of jobs that are gone', async () => {
    const { backend, clock } = await opened();
    const cycle = async (rounds: number): Promise<void> => {
      for (let round = 0; round < rounds; round++) {
        const lasting = Array.from({ length: 100 }, (_, index) =>
          newJob({ unique: { key: `${round} ${index}`, ttlMs: hourMs }, limitKey: `${index % 30}` }),
        );
        await backend.enqueue([...lasting, ...jobs(20, { due: { inMs: hourMs } })]);
        const limits = { concurrency: 50, perKey: 1 };
        let claimed: readonly ClaimedJob[];
        do {
          claimed = await backend.claim(queue, claiming({ limit: 100, limits }));
          const settlements = claimed.map((job, index) => completed(job, index % 10 === 0 ? 50 : 0));
          await backend.settle(queue, settlements);
        } while (claimed.length > 0);
        const { jobs: later } = await backend.list(queue, { state: 'scheduled', limit: 20 });
        await backend.delete(
          queue,
          later.map(({ id }) => id),
        );
        await clock.advance(100);
      }
    };
    await cycle(50);
    const before = heapUsed();
    await cycle(200);
    expect(heapUsed() - before).toBeLessThan(1_000_000);
  });
});
