import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { ClaimedJob, JobBackend } from '../../jobs/index.js';
import type { Part } from './part.js';
import { completed } from './settlements.js';

const longMs = 3_600_000;

/** What a process has of the network and of others: neither timers, which are counted apart, nor what is just under way. */
function heldOpen(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((type) => !/Timeout|Immediate|FSReq|Write|Shutdown|Connect/u.test(type));
}

/** Handles: opening, closing, and several of them on the same jobs. */
export function handles({ it, options }: Part): void {
  it('ends claims that wait when it is closed, and holds nothing open', async (t) => {
    const before = heldOpen();
    const claims = [
      t.wait(),
      t.wait({ queue: 'other' }),
      t.wait({ limits: { rate: { limit: 1, periodMs: longMs } } }),
    ];
    await t.add({ inMs: longMs, queue: 'third' });
    for (const claim of claims) await t.letItWait(claim, t.unit / 2);
    await t.soon(t.backend.close(), 'close()');
    for (const claim of claims) {
      const end = claim.jobs.then(
        (jobs) => jobs.length,
        () => 0,
      );
      assert.equal(await t.soon(end, 'a waiting claim to end'), 0);
    }
    assert.equal(t.timers, 0);
    const isGone = (): boolean => heldOpen().length <= before.length;
    await t.until(isGone, `what is held open to go: before ${before.join()}, now ${heldOpen().join()}`);
  });

  it('is closed any number of times, at any time', async (t) => {
    await Promise.all([t.backend.close(), t.backend.close()]);
    await t.backend.close();
    const subject = await t.options.make();
    await t.soon(subject.backend.close(), 'close() of what was never opened');
    await subject.dispose?.();
  });

  it('is closed while it opens: both end, nothing is left, and it can be opened again', async (t) => {
    await t.soon(t.backend.close(), 'close()');
    await t.advance(t.unit);
    const before = heldOpen();
    // Each time it has come further.
    for (let turns = 0; turns < 8; turns++) {
      const opened = t.backend.open(t.host).then(
        () => true,
        () => false,
      );
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      await t.soon(t.backend.close(), 'close() of what is being opened');
      await t.soon(opened, 'an open() to end that was closed meanwhile');
      assert.equal(t.timers, 0, 'timers that are left');
      const isGone = (): boolean => heldOpen().length <= before.length;
      await t.until(isGone, `what is held open to go: before ${before.join()}, now ${heldOpen().join()}`);
    }
    await t.soon(t.backend.open(t.host), 'open() after that');
    const job = await t.held();
    assert.deepEqual(await t.settle(completed(job)), [true]);
  });

  it('keeps no timer and no listener of claims that have ended', async (t) => {
    const { signal } = new AbortController();
    const listeners = (): number => getEventListeners(signal, 'abort').length;
    for (let round = 0; round < 20; round++) {
      const claim = t.wait({ signal });
      await t.advance(0);
      await t.add({});
      const [job] = await t.gotBy(claim);
      await t.settle(completed(job!));
      assert.deepEqual(await t.claim({ signal }), []);
    }
    await t.until(() => listeners() === 0, 'listeners to go');
    await t.until(() => t.timers <= 1, 'timers to go');
  });

  it('has the jobs still when it is opened again', async (t) => {
    const [id] = await t.add({ payload: Uint8Array.of(1) }, { inMs: longMs });
    const job = await t.claimOne();
    await t.backend.close();
    await t.soon(t.backend.open(t.host), 'open() after close()');
    assert.equal(await t.stateOf(id!), 'active');
    assert.deepEqual(await t.tally(), [0, 1, 1, 0]);
    assert.deepEqual(await t.settle(completed(job)), [true]);
    const claim = t.wait();
    await t.letItWait(claim);
    const next = await t.addOne();
    assert.equal((await t.gotBy(claim))[0]?.id, next);
  });

  it(
    'has the jobs still when another process opens it',
    async (t) => {
      const [held, scheduled] = await t.add(
        { payload: Uint8Array.of(7) },
        { inMs: longMs, unique: { key: 'k' } },
      );
      const job = await t.claimOne();
      await t.backend.pause('paused', true);
      await t.backend.close();
      const other = await t.another();
      const [a, b] = await other.get(t.queue, [held!, scheduled!]);
      assert.equal(a?.state, 'active');
      assert.deepEqual(new Uint8Array(a.payload ?? []), Uint8Array.of(7));
      assert.equal(b?.state, 'scheduled');
      assert.equal((await other.counts(['paused'], { dueWithinMs: 0 }))[0]?.paused, true);
      assert.deepEqual(await other.enqueue([t.job({ unique: { key: 'k' } })]), [
        { kind: 'duplicate', id: scheduled },
      ]);
      assert.deepEqual((await other.settle(t.queue, [completed(job)])).accepted, [true]);
    },
    'durable',
  );

  it(
    'shares jobs, keys, pauses and claims between processes',
    async (t) => {
      const other = await t.another();
      const [id] = await t.add({ unique: { key: 'k' } });
      assert.deepEqual(await other.enqueue([t.job({ unique: { key: 'k' } })]), [{ kind: 'duplicate', id }]);
      await other.pause(t.queue, true);
      assert.deepEqual(await t.claim(), []);
      await t.backend.pause(t.queue, false);
      const job = await t.claimOne({ from: other });
      assert.equal(job.id, id);
      assert.deepEqual(await t.claim(), []);
      assert.deepEqual(await t.backend.extend(t.queue, [{ job, leaseMs: longMs }]), [true]);
      assert.deepEqual(await t.settle(completed(job)), [true]);
      assert.deepEqual((await other.settle(t.queue, [completed(job)])).accepted, [false]);
    },
    'shared',
  );

  it(
    'wakes a claim that waits in another process',
    async (t) => {
      const other = await t.another();
      const waits = t.wait({ from: other });
      await t.letItWait(waits);
      const id = await t.addOne();
      assert.equal((await t.gotBy(waits))[0]?.id, id);
      await t.backend.pause(t.queue, true);
      const next = await t.addOne();
      const later = t.wait({ from: other });
      await t.letItWait(later);
      await t.backend.pause(t.queue, false);
      assert.equal((await t.gotBy(later))[0]?.id, next);
    },
    'shared',
  );

  it(
    'tells who runs a job in another process that it was deleted',
    async (t) => {
      const job = await t.held();
      const other = await t.another();
      assert.deepEqual(await other.delete(t.queue, [job.id]), ['active']);
      await t.until(() => t.revoked.includes(job.id), 'whoever ran the deleted job to be told');
      assert.deepEqual(await t.backend.extend(t.queue, [{ job, leaseMs: longMs }]), [false]);
    },
    'shared',
  );

  it(
    'tells who runs a job in another process that it was cancelled',
    async (t) => {
      const job = await t.held();
      const other = await t.another();
      assert.deepEqual(await other.cancel(t.queue, [job.id], { keepMs: longMs }), ['active']);
      await t.until(() => t.revoked.includes(job.id), 'whoever ran the cancelled job to be told');
      assert.deepEqual(await t.backend.extend(t.queue, [{ job, leaseMs: longMs }]), [false]);
      assert.equal(await t.stateOf(job.id), 'cancelled');
    },
    'shared',
  );

  it(
    `hands out each of ${options.many} jobs to one of two processes`,
    async (t) => {
      const other = await t.another();
      const jobs = t.jobs(options.many);
      await t.backend.enqueue(jobs);
      const seen = new Set<string>();
      const drain = async (from: JobBackend): Promise<void> => {
        let held: readonly ClaimedJob[] = [];
        do {
          const settlements = held.map((job) => completed(job));
          const { accepted, claimed } = await from.settle(t.queue, settlements, {
            limit: 100,
            prefetch: 0,
            leaseMs: longMs,
          });
          assert.ok(accepted.every(Boolean));
          for (const { id } of claimed) {
            assert.ok(!seen.has(id), `${id} was handed out twice`);
            seen.add(id);
          }
          held = claimed;
        } while (held.length > 0);
      };
      await Promise.all([drain(t.backend), drain(other), drain(t.backend), drain(other)]);
      assert.equal(seen.size, jobs.length);
      assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
    },
    'shared',
  );

  it(
    'holds the limits over all processes',
    async (t) => {
      const other = await t.another();
      const limits = { concurrency: 3 };
      await t.add(...Array.from({ length: 10 }, () => ({})));
      const claims = await Promise.all(
        Array.from({ length: 10 }, async (_, index) =>
          t.claim({ limits, from: index % 2 === 0 ? t.backend : other }),
        ),
      );
      assert.equal(claims.flat().length, 3);
      await t.settle(completed(claims.flat()[0]!));
      assert.equal((await t.claim({ limit: 5, limits, from: other })).length, 1);
    },
    'shared',
    'concurrency',
  );

  it(
    'renews leases beside the main loop, until told that somebody else does',
    async (t) => {
      const lost: string[] = [];
      const keeper = t.backend.keepLeases?.({
        queue: t.queue,
        leaseMs: 6 * t.unit,
        blockedLimitMs: longMs,
        onLost: (jobs) => lost.push(...jobs.map(({ id }) => id)),
      });
      assert.ok(keeper, 'a backend that renews leases beside the main loop has keepLeases()');
      const kept = await t.held({}, { leaseMs: 6 * t.unit });
      const taken = await t.held({}, { leaseMs: 6 * t.unit });
      keeper.hold([kept, taken], 0);
      await t.backend.delete(t.queue, [taken.id]);
      for (let round = 0; round < 12; round++) await t.advance(t.unit);
      assert.deepEqual(await t.claim(), [], 'its lease is renewed');
      await t.until(() => lost.length > 0, 'the loss to be told');
      assert.deepEqual(lost, [taken.id]);
      keeper.letGo([kept]);
      for (let round = 0; round < 12; round++) await t.advance(t.unit);
      assert.equal((await t.claimOne()).id, kept.id);
      await t.soon(keeper.close(), 'close() of the keeper');
      await keeper.close();
    },
    'leaseThread',
  );
}
