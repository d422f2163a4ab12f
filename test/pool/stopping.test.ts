import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import { Pool, type PoolOptions } from '../../lib/pool/index.js';
import { FakeChild } from '../support/fake-child.js';
import { silentLogger } from '../support/recording-logger.js';

interface Made {
  readonly pool: Pool;
  readonly clock: FakeClock;
}

function started(children: readonly FakeChild[], options: PoolOptions = {}): Made {
  const clock = new FakeClock();
  const pool = new Pool({ clock, logger: silentLogger, ...options });
  children.forEach((child) => pool.add(child));
  pool.start();
  return { pool, clock };
}

describe('the shutdown budget', () => {
  it('is one for all children, and is told to each', async () => {
    const children = [new FakeChild('a'), new FakeChild('b'), new FakeChild('c', 'last')];
    const { pool, clock } = started(children, { shutdownTimeout: '20s', abortMargin: '5s' });
    await clock.advance('1s');
    const stopped = pool.stop();
    for (const { requests } of children)
      expect(requests).toMatchObject([{ reason: 'shutdown', deadline: 21_000, abortAt: 16_000 }]);
    children.forEach((child) => child.end());
    expect(await stopped).toEqual({ orphans: [], durationMs: 0 });
    expect(clock.pending).toBe(0);
  });

  it('names those that did not end, gives up on them, and is over at the deadline', async () => {
    const quick = new FakeChild('quick');
    const slow = new FakeChild('slow');
    const queue = new FakeChild('queue', 'last');
    const { pool, clock } = started([slow, quick, queue], { shutdownTimeout: '20s' });
    const stopped = pool.stop();
    quick.end();
    await clock.advance(19_999);
    expect(pool.status).toBe('draining');
    await clock.advance(1);
    expect(await stopped).toEqual({
      orphans: [
        { kind: 'job-consumer', name: 'slow' },
        { kind: 'task-queue', name: 'queue' },
      ],
      durationMs: 20_000,
    });
    expect([quick, slow, queue].map(({ abandoned }) => abandoned)).toEqual([0, 1, 1]);
    expect(pool.status).toBe('stopped');
    expect(clock.pending).toBe(0);
  });

  it('may be given with the call, and is 25 s with a margin of 5 s by default', async () => {
    const child = new FakeChild('a');
    const { pool, clock } = started([child]);
    expect(pool.options).toMatchObject({ shutdownTimeoutMs: 25_000, abortMarginMs: 5_000 });
    const stopped = pool.stop(100);
    expect(child.requests[0]).toMatchObject({ deadline: 100, abortAt: 0 });
    await clock.advance(100);
    expect((await stopped).orphans).toHaveLength(1);
  });

  it('of nothing gives up in the next turn', async () => {
    const { pool, clock } = started([new FakeChild('a')]);
    const stopped = pool.stop(0);
    await clock.advance(0);
    expect((await stopped).orphans).toEqual([{ kind: 'job-consumer', name: 'a' }]);
  });

  it('is shared by all who ask to stop meanwhile', async () => {
    const child = new FakeChild('a');
    const { pool } = started([child]);
    const first = pool.stop();
    expect(pool.stop(1)).toBe(first);
    child.end();
    await first;
    expect(child.requests).toHaveLength(1);
  });
});

describe('the order of draining', () => {
  it('tells all at once, and those that drain last when their feeders have ended', async () => {
    const feeders = [new FakeChild('a'), new FakeChild('b')];
    const queue = new FakeChild('queue', 'last');
    const { pool, clock } = started([queue, ...feeders]);
    const stopped = pool.stop();
    let fed = false;
    void queue.requests[0]?.feedersEnded.then(() => (fed = true));

    feeders[0]?.end();
    await clock.settle();
    expect(fed).toBe(false);
    feeders[1]?.end();
    await clock.settle();
    expect(fed).toBe(true);
    expect(pool.status).toBe('draining');
    queue.end();
    expect((await stopped).orphans).toEqual([]);
  });

  it('does not say that the feeders ended when one never does', async () => {
    const queue = new FakeChild('queue', 'last');
    const { pool, clock } = started([new FakeChild('a'), queue], { shutdownTimeout: '10s' });
    const stopped = pool.stop();
    let fed = false;
    void queue.requests[0]?.feedersEnded.then(() => (fed = true));
    await clock.advance('10s');
    expect((await stopped).orphans).toHaveLength(2);
    expect(fed).toBe(false);
  });

  it('tells a feeder that its own feeders have ended already', async () => {
    const child = new FakeChild('a');
    const { pool } = started([child]);
    const stopped = pool.stop();
    await child.requests[0]?.feedersEnded;
    child.end();
    await stopped;
  });
});

