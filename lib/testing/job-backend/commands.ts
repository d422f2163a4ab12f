import assert from 'node:assert/strict';
import type { Part } from './part.js';
import { cancelled, completed, dead, failed } from './settlements.js';

const longMs = 3_600_000;

/** `delete`, `retry` and `pause`: what a person does. */
export function commands({ it, options }: Part): void {
  it('deletes a job whatever its state, and says which was being run', async (t) => {
    const [active, kept, notWanted, buried] = await t.add({}, {}, {}, {});
    const held = await t.claim({ limit: 4 });
    await t.settle(completed(held[1]!, longMs), cancelled(held[2]!, longMs), dead(held[3]!));
    const [ready, scheduled] = await t.add({}, { inMs: longMs });
    const ids = [ready!, 'unknown', active!, scheduled!, kept!, notWanted!, buried!, ready!];
    assert.deepEqual(await t.backend.delete(t.queue, ids), [
      'deleted',
      'unknown',
      'active',
      'deleted',
      'deleted',
      'deleted',
      'deleted',
      'unknown',
    ]);
    assert.ok((await t.backend.get(t.queue, ids)).every((job) => job === undefined));
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
    assert.deepEqual(await t.claim(), []);
    assert.deepEqual(await t.backend.delete(t.queue, []), []);
    assert.deepEqual(await t.backend.delete('nobody uses it', ['x']), ['unknown']);
    await t.until(() => t.revoked.includes(active!), 'whoever ran the deleted job to be told');
  });

  it('makes dead and scheduled jobs due now, with all attempts before them, and leaves the others alone', async (t) => {
    const [active, kept, notWanted, buried] = await t.add({}, {}, {}, {});
    const held = await t.claim({ limit: 4 });
    await t.settle(completed(held[1]!, longMs), cancelled(held[2]!, longMs), dead(held[3]!));
    const [scheduled, ready] = await t.add({ inMs: longMs }, {});
    const from = await t.now();
    const ids = [scheduled!, 'unknown', ready!, active!, kept!, notWanted!, buried!];
    assert.deepEqual(await t.backend.retry(t.queue, ids), [
      'retried',
      'unknown',
      'ready',
      'active',
      'ended',
      'ended',
      'retried',
    ]);
    assert.deepEqual(
      (await t.backend.get(t.queue, ids)).map((job) => job?.state),
      ['ready', undefined, 'ready', 'active', 'completed', 'cancelled', 'ready'],
    );
    for (const id of [scheduled!, buried!]) {
      const job = await t.stored(id);
      assert.equal(job.failures, 0);
      assert.equal(job.cause, undefined);
      assert.equal(job.endedAt, undefined);
      t.assertBetween(job.dueAt, from, await t.now(), 'dueAt');
    }
    assert.deepEqual(await t.tally(), [3, 0, 1, 0]);
    assert.deepEqual(new Set(await t.claimIds(10)), new Set([scheduled, ready, buried]));
    assert.deepEqual(await t.settle(completed(held[0]!)), [true]);
    assert.deepEqual(await t.backend.retry(t.queue, []), []);
    assert.deepEqual(await t.backend.retry('nobody uses it', ['x']), ['unknown']);
  });

  it('forgets how often a job has failed and died when it is retried', async (t) => {
    const id = await t.addOne();
    await t.settle(failed(await t.claimOne()));
    await t.claim({ leaseMs: t.unit });
    await t.advance(2 * t.unit);
    const job = await t.claimOne();
    assert.deepEqual([job.failures, job.deaths], [1, 1]);
    await t.settle(dead(job, { cause: 'quarantined' }));
    assert.deepEqual(await t.backend.retry(t.queue, [id]), ['retried']);
    const again = await t.claimOne();
    assert.deepEqual([again.id, again.failures, again.deaths], [id, 0, 0]);
    await t.settle(failed(again, longMs));
    assert.equal((await t.stored(id)).failures, 1);
    await t.backend.retry(t.queue, [id]);
    assert.equal((await t.stored(id)).failures, 0);
  });

  it('puts a job that is retried behind those that have been due for longer', async (t) => {
    const scheduled = await t.addOne({ inMs: longMs });
    const ready = await t.addOne();
    await t.advance(2);
    await t.backend.retry(t.queue, [scheduled]);
    assert.deepEqual(await t.claimIds(2), [ready, scheduled]);
  });

  it(`deletes and retries ${options.many} jobs in one call`, async (t) => {
    const jobs = t.jobs(options.many, { inMs: longMs });
    const ids = jobs.map(({ id }) => id);
    await t.backend.enqueue(jobs);
    assert.ok((await t.backend.retry(t.queue, ids)).every((answer) => answer === 'retried'));
    assert.deepEqual(await t.tally(), [ids.length, 0, 0, 0]);
    assert.ok((await t.backend.retry(t.queue, ids)).every((answer) => answer === 'ready'));
    const stored = await t.backend.get(t.queue, ids);
    assert.ok(stored.every((job, index) => job?.id === ids[index]));
    assert.ok((await t.backend.delete(t.queue, ids)).every((answer) => answer === 'deleted'));
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
    assert.ok((await t.backend.delete(t.queue, ids)).every((answer) => answer === 'unknown'));
  });

  it('hands out nothing of a paused queue, to nobody', async (t) => {
    const held = await t.held();
    const waits = t.wait();
    await t.letItWait(waits, t.unit / 2);
    await t.backend.pause(t.queue, true);
    await t.backend.pause(t.queue, true);
    assert.equal((await t.counts()).paused, true);
    const id = await t.addOne();
    assert.deepEqual(await t.claim(), []);
    const { claimed } = await t.backend.settle(t.queue, [], { limit: 1, prefetch: 1, leaseMs: longMs });
    assert.deepEqual([...claimed], []);
    await t.letItWait(waits);
    const other = t.job({ queue: 'other' });
    await t.backend.enqueue([other]);
    assert.deepEqual(await t.claimIds(1, { queue: 'other' }), [other.id]);
    // What is held goes on.
    assert.deepEqual(await t.backend.extend(t.queue, [{ job: held, leaseMs: longMs }]), [true]);
    assert.deepEqual(await t.settle(completed(held)), [true]);
    assert.deepEqual(await t.tally(), [1, 0, 0, 0]);
    await t.backend.pause(t.queue, false);
    assert.equal((await t.gotBy(waits))[0]?.id, id);
    assert.equal((await t.counts()).paused, false);
    await t.backend.pause(t.queue, false);
    assert.equal((await t.held()).state, 'active');
  });

  it('hands out nothing of a paused queue that comes due, or whose lease is over, until it goes on', async (t) => {
    const lost = await t.held({}, { leaseMs: t.unit });
    const due = await t.addOne({ inMs: t.unit });
    await t.backend.pause(t.queue, true);
    const waits = t.wait({ limit: 2 });
    await t.letItWait(waits, 3 * t.unit);
    await t.backend.pause(t.queue, false);
    const got = [...(await t.gotBy(waits))];
    got.push(...(await t.claim({ limit: 2 })));
    assert.deepEqual(new Set(got.map(({ id }) => id)), new Set([lost.id, due]));
  });

  it('pauses a queue that nobody has used yet', async (t) => {
    await t.backend.pause(t.queue, true);
    assert.equal((await t.counts()).paused, true);
    const id = await t.addOne();
    assert.deepEqual(await t.claim(), []);
    await t.backend.pause(t.queue, false);
    assert.equal((await t.claimOne()).id, id);
  });
}
