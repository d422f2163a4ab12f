import assert from 'node:assert/strict';
import type { Part } from './part.js';
import { failed, released } from './settlements.js';

const dayMs = 86_400_000;

/** Which job is handed out first, and none before its time. */
export function order({ it, options }: Part): void {
  it('hands out jobs in the order in which they were enqueued', async (t) => {
    const ids: string[] = [];
    for (let call = 0; call < 10; call++)
      ids.push(...(await t.add(...Array.from({ length: 10 }, () => ({})))));
    const claimed: string[] = [];
    for (let call = 0; call < 25; call++) claimed.push(...(await t.claimIds(4)));
    assert.deepEqual(claimed, ids);
  });

  it(
    'hands out first what has been due for longest, however it was enqueued',
    async (t) => {
      const now = Math.floor(await t.now());
      const agos = [3, 1_000, 7, 500_000, 1, 80];
      const ids = await t.add(...agos.map((ago) => ({ due: { at: now - ago } })));
      const expected = agos
        .map((ago, index) => ({ ago, id: ids[index]! }))
        .toSorted((a, b) => b.ago - a.ago)
        .map(({ id }) => id);
      assert.deepEqual(await t.claimIds(10), expected);
    },
    'dueOrder',
  );

  it(
    'hands out what came due in the same millisecond in the order of ids',
    async (t) => {
      const at = Math.floor(await t.now()) - 10;
      const jobs = t.jobs(50, { due: { at } });
      const ids = jobs.map(({ id }) => id);
      await t.backend.enqueue(jobs.toReversed());
      assert.deepEqual(await t.claimIds(50), ids);
    },
    'dueOrder',
  );

  it(
    'hands out jobs in the order in which they came, whatever their ids and however long they have been due',
    async (t) => {
      const now = Math.floor(await t.now());
      const ids: string[] = [];
      for (const agos of [[1_000, 0, 500_000], [3], [70_000, 80, 90_000, 1]]) {
        const jobs = agos.map((ago) => t.job({ due: { at: now - ago } })).toReversed();
        await t.backend.enqueue(jobs);
        ids.push(...jobs.map(({ id }) => id));
      }
      assert.deepEqual([...(await t.claimIds(3)), ...(await t.claimIds(10))], ids);
    },
    'arrivalOrder',
  );

  it(
    'hands out what has come due behind what waited when a claim saw that, and before what comes later',
    async (t) => {
      const [a, b] = await t.add({}, {});
      const [second, first] = await t.add({ inMs: 2 * t.unit }, { inMs: t.unit });
      await t.advance(3 * t.unit);
      assert.deepEqual(await t.claimIds(1), [a]);
      const last = await t.addOne({ due: { at: Math.floor(await t.now()) - 500_000 } });
      assert.deepEqual(await t.claimIds(10), [b, first, second, last]);
    },
    'arrivalOrder',
    'comesDueInTurn',
  );

  it(
    'hands out first what was released',
    async (t) => {
      const [a, b, c, d] = await t.add({}, {}, {}, {});
      const [first, second] = await t.claim({ limit: 2 });
      await t.advance(2);
      await t.settle(released(second!));
      assert.deepEqual(await t.claimIds(1), [b]);
      await t.settle(released(first!));
      const early = await t.addOne({ due: { at: Math.floor(await t.now()) - 500_000 } });
      assert.deepEqual(await t.claimIds(10), [a, c, d, early]);
    },
    'arrivalOrder',
  );

  it(
    'hands out first what was lost with its lease',
    async (t) => {
      const [a, b, c, d] = await t.add({}, {}, {}, {});
      await t.claim({ limit: 2, leaseMs: t.unit });
      const early = await t.addOne({ due: { at: Math.floor(await t.now()) - 500_000 } });
      await t.advance(2 * t.unit);
      const claimed = await t.claimIds(10);
      assert.deepEqual(new Set(claimed.slice(0, 2)), new Set([a, b]));
      assert.deepEqual(claimed.slice(2), [c, d, early]);
    },
    'arrivalOrder',
  );

  it(
    'puts what has failed, and what is retried, behind all that wait',
    async (t) => {
      const scheduled = await t.addOne({ inMs: dayMs });
      const [a, b] = await t.add({}, {});
      const job = await t.claimOne();
      const early = await t.addOne({ due: { at: Math.floor(await t.now()) - 500_000 } });
      await t.advance(2);
      await t.settle(failed(job));
      await t.backend.retry(t.queue, [scheduled]);
      const claimed = await t.claimIds(10);
      assert.deepEqual(claimed.slice(0, 2), [b, early]);
      assert.deepEqual(new Set(claimed.slice(2)), new Set([a, scheduled]));
    },
    'arrivalOrder',
  );

  it('puts a job that was released back to where it was', async (t) => {
    const ids = await t.add({}, {}, {});
    const job = await t.claimOne();
    await t.advance(t.unit);
    await t.settle(released(job));
    assert.deepEqual(await t.claimIds(3), ids);
  });

  it('puts a job that has failed behind those that have been due for longer', async (t) => {
    const [first, second, third] = await t.add({}, {}, {});
    const job = await t.claimOne();
    await t.advance(t.unit);
    await t.settle(failed(job));
    assert.deepEqual(await t.claimIds(3), [second, third, first]);
  });

  it('does not hand out a job before it is due', async (t) => {
    const from = await t.now();
    const id = await t.addOne({ inMs: 3 * t.unit });
    const { state, dueAt } = await t.stored(id);
    assert.equal(state, 'scheduled');
    t.assertBetween(dueAt, from + 3 * t.unit, (await t.now()) + 3 * t.unit, 'dueAt');
    assert.deepEqual(await t.claim(), []);
    await t.advance(t.unit);
    if ((await t.now()) < dueAt - t.unit) assert.deepEqual(await t.claim(), []);
    await t.advance(2 * t.unit);
    const job = await t.claimOne();
    assert.equal(job.dueAt, dueAt);
    assert.ok(job.claimedAt >= dueAt - 1);
  });

  it('takes a point in time for when a job is due', async (t) => {
    const at = Math.floor(await t.now()) + 3 * t.unit;
    const id = await t.addOne({ due: { at } });
    t.assertBetween((await t.stored(id)).dueAt, at, at, 'dueAt');
    assert.deepEqual(await t.claim(), []);
    await t.advance(4 * t.unit);
    assert.equal((await t.claimOne()).id, id);
  });

  it(
    'hands out what comes due in the order in which it does',
    async (t) => {
      const later = [{ inMs: 3 * t.unit }, { inMs: t.unit }, { inMs: 2 * t.unit }];
      const [third, first, second] = await t.add(...later);
      await t.advance(4 * t.unit);
      assert.deepEqual(await t.claimIds(3), [first, second, third]);
    },
    'comesDueInTurn',
  );

  const far = [2 ** 31 - 1, 2 ** 31, 30 * dayMs, 2 ** 32 + 5, 3_650 * dayMs];
  it('keeps jobs that are due in 30 days, and past 2^31 ms', async (t) => {
    const from = await t.now();
    const ids = await t.add(...far.map((inMs) => ({ inMs })));
    const to = await t.now();
    const claim = t.wait();
    await t.letItWait(claim);
    claim.abort();
    for (const [index, id] of ids.entries()) {
      const { state, dueAt } = await t.stored(id);
      assert.equal(state, 'scheduled');
      t.assertBetween(dueAt, from + far[index]!, to + far[index]!, 'dueAt');
    }
    assert.deepEqual(await t.tally(), [0, far.length, 0, 0]);
  });

  it(
    'hands them out when that time has come',
    async (t) => {
      const ids = await t.add(...far.map((inMs) => ({ inMs })));
      let passed = 0;
      for (const [index, inMs] of far.entries()) {
        const claim = t.wait({ leaseMs: 10_000 * dayMs, waitMs: 10_000 * dayMs });
        await t.advance(inMs - passed - 1);
        assert.equal(claim.isOver, false);
        await t.advance(1);
        const [job] = await t.gotBy(claim);
        assert.equal(job?.id, ids[index]);
        passed = inMs;
      }
    },
    'timeTravels',
  );

  it(
    'hands out the higher priority first, and within one what has been due for longest',
    async (t) => {
      const priorities = [0, 5, -1, 5, 0, 1_000, -1];
      const [a, b, c, d, e, f, g] = await t.add(...priorities.map((priority) => ({ priority })));
      const later = await t.addOne({ priority: 9_999, inMs: 1_000_000 });
      assert.deepEqual(await t.claimIds(10), [f, b, d, a, e, c, g]);
      assert.equal((await t.stored(later)).priority, 9_999);
      assert.deepEqual(await t.claim(), []);
    },
    'priority',
  );

  it(`keeps the order over ${options.many} jobs`, async (t) => {
    const jobs = t.jobs(options.many);
    const half = jobs.length / 2;
    await t.backend.enqueue(jobs.slice(0, half));
    await t.backend.enqueue(jobs.slice(half));
    const claimed: string[] = [];
    while (claimed.length < jobs.length) {
      const batch = await t.claimIds(1_000);
      assert.ok(batch.length > 0);
      claimed.push(...batch);
    }
    assert.deepEqual(
      claimed,
      jobs.map(({ id }) => id),
    );
  });
}
