import assert from 'node:assert/strict';
import type { ClaimedJob } from '../../jobs/index.js';
import type { Part } from './part.js';
import { completed, everyEnd, failed, released } from './settlements.js';
import type { Trial } from './trial.js';

const hourMs = 3_600_000;

/** A job whose lease was over, and that somebody else holds by now. */
async function lost(t: Trial): Promise<{ readonly late: ClaimedJob; readonly holder: ClaimedJob }> {
  const late = await t.held({}, { leaseMs: t.unit });
  await t.advance(2 * t.unit);
  const holder = await t.claimOne();
  assert.equal(holder.id, late.id);
  assert.notEqual(holder.token, late.token);
  return { late, holder };
}

/** Leases and tokens: who holds a job, and that nobody else can say what becomes of it. */
export function leases({ it }: Part): void {
  it('hands out a job again when its lease is over, and no sooner', async (t) => {
    const from = await t.now();
    const job = await t.held({}, { leaseMs: 4 * t.unit });
    await t.advance(t.unit);
    if ((await t.now()) < from + 4 * t.unit) assert.deepEqual(await t.claim(), []);
    await t.advance(4 * t.unit);
    const again = await t.claimOne();
    assert.equal(again.id, job.id);
    assert.notEqual(again.token, job.token);
    assert.ok(again.claimedAt >= job.leaseEndsAt - 1);
    assert.equal(again.failures, 0);
    assert.equal(again.deaths, 1);
    assert.equal(again.history.length, 1);
    assert.equal(again.history[0]?.outcome, 'died');
    t.assertBetween(again.history[0]?.startedAt, job.claimedAt, job.claimedAt, 'when it was begun');
  });

  it('holds a job for longer when asked to', async (t) => {
    const job = await t.held({}, { leaseMs: 4 * t.unit });
    await t.advance(t.unit);
    const from = await t.now();
    assert.deepEqual(await t.backend.extend(t.queue, [{ job, leaseMs: 100 * t.unit }]), [true]);
    t.assertLeaseEnd(
      (await t.stored(job.id)).leaseEndsAt,
      from + 100 * t.unit,
      (await t.now()) + 100 * t.unit,
      'end',
    );
    await t.advance(5 * t.unit);
    assert.deepEqual(await t.claim(), []);
    assert.deepEqual(await t.settle(completed(job)), [true]);
  });

  it('keeps what a handler says of how far it is, with the next renewal', async (t) => {
    const job = await t.held();
    assert.deepEqual(await t.backend.extend(t.queue, []), []);
    await t.backend.extend(t.queue, [{ job, leaseMs: 60_000, progress: Uint8Array.of(50) }]);
    assert.deepEqual(new Uint8Array((await t.stored(job.id)).progress ?? []), Uint8Array.of(50));
    await t.backend.extend(t.queue, [{ job, leaseMs: 60_000 }]);
    assert.deepEqual(new Uint8Array((await t.stored(job.id)).progress ?? []), Uint8Array.of(50));
    assert.deepEqual(await t.settle(completed(job)), [true]);
  });

  it('lets who is late extend and settle, as long as nobody else has the job', async (t) => {
    const job = await t.held({}, { leaseMs: t.unit });
    await t.advance(2 * t.unit);
    assert.deepEqual(await t.backend.extend(t.queue, [{ job, leaseMs: t.unit }]), [true]);
    await t.advance(2 * t.unit);
    assert.deepEqual(await t.settle(completed(job)), [true]);
    assert.deepEqual(await t.claim(), []);
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
  });

  it('refuses to extend a lease that was lost, and leaves that of the holder alone', async (t) => {
    const { late, holder } = await lost(t);
    const extension = { job: late, leaseMs: 1, progress: Uint8Array.of(1) };
    assert.deepEqual(await t.backend.extend(t.queue, [extension]), [false]);
    const stored = await t.stored(holder.id);
    assert.equal(stored.progress, undefined);
    t.assertLeaseEnd(stored.leaseEndsAt, holder.leaseEndsAt, holder.leaseEndsAt, 'the lease of the holder');
    // Also where both are asked for at once, as by a process that has got its own job again.
    const both = [late, holder].map((job) => ({ job, leaseMs: 60_000 }));
    assert.deepEqual(await t.backend.extend(t.queue, both), [false, true]);
    assert.deepEqual(await t.settle(completed(holder)), [true]);
  });

  for (const [kind, end] of Object.entries(everyEnd)) {
    it(`refuses "${kind}" of who has lost the job, and accepts it of the holder, once`, async (t) => {
      const { late, holder } = await lost(t);
      assert.deepEqual(await t.settle(end(late)), [false]);
      assert.equal(await t.stateOf(holder.id), 'active');
      assert.deepEqual(await t.settle(end(holder)), [true]);
      const before = await t.get(holder.id);
      for (const job of [holder, late]) {
        for (const settle of Object.values(everyEnd)) assert.deepEqual(await t.settle(settle(job)), [false]);
        assert.deepEqual(await t.backend.extend(t.queue, [{ job, leaseMs: 60_000 }]), [false]);
      }
      assert.deepEqual(await t.get(holder.id), before, 'what was refused has changed nothing');
    });
  }

  it('accepts one of two settlements that come at once, and the first of two in one call', async (t) => {
    for (let round = 0; round < 20; round++) {
      const job = await t.held();
      const answers = await Promise.all([
        t.settle(completed(job)),
        t.settle(failed(job)),
        t.settle(completed(job)),
      ]);
      assert.equal(answers.flat().filter(Boolean).length, 1);
      await t.backend.delete(t.queue, [job.id]);
    }
    const job = await t.held();
    assert.deepEqual(await t.settle(failed(job, 1_000_000), completed(job)), [true, false]);
    assert.equal(await t.stateOf(job.id), 'scheduled');
  });

  it('answers for each, whether its token holds', async (t) => {
    const { late } = await lost(t);
    const good = await t.held();
    const gone = await t.held();
    await t.backend.delete(t.queue, [gone.id]);
    const jobs = [late, good, gone];
    const extensions = jobs.map((job) => ({ job, leaseMs: 60_000 }));
    assert.deepEqual(await t.backend.extend(t.queue, extensions), [false, true, false]);
    assert.deepEqual(await t.settle(...jobs.map((job) => completed(job))), [false, true, false]);
  });

  it('refuses what is said of a job that was deleted, and the job stays away', async (t) => {
    const job = await t.held();
    assert.deepEqual(await t.backend.delete(t.queue, [job.id]), ['active']);
    assert.deepEqual(
      await t.backend.extend(t.queue, [{ job, leaseMs: 60_000, progress: Uint8Array.of(1) }]),
      [false],
    );
    for (const end of Object.values(everyEnd)) assert.deepEqual(await t.settle(end(job)), [false]);
    assert.equal(await t.get(job.id), undefined);
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
    // The token is no good for another job of the same id either.
    await t.add({ id: job.id });
    assert.deepEqual(await t.settle(completed(job)), [false]);
    const next = await t.claimOne();
    assert.deepEqual(await t.settle(completed(job)), [false]);
    assert.deepEqual(await t.settle(completed(next)), [true]);
  });

  it('refuses a token that has failed and is tried again, or was retried', async (t) => {
    const job = await t.held();
    await t.settle(failed(job, 1_000_000));
    await t.backend.retry(t.queue, [job.id]);
    assert.deepEqual(await t.settle(completed(job)), [false]);
    const next = await t.claimOne();
    assert.deepEqual(await t.settle(completed(job)), [false]);
    assert.deepEqual(await t.settle(completed(next)), [true]);
  });

  it('refuses tokens that it never gave', async (t) => {
    const job = await t.held();
    for (const token of ['', '0', '-1', 'undefined', `${job.token}0`, ` ${job.token}`]) {
      assert.deepEqual(await t.settle(completed({ ...job, token })), [false]);
      assert.deepEqual(await t.backend.extend(t.queue, [{ job: { ...job, token }, leaseMs: 1 }]), [false]);
    }
    assert.deepEqual(await t.settle(completed({ ...job, id: 'unknown' })), [false]);
    const ready = await t.addOne();
    for (const token of ['', '0', 'undefined', job.token]) {
      assert.deepEqual(await t.settle(completed({ ...job, id: ready, token })), [false]);
    }
    assert.equal(await t.stateOf(ready), 'ready');
  });

  it('counts how often the process of a job died', async (t) => {
    const id = await t.addOne();
    for (let deaths = 0; deaths < 4; deaths++) {
      const job = await t.claimOne({ leaseMs: t.unit });
      assert.equal(job.id, id);
      assert.equal(job.deaths, deaths);
      assert.deepEqual(
        job.history.map(({ outcome }) => outcome),
        Array.from({ length: deaths }, () => 'died'),
      );
      await t.advance(2 * t.unit);
    }
    const job = await t.claimOne();
    await t.settle(failed(job));
    assert.equal((await t.stored(id)).deaths, 4, 'what comes after leaves it as it is');
    assert.equal((await t.claimOne()).deaths, 4);
  });

  for (const [how, speak] of [
    ['extends it', (t, job) => t.backend.extend(t.queue, [{ job, leaseMs: 1_000 }])],
    ['settles it', (t, job) => t.settle(completed(job))],
    ['gives it back', (t, job) => t.settle(released(job))],
  ] as readonly [string, (t: Trial, job: ClaimedJob) => Promise<readonly boolean[]>][]) {
    it(`counts no death of a late holder that ${how}`, async (t) => {
      const { late, holder } = await lost(t);
      assert.equal(holder.deaths, 1);
      assert.deepEqual(await speak(t, late), [false]);
      const stored = await t.stored(late.id);
      assert.equal(stored.deaths, 0);
      assert.deepEqual(
        stored.history.map(({ outcome }) => outcome),
        ['lost'],
      );
      assert.deepEqual(await t.settle(failed(holder)), [true]);
      assert.deepEqual(
        (await t.stored(late.id)).history.map(({ outcome }) => outcome),
        ['lost', 'failed'],
        'what was heard meanwhile is not forgotten by whoever has not heard it',
      );
    });
  }

  it('counts the deaths of those that are not heard of, whenever the others are', async (t) => {
    const first = await t.held({}, { leaseMs: t.unit });
    await t.advance(2 * t.unit);
    const second = await t.claimOne({ leaseMs: t.unit });
    await t.advance(2 * t.unit);
    const third = await t.claimOne();
    assert.equal(third.deaths, 2);
    assert.deepEqual(await t.settle(failed(third)), [true]);
    for (let times = 0; times < 2; times++) {
      assert.deepEqual(await t.settle(completed(first)), [false]);
      const stored = await t.stored(first.id);
      assert.equal(stored.deaths, 1);
      assert.deepEqual(
        stored.history.map(({ outcome }) => outcome),
        ['lost', 'died', 'failed'],
      );
    }
    assert.deepEqual(await t.settle(completed({ ...second, token: `${second.token}0` })), [false]);
    assert.equal((await t.stored(first.id)).deaths, 1);
    const [again] = await t.claim();
    assert.equal(again?.deaths, 1);
    assert.deepEqual(await t.backend.extend(t.queue, [{ job: second, leaseMs: 1_000 }]), [false]);
    assert.equal((await t.stored(first.id)).deaths, 0);
  });

  it(
    'forgets a death for each hour without another',
    async (t) => {
      const id = await t.addOne();
      for (let deaths = 0; deaths < 3; deaths++) {
        await t.claim({ leaseMs: t.unit });
        await t.advance(2 * t.unit);
      }
      const job = await t.claimOne({ leaseMs: 100 * hourMs });
      assert.equal(job.deaths, 3);
      await t.advance(hourMs - 4 * t.unit);
      assert.equal((await t.stored(id)).deaths, 3);
      await t.advance(8 * t.unit);
      assert.equal((await t.stored(id)).deaths, 2);
      await t.advance(hourMs);
      assert.equal((await t.stored(id)).deaths, 1);
      await t.advance(10 * hourMs);
      assert.equal((await t.stored(id)).deaths, 0);
      await t.settle(released(job));
      assert.equal((await t.claimOne({ leaseMs: t.unit })).deaths, 0);
      await t.advance(2 * t.unit);
      assert.equal((await t.claimOne()).deaths, 1);
    },
    'timeTravels',
  );

  it('hands out jobs in batches that were lost in a batch', async (t) => {
    const ids = await t.add(...Array.from({ length: 500 }, () => ({})));
    const late = await t.claim({ limit: 500, leaseMs: t.unit });
    assert.equal(late.length, 500);
    await t.advance(2 * t.unit);
    const again = await t.claim({ limit: 1_000 });
    assert.deepEqual(new Set(again.map(({ id }) => id)), new Set(ids));
    assert.ok((await t.settle(...late.map((job) => completed(job)))).every((accepted) => !accepted));
    assert.ok((await t.settle(...again.map((job) => completed(job)))).every(Boolean));
  });
}
