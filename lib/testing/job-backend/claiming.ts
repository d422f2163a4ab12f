import assert from 'node:assert/strict';
import type { ClaimedJob } from '../../jobs/index.js';
import type { Part } from './part.js';
import { completed, failed, released } from './settlements.js';
import { longLeaseMs } from './trial.js';

/** `claim`: who gets which jobs, and what is told of them. */
export function claiming({ it, options }: Part): void {
  it('hands out as many as are wanted, and fewer where there are fewer', async (t) => {
    const ids = await t.add({}, {}, {});
    assert.deepEqual(await t.claimIds(2), ids.slice(0, 2));
    assert.deepEqual(await t.claimIds(2), ids.slice(2));
    assert.deepEqual(await t.claimIds(2), []);
  });

  it('holds what it hands out, under a token and for as long as was asked for', async (t) => {
    const id = await t.addOne();
    const from = await t.now();
    const job = await t.claimOne({ leaseMs: 12_345 });
    const to = await t.now();
    assert.equal(job.id, id);
    assert.equal(job.state, 'active');
    assert.ok(typeof job.token === 'string' && job.token !== '');
    t.assertBetween(job.claimedAt, from, to, 'claimedAt');
    t.assertBetween(job.leaseEndsAt, job.claimedAt + 12_345, job.claimedAt + 12_345, 'leaseEndsAt');
    const stored = await t.stored(id);
    assert.equal(stored.state, 'active');
    t.assertLeaseEnd(stored.leaseEndsAt, job.leaseEndsAt, job.leaseEndsAt, 'leaseEndsAt of what is stored');
    assert.deepEqual(await t.claim(), []);
  });

  it('holds a job for milliseconds, too', async (t) => {
    await t.add({}, {});
    for (const leaseMs of [1, 500, 999]) {
      const [job, ...more] = await t.claim({ leaseMs });
      assert.ok(job);
      assert.deepEqual(more, []);
      t.assertBetween(job.leaseEndsAt, job.claimedAt + leaseMs, job.claimedAt + leaseMs, 'leaseEndsAt');
      await t.settle(failed(job));
    }
  });

  it('gives each claim a token of its own', async (t) => {
    await t.add({}, {}, {});
    const tokens: string[] = [];
    for (let round = 0; round < 3; round++) {
      for (const job of await t.claim({ limit: 3 })) {
        tokens.push(`${job.id} ${job.token}`);
        assert.deepEqual(await t.settle(failed(job)), [true]);
      }
    }
    assert.equal(new Set(tokens).size, 9);
  });

  it(
    'counts up with every claim of a job, for the holder to fence off whoever is late',
    async (t) => {
      await t.add({}, {});
      const latest = new Map<string, bigint>();
      const note = ({ id, token }: ClaimedJob): void => {
        assert.match(token, /^\d+$/u);
        assert.ok(BigInt(token) > (latest.get(id) ?? -1n), `${token} comes after ${latest.get(id)}`);
        latest.set(id, BigInt(token));
      };
      for (let round = 0; round < 12; round++) {
        const jobs = await t.claim({ limit: 2, leaseMs: t.unit });
        jobs.forEach(note);
        if (round % 6 === 5) await t.advance(2 * t.unit);
        else await t.settle(...jobs.map((job) => failed(job)));
      }
    },
    'fencing',
  );

  it('hands out each job once to claims that come at once', async (t) => {
    const ids = await t.add(...Array.from({ length: 100 }, () => ({})));
    const claims = await Promise.all(Array.from({ length: 20 }, async () => t.claimIds(7)));
    const claimed = claims.flat();
    assert.equal(claimed.length, 100);
    assert.deepEqual(new Set(claimed), new Set(ids));
  });

  it(`hands out each of ${options.many} jobs once while they come, fail and complete`, async (t) => {
    const jobs = t.jobs(options.many);
    const batches = Array.from({ length: 10 }, (_, index) => {
      const size = Math.ceil(jobs.length / 10);
      return jobs.slice(index * size, (index + 1) * size);
    });
    const completions = new Map<string, number>();
    const enqueued = (async () => {
      for (const batch of batches) await t.backend.enqueue(batch);
    })();
    const consume = async (): Promise<void> => {
      let held: readonly ClaimedJob[] = [];
      while (completions.size < jobs.length) {
        const settlements = held.map((job) => {
          const fails = job.failures === 0 && job.id.endsWith('7');
          return fails ? failed(job) : completed(job);
        });
        const { accepted, claimed } = await t.backend.settle(t.queue, settlements, {
          limit: 100,
          prefetch: 0,
          leaseMs: longLeaseMs,
        });
        settlements.forEach(({ job: { id }, kind }, index) => {
          assert.equal(accepted[index], true, 'what is settled in time is accepted');
          if (kind === 'completed') completions.set(id, (completions.get(id) ?? 0) + 1);
        });
        held = claimed;
        if (claimed.length === 0) {
          await new Promise((resolve) => {
            setTimeout(resolve, 1);
          });
        }
      }
    };
    await Promise.all([enqueued, consume(), consume(), consume()]);
    assert.equal(completions.size, jobs.length);
    assert.ok([...completions.values()].every((count) => count === 1));
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
  });

  it('hands out more than can be started where that is wanted', async (t) => {
    const ids = await t.add({}, {}, {}, {}, {});
    assert.deepEqual(await t.claimIds(1, { prefetch: 3 }), ids.slice(0, 4));
    assert.deepEqual(await t.claimIds(0, { prefetch: 1 }), ids.slice(4));
  });

  it('counts no death of what was only at hand, and one of what was to be started', async (t) => {
    const ids = await t.add({}, {}, {});
    await t.claim({ limit: 1, prefetch: 2, leaseMs: 2 * t.unit });
    await t.advance(3 * t.unit);
    const again = await t.claim({ limit: 3 });
    assert.deepEqual(
      ids.map((id) => again.find((job) => job.id === id)?.deaths),
      [1, 0, 0],
    );
    assert.deepEqual(
      ids.map((id) => again.find((job) => job.id === id)?.history.length),
      [1, 0, 0],
    );
  });

  it('tells the same apart of what comes with a settlement, whatever is settled', async (t) => {
    await t.add({}, {}, {});
    const [a, b, c] = await t.claim({ limit: 3 });
    const then = { limit: 1, prefetch: 1, leaseMs: 2 * t.unit };
    const { claimed } = await t.backend.settle(
      t.queue,
      [released(a!), failed(b!, longLeaseMs), failed(c!)],
      then,
    );
    assert.equal(claimed.length, 2);
    await t.advance(3 * t.unit);
    const again = await t.claim({ limit: 3 });
    assert.deepEqual(
      claimed.map(({ id }) => again.find((job) => job.id === id)?.deaths),
      [1, 0],
    );
  });

  it('counts a death of what was at hand and held for longer: it may have been started since', async (t) => {
    await t.add({}, {});
    const jobs = await t.claim({ limit: 1, prefetch: 1, leaseMs: 4 * t.unit });
    const extensions = jobs.map((job) => ({ job, leaseMs: 2 * t.unit }));
    assert.deepEqual(await t.backend.extend(t.queue, extensions), [true, true]);
    await t.advance(5 * t.unit);
    const again = await t.claim({ limit: 2 });
    assert.deepEqual(
      again.map(({ deaths }) => deaths),
      [1, 1],
    );
  });
}
