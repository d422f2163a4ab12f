import {
  drainJobs,
  type DrainedQueue,
  type DrainJobsOptions,
  type JobBackend,
  type StoredJob,
} from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { boundToSource, idAtTarget } from '../../lib/jobs/drain-jobs-origin.js';
import { msgpackCodec } from '../../lib/jobs/payload-codec.js';
import { around, queue, TwoStores } from './drain-jobs-backends.js';

type Origins = Readonly<Record<string, StoredJob['origin']>>;

/** Says of some of its jobs that tools of the store have made them. */
function madeByTools(backend: JobBackend, origins: Origins, namespace?: string): JobBackend {
  const told = <Job extends StoredJob | undefined>(job: Job): Job =>
    job && origins[job.id] !== undefined ? { ...job, origin: origins[job.id] } : job;
  return around(
    backend,
    {
      list: async (run) => {
        const { jobs, cursor } = await run();
        return { jobs: jobs.map(told), cursor };
      },
      get: async (run) => (await run()).map(told),
    },
    { ...backend.capabilities, ...(namespace !== undefined && { namespace }) },
  );
}

async function drain(stores: TwoStores, options: Partial<DrainJobsOptions>): Promise<DrainedQueue> {
  const { from, to, clock } = stores;
  const [drained] = await drainJobs({ from, to, queues: [queue], wait: 0, clock, ...options });
  return drained!;
}

const jobOf = (id: string, of: string, origin?: StoredJob['origin']): StoredJob => ({
  id,
  queue: of,
  name: '',
  state: 'ready',
  payload: undefined,
  priority: 0,
  createdAt: 1,
  dueAt: 1,
  failures: 0,
  deaths: 0,
  history: [],
  ...(origin && { origin }),
});

/** With the time at which it was made before its number. */
const dated = (id: string): unknown =>
  expect.stringMatching(new RegExp(`^${id.replace(/-(?=\d+$)/u, '-\\d+-')}$`, 'u'));

describe('jobs that tools of the source have made', () => {
  it.each([false, true])('stay there, each with what to do (dry run: %s)', async (dryRun) => {
    const stores = new TwoStores();
    const [child, plain] = await stores.addMany(2);
    const tick = await stores.add({ due: { inMs: 60_000 } });
    const from = madeByTools(stores.from, { [child!]: 'flow', [tick]: 'scheduler' });

    const { moved, left, leftJobs } = await drain(stores, { from, dryRun });

    expect({ moved, refused: left.refused, late: left.late }).toEqual({ moved: 1, refused: 2, late: 0 });
    expect(leftJobs).toEqual([
      {
        id: child,
        why: 'refused',
        reason: expect.stringMatching(/let flows end before you drain/) as string,
      },
      { id: tick, why: 'refused', reason: expect.stringMatching(/removeJobScheduler\(\)/) as string },
    ]);
    expect(await stores.idsAt(stores.to)).toEqual(dryRun ? [] : [plain]);
    expect(await stores.idsAt(stores.from)).toEqual(dryRun ? [child, plain, tick] : [child, tick]);
  });

  it('are known by what the source says of them, and not by when they are due', async () => {
    const stores = new TwoStores();
    const id = await stores.add({ due: { inMs: 60_000 } });
    const { createdAt } = await stores.stored(id, stores.from);
    const from = around(stores.from, {
      list: async (run) => {
        const { jobs, cursor } = await run();
        return { jobs: jobs.map((job) => Object.assign(job, { dueAt: createdAt })), cursor };
      },
    });
    expect(await drain(stores, { from })).toMatchObject({ moved: 1, leftJobs: [] });
    expect(boundToSource(jobOf('1', queue, 'counter'))).toBeUndefined();
  });
});

