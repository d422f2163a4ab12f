import assert from 'node:assert/strict';
import type { NewJob } from '../../jobs/index.js';
import type { Part } from './part.js';
import { cancelled, completed, dead, failed, released, snoozed } from './settlements.js';
import type { Trial } from './trial.js';

const key = 'welcome:42';

/** Who holds the key: asked by trying to take it, with a job that is taken away again. */
async function holderOf(t: Trial, unique: NewJob['unique'] = { key }): Promise<string | undefined> {
  const job = t.job({ unique, inMs: 1_000_000 });
  const [answer] = await t.backend.enqueue([job]);
  assert.ok(answer);
  if (answer.kind === 'duplicate') {
    assert.equal(await t.get(job.id), undefined, 'a duplicate is not stored');
    return answer.id;
  }
  assert.equal(answer.kind, 'enqueued');
  assert.deepEqual(await t.backend.delete(t.queue, [job.id]), ['deleted']);
  return undefined;
}

/** Unique keys: held exactly while their job lives. */
export function uniqueKeys({ it }: Part): void {
  it('refuses a job whose unique key is held, and says by which', async (t) => {
    const [first, second, other] = [
      t.job({ unique: { key } }),
      t.job({ unique: { key } }),
      t.job({ unique: { key: 'x' } }),
    ];
    assert.deepEqual(await t.backend.enqueue([first, second, other]), [
      { kind: 'enqueued', id: first.id },
      { kind: 'duplicate', id: first.id },
      { kind: 'enqueued', id: other.id },
    ]);
    assert.equal(await t.get(second.id), undefined);
    assert.deepEqual(await t.backend.enqueue([second, first]), [
      { kind: 'duplicate', id: first.id },
      // It is itself that holds the key: the call is a repeated one.
      { kind: 'exists', id: first.id },
    ]);
    assert.equal((await t.counts()).ready, 2);
  });

  it('lets one of several have a key for which they come at once', async (t) => {
    for (let round = 0; round < 20; round++) {
      const jobs = t.jobs(4, { unique: { key: `round ${round}` } });
      const answers = (await Promise.all(jobs.map((job) => t.backend.enqueue([job])))).flat();
      const winners = answers.filter(({ kind }) => kind === 'enqueued').map(({ id }) => id);
      assert.equal(winners.length, 1);
      for (const answer of answers) {
        if (answer.kind !== 'enqueued') assert.deepEqual(answer, { kind: 'duplicate', id: winners[0] });
      }
    }
    assert.equal((await t.counts()).ready, 20);
  });

  it('holds a key through all that a job goes through while it lives', async (t) => {
    const id = await t.addOne({ unique: { key }, inMs: 1_000_000 });
    assert.equal(await holderOf(t), id);
    await t.backend.retry(t.queue, [id]);
    assert.equal(await holderOf(t), id);
    await t.settle(released(await t.claimOne()));
    assert.equal(await holderOf(t), id);
    await t.settle(failed(await t.claimOne()));
    assert.equal(await holderOf(t), id);
    const job = await t.claimOne();
    assert.equal(await holderOf(t), id);
    await t.settle(snoozed(job, 1_000_000));
    assert.equal(await holderOf(t), id);
  });

  it('holds a key while the lease of its job is over and nobody has it', async (t) => {
    const job = await t.held({ unique: { key } }, { leaseMs: t.unit });
    await t.advance(2 * t.unit);
    assert.equal(await holderOf(t), job.id);
    await t.claimOne();
    assert.equal(await holderOf(t), job.id);
  });

  const ends: Readonly<Record<string, (t: Trial) => Promise<unknown>>> = {
    'has completed': async (t) => t.settle(completed(await t.claimOne())),
    'has completed and is kept': async (t) => t.settle(completed(await t.claimOne(), 1_000_000)),
    'was cancelled': async (t) => t.settle(cancelled(await t.claimOne())),
    'was cancelled and is kept': async (t) => t.settle(cancelled(await t.claimOne(), 1_000_000)),
    'is dead': async (t) => t.settle(dead(await t.claimOne())),
    'was deleted': async (t) => t.backend.delete(t.queue, [(await t.backend.list(t.queue, all)).jobs[0]!.id]),
    'was deleted while it ran': async (t) => t.backend.delete(t.queue, [(await t.claimOne()).id]),
    'was cancelled while it waited': async (t) =>
      t.backend.cancel(t.queue, [(await t.backend.list(t.queue, all)).jobs[0]!.id], { keepMs: 1_000_000 }),
    'was cancelled while it waited, and is gone': async (t) =>
      t.backend.cancel(t.queue, [(await t.backend.list(t.queue, all)).jobs[0]!.id], { keepMs: 0 }),
    'was cancelled while it ran': async (t) =>
      t.backend.cancel(t.queue, [(await t.claimOne()).id], { keepMs: 1_000_000 }),
  };
  const all = { state: 'ready', limit: 1 } as const;
  for (const [what, end] of Object.entries(ends)) {
    it(`frees the key of a job that ${what}`, async (t) => {
      // However long it was to be held at most.
      for (const ttlMs of [undefined, 1_000_000]) {
        const id = await t.addOne({ unique: { key, ttlMs } });
        assert.equal(await holderOf(t), id);
        await end(t);
        assert.equal(await holderOf(t), undefined);
        const next = await t.addOne({ unique: { key } });
        assert.equal(await holderOf(t), next);
        await t.backend.delete(t.queue, [next]);
      }
    });
  }

  it('frees no key by a settlement that is refused', async (t) => {
    const late = await t.held({ unique: { key } }, { leaseMs: t.unit });
    await t.advance(2 * t.unit);
    await t.claimOne();
    assert.deepEqual(await t.settle(completed(late)), [false]);
    assert.equal(await holderOf(t), late.id);
  });

  it('holds a key for its ttl at most', async (t) => {
    const first = await t.addOne({ unique: { key, ttlMs: 4 * t.unit } });
    assert.equal(await holderOf(t), first);
    await t.advance(5 * t.unit);
    const second = await t.addOne({ unique: { key } });
    assert.equal(await holderOf(t), second);
    // The first one lives on, and its end is no concern of the second one's key.
    const job = await t.claimOne();
    assert.equal(job.id, first);
    assert.deepEqual(await t.settle(completed(job)), [true]);
    assert.equal(await holderOf(t), second);
  });

  it('holds a key no longer than its job lives, whatever its ttl', async (t) => {
    await t.addOne({ unique: { key, ttlMs: 1_000_000 } });
    await t.settle(completed(await t.claimOne()));
    assert.equal(await holderOf(t), undefined);
  });

  it('gives a dead job its key back when it is retried, unless another holds it', async (t) => {
    const first = await t.addOne({ unique: { key } });
    await t.settle(dead(await t.claimOne()));
    await t.backend.retry(t.queue, [first]);
    assert.equal(await holderOf(t), first);

    await t.settle(dead(await t.claimOne()));
    const second = await t.addOne({ unique: { key }, inMs: 1_000_000 });
    assert.deepEqual(await t.backend.retry(t.queue, [first]), ['retried']);
    assert.equal(await holderOf(t), second);
    const job = await t.claimOne();
    assert.equal(job.id, first);
    await t.settle(completed(job));
    assert.equal(await holderOf(t), second, 'who does not hold the key does not free it');
  });

  it('takes any text for a key', async (t) => {
    const keys = ['', ' ', 'a:b', '{x}', '世界 🌍', '__proto__', 'new\nline', 'x'.repeat(1_000)];
    const ids = await t.add(...keys.map((text) => ({ unique: { key: text } })));
    for (const [index, text] of keys.entries()) assert.equal(await holderOf(t, { key: text }), ids[index]);
  });
}