describe('shutdown', () => {
  it('is told by the signal before any child is', async () => {
    const child = new FakeChild('a');
    const { pool } = started([child]);
    const { shutdown } = pool;
    let requestsAtSignal = -1;
    shutdown.addEventListener('abort', () => (requestsAtSignal = child.requests.length));
    const stopped = pool.stop();
    expect(requestsAtSignal).toBe(0);
    child.end();
    await stopped;
    expect(pool.shutdown).toBe(shutdown);
  });

  it('finds the pool draining already when it wakes somebody up, who can join in', async () => {
    const child = new FakeChild('a');
    const { pool } = started([child]);
    const seen: unknown[] = [];
    pool.shutdown.addEventListener('abort', () => {
      seen.push(pool.draining, pool.status, pool.stop());
      expect(() => pool.startChild(child)).toThrow(expect.objectContaining({ code: 'POOL_STOPPING' }));
    });
    const stopped = pool.stop();
    expect(seen).toEqual([true, 'draining', stopped]);
    expect(child.requests).toHaveLength(1);
    child.end();
    await stopped;
    expect(child.started).toBe(1);
  });

  it('is not told by stopping one child by name', async () => {
    const [one, other] = [new FakeChild('a'), new FakeChild('b')];
    const { pool } = started([one, other]);
    const stopped = pool.stopOnly([one]);
    expect(one.requests).toMatchObject([{ reason: 'stop-requested' }]);
    one.end();
    expect((await stopped).orphans).toEqual([]);
    expect(other.requests).toEqual([]);
    expect(pool.shutdown.aborted).toBe(false);
    expect(pool.status).toBe('started');
  });

  it('has a fresh signal once a stopped pool is started again', async () => {
    const child = new FakeChild('a');
    const { pool } = started([child]);
    const before = pool.shutdown;
    const stopped = pool.stop();
    child.end();
    await stopped;
    pool.start();
    expect(before.aborted).toBe(true);
    expect(pool.shutdown.aborted).toBe(false);
    expect(child.started).toBe(2);
  });

  it('lets any number of listeners wait for its signal without a warning', async () => {
    const { pool } = started([]);
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warned);
    for (let listener = 0; listener < 50; listener++) pool.shutdown.addEventListener('abort', () => listener);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', warned);
    expect(warnings).toEqual([]);
  });
});

describe('starting and stopping', () => {
  it('is fine before the start, and twice', async () => {
    const clock = new FakeClock();
    const pool = new Pool({ clock, logger: silentLogger });
    const child = new FakeChild('a');
    pool.add(child);
    expect(await pool.stop()).toMatchObject({ orphans: [] });
    expect(await pool.stop()).toMatchObject({ orphans: [] });
    pool.start();
    expect(child.started).toBe(1);
    expect(pool.status).toBe('started');
  });

  it('begins anew after the drain when it is started meanwhile, and the last call wins', async () => {
    const child = new FakeChild('a');
    const { pool } = started([child]);
    const first = pool.stop();
    pool.start();
    child.end();
    expect((await first).orphans).toEqual([]);
    expect([pool.status, child.started]).toEqual(['started', 2]);

    const second = pool.stop();
    pool.start();
    void pool.stop();
    child.end();
    await second;
    expect([pool.status, child.started]).toEqual(['stopped', 2]);
  });

  it('ends at the latest with the budget of the app when it closes, whatever a stop was given', async () => {
    const stubborn = new FakeChild('stubborn');
    const { pool, clock } = started([stubborn], { shutdownTimeout: '20s' });
    const stopped = pool.stop(600_000);
    const one = pool.stopOnly([stubborn], 600_000);
    await clock.advance('5s');
    const closed = pool.close();
    await clock.advance('20s');
    const orphans = [{ kind: stubborn.kind, name: 'stubborn' }];
    expect(await Promise.all([stopped, one, closed])).toMatchObject([{ orphans }, { orphans }, { orphans }]);
    expect(clock.pending).toBe(0);
  });

  it('has nothing to name once all have ended and the pool is closed', async () => {
    const child = new FakeChild('child');
    const { pool } = started([child]);
    const closed = pool.close();
    child.end();
    await closed;
    expect((await pool.stop()).orphans).toEqual([]);
    expect((await pool.stopOnly([child])).orphans).toEqual([]);
  });

  it('is over for ever once the pool is closed', async () => {
    const child = new FakeChild('a');
    const { pool } = started([child]);
    const closed = pool.close();
    expect(pool.close()).toBe(closed);
    child.end();
    await closed;
    expect(pool.status).toBe('closed');
    expect(pool.draining).toBe(true);
    expect(child.requests).toHaveLength(1);
    const stopping = expect.objectContaining({ code: 'POOL_STOPPING' }) as Error;
    expect(() => pool.start()).toThrow(stopping);
    expect(() => pool.startChild(child)).toThrow(stopping);
    expect(() => pool.add(new FakeChild('b'))).toThrow(stopping);
    expect(await pool.stop()).toMatchObject({ orphans: [] });
  });
});
