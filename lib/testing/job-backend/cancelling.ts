import assert from 'node:assert/strict';
import type { Part } from './part.js';
import { cancelled, completed, dead, everyEnd, failed } from './settlements.js';

const longMs = 3_600_000;
const keep = { keepMs: longMs };

/** `cancel`: what becomes of jobs that nobody wants any more. What it frees is asked with keys and limits. */
export function cancelling({ it, options }: Part): void {
  it('cancels what has not ended, and says which was being run', async (t) => {
    const [active, kept, notWanted, buried] = await t.add({}, {}, {}, {});
    const held = await t.claim({ limit: 4 });
    await t.settle(completed(held[1]!, longMs), cancelled(held[2]!, longMs), dead(held[3]!));
    const [ready, scheduled] = await t.add({}, { inMs: longMs });
    const ended = [kept!, notWanted!, buried!];
    const before = await t.backend.get(t.queue, ended);
    const from = await t.now();
    const ids = [ready!, 'unknown', active!, scheduled!, ...ended, ready!];
    assert.deepEqual(await t.backend.cancel(t.queue, ids, keep), [
      'cancelled',
      'unknown',
      'active',
      'cancelled',
      'ended',
      'ended',
      'ended',
      'ended',
    ]);
    const until = await t.now();
    for (const id of [ready!, active!, scheduled!]) {
      const job = await t.stored(id);
      assert.equal(job.state, 'cancelled');
      t.assertBetween(job.endedAt, from, until, 'endedAt');
      assert.deepEqual([job.cause, job.result, job.leaseEndsAt], [undefined, undefined, undefined]);
    }
    assert.deepEqual(await t.backend.get(t.queue, ended), before, 'what had ended is as it was');
    assert.deepEqual(await t.tally(), [0, 0, 0, 1]);
    const { jobs } = await t.backend.list(t.queue, { state: 'cancelled', limit: 10 });
    assert.deepEqual(new Set(jobs.map(({ id }) => id)), new Set([ready, active, scheduled, notWanted]));
    assert.deepEqual(await t.claim({ limit: 10 }), []);
    await t.until(() => t.revoked.includes(active!), 'whoever ran the cancelled job to be told');
    assert.deepEqual(new Set(t.revoked), new Set([active]));
    assert.deepEqual(await t.backend.cancel(t.queue, [], keep), []);
    assert.deepEqual(await t.backend.cancel('nobody uses it', ['x', ready!], keep), ['unknown', 'unknown']);
  });

  it('refuses what is said of a job that was cancelled while it ran, which stays cancelled', async (t) => {
    const job = await t.held();
    assert.deepEqual(await t.backend.cancel(t.queue, [job.id], keep), ['active']);
    const before = await t.stored(job.id);
    assert.equal(before.state, 'cancelled');
    assert.deepEqual(
      await t.backend.extend(t.queue, [{ job, leaseMs: longMs, progress: Uint8Array.of(1) }]),
      [false],
    );
    for (const end of Object.values(everyEnd)) assert.deepEqual(await t.settle(end(job)), [false]);
    assert.deepEqual(await t.backend.retry(t.queue, [job.id]), ['ended']);
    assert.deepEqual(await t.backend.enqueue([t.job({ id: job.id })]), [{ kind: 'exists', id: job.id }]);
    assert.deepEqual(await t.stored(job.id), before, 'what was refused has changed nothing');
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
  });

  it('hands a job that is cancelled or deleted while it runs to nobody who waits for one', async (t) => {
    const ids = await t.add(...Array.from({ length: 20 }, () => ({})));
    assert.equal((await t.claim({ limit: 20 })).length, 20);
    const waits = t.wait();
    await t.letItWait(waits, t.unit / 2);
    for (let round = 0; round < 20; round += 2) {
      assert.deepEqual(await t.backend.cancel(t.queue, [ids[round]!], keep), ['active']);
      assert.deepEqual(await t.backend.delete(t.queue, [ids[round + 1]!]), ['active']);
    }
    await t.letItWait(waits, t.unit / 2);
    const id = await t.addOne();
    assert.equal((await t.gotBy(waits))[0]?.id, id);
  });

  it('refuses what is said of a cancelled job that is not kept', async (t) => {
    const job = await t.held();
    assert.deepEqual(await t.backend.cancel(t.queue, [job.id], { keepMs: 0 }), ['active']);
    assert.equal(await t.get(job.id), undefined);
    assert.deepEqual(await t.backend.extend(t.queue, [{ job, leaseMs: longMs }]), [false]);
    for (const end of Object.values(everyEnd)) assert.deepEqual(await t.settle(end(job)), [false]);
    assert.equal(await t.get(job.id), undefined);
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
    // Its id is free.
    await t.add({ id: job.id });
    assert.deepEqual(await t.settle(completed(job)), [false]);
    assert.deepEqual(await t.claimIds(5), [job.id]);
  });

  it('keeps a cancelled job for as long as is said', async (t) => {
    const [short, long] = await t.add({ payload: Uint8Array.of(7) }, {});
    await t.backend.cancel(t.queue, [short!], { keepMs: 4 * t.unit });
    await t.backend.cancel(t.queue, [long!], keep);
    const job = await t.stored(short!);
    assert.deepEqual(new Uint8Array(job.payload ?? []), Uint8Array.of(7));
    await t.advance(5 * t.unit);
    assert.equal(await t.get(short!), undefined);
    assert.equal(await t.stateOf(long!), 'cancelled');
    assert.deepEqual(await t.backend.cancel(t.queue, [short!, long!], keep), ['unknown', 'ended']);
    const { jobs } = await t.backend.list(t.queue, { state: 'cancelled', limit: 10 });
    assert.deepEqual(
      jobs.map(({ id }) => id),
      [long],
    );
  });

  it('shows why, with what came before', async (t) => {
    const [first, second] = await t.add({}, {});
    for (const job of await t.claim({ limit: 2 })) await t.settle(failed(job, longMs));
    const because = 'not wanted: "a/b"\nany more – ü';
    await t.backend.cancel(t.queue, [first!], { ...keep, error: because });
    await t.backend.cancel(t.queue, [second!], keep);
    const [told, untold] = [await t.stored(first!), await t.stored(second!)];
    assert.deepEqual([told.lastError, untold.lastError], [because, 'boom']);
    for (const { failures, history } of [told, untold]) {
      assert.equal(failures, 1);
      // It was not running: no attempt was called off.
      assert.deepEqual(
        history.map(({ outcome }) => outcome),
        ['failed'],
      );
    }
    const { completed: done, failed: lost } = (await t.counts()).throughput.reduce(
      (sum, minute) => ({ completed: sum.completed + minute.completed, failed: sum.failed + minute.failed }),
      { completed: 0, failed: 0 },
    );
    assert.deepEqual([done, lost], [0, 2], 'a cancelled job has neither completed nor failed');
  });

  it('shows the attempt that it called off, of what was running', async (t) => {
    const ids = await t.add({}, {}, {});
    await t.settle(failed(await t.claimOne()));
    const [a, b, atHand] = await t.claim({ limit: 2, prefetch: 1 });
    assert.deepEqual(new Set([a!.id, b!.id, atHand!.id]), new Set(ids));
    await t.advance(t.unit);
    const from = await t.now();
    await t.backend.cancel(t.queue, [a!.id], { ...keep, error: 'not wanted' });
    await t.backend.cancel(t.queue, [b!.id, atHand!.id], keep);
    for (const [job, error] of [
      [a!, 'not wanted'],
      [b!, undefined],
    ] as const) {
      const { history, failures } = await t.stored(job.id);
      assert.equal(failures, job.failures);
      const last = history.at(-1);
      assert.deepEqual(
        [history.length, last?.attempt, last?.startedAt, last?.outcome, last?.error],
        [job.failures + 1, job.failures + 1, job.claimedAt, 'cancelled', error],
      );
      t.assertBetween(last?.endedAt, from, await t.now(), 'endedAt of the attempt');
    }
    const { history, failures } = await t.stored(atHand!.id);
    assert.equal(history.length, failures, 'what was only at hand was not running');
  });

  it('keeps the last 20 attempts of a job that was cancelled while it ran', async (t) => {
    const id = await t.addOne();
    for (let attempt = 1; attempt <= 20; attempt++) await t.settle(failed(await t.claimOne()));
    await t.claimOne();
    await t.backend.cancel(t.queue, [id], keep);
    const { history } = await t.stored(id);
    assert.deepEqual(
      [history.length, history[0]?.attempt, history.at(-1)?.attempt, history.at(-1)?.outcome],
      [20, 2, 21, 'cancelled'],
    );
  });

  it('cancels a job whose lease is over, and whoever had it comes too late', async (t) => {
    const job = await t.held({}, { leaseMs: t.unit });
    await t.advance(2 * t.unit);
    const [answer] = await t.backend.cancel(t.queue, [job.id], keep);
    assert.ok(answer === 'active' || answer === 'cancelled', `it is ${answer}`);
    assert.deepEqual(await t.claim(), []);
    assert.deepEqual(await t.backend.extend(t.queue, [{ job, leaseMs: longMs }]), [false]);
    assert.deepEqual(await t.settle(completed(job)), [false]);
    const stored = await t.stored(job.id);
    assert.deepEqual([stored.state, stored.deaths], ['cancelled', 0]);
  });

  it(`cancels ${options.many} jobs in one call`, async (t) => {
    const jobs = t.jobs(options.many, { inMs: longMs });
    const ids = jobs.map(({ id }) => id);
    await t.backend.enqueue(jobs);
    assert.ok((await t.backend.cancel(t.queue, ids, keep)).every((answer) => answer === 'cancelled'));
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
    assert.ok((await t.backend.cancel(t.queue, ids, keep)).every((answer) => answer === 'ended'));
    const stored = await t.backend.get(t.queue, ids);
    assert.ok(stored.every((job, index) => job?.id === ids[index] && job?.state === 'cancelled'));
  });
}
