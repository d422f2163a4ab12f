import assert from 'node:assert/strict';
import { isWorkError } from '../../errors/index.js';
import type { ClaimedJob, JobState, Settlement, StoredJob } from '../../jobs/index.js';
import type { Part } from './part.js';
import { cancelled, completed, dead, failed, released, snoozed } from './settlements.js';
import type { Trial } from './trial.js';

const longMs = 3_600_000;
const minuteMs = 60_000;
const nothing = {
  paused: false,
  ready: 0,
  scheduled: 0,
  active: 0,
  dead: 0,
  dueWithin: 0,
  oldestReadyAgeMs: 0,
  throughput: [],
};

/** Brings new jobs into a state. */
const into: Readonly<Record<JobState, (t: Trial, count: number) => Promise<string[]>>> = {
  scheduled: async (t, count) => t.add(...Array.from({ length: count }, () => ({ inMs: longMs }))),
  ready: async (t, count) => t.add(...Array.from({ length: count }, () => ({}))),
  active: async (t, count) => {
    const ids = await into.ready(t, count);
    assert.equal((await t.claim({ limit: count })).length, count);
    return ids;
  },
  completed: async (t, count) => settled(t, count, (job) => completed(job, longMs)),
  cancelled: async (t, count) => settled(t, count, (job) => cancelled(job, longMs)),
  dead: async (t, count) => settled(t, count, (job) => dead(job)),
};

async function settled(
  t: Trial,
  count: number,
  settlement: (job: ClaimedJob) => Settlement,
): Promise<string[]> {
  const ids = await into.ready(t, count);
  await t.settle(...(await t.claim({ limit: count })).map((job) => settlement(job)));
  return ids;
}

/** Reads a list to its end; does something after each page. */
async function readAll(
  t: Trial,
  state: JobState,
  limit: number,
  afterPage: (page: number) => Promise<unknown> = async () => {},
): Promise<StoredJob[]> {
  const jobs: StoredJob[] = [];
  let cursor: string | undefined;
  for (let page = 1; page < 1_000; page++) {
    const answer = await t.backend.list(t.queue, { state, limit, cursor });
    assert.ok(answer.jobs.length <= limit, 'a page is no longer than asked for');
    jobs.push(...answer.jobs);
    if (answer.cursor === undefined) return jobs;
    cursor = answer.cursor;
    await afterPage(page);
  }
  assert.fail('a list has an end');
}

/** Asks for how long the ready job has been due that is told of: since then. */
async function assertOldest(t: Trial, dueAt: number): Promise<void> {
  const from = await t.now();
  const { oldestReadyAgeMs } = await t.counts();
  t.assertBetween(oldestReadyAgeMs, from - dueAt, (await t.now()) - dueAt, 'the age of the oldest');
}