describe('a job whose id was counted', () => {
  it('gets to a target where another store has brought one of the same id before', async () => {
    const stores = new TwoStores();
    const payload = msgpackCodec.encode('the same');
    await stores.add({ id: '1', payload });
    await stores.add({ id: '2', unique: { key: 'user-1' } });
    const another = new TwoStores();
    await another.add({ id: '1', payload });
    const origins: Origins = { '1': 'counter', '2': 'counter' };
    await stores.add({ id: '1', payload: msgpackCodec.encode('enqueued there') }, stores.to);
    await stores.add({ unique: { key: 'user-1' } }, stores.to);

    const first = await drain(stores, { from: madeByTools(stores.from, origins, 'bull') });
    expect(first).toMatchObject({
      moved: 1,
      alreadyThere: 0,
      left: { duplicate: 1 },
      leftJobs: [{ id: '2' }],
    });
    const second = await drain(stores, { from: madeByTools(another.from, origins, 'bullmq') });
    expect(second).toMatchObject({ moved: 1, alreadyThere: 0, leftJobs: [] });
    const held = await drain(stores, { from: madeByTools(stores.from, origins, 'bull'), duplicates: true });
    expect(held).toMatchObject({ moved: 1, leftJobs: [] });

    expect(await stores.idsAt(stores.to)).toEqual(
      expect.arrayContaining(['1', ...['bull-emails-1', 'bull-emails-2', 'bullmq-emails-1'].map(dated)]),
    );
    const moved = (await stores.idsAt(stores.to)).find((id) => /^bull-.*-1$/u.test(id))!;
    expect((await stores.stored(moved)).payload).toEqual(payload);
    expect(await stores.idsAt(stores.from)).toEqual([]);
    expect(await stores.idsAt(another.from)).toEqual([]);
  });

  it('is known again by a run after one that was cut off', async () => {
    const stores = new TwoStores();
    await stores.add({ id: '1' });
    const counted = madeByTools(stores.from, { '1': 'counter' });
    const cutOff = around(counted, { delete: () => Promise.reject(new Error('connection lost')) });

    expect(await drain(stores, { from: cutOff })).toMatchObject({
      left: { undeleted: 1 },
      leftJobs: [{ id: '1' }],
    });
    expect(await drain(stores, { from: counted, dryRun: true })).toMatchObject({ moved: 0, alreadyThere: 1 });
    expect(await drain(stores, { from: counted })).toMatchObject({ moved: 0, alreadyThere: 1, leftJobs: [] });
    expect(await stores.idsAt(stores.to)).toEqual([dated('emails-1')]);
    expect(await stores.idsAt(stores.from)).toEqual([]);
  });

  it('has an id that a job may have, and that no other one gets', () => {
    const long = 'q'.repeat(300);
    const ids = [
      idAtTarget(jobOf('7', queue, 'counter'), '{bull}'),
      idAtTarget(jobOf('7', queue, 'counter'), '(bull)'),
      idAtTarget(jobOf('7', queue, 'counter'), '_bull_'),
      idAtTarget(jobOf('7', 'Grüße 🎉', 'counter'), 'bull'),
      idAtTarget(jobOf('7', `a${long}`, 'counter'), 'bull'),
      idAtTarget(jobOf('7', `b${long}`, 'counter'), 'bull'),
    ];
    for (const id of ids) expect(id).toMatch(/^[\w.:-]{1,200}$/);
    for (const id of ids) expect(id).toMatch(/-7$/);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids[2]).toBe('_bull_-emails-1-7');
    const later = { ...jobOf('7', queue, 'counter'), createdAt: 2 };
    expect(idAtTarget(later, '_bull_')).toBe('_bull_-emails-2-7');
    expect(idAtTarget(jobOf('7', queue, 'counter'), '{bull}')).toBe(ids[0]);
    expect(idAtTarget(jobOf('7', queue), '{bull}')).toBe('7');
  });

  it('stays while another job of the source has the same id, which would be deleted in its place', async () => {
    const stores = new TwoStores();
    await stores.add({ id: '1' });
    const ours = await stores.claim();
    const free = await stores.add({ id: '2' });
    const counted = new Map([
      ['1', { ...jobOf('1', queue, 'counter'), payload: msgpackCodec.encode('counted') }],
    ]);
    // As with BullMQ: where both have the same id, ours is meant.
    const from = around(stores.from, {
      list: async (run, [, { state }]) => {
        const { jobs, cursor } = await run();
        return { jobs: state === 'ready' ? [...jobs, ...counted.values()] : jobs, cursor };
      },
      get: async (run, [, ids]) => (await run()).map((job, index) => job ?? counted.get(ids[index]!)),
      delete: async (run, [, ids]) => {
        const answers = await run();
        return answers.map((answer, index) =>
          answer === 'unknown' && counted.delete(ids[index]!) ? 'deleted' : answer,
        );
      },
    });

    expect(await drain(stores, { from })).toMatchObject({
      moved: 1,
      left: { active: 1, refused: 1 },
      leftJobs: [
        { id: '1', why: 'refused', reason: expect.stringMatching(/same id.*run this again/) as string },
      ],
    });
    expect(await stores.idsAt(stores.to)).toEqual([free]);
    expect(counted.size).toBe(1);

    await stores.complete(ours);
    expect(await drain(stores, { from })).toMatchObject({ moved: 1, leftJobs: [] });
    expect(msgpackCodec.decode((await stores.stored('emails-1-1')).payload)).toBe('counted');
    expect(counted.size).toBe(0);
  });
});
