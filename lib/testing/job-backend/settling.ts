import assert from 'node:assert/strict';
import type { DeadCause } from '../../jobs/index.js';
import type { Part } from './part.js';
import { attemptAt, cancelled, completed, dead, failed, putOff, released, snoozed } from './settlements.js';
import { longLeaseMs } from './trial.js';

const longMs = 3_600_000;
const thenOne = { limit: 1, prefetch: 0, leaseMs: longLeaseMs };

/** `settle`: what becomes of a job. */
export function settling({ it }: Part): void {
  it('forgets a completed job that is not to be kept', async (t) => {
    const job = await t.held();
    assert.deepEqual(await t.settle(completed(job, 0, Uint8Array.of(1))), [true]);
    assert.equal(await t.get(job.id), undefined);
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
  });

  it('keeps a completed job, and what it returned, for as long as it is told', async (t) => {
    const from = await t.now();
    const job = await t.held();
    await t.settle(completed(job, 4 * t.unit, Uint8Array.of(1, 2)));
    const stored = await t.stored(job.id);
    assert.equal(stored.state, 'completed');
    assert.deepEqual(new Uint8Array(stored.result ?? []), Uint8Array.of(1, 2));
    t.assertBetween(stored.endedAt, from, await t.now(), 'endedAt');
    assert.deepEqual(await t.claim(), []);
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
    await t.advance(5 * t.unit);
    assert.equal(await t.get(job.id), undefined);
    assert.deepEqual((await t.backend.list(t.queue, { state: 'completed', limit: 10 })).jobs, []);
    assert.deepEqual(await t.backend.enqueue([t.job({ id: job.id })]), [{ kind: 'enqueued', id: job.id }]);
  });

  it('puts a job off of which no attempt was made, and leaves all else as it was', async (t) => {
    const first = await t.held();
    await t.settle(failed(first));
    const again = await t.claimOne();
    const { failures, deaths, lastError, history } = await t.stored(first.id);
    const from = await t.now();
    assert.deepEqual(await t.settle(putOff(again, longMs)), [true]);
    const stored = await t.stored(first.id);
    assert.equal(stored.state, 'scheduled');
    t.assertBetween(stored.dueAt, from + longMs, (await t.now()) + longMs, 'dueAt');
    assert.deepEqual(
      [stored.failures, stored.deaths, stored.lastError, stored.history],
      [failures, deaths, lastError, history],
    );
  });

  it('keeps a completed job that returned nothing', async (t) => {
    const job = await t.held();
    await t.settle(completed(job, longMs));
    assert.equal((await t.stored(job.id)).result, undefined);
    const other = await t.held();
    await t.settle(completed(other, longMs, new Uint8Array(0)));
    assert.equal((await t.stored(other.id)).result?.length, 0);
  });

  it('puts off a job that has failed, and counts that', async (t) => {
    const job = await t.held({ payload: Uint8Array.of(5) });
    const from = await t.now();
    const settlement = failed(job, 3 * t.unit, 'the first error');
    assert.deepEqual(await t.settle(settlement), [true]);
    const stored = await t.stored(job.id);
    assert.equal(stored.state, 'scheduled');
    assert.equal(stored.failures, 1);
    assert.equal(stored.lastError, 'the first error');
    assert.equal(stored.leaseEndsAt, undefined);
    assert.deepEqual([...stored.history], [settlement.attempt]);
    t.assertBetween(stored.dueAt, from + 3 * t.unit, (await t.now()) + 3 * t.unit, 'dueAt');
    assert.deepEqual(await t.claim(), []);
    await t.advance(4 * t.unit);
    const again = await t.claimOne();
    assert.equal(again.failures, 1);
    assert.equal(again.lastError, 'the first error');
    assert.deepEqual(new Uint8Array(again.payload ?? []), Uint8Array.of(5));
    assert.equal(again.dueAt, stored.dueAt);
    const last = dead(again, { error: 'the second error' });
    await t.settle(last);
    const { failures, lastError, history } = await t.stored(job.id);
    assert.equal(failures, 2);
    assert.equal(lastError, 'the second error');
    assert.deepEqual([...history], [settlement.attempt, last.attempt]);
  });

  it('puts off a job that is snoozed, and counts no failure', async (t) => {
    const job = await t.held();
    await t.settle(failed(job, 0, 'boom'));
    await t.settle(snoozed(await t.claimOne(), 2 * t.unit));
    const stored = await t.stored(job.id);
    assert.equal(stored.state, 'scheduled');
    assert.equal(stored.failures, 1);
    assert.equal(stored.lastError, 'boom');
    assert.deepEqual(
      stored.history.map(({ outcome }) => outcome),
      ['failed', 'snoozed'],
    );
    await t.advance(3 * t.unit);
    assert.equal((await t.claimOne()).failures, 1);
  });

  it('puts back a job that is released, as if it had never been claimed', async (t) => {
    const job = await t.held();
    await t.advance(t.unit);
    assert.deepEqual(await t.settle(released(job)), [true]);
    const stored = await t.stored(job.id);
    assert.equal(stored.state, 'ready');
    assert.equal(stored.dueAt, job.dueAt);
    assert.equal(stored.failures, 0);
    assert.equal(stored.leaseEndsAt, undefined);
    assert.deepEqual([...stored.history], []);
    const again = await t.claimOne();
    assert.equal(again.deaths, 0);
    const attempt = attemptAt(again, 'cancelled');
    assert.deepEqual(await t.settle({ ...released(again), attempt }), [true]);
    const last = await t.claimOne();
    assert.equal(last.failures, 0);
    assert.deepEqual([...last.history], [attempt]);
  });

  it('keeps a dead job, why it died and of what', async (t) => {
    const causes: DeadCause[] = ['discarded', 'exhausted', 'quarantined', 'invalid', 'expired'];
    for (const cause of causes) {
      const from = await t.now();
      const job = await t.held({ payload: Uint8Array.of(3) });
      const { accepted, pushedOut } = await t.backend.settle(t.queue, [
        dead(job, { cause, error: `for ${cause}` }),
      ]);
      assert.deepEqual(accepted, [true]);
      assert.equal(pushedOut, 0);
      const stored = await t.stored(job.id);
      assert.equal(stored.state, 'dead');
      assert.equal(stored.cause, cause);
      assert.equal(stored.lastError, `for ${cause}`);
      assert.equal(stored.failures, 1);
      assert.deepEqual(new Uint8Array(stored.payload ?? []), Uint8Array.of(3));
      t.assertBetween(stored.endedAt, from, await t.now(), 'endedAt');
    }
    assert.deepEqual(await t.claim(), []);
    assert.deepEqual(await t.tally(), [0, 0, 0, causes.length]);
  });

  it('keeps a dead job that was never tried', async (t) => {
    const job = await t.held();
    const settlement = { ...dead(job, { cause: 'invalid', error: 'no' }), failures: 0, attempt: undefined };
    assert.deepEqual(await t.settle(settlement), [true]);
    const { failures, history, lastError } = await t.stored(job.id);
    assert.equal(failures, 0);
    assert.equal(lastError, 'no');
    assert.deepEqual([...history], []);
  });

  it('keeps so many dead jobs, and says how many of the oldest gave way', async (t) => {
    const ids: string[] = [];
    for (let round = 0; round < 5; round++) {
      const job = await t.held();
      ids.push(job.id);
      const { pushedOut } = await t.backend.settle(t.queue, [dead(job, { maxDead: 3 })]);
      assert.equal(pushedOut, round < 3 ? 0 : 1);
      await t.advance(2);
    }
    assert.deepEqual(
      (await t.backend.get(t.queue, ids)).map((job) => job?.state),
      [undefined, undefined, 'dead', 'dead', 'dead'],
    );
    assert.equal((await t.counts()).dead, 3);
    await t.add({}, {});
    const last = await t.claim({ limit: 2 });
    const { pushedOut } = await t.backend.settle(
      t.queue,
      last.map((job) => dead(job, { maxDead: 1 })),
    );
    assert.equal(pushedOut, 4);
    assert.equal((await t.counts()).dead, 1);
    const { jobs } = await t.backend.list(t.queue, { state: 'dead', limit: 10 });
    assert.equal(jobs.length, 1);
    assert.ok(last.some(({ id }) => id === jobs[0]?.id));
  });

  it('ends a job that is cancelled, and keeps it for as long as it is told', async (t) => {
    const job = await t.held();
    await t.settle(cancelled(job, 4 * t.unit, 'nobody wants it'));
    const stored = await t.stored(job.id);
    assert.equal(stored.state, 'cancelled');
    assert.equal(stored.lastError, 'nobody wants it');
    assert.equal(stored.failures, 0);
    assert.equal(stored.history[0]?.outcome, 'cancelled');
    assert.ok(stored.endedAt !== undefined);
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
    await t.advance(5 * t.unit);
    assert.equal(await t.get(job.id), undefined);
    const gone = await t.held();
    await t.settle(cancelled(gone));
    assert.equal(await t.get(gone.id), undefined);
    assert.deepEqual(await t.claim(), []);
  });

  it('keeps the last 20 attempts', async (t) => {
    const id = await t.addOne();
    for (let attempt = 1; attempt <= 25; attempt++) {
      await t.settle(failed(await t.claimOne(), 0, `error ${attempt}`));
    }
    const { history, failures } = await t.stored(id);
    assert.equal(failures, 25);
    assert.deepEqual(
      history.map(({ attempt, error }) => [attempt, error]),
      Array.from({ length: 20 }, (_, index) => [index + 6, `error ${index + 6}`]),
    );
    await t.claim({ leaseMs: t.unit });
    await t.advance(2 * t.unit);
    const job = await t.claimOne();
    assert.equal(job.history.length, 20);
    assert.equal(job.history.at(-1)?.outcome, 'died');
    await t.settle(dead(job));
    assert.equal((await t.stored(id)).history.length, 20);
  });

  it('settles many in one call, each in its way', async (t) => {
    await t.add(...Array.from({ length: 1_000 }, () => ({})));
    const jobs = await t.claim({ limit: 1_000 });
    const ways = [
      completed,
      (job: (typeof jobs)[number]) => failed(job, longMs),
      released,
      (job: (typeof jobs)[number]) => dead(job),
      cancelled,
    ];
    const { accepted, claimed } = await t.backend.settle(
      t.queue,
      jobs.map((job, index) => ways[index % 5]!(job)),
    );
    assert.equal(accepted.length, 1_000);
    assert.ok(accepted.every(Boolean));
    assert.deepEqual([...claimed], []);
    assert.deepEqual(await t.tally(), [200, 200, 0, 200]);
  });

  it('answers for each of more than a thousand in one call, in the order given', async (t) => {
    await t.add(...Array.from({ length: 1_203 }, () => ({})));
    const jobs = await t.claim({ limit: 1_203 });
    const expected = jobs.map((_, index) => index % 7 !== 3);
    const lost = jobs.filter((_, index) => !expected[index]).map(({ id }) => id);
    assert.ok((await t.backend.delete(t.queue, lost)).every((answer) => answer === 'active'));
    const extensions = jobs.map((job) => ({ job, leaseMs: longLeaseMs }));
    assert.deepEqual([...(await t.backend.extend(t.queue, extensions))], expected);
    assert.deepEqual([...(await t.settle(...jobs.map((job) => completed(job))))], expected);
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
  });

  it('takes new jobs in the same call, without waiting for any', async (t) => {
    const [a, b, c] = await t.add({}, {}, {});
    const first = await t.claimOne();
    assert.equal(first.id, a);
    const second = await t.backend.settle(t.queue, [completed(first)], { ...thenOne, prefetch: 1 });
    assert.deepEqual(
      second.claimed.map(({ id }) => id),
      [b, c],
    );
    assert.deepEqual(await t.settle(...second.claimed.map((job) => completed(job))), [true, true]);
    const none = t.backend.settle(t.queue, [completed(first)], thenOne);
    assert.deepEqual(await t.soon(none, 'settle() with nothing to claim'), {
      accepted: [false],
      claimed: [],
      pushedOut: 0,
    });
    const id = await t.addOne();
    const last = await t.backend.settle(t.queue, [], thenOne);
    assert.deepEqual(last.accepted, []);
    assert.equal(last.claimed[0]?.id, id);
    assert.equal(last.claimed[0].state, 'active');
    await t.settle(failed(last.claimed[0]));
    const [again] = (await t.backend.settle(t.queue, [], thenOne)).claimed;
    assert.deepEqual((await t.backend.settle(t.queue, [failed(again!)], thenOne)).claimed[0]?.id, id);
  });
}
