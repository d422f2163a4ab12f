import { FlowProducer } from 'bullmq';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ClaimedJob, JobAttempt, Settlement } from '../../../lib/jobs/index.js';
import { OpenBackend } from './open-backend.js';
import { kinds, SomeStores } from './some-stores.js';

const stores = new SomeStores();
const half = '\ud83d';
const texts = ['a NUL: \0', 'what says so: \\u0000 cannot be converted', `half of a character: ${half}`];
const keepMs = 60_000;

describe.each(kinds)('on %s', (kind) => {
  const open = (): Promise<OpenBackend> => OpenBackend.open(stores.get(kind).backend());

  /** A job of BullMQ named "parent", with the id `p`, that waits for one with the id `c`. */
  async function addFlow(queueName: string, failsParent = false) {
    const plain = stores.get(kind).queue(queueName);
    const producer = new FlowProducer(plain.opts, () => plain.getBackend());
    onTestFinished(() => producer.close());
    const opts = { jobId: 'c', ...(failsParent && { failParentOnFailure: true }) };
    const children = [{ name: 'c', queueName, opts }];
    await producer.add({ name: 'parent', queueName, opts: { jobId: 'p' }, children });
    return plain;
  }

  const settle = async (from: OpenBackend, ...settlements: Settlement[]): Promise<readonly boolean[]> =>
    (await from.backend.settle(from.queue, settlements)).accepted;

  describe.each(texts)('an error that has %j in it', (error) => {
    const kept = Buffer.from(error.replace('\0', '')).toString();
    const attempt = (job: ClaimedJob, outcome: JobAttempt['outcome']): JobAttempt => {
      return { attempt: 1, startedAt: job.claimedAt, endedAt: job.claimedAt + 1, outcome, error };
    };

    it.each<[string, (job: ClaimedJob) => Settlement]>([
      [
        'fails',
        (job) => ({ kind: 'scheduled', job, delayMs: 60_000, failures: 1, attempt: attempt(job, 'failed') }),
      ],
      ['is given back', (job) => ({ kind: 'released', job, attempt: attempt(job, 'failed') })],
      [
        'is cancelled',
        (job) => ({ kind: 'cancelled', job, keepMs, error, attempt: attempt(job, 'cancelled') }),
      ],
      [
        'is dead',
        (job) => {
          const end = attempt(job, 'failed');
          return { kind: 'dead', job, cause: 'exhausted', failures: 1, error, attempt: end, maxDead: 9 };
        },
      ],
    ])('is kept of a job that %s', async (_, settlement) => {
      const from = await open();
      const id = await from.add();
      const job = await from.claimOne();
      expect(await settle(from, settlement(job))).toEqual([true]);
      expect(await from.stored(id)).toMatchObject({ lastError: kept, history: [{ error: kept }] });
    });

    it('is kept of jobs that somebody cancels, waiting or run', async () => {
      const from = await open();
      const active = await from.add();
      await from.claimOne();
      const waiting = await from.add();
      const later = await from.add({ due: { inMs: 60_000 } });
      const ids = [active, waiting, later];
      const answers = await from.backend.cancel(from.queue, ids, { keepMs, error });
      expect(answers).toEqual(['active', 'cancelled', 'cancelled']);
      for (const id of ids)
        expect(await from.stored(id)).toMatchObject({ state: 'cancelled', lastError: kept });
    });

    it('does not hold up whoever holds another job, or was late with this one', async () => {
      const from = await open();
      const id = await from.add();
      const late = await from.claimOne({ leaseMs: 10 });
      await expect.poll(() => from.stored(id)).toMatchObject({ state: 'ready' });
      const job = await from.claimOne();
      await settle(from, { kind: 'released', job, attempt: attempt(job, 'failed') });
      await from.add();
      const [again, other] = await from.claim({ limit: 2 });
      expect(
        await from.backend.extend(from.queue, [
          { job: late, leaseMs: 60_000 },
          { job: other!, leaseMs: 60_000 },
        ]),
      ).toEqual([false, true]);
      expect(await settle(from, { kind: 'completed', job: late, keepMs: 0 })).toEqual([false]);
      expect(again?.history.map(({ outcome }) => outcome)).toEqual(['died', 'failed']);
    });
  });

  it('all new jobs are new, also those that are run before that is known', async () => {
    const from = await open();
    stores.get(kind).worker(from.queue, async () => {}, { removeOnComplete: { count: 0 }, concurrency: 50 });
    for (let batch = 0; batch < 4; batch++) {
      const jobs = Array.from({ length: 500 }, (_, index) => {
        const id = `${from.queue}-${batch}-${index}`;
        return { id, queue: from.queue, name: '', payload: undefined, due: { inMs: 0 }, priority: 0 };
      });
      const answers = await from.backend.enqueue(jobs);
      expect(answers.filter(({ kind: answer }) => answer !== 'enqueued')).toEqual([]);
    }
  });

  it('of too many dead jobs, some are removed with each that dies', async () => {
    const from = await open();
    const jobs = Array.from({ length: 1_205 }, (_, index) => {
      const id = `dead-${from.queue}-${index}`;
      return { id, queue: from.queue, name: '', payload: undefined, due: { inMs: 0 }, priority: 0 };
    });
    await from.backend.enqueue(jobs);
    const claimed = await from.claim({ limit: 1_205 });
    const dead = (job: ClaimedJob, maxDead: number) =>
      ({ kind: 'dead', job, cause: 'exhausted', failures: 1, error: 'no', maxDead }) as const;
    const first = claimed.slice(0, 1_203).map((job) => dead(job, 5_000));
    expect((await from.backend.settle(from.queue, first)).pushedOut).toBe(0);
    const [one, other] = claimed.slice(1_203);
    expect((await from.backend.settle(from.queue, [dead(one!, 10)])).pushedOut).toBe(1_000);
    expect((await from.backend.settle(from.queue, [dead(other!, 10)])).pushedOut).toBe(195);
    expect(await from.backend.counts([from.queue], { dueWithinMs: 0 })).toMatchObject([{ dead: 10 }]);
  });

  it('jobs that a scheduler has made can be removed once they have ended, and the next one cannot be cancelled', async () => {
    const from = await open();
    const plain = stores.get(kind).queue(from.queue);
    const { id } = await plain.upsertJobScheduler('s', { every: 1_000_000 }, { name: 'tick' });
    const job = await from.claimOne();
    expect(job).toMatchObject({ id, origin: 'scheduler', name: 'tick' });
    const { jobs } = await from.backend.list(from.queue, {
      state: 'scheduled',
      limit: 10,
      cursor: undefined,
    });
    const other = await from.add();
    const next = jobs[0]!.id;
    expect(jobs).toMatchObject([{ origin: 'scheduler' }]);
    const cancelled = from.backend.cancel(from.queue, [next, other], { keepMs });
    await expect(cancelled).rejects.toThrow(
      `job ${next} of queue "${from.queue}" belongs to a job scheduler`,
    );
    expect(await from.stored(next)).toMatchObject({ state: 'scheduled' });
    expect(await from.stored(other)).toMatchObject({ state: 'cancelled' });
    await settle(from, { kind: 'dead', job, cause: 'exhausted', failures: 1, error: 'no', maxDead: 1 });
    await from.add();
    const last = await from.claimOne();
    const end = {
      kind: 'dead',
      job: last,
      cause: 'exhausted',
      failures: 1,
      error: 'no',
      maxDead: 1,
    } as const;
    expect((await from.backend.settle(from.queue, [end])).pushedOut).toBe(1);
    expect(await from.stored(id!)).toBeUndefined();
    expect(await plain.getJobSchedulersCount()).toBe(1);
  });

  it('a parent goes on when a child of it that waits is cancelled', async () => {
    const from = await open();
    const plain = await addFlow(from.queue);
    expect(await from.backend.cancel(from.queue, ['c'], { keepMs })).toEqual(['cancelled']);
    expect(await from.stored('c')).toMatchObject({ state: 'cancelled', failures: 0, origin: 'flow' });
    const parent = await from.claimOne();
    expect(parent).toMatchObject({ id: 'p', name: 'parent' });
    expect(Object.keys(await (await plain.getJob('p'))!.getChildrenValues())).toHaveLength(1);
    expect(await from.complete(parent)).toBe(true);
  });

  it('a parent that waits for its children is not cancelled or retried, and one is told why', async () => {
    const from = await open();
    await addFlow(from.queue);
    const why = `job p of queue "${from.queue}" waits for the others of its flow`;
    await expect(from.backend.cancel(from.queue, ['p'], { keepMs })).rejects.toThrow(why);
    await expect(from.backend.retry(from.queue, ['p'])).rejects.toThrow(why);
    expect(await from.stored('p')).toMatchObject({ state: 'scheduled', origin: 'flow' });
    expect(await from.backend.delete(from.queue, ['p'])).toEqual(['deleted']);
  });

  it('a parent of which BullMQ knows that it is to fail is dead, and not run, with a settlement, too', async () => {
    const from = await open();
    await addFlow(from.queue, true);
    await from.add({ id: 'other' });
    const [child, other] = await from.claim({ limit: 2 });
    const dead = {
      kind: 'dead',
      job: child!,
      cause: 'exhausted',
      failures: 1,
      error: 'no',
      maxDead: 9,
    } as const;
    await settle(from, dead);
    const end = { kind: 'completed', job: other!, keepMs: 0 } as const;
    const answer = await from.backend.settle(from.queue, [end], { limit: 1, prefetch: 0, leaseMs: 60_000 });
    expect(answer).toMatchObject({ accepted: [true], claimed: [] });
    expect(await from.stored('p')).toMatchObject({
      state: 'dead',
      lastError: expect.stringContaining('child') as unknown,
    });
  });

  it('what was claimed with a settlement is given back when another one fails', async () => {
    const from = await open();
    await from.add({ id: 'bad' });
    await from.add({ id: 'good' });
    await from.add({ id: 'next' });
    const [bad, good] = await from.claim({ limit: 2 });
    const mend = await stores.get(kind).breakJob(from.queue, 'bad');
    const settlements = [bad!, good!].map((job) => ({ kind: 'completed', job, keepMs: 0 }) as const);
    const answer = from.backend.settle(from.queue, settlements, { limit: 2, prefetch: 0, leaseMs: 60_000 });
    await expect(answer).rejects.toThrow(kind === 'redis' ? 'WRONGTYPE' : 'broken');
    await mend();
    expect(await from.claimOne()).toMatchObject({ id: 'next', deaths: 0, failures: 0, history: [] });
    expect(await from.stored('good')).toBeUndefined();
  });
});
