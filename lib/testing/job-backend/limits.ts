import assert from 'node:assert/strict';
import type { ClaimLimits } from '../../jobs/index.js';
import type { Part } from './part.js';
import { completed, dead, failed, released } from './settlements.js';
import type { Trial } from './trial.js';

const longMs = 3_600_000;

/** Claims again and again, until there is nothing to be had. */
async function claimAll(t: Trial, limits: ClaimLimits, limit = 100): Promise<string[]> {
  const ids: string[] = [];
  for (;;) {
    const claimed = await t.claimIds(limit, { limits });
    if (claimed.length === 0) return ids;
    ids.push(...claimed);
  }
}

/** Limits over all processes: nothing is held, and no place is taken, while a job waits for one. */
export function claimLimits({ it }: Part): void {
  it(
    'hands out no more of a queue at once than its concurrency allows',
    async (t) => {
      const limits = { concurrency: 3 };
      const ids = await t.add(...Array.from({ length: 9 }, () => ({})));
      const held = [...(await t.claim({ limit: 2, prefetch: 5, limits }))];
      assert.equal(held.length, 3);
      assert.deepEqual(await t.claim({ limit: 5, limits }), []);
      assert.deepEqual(await t.tally(), [6, 0, 3, 0]);
      // Each way in which a place becomes free.
      const free: ((job: (typeof held)[number]) => Promise<unknown>)[] = [
        async (job) => t.settle(completed(job)),
        async (job) => t.settle(failed(job, longMs)),
        async (job) => t.settle(dead(job)),
        async (job) => t.backend.delete(t.queue, [job.id]),
        async (job) => t.backend.cancel(t.queue, [job.id], { keepMs: longMs }),
        async (job) => t.settle(released(job)),
      ];
      for (const end of free) {
        await end(held.shift()!);
        held.push(await t.claimOne({ limit: 5, limits }));
        assert.deepEqual(await t.claim({ limits }), []);
      }
      assert.equal(held.length, 3);
      assert.ok(held.every(({ id }) => ids.includes(id)));
    },
    'concurrency',
  );

  it(
    'gives the place that a settlement frees to the claim that comes with it',
    async (t) => {
      const options = { limit: 5, prefetch: 0, leaseMs: longMs, limits: { concurrency: 1 } };
      const [, b, c] = await t.add({}, {}, {});
      const first = await t.claimOne({ limits: options.limits });
      const second = await t.backend.settle(t.queue, [completed(first)], options);
      assert.deepEqual(
        second.claimed.map(({ id }) => id),
        [b],
      );
      const third = await t.backend.settle(t.queue, [failed(second.claimed[0]!, longMs)], options);
      assert.deepEqual(
        third.claimed.map(({ id }) => id),
        [c],
      );
    },
    'concurrency',
  );

  it(
    'wakes a waiting claim when a place becomes free',
    async (t) => {
      const limits = { concurrency: 1 };
      await t.add({}, {}, {}, {}, {});
      let job = await t.claimOne({ limits, leaseMs: 100 * t.unit });
      for (const end of [
        async () => t.settle(completed(job)),
        async () => t.backend.delete(t.queue, [job.id]),
        async () => t.backend.cancel(t.queue, [job.id], { keepMs: longMs }),
        async () => t.settle(failed(job, longMs)),
      ]) {
        const waits = t.wait({ limits });
        await t.letItWait(waits, t.unit / 2);
        await end();
        [job] = (await t.gotBy(waits)) as [typeof job];
        assert.ok(job);
      }
    },
    'concurrency',
  );

  it(
    'frees the place of a lease that is over, once',
    async (t) => {
      const limits = { concurrency: 2 };
      await t.add({}, {}, {}, {}, {});
      const late = await t.claim({ limit: 2, leaseMs: 2 * t.unit, limits });
      const waits = t.wait({ limit: 2, limits });
      await t.letItWait(waits, t.unit / 2);
      await t.advance(3 * t.unit);
      const holders = [...(await t.gotBy(waits, 'the claim that waits for a place'))];
      holders.push(...(await t.claim({ limit: 5, limits })));
      assert.equal(holders.length, 2);
      assert.deepEqual(await t.claim({ limit: 5, limits }), []);
      // Who comes late frees no place that is somebody else's.
      for (const job of late) {
        if (!holders.some(({ id }) => id === job.id)) continue;
        assert.deepEqual(await t.settle(completed(job)), [false]);
        assert.deepEqual(await t.settle(released(job)), [false]);
      }
      assert.deepEqual(await t.claim({ limit: 5, limits }), []);
      assert.equal((await t.counts()).active, 2);
    },
    'concurrency',
  );

  it(
    'keeps the concurrency for as long as leases are renewed',
    async (t) => {
      const limits = { concurrency: 1 };
      await t.add({}, {});
      const job = await t.claimOne({ leaseMs: 3 * t.unit, limits });
      for (let renewal = 0; renewal < 4; renewal++) {
        await t.advance(t.unit);
        assert.deepEqual(await t.backend.extend(t.queue, [{ job, leaseMs: 3 * t.unit }]), [true]);
        assert.deepEqual(await t.claim({ limits }), []);
      }
      await t.settle(completed(job));
      assert.equal((await t.claim({ limits })).length, 1);
    },
    'concurrency',
  );

  it(
    'does not exceed the concurrency by renewing a lease whose place was taken meanwhile',
    async (t) => {
      const limits = { concurrency: 1 };
      const late = await t.held({}, { leaseMs: t.unit, limits });
      await t.advance(2 * t.unit);
      // Due since long before: it is its turn.
      await t.add({ due: { at: Math.floor(await t.now()) - 1_000_000 } });
      const next = await t.claimOne({ limits });
      const [extended] = await t.backend.extend(t.queue, [{ job: late, leaseMs: longMs }]);
      if (next.id !== late.id) assert.equal((await t.counts()).active, 1);
      assert.equal(extended, false);
      assert.deepEqual(await t.claim({ limits }), []);
      await t.settle(completed(next));
      assert.equal((await t.claim({ limits, limit: 5 })).length, 1);
    },
    'concurrency',
    'dueOrder',
  );

  it(
    'hands out no more of a key at once than is allowed, and does not hold up the others',
    async (t) => {
      const limits = { perKey: 2 };
      const keys = ['a', 'a', 'a', 'b', undefined, 'a', 'b', undefined, 'b'];
      const ids = await t.add(...keys.map((limitKey) => ({ limitKey })));
      const [a1, a2, a3, b1, free1, a4, b2, free2, b3] = ids;
      const held = await t.claim({ limit: 20, limits });
      assert.deepEqual(
        held.map(({ id }) => id),
        [a1, a2, b1, free1, b2, free2],
      );
      assert.deepEqual(await t.claim({ limit: 20, limits }), []);
      assert.deepEqual(await t.tally(), [3, 0, 6, 0]);
      await t.settle(completed(held[0]!));
      assert.deepEqual(await t.claimIds(20, { limits }), [a3]);
      await t.settle(failed(held[1]!, longMs), completed(held[2]!));
      assert.deepEqual(await t.claimIds(20, { limits }), [a4, b3]);
      assert.deepEqual(await t.claim({ limits }), []);
    },
    'perKey',
  );

  it(
    'keeps the order within a key, and of what is told of jobs that wait for it',
    async (t) => {
      const limits = { perKey: 1 };
      const ids = await t.add(...Array.from({ length: 6 }, () => ({ limitKey: 'a' })));
      const order: string[] = [];
      for (let round = 0; round < 3; round++) {
        const job = await t.claimOne({ limit: 3, limits });
        order.push(job.id);
        const { jobs } = await t.backend.list(t.queue, { state: 'ready', limit: 10 });
        assert.deepEqual(new Set(jobs.map(({ id }) => id)), new Set(ids.slice(round + 1)));
        assert.equal((await t.counts()).ready, 5 - round);
        assert.equal(await t.stateOf(ids[5]!), 'ready');
        await t.settle(completed(job));
      }
      assert.deepEqual(order, ids.slice(0, 3));
      const job = await t.claimOne({ limits });
      assert.deepEqual(await t.backend.delete(t.queue, [ids[4]!]), ['deleted']);
      await t.settle(released(job));
      assert.deepEqual(await claimAll(t, limits), [ids[3]!]);
      assert.deepEqual(await t.backend.delete(t.queue, [ids[3]!]), ['active']);
      assert.deepEqual(await claimAll(t, limits), [ids[5]!]);
    },
    'perKey',
  );

  it(
    'frees the place of a cancelled job in its key, and hands out none that waited for one and was cancelled',
    async (t) => {
      const limits = { perKey: 1 };
      const keep = { keepMs: longMs };
      const [first, second, third, fourth] = await t.add(
        ...Array.from({ length: 4 }, () => ({ limitKey: 'a' })),
      );
      assert.deepEqual(await claimAll(t, limits), [first]);
      assert.deepEqual(await t.backend.cancel(t.queue, [second!], keep), ['cancelled']);
      assert.deepEqual(await t.tally(), [2, 0, 1, 0]);
      assert.deepEqual(await t.claim({ limits }), []);
      const waits = t.wait({ limits });
      await t.letItWait(waits, t.unit / 2);
      assert.deepEqual(await t.backend.cancel(t.queue, [first!], keep), ['active']);
      assert.equal((await t.gotBy(waits))[0]?.id, third);
      assert.deepEqual(await t.claim({ limits }), []);
      // The one whose turn it is, and behind it one that waits for its place.
      assert.deepEqual(await t.backend.cancel(t.queue, [third!], keep), ['active']);
      const [fifth] = await t.add({ limitKey: 'a' });
      assert.deepEqual(await t.backend.cancel(t.queue, [fourth!], keep), ['cancelled']);
      assert.deepEqual(await claimAll(t, limits), [fifth]);
      for (const id of [first, second, third, fourth]) assert.equal(await t.stateOf(id!), 'cancelled');
    },
    'perKey',
  );

  it(
    'wakes a waiting claim when a place of a key becomes free',
    async (t) => {
      const limits = { perKey: 1 };
      const [, second, third] = await t.add({ limitKey: 'a' }, { limitKey: 'a' }, { limitKey: 'a' });
      const first = await t.claimOne({ limits, leaseMs: longMs });
      let waits = t.wait({ limits, leaseMs: 2 * t.unit });
      await t.letItWait(waits, t.unit / 2);
      await t.settle(completed(first));
      assert.equal((await t.gotBy(waits))[0]?.id, second);
      waits = t.wait({ limit: 2, limits });
      await t.letItWait(waits, t.unit / 2);
      await t.advance(2 * t.unit);
      const [job] = await t.gotBy(waits);
      assert.ok(job?.id === second || job?.id === third, 'the place of a lease that is over is free');
      assert.deepEqual(await t.claim({ limits }), []);
    },
    'perKey',
  );

  it(
    'hands out what a lower limit of keys and then a higher one held up to whoever has none',
    async (t) => {
      const [first, second, ...rest] = await t.add(...Array.from({ length: 4 }, () => ({ limitKey: 'a' })));
      assert.deepEqual(await t.claimIds(1, { limits: { perKey: 1 } }), [first]);
      assert.deepEqual(await t.claimIds(1, { limits: { perKey: 1 } }), []);
      assert.deepEqual(await t.claimIds(5, { limits: { perKey: 2 } }), [second]);
      assert.deepEqual(await t.claimIds(5), rest);
    },
    'perKey',
  );

  it(
    'hands out first what has waited for the place that a lost lease has left',
    async (t) => {
      const limits = { perKey: 1 };
      const now = await t.now();
      await t.addOne({ limitKey: 'a', due: { at: now - 100 } });
      const holder = await t.claimOne({ limits, leaseMs: t.unit });
      const heldUp = await t.addOne({ limitKey: 'a', due: { at: now - 200 } });
      assert.deepEqual(await t.claim({ limits }), []);
      await t.addOne({ due: { at: now - 50 } });
      await t.advance(2 * t.unit);
      assert.deepEqual(await t.claimIds(1, { limits }), [heldUp]);
      assert.notEqual(heldUp, holder.id);
    },
    'perKey',
    'dueOrder',
  );

  it(
    'finds a job behind many that are held up by their key',
    async (t) => {
      const limits = { perKey: 1 };
      await t.backend.enqueue(t.jobs(2_000, { limitKey: 'busy' }));
      const other = await t.addOne({ limitKey: 'idle' });
      const first = await t.claimOne({ limits });
      assert.equal((await t.claimOne({ limits })).id, other);
      for (let round = 0; round < 20; round++) assert.deepEqual(await t.claim({ limits }), []);
      await t.settle(completed(first));
      assert.equal((await t.claim({ limit: 10, limits })).length, 1);
      // Who sets no such limit is not held up by that of others.
      assert.equal((await t.claim({ limit: 5_000 })).length, 1_998);
    },
    'perKey',
  );

  it(
    'hands out as many as the rate allows at once, and then spreads them over the period',
    async (t) => {
      const rate = { limit: 4, periodMs: 8 * t.unit };
      const limits = { rate };
      await t.add(...Array.from({ length: 40 }, () => ({})));
      const from = await t.now();
      assert.equal((await t.claim({ limit: 10, limits })).length, 4);
      let claimed = 4;
      // One more for each two units that have passed, whenever somebody asks.
      for (let round = 0; round < 9; round++) {
        await t.advance(t.unit);
        const earliest = await t.now();
        claimed += (await t.claim({ limit: 10, limits })).length;
        const latest = await t.now();
        const most = 4 + Math.floor((latest - from + 1) / (2 * t.unit));
        const least = 4 + Math.floor((earliest - from - 4 - t.unit) / (2 * t.unit));
        assert.ok(claimed <= most, `${claimed} claimed, ${most} allowed`);
        assert.ok(claimed >= least, `${claimed} claimed, ${least} due`);
      }
      await t.advance(20 * t.unit);
      assert.equal((await t.claim({ limit: 30, limits })).length, 4, 'no more gather while nobody asks');
    },
    'rate',
  );

  it(
    'wakes a waiting claim when the rate allows the next job',
    async (t) => {
      const limits = { rate: { limit: 1, periodMs: 4 * t.unit } };
      await t.add({}, {}, {});
      const first = await t.claimOne({ limits });
      for (let round = 1; round <= 2; round++) {
        const waits = t.wait({ limit: 5, limits });
        await t.letItWait(waits, t.unit / 2);
        await t.advance(4 * t.unit);
        const jobs = await t.gotBy(waits);
        assert.equal(jobs.length, 1);
        const passed = jobs[0]!.claimedAt - first.claimedAt;
        assert.ok(passed >= round * 4 * t.unit - 2, `the next one after ${passed} ms`);
      }
    },
    'rate',
  );

  it(
    'takes nothing from the rate for jobs that are not there',
    async (t) => {
      const limits = { rate: { limit: 2, periodMs: longMs } };
      for (let round = 0; round < 5; round++) assert.deepEqual(await t.claim({ limit: 10, limits }), []);
      await t.add({});
      assert.equal((await t.claim({ limit: 10, limits })).length, 1);
      await t.add({}, {});
      assert.equal((await t.claim({ limit: 10, limits })).length, 1);
      assert.deepEqual(await t.claim({ limits }), []);
    },
    'rate',
  );

  it(
    'holds all limits at once',
    async (t) => {
      const all = { concurrency: 3, perKey: 1, rate: { limit: 10, periodMs: longMs } };
      await t.add(...['a', 'a', 'b', 'c', 'd'].map((limitKey) => ({ limitKey })));
      const held = await t.claim({ limit: 10, limits: all });
      assert.deepEqual(
        held.map(({ limitKey }) => limitKey),
        ['a', 'b', 'c'],
      );
      await t.settle(completed(held[1]!));
      assert.deepEqual(
        (await t.claim({ limit: 10, limits: all })).map(({ limitKey }) => limitKey),
        ['d'],
      );
    },
    'concurrency',
    'perKey',
    'rate',
  );
}
