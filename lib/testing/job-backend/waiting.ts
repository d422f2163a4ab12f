import assert from 'node:assert/strict';
import type { ClaimedJob } from '../../jobs/index.js';
import type { Part } from './part.js';
import { completed, failed, released } from './settlements.js';
import { longLeaseMs, type Trial } from './trial.js';

/** What makes a job claimable, each by itself, while a claim waits. */
const wakers: Readonly<Record<string, (t: Trial) => Promise<() => Promise<unknown>>>> = {
  'a job is enqueued': async (t) => async () => t.add({}),
  'a job is released': async (t) => {
    const job = await t.held();
    return async () => t.settle(released(job));
  },
  'a job has failed and is due again at once': async (t) => {
    const job = await t.held();
    return async () => t.settle(failed(job));
  },
  'a scheduled job is retried': async (t) => {
    const id = await t.addOne({ inMs: 1_000_000 });
    return async () => t.backend.retry(t.queue, [id]);
  },
  'the queue goes on': async (t) => {
    await t.add({});
    await t.backend.pause(t.queue, true);
    return async () => t.backend.pause(t.queue, false);
  },
  'a job comes due': async (t) => {
    await t.add({ inMs: 2 * t.unit });
    return async () => t.advance(2 * t.unit);
  },
  'a job that has failed is due again': async (t) => {
    const job = await t.held();
    await t.settle(failed(job, 2 * t.unit));
    return async () => t.advance(2 * t.unit);
  },
  'a lease is over': async (t) => {
    await t.held({}, { leaseMs: 2 * t.unit });
    return async () => t.advance(2 * t.unit);
  },
};

