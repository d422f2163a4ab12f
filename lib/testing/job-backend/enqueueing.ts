import assert from 'node:assert/strict';
import type { NewJob } from '../../jobs/index.js';
import type { Part } from './part.js';
import { completed, dead, failed } from './settlements.js';

/** `enqueue`: what is stored, and that it can be repeated. */
export function enqueueing({ it, options }: Part): void {
  it('answers for each job in the order given', async (t) => {
    const [a, b, c] = [t.job(), t.job(), t.job()];
    await t.backend.enqueue([b]);
    assert.deepEqual(await t.backend.enqueue([a, b, c]), [
      { kind: 'enqueued', id: a.id },
      { kind: 'exists', id: b.id },
      { kind: 'enqueued', id: c.id },
    ]);
    assert.deepEqual(await t.backend.enqueue([]), []);
  });

  it('keeps what it was given', async (t) => {
    const { slackMs } = options;
    const from = await t.now();
    const payload = Uint8Array.of(1, 2, 3);
    const headers = { traceparent: '00-aa-bb-01' };
    const id = await t.addOne({
      name: 'welcome',
      payload,
      headers,
      limitKey: 'customer 7',
      unique: { key: 'u' },
    });
    const to = await t.now();
    for (const job of [await t.stored(id), await t.claimOne()]) {
      assert.equal(job.id, id);
      assert.equal(job.queue, t.queue);
      assert.equal(job.name, 'welcome');
      assert.deepEqual(new Uint8Array(job.payload ?? []), payload);
      assert.deepEqual({ ...job.headers }, headers);
      assert.equal(job.limitKey, 'customer 7');
      assert.equal(job.uniqueKey, 'u');
      assert.equal(job.priority, 0);
      assert.equal(job.failures, 0);
      assert.equal(job.deaths, 0);
      assert.deepEqual([...job.history], []);
      assert.equal(job.lastError, undefined);
      // Decides nothing: whoever enqueues may have said it, and know the backend's clock only roughly.
      t.assertBetween(job.createdAt, from - slackMs, to + slackMs, 'createdAt');
      t.assertBetween(job.dueAt, from, to, 'dueAt');
    }
  });

  it('keeps a job that has nothing but what it must have', async (t) => {
    const job = await t.stored(await t.addOne());
    assert.equal(job.name, '');
    assert.equal(job.payload, undefined);
    assert.deepEqual({ ...job.headers }, {});
    assert.equal(job.uniqueKey, undefined);
    assert.equal(job.limitKey, undefined);
    assert.equal(job.state, 'ready');
  });

  it('changes nothing when a job is enqueued again, whatever has become of it', async (t) => {
    const again = async (id: string): Promise<void> => {
      const job = t.job({ id, payload: Uint8Array.of(9), inMs: 5_000 });
      assert.deepEqual(await t.backend.enqueue([job]), [{ kind: 'exists', id }]);
      assert.deepEqual(new Uint8Array((await t.stored(id)).payload ?? []), Uint8Array.of(1));
    };
    const id = await t.addOne({ payload: Uint8Array.of(1) });
    await again(id);
    assert.equal(await t.stateOf(id), 'ready');
    const first = await t.claimOne();
    await again(id);
    assert.deepEqual(await t.settle(failed(first, 10 * t.unit)), [true]);
    await again(id);
    assert.equal(await t.stateOf(id), 'scheduled');
    await t.backend.retry(t.queue, [id]);
    assert.deepEqual(await t.settle(dead(await t.claimOne())), [true]);
    await again(id);
    assert.equal(await t.stateOf(id), 'dead');
    await t.backend.retry(t.queue, [id]);
    assert.deepEqual(await t.settle(completed(await t.claimOne(), 3_600_000)), [true]);
    await again(id);
    assert.deepEqual(await t.tally(), [0, 0, 0, 0]);
  });

  it('stores one of two that have the same id, in one call or in two at once', async (t) => {
    const job = t.job();
    const answers = await t.backend.enqueue([job, { ...job, name: 'other' }]);
    assert.deepEqual(
      answers.map(({ kind }) => kind),
      ['enqueued', 'exists'],
    );
    assert.equal((await t.stored(job.id)).name, '');
    for (let round = 0; round < 20; round++) {
      const twin = t.job();
      const calls = await Promise.all([
        t.backend.enqueue([twin]),
        t.backend.enqueue([twin]),
        t.backend.enqueue([twin]),
      ]);
      const kinds = calls.flat().map(({ kind }) => kind);
      assert.deepEqual(kinds.toSorted(), ['enqueued', 'exists', 'exists']);
    }
    assert.equal((await t.counts()).ready, 21);
  });

  it('can be repeated where one of many could not be stored, and no key is held for nothing', async (t) => {
    const jobs = ['a', 'b', 'c'].map((key, index) =>
      t.job({ payload: Uint8Array.of(index), unique: { key } }),
    );
    const ids = jobs.map(({ id }) => id);
    const withUnreadable = jobs.map((job, index) => (index === 1 ? unreadable(job) : job));
    await assert.rejects(
      async () => t.backend.enqueue(withUnreadable),
      'what cannot be stored is not answered',
    );
    // Nobody knows what was done, but it is one or the other.
    const isStored = (await t.backend.get(t.queue, ids)).map((job) => job !== undefined);
    assert.equal(isStored[1], false);
    assert.equal((await t.counts()).ready, isStored.filter(Boolean).length);
    for (const [index, { id, unique }] of jobs.entries()) {
      const other = t.job({ unique });
      assert.deepEqual(await t.backend.enqueue([other]), [
        isStored[index] ? { kind: 'duplicate', id } : { kind: 'enqueued', id: other.id },
      ]);
      await t.backend.delete(t.queue, [other.id]);
    }
    assert.deepEqual(
      await t.backend.enqueue(jobs),
      ids.map((id, index) => ({ kind: isStored[index] ? 'exists' : 'enqueued', id })),
    );
    const claimed = await t.claim({ limit: 10 });
    assert.deepEqual(claimed.map(({ id }) => id).toSorted(), ids);
    for (const { id, payload } of claimed) assert.equal(payload?.[0], ids.indexOf(id));
    assert.deepEqual(await t.tally(), [0, 0, 3, 0]);
  });

  it('takes an id again once its job is gone', async (t) => {
    const job = t.job();
    for (let round = 0; round < 2; round++) {
      assert.deepEqual(await t.backend.enqueue([job]), [{ kind: 'enqueued', id: job.id }]);
      await t.settle(completed(await t.claimOne()));
      assert.deepEqual(await t.backend.enqueue([job]), [{ kind: 'enqueued', id: job.id }]);
      await t.backend.delete(t.queue, [job.id]);
    }
  });

  it('takes ids of all safe characters, of up to 200 of them', async (t) => {
    const safe = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-';
    const ids = [
      safe,
      safe.repeat(4).slice(0, 200),
      '-',
      ':',
      '.',
      '_',
      '0',
      'a:b',
      'a:b:c',
      'constructor',
      '__proto__',
    ];
    await t.add(...ids.map((id) => ({ id })));
    const claimed = await t.claim({ limit: 100 });
    assert.deepEqual(new Set(claimed.map(({ id }) => id)), new Set(ids));
    assert.deepEqual(
      (await t.backend.get(t.queue, ids)).map((job) => job?.id),
      ids,
    );
    assert.deepEqual(
      await t.settle(...claimed.map((job) => completed(job))),
      ids.map(() => true),
    );
  });

  it('keeps any bytes: none, an empty payload, all values, a megabyte', async (t) => {
    const all = Uint8Array.from({ length: 256 }, (_, index) => index);
    const large = Uint8Array.from({ length: 1_048_576 }, (_, index) => (index * 31) % 251);
    const payloads = [undefined, new Uint8Array(0), all, large, Buffer.from('a Buffer is one')];
    const ids = await t.add(...payloads.map((payload) => ({ payload })));
    for (const [index, payload] of payloads.entries()) {
      for (const job of [await t.stored(ids[index]!), await t.claimOne()]) {
        assert.equal(job.id, ids[index]);
        assert.equal(job.payload instanceof Uint8Array, payload !== undefined);
        assert.ok(
          Buffer.from(job.payload ?? []).equals(Buffer.from(payload ?? [])),
          `payload ${index} is the same`,
        );
      }
    }
  });

  it('keeps headers of any text', async (t) => {
    const headers = { schlüssel: 'Grüße, 世界 🌍', empty: '', constructor: 'x', 'new\nline': '"\\\u0000' };
    const id = await t.addOne({ headers });
    for (const job of [await t.stored(id), await t.claimOne()]) assert.deepEqual({ ...job.headers }, headers);
  });

  it('is not reached by what the caller does to the payload later', async (t) => {
    const payload = Uint8Array.of(1, 2, 3);
    const headers: Record<string, string> = { a: '1' };
    const [job] = [t.job({ payload, headers })];
    await t.backend.enqueue([job]);
    payload.fill(9);
    headers.a = '2';
    const claimed = await t.claimOne();
    assert.deepEqual(new Uint8Array(claimed.payload ?? []), Uint8Array.of(1, 2, 3));
    assert.equal(claimed.headers?.a, '1');
    claimed.payload?.fill(7);
    await t.settle(failed(claimed));
    const next = await t.claimOne();
    assert.deepEqual(new Uint8Array(next.payload ?? []), Uint8Array.of(1, 2, 3));
    next.payload?.fill(7);
    assert.deepEqual(new Uint8Array((await t.stored(job.id)).payload ?? []), Uint8Array.of(1, 2, 3));
  });

  it(`takes ${options.many} jobs in one call`, async (t) => {
    const jobs = t.jobs(options.many, { payload: Uint8Array.of(1) });
    const answers = await t.backend.enqueue(jobs);
    assert.equal(answers.length, jobs.length);
    assert.ok(answers.every(({ kind, id }, index) => kind === 'enqueued' && id === jobs[index]!.id));
    assert.equal((await t.counts()).ready, jobs.length);
    const again = await t.backend.enqueue(jobs);
    assert.ok(again.every(({ kind }) => kind === 'exists'));
    assert.equal((await t.counts()).ready, jobs.length);
  });

  it('keeps queues apart', async (t) => {
    const queues = ['a', 'b', 'a:b', 'a.b', 'A', `${t.queue}:x`];
    const jobs = queues.map((queue) => t.job({ queue, unique: { key: queue } }));
    await t.backend.enqueue(jobs);
    await t.backend.pause('b', true);
    for (const [index, queue] of queues.entries()) {
      const { id } = jobs[index]!;
      const claimed = await t.claimIds(10, { queue });
      assert.deepEqual(claimed, queue === 'b' ? [] : [id]);
      const others = queues.filter((other) => other !== queue);
      for (const other of others) {
        assert.equal(
          (await t.backend.get(other, [id]))[0],
          undefined,
          `${other} does not know the job of ${queue}`,
        );
        assert.deepEqual(await t.backend.delete(other, [id]), ['unknown']);
        assert.deepEqual(await t.backend.retry(other, [id]), ['unknown']);
      }
    }
    const counts = await t.backend.counts(queues, { dueWithinMs: 0 });
    assert.deepEqual(
      counts.map(({ queue, ready, active, paused }) => [queue, ready, active, paused]),
      queues.map((queue) => (queue === 'b' ? [queue, 1, 0, true] : [queue, 0, 1, false])),
    );
  });
}

/** What cannot be read cannot be stored, whatever the backend. */
function unreadable(job: NewJob): NewJob {
  return Object.defineProperty({ ...job }, 'payload', {
    enumerable: true,
    get: () => assert.fail('the payload cannot be read'),
  });
}
