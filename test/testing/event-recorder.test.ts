import { describe, expect, it } from 'vitest';
import { fakePool } from '../support/fake-pool.js';
import { ManualWorker } from '../support/manual-worker.js';

function twoWorkers(): ReturnType<typeof fakePool> {
  const made = fakePool();
  for (const name of ['a', 'b']) made.pool.register(new ManualWorker(), { name });
  return made;
}

describe('EventRecorder', () => {
  it('keeps all events, and finds them by type and by name', async () => {
    const { pool, clock, events } = twoWorkers();
    pool.start();
    await clock.settle();
    expect(events.types()).toEqual(['registered', 'registered', 'started', 'started']);
    expect(events.types('a')).toEqual(['registered', 'started']);
    expect(events.of('started').map(({ name }) => name)).toEqual(['a', 'b']);
    expect(events.of('started', { name: 'b' })).toMatchObject([{ name: 'b', attempt: 1 }]);
    expect(events.of('failed')).toEqual([]);
    await pool.stop();
  });

  it('waits for what is to come', async () => {
    const { pool, events } = twoWorkers();
    const waited = events.waitFor('started', { name: 'b' });
    pool.start();
    expect(await waited).toMatchObject({ type: 'started', name: 'b' });
    await pool.stop();
  });

  it('does not wait for what has been, unless for the next one', async () => {
    const { pool, clock, events } = twoWorkers();
    pool.start();
    await clock.settle();
    expect((await events.waitFor('started')).name).toBe('a');
    const next = events.next('started');
    await pool.restart('b');
    expect((await next).name).toBe('b');
    expect(events.of('started')).toHaveLength(3);
    await pool.stop();
  });

  it('hands out a copy', () => {
    const { events } = twoWorkers();
    (events.events as unknown[]).length = 0;
    expect(events.events).toHaveLength(2);
  });

  it('records nothing after it was stopped', async () => {
    const { pool, events } = twoWorkers();
    events.stop();
    pool.start();
    await pool.stop();
    expect(events.types()).toEqual(['registered', 'registered']);
  });
});