/** `get`, `list` and `counts`: what is told of jobs. */
export function looking({ it }: Part): void {
  it('tells of each job that is asked for, and of none that is not stored', async (t) => {
    const [a, b] = await t.add({ name: 'a' }, { name: 'b' });
    const answer = await t.backend.get(t.queue, [b!, 'unknown', a!, b!]);
    assert.deepEqual(
      answer.map((job) => job?.name),
      ['b', undefined, 'a', 'b'],
    );
    assert.deepEqual(await t.backend.get(t.queue, []), []);
    assert.deepEqual(await t.backend.get('nobody uses it', ['x']), [undefined]);
  });

  for (const [state, bring] of Object.entries(into) as [JobState, (typeof into)[JobState]][]) {
    it(`lists jobs that are ${state}, each once, a page at a time`, async (t) => {
      assert.deepEqual(await t.backend.list(t.queue, { state, limit: 5 }), { jobs: [], cursor: undefined });
      const others = (Object.keys(into) as JobState[]).filter(
        (other) => other !== state && other !== 'ready',
      );
      for (const other of others) await into[other](t, 2);
      const ids = await bring(t, 23);
      if (state !== 'ready') await into.ready(t, 2);
      for (const limit of [1, 5, 23, 100]) {
        const jobs = await readAll(t, state, limit);
        assert.deepEqual(jobs.map(({ id }) => id).toSorted(), ids.toSorted());
        assert.ok(jobs.every((job) => job.state === state));
      }
    });

    it(`lists each job once that stays ${state} while others come and go`, async (t) => {
      const ids = await bring(t, 30);
      const jobs = await readAll(t, state, 7, async (page) => {
        await t.backend.delete(
          t.queue,
          ids.filter((_, index) => index % 6 === page),
        );
        await t.advance(2);
        await bring(t, 2);
      });
      const seen = jobs.map(({ id }) => id);
      const stayed = (await t.backend.get(t.queue, ids))
        .filter((job) => job !== undefined)
        .map(({ id }) => id);
      assert.ok(stayed.length >= 5 && stayed.length < ids.length);
      for (const id of stayed)
        assert.equal(seen.filter((other) => other === id).length, 1, `${id} is listed once`);
      assert.equal(new Set(seen).size, seen.length, 'none is listed twice');
    });
  }

  it('lists each active job once while leases are renewed', async (t) => {
    await t.add(...Array.from({ length: 12 }, () => ({})));
    const held = await t.claim({ limit: 12 });
    const jobs = await readAll(t, 'active', 4, async () => {
      await t.backend.extend(
        t.queue,
        held.slice(0, 6).map((job, index) => ({ job, leaseMs: 2 * longMs + index })),
      );
    });
    assert.deepEqual(
      jobs.map(({ id }) => id).toSorted(),
      held.map(({ id }) => id),
    );
  });

  it('tells as much of a job in a list as when it is asked for', async (t) => {
    const job = await t.held({ name: 'x', payload: Uint8Array.of(1), headers: { a: 'b' } });
    await t.settle(dead(job));
    const [listed] = (await t.backend.list(t.queue, { state: 'dead', limit: 1 })).jobs;
    assert.deepEqual(listed, await t.get(job.id));
  });

  it('refuses a cursor that no page gave', async (t) => {
    await t.add({}, {}, {});
    for (const cursor of ['', 'nonsense', '{}', '💥', '-', '0 0', 'null']) {
      await assert.rejects(
        t.backend.list(t.queue, { state: 'ready', limit: 1, cursor }),
        (error) => isWorkError(error, 'JOB_CURSOR_INVALID'),
        `the cursor ${JSON.stringify(cursor)}`,
      );
    }
  });

  it('counts nothing in a queue that nobody has used', async (t) => {
    assert.deepEqual(await t.backend.counts(['new', 'newer'], { dueWithinMs: 1_000 }), [
      { queue: 'new', ...nothing },
      { queue: 'newer', ...nothing },
    ]);
    assert.deepEqual(await t.backend.counts([], { dueWithinMs: 1_000 }), []);
  });

  it('tells a running job from one that is for later', async (t) => {
    await t.held();
    await t.add({ inMs: 30 * 86_400_000 });
    assert.deepEqual(await t.tally(), [0, 1, 1, 0]);
  });

  it('counts each job once, whatever has been done to it', async (t) => {
    const add = async (expected: readonly number[]): Promise<void> =>
      assert.deepEqual(await t.tally(), expected);
    const [a] = await t.add({}, {}, {}, { inMs: longMs }, { inMs: longMs });
    await add([3, 2, 0, 0]);
    const [first, second, third] = await t.claim({ limit: 3 });
    await add([0, 2, 3, 0]);
    await t.settle(failed(first!, longMs));
    await add([0, 3, 2, 0]);
    await t.settle(failed(second!));
    await add([1, 3, 1, 0]);
    await t.settle(released(third!));
    await add([2, 3, 0, 0]);
    await t.backend.retry(t.queue, [a!]);
    await add([3, 2, 0, 0]);
    const jobs = await t.claim({ limit: 3 });
    await t.backend.extend(
      t.queue,
      jobs.map((job) => ({ job, leaseMs: longMs })),
    );
    await add([0, 2, 3, 0]);
    await t.settle(dead(jobs[0]!), snoozed(jobs[1]!, longMs));
    await add([0, 3, 1, 1]);
    await t.backend.retry(t.queue, [jobs[0]!.id]);
    await add([1, 3, 1, 0]);
    await t.settle(dead(await t.claimOne()), cancelled(jobs[2]!, longMs));
    await add([0, 3, 0, 1]);
    await t.backend.delete(t.queue, [jobs[0]!.id, jobs[1]!.id]);
    await add([0, 2, 0, 0]);
    const [late] = await t.claim();
    assert.equal(late, undefined);
    const lost = await t.held({}, { leaseMs: t.unit });
    await t.advance(2 * t.unit);
    const { ready, active } = await t.counts();
    assert.equal(ready + active, 1, 'a job whose lease is over is counted once');
    await t.settle(completed(await t.claimOne()), completed(lost));
    await add([0, 2, 0, 0]);
    const { jobs: rest } = await t.backend.list(t.queue, { state: 'scheduled', limit: 10 });
    await t.backend.delete(
      t.queue,
      rest.map(({ id }) => id),
    );
    await add([0, 0, 0, 0]);
  });

  it('counts a job whose lease is over as ready: somebody is wanted to run it', async (t) => {
    await t.held({}, { leaseMs: t.unit });
    await t.advance(2 * t.unit);
    assert.deepEqual(await t.tally(), [1, 0, 0, 0]);
  });

  it('counts what comes due within a window', async (t) => {
    await t.add({}, { inMs: 10_000 }, { inMs: 20_000 }, { inMs: 30_000 });
    for (const [windowMs, expected] of [
      [0, 0],
      [15_000, 1],
      [25_000, 2],
      [1_000_000, 3],
    ] as const) {
      assert.equal((await t.counts(windowMs)).dueWithin, expected);
    }
  });

  it('tells for how long the ready job has been due that waits for longest', async (t) => {
    const none = async (): Promise<void> => assert.equal((await t.counts()).oldestReadyAgeMs, 0);
    await none();
    await t.add({ inMs: longMs });
    await none();
    const at = Math.floor(await t.now()) - 5_000;
    await t.add({ due: { at } }, {});
    await assertOldest(t, at);
    await t.advance(2 * t.unit);
    await assertOldest(t, at);
    await t.claim();
    assert.ok((await t.counts()).oldestReadyAgeMs < 5_000);
    await t.claim({ limit: 5 });
    await none();
  });

  it(
    'tells it of the job that has been due for longest, however it was enqueued',
    async (t) => {
      const now = Math.floor(await t.now());
      await t.add({ due: { at: now - 5_000 } }, { due: { at: now - 70_000 } }, {});
      await assertOldest(t, now - 70_000);
      await t.claim();
      await assertOldest(t, now - 5_000);
    },
    'dueOrder',
  );

  it(
    'tells it of the job at the head of the queue, however long others have been due',
    async (t) => {
      const now = Math.floor(await t.now());
      await t.add({ due: { at: now - 5_000 } }, { due: { at: now - 70_000 } }, {});
      await assertOldest(t, now - 5_000);
      await t.claim();
      await assertOldest(t, now - 70_000);
    },
    'arrivalOrder',
  );

  it(
    'tells it whatever the priorities',
    async (t) => {
      const now = Math.floor(await t.now());
      await t.add(
        { due: { at: now - 1_000 }, priority: 5 },
        { due: { at: now - 60_000 }, priority: -5 },
        { due: { at: now - 30_000 } },
      );
      assert.ok((await t.counts()).oldestReadyAgeMs >= 60_000);
    },
    'priority',
    'dueOrder',
  );

  it('counts what ended and what failed', async (t) => {
    const from = await t.now();
    await t.add(...Array.from({ length: 8 }, () => ({})));
    const [a, b, c, d, e, f, g] = await t.claim({ limit: 7 });
    await t.settle(completed(a!), completed(b!, longMs), failed(c!, longMs), dead(d!));
    await t.settle(released(e!), snoozed(f!, longMs), cancelled(g!));
    await t.settle(completed(a!), failed(c!));
    const { throughput } = await t.counts();
    const to = await t.now();
    const sum = (of: 'completed' | 'failed'): number =>
      throughput.reduce((total, bucket) => total + bucket[of], 0);
    assert.equal(sum('completed'), 2);
    assert.equal(sum('failed'), 2);
    for (const { at } of throughput) {
      assert.equal(at % minuteMs, 0, 'a bucket begins with its minute');
      assert.ok(at > from - minuteMs - 1 && at <= to + 1);
    }
  });

  it(
    'keeps what ended apart by minutes, for the last 60 of them',
    async (t) => {
      const end = async (count: number): Promise<void> => {
        for (let job = 0; job < count; job++)
          await t.settle(completed(await t.held({}, { leaseMs: longMs })));
      };
      await t.advance(minuteMs - ((await t.now()) % minuteMs));
      const at = await t.now();
      await end(2);
      await t.advance(minuteMs);
      await end(1);
      await t.advance(3 * minuteMs);
      await end(4);
      const buckets = async (): Promise<number[][]> =>
        (await t.counts()).throughput.map((bucket) => [
          (bucket.at - at) / minuteMs,
          bucket.completed,
          bucket.failed,
        ]);
      assert.deepEqual(await buckets(), [
        [0, 2, 0],
        [1, 1, 0],
        [4, 4, 0],
      ]);
      await t.advance(57 * minuteMs);
      assert.deepEqual(await buckets(), [[4, 4, 0]]);
      for (let minute = 0; minute < 70; minute++) {
        await end(1);
        await t.advance(minuteMs);
      }
      assert.ok((await buckets()).length >= 59 && (await buckets()).length <= 60);
    },
    'timeTravels',
  );
}