/** `claim` where there is nothing to claim yet. */
export function waiting({ it, options }: Part): void {
  for (const [what, prepare] of Object.entries(wakers)) {
    it(`wakes a waiting claim when ${what}`, async (t) => {
      const happen = await prepare(t);
      const claim = t.wait();
      await t.letItWait(claim, t.unit / 2);
      await happen();
      if (options.timeTravels) await t.advance(0);
      const [job, ...more] = await t.gotBy(claim);
      assert.ok(job);
      assert.deepEqual(more, []);
      assert.ok(job.claimedAt <= (await t.now()) + 1);
      assert.equal(await t.stateOf(job.id), 'active');
    });
  }

  it('wakes a waiting claim when the next job is due, and not much later', async (t) => {
    await t.add({ inMs: 500_000 });
    const claim = t.wait();
    await t.letItWait(claim, t.unit / 2);
    // Due before the one for which it waits by now.
    const id = await t.addOne({ inMs: 3 * t.unit });
    await t.advance(4 * t.unit);
    const [job] = await t.gotBy(claim);
    assert.equal(job?.id, id);
    t.assertBetween(job.claimedAt, job.dueAt, job.dueAt + t.options.slackMs, 'when it was claimed');
  });

  it('answers with none when there is nothing until the time is over', async (t) => {
    assert.deepEqual(await t.claim({ waitMs: 0 }), []);
    const claim = t.wait({ waitMs: 2 * t.unit });
    await t.letItWait(claim, t.unit / 2);
    await t.advance(3 * t.unit);
    assert.deepEqual(await t.gotBy(claim), []);
    const [id] = await t.add({});
    assert.equal((await t.claimOne()).id, id);
  });

  it('answers with none when it is called off, and leaves all jobs to others', async (t) => {
    const claim = t.wait();
    await t.letItWait(claim);
    claim.abort();
    assert.deepEqual(await t.gotBy(claim), []);
    const id = await t.addOne();
    assert.equal((await t.claimOne()).id, id);
  });

  it('takes nothing once it is called off', async (t) => {
    const id = await t.addOne();
    assert.deepEqual(await t.claim({ signal: AbortSignal.abort() }), []);
    assert.equal(await t.stateOf(id), 'ready');
    const [job] = await t.claim();
    assert.equal(job?.id, id);
    assert.equal(job.deaths, 0);
  });

  it('waits for jobs that are only to be at hand, whose process dies with none', async (t) => {
    const waits = t.wait({ limit: 0, prefetch: 3, leaseMs: 2 * t.unit });
    await t.letItWait(waits, t.unit / 2);
    const id = await t.addOne();
    assert.deepEqual(
      (await t.gotBy(waits)).map((job) => job.id),
      [id],
    );
    await t.advance(3 * t.unit);
    const again = await t.claimOne();
    assert.deepEqual([again.id, again.deaths, again.history], [id, 0, []]);
  });

  it('answers at once with none where it was called off before it began', async (t) => {
    const off = { signal: AbortSignal.abort(), waitMs: longLeaseMs };
    assert.deepEqual(await t.claim({ ...off, limit: 0, prefetch: 5 }), []);
    const ids = await t.add({}, {}, {});
    assert.deepEqual(await t.claim({ ...off, limit: 2, prefetch: 1 }), []);
    assert.deepEqual(await t.claim({ ...off, limits: { concurrency: 1, perKey: 1 } }), []);
    // One may be there for the queue, whoever claims.
    await t.until(() => t.timers <= 1, 'timers to go');
    assert.deepEqual(await t.tally(), [3, 0, 0, 0]);
    const claimed = await t.claim({ limit: 3, limits: { concurrency: 3 } });
    assert.deepEqual(
      claimed.map(({ id, deaths, history }) => [id, deaths, history.length]),
      ids.map((id) => [id, 0, 0]),
    );
  });

  it('loses no job and holds none in secret when it is called off while one comes', async (t) => {
    for (let round = 0; round < 30; round++) {
      const claim = t.wait();
      if (round % 3 === 0) await t.advance(0);
      const [job] = [t.job()];
      const enqueued = t.backend.enqueue([job]);
      if (round % 2 === 0) claim.abort();
      await enqueued;
      claim.abort();
      let got = await t.gotBy(claim);
      if (got.length === 0) {
        // It goes back as if it had never been claimed; at once, or as soon as the late answer is there.
        await t.until(async () => (got = await t.claim()).length > 0, 'the job to be back');
        assert.equal(got[0]?.deaths, 0);
        assert.deepEqual([...(got[0]?.history ?? [])], []);
      }
      assert.deepEqual(
        got.map(({ id }) => id),
        [job.id],
      );
      assert.deepEqual(await t.settle(completed(got[0]!)), [true]);
    }
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
  });

  it('misses no job that comes just when a claim begins to wait', async (t) => {
    for (let round = 0; round < 50; round++) {
      assert.deepEqual(await t.claim(), []);
      const id = `round-${round}`;
      let claim: ReturnType<Trial['wait']>;
      let enqueued: Promise<unknown>;
      if (round % 2 === 0) {
        claim = t.wait();
        for (let turn = 0; turn < round % 7; turn++) await Promise.resolve();
        enqueued = t.add({ id });
      } else {
        enqueued = t.add({ id });
        claim = t.wait();
      }
      await enqueued;
      const [job] = await t.gotBy(claim, 'the claim of a job that came just then');
      assert.equal(job?.id, id);
      await t.settle(completed(job));
    }
  });

  it('gives each job to one of several that wait', async (t) => {
    const claims = Array.from({ length: 5 }, () => t.wait());
    for (const claim of claims) await t.letItWait(claim, t.unit / 10);
    const ids = await t.add({}, {}, {}, {}, {});
    const got: ClaimedJob[] = [];
    for (const claim of claims) got.push(...(await t.gotBy(claim, 'each of the waiting claims')));
    assert.equal(got.length, 5);
    assert.deepEqual(new Set(got.map(({ id }) => id)), new Set(ids));
  });

  it('wakes one that waits when another is called off and hands back', async (t) => {
    const first = t.wait();
    const second = t.wait();
    await t.letItWait(first, t.unit / 2);
    first.abort();
    const id = await t.addOne();
    assert.deepEqual(await t.gotBy(first), []);
    assert.equal((await t.gotBy(second))[0]?.id, id);
  });

  it('hinders nothing else while it waits', async (t) => {
    const claims = ['x', 'y', t.queue].map((queue) => t.wait({ queue }));
    for (const claim of claims) await t.letItWait(claim, t.unit / 2);
    const calls = async (): Promise<void> => {
      await t.backend.enqueue([t.job({ queue: 'other' })]);
      const job = await t.claimOne({ queue: 'other' });
      await t.backend.extend('other', [{ job, leaseMs: 1_000 }]);
      await t.backend.get('other', [job.id]);
      await t.backend.counts(['other'], { dueWithinMs: 0 });
      await t.backend.settle('other', [completed(job)]);
    };
    await t.soon(calls(), 'other calls while claims wait');
    assert.ok(claims.every(({ isOver }) => !isOver));
    const [x] = [t.job({ queue: 'x' })];
    await t.backend.enqueue([x]);
    assert.equal((await t.gotBy(claims[0]!))[0]?.id, x.id);
    assert.equal(claims[1]!.isOver, false);
    claims.forEach((claim) => claim.abort());
  });

  it('answers with as many as there are, up to what was asked for', async (t) => {
    const claim = t.wait({ limit: 3, prefetch: 1 });
    await t.letItWait(claim);
    const ids = await t.add({}, {}, {}, {}, {}, {});
    const got = await t.gotBy(claim);
    assert.ok(got.length >= 1 && got.length <= 4);
    assert.deepEqual(
      got.map(({ id }) => id),
      ids.slice(0, got.length),
    );
    assert.equal((await t.claimIds(10)).length, 6 - got.length);
  });
}
