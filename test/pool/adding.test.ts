import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import { Pool } from '../../lib/pool/index.js';
import { FakeChild } from '../support/fake-child.js';
import { silentLogger } from '../support/recording-logger.js';

const newPool = (): Pool => new Pool({ clock: new FakeClock(), logger: silentLogger });

describe('adding a child', () => {
  it('registers it and does not start it while the pool is idle', () => {
    const pool = newPool();
    const child = new FakeChild('a');
    pool.add(child);
    expect([child.registered, child.started]).toEqual([1, 0]);
    expect(pool.status).toBe('idle');
  });

  it('starts it at once while the pool runs', () => {
    const pool = newPool();
    pool.start();
    const child = new FakeChild('a');
    pool.add(child);
    expect([child.registered, child.started]).toEqual([1, 1]);
  });

  it('is refused while the pool drains, and fine again once it has', async () => {
    const pool = newPool();
    const child = new FakeChild('a');
    pool.add(child);
    pool.start();
    const stopped = pool.stop();
    const late = new FakeChild('late');
    expect(() => pool.add(late)).toThrow(/^Adding job-consumer "late" was refused/);
    expect(late.registered).toBe(0);
    child.end();
    await stopped;
    pool.add(late);
    expect(late.started).toBe(0);
  });

  it('refuses a second one of the same kind and name, and names both', () => {
    const pool = newPool();
    pool.add(new FakeChild('a'));
    expect(() => pool.add(new FakeChild('a'))).toThrow(/job-consumer are named "a": a in AppModule and a in/);
    pool.add(new FakeChild('a', 'last'));
    expect([...pool.children()]).toHaveLength(2);
    expect(pool.child('task-queue', 'a')?.drains).toBe('last');
    expect(pool.child('worker', 'a')).toBeUndefined();
  });

  it('keeps the order in which they came, for the start and for the snapshot', () => {
    for (let run = 0; run < 20; run++) {
      const pool = newPool();
      const names = Array.from({ length: 30 }, (_, index) => `w${(index * 7) % 30}`);
      const order: string[] = [];
      for (const name of names) {
        const child = new FakeChild(name);
        child.start = () => order.push(name);
        pool.add(child);
      }
      pool.start();
      expect(order).toEqual(names);
      expect(pool.snapshot().children.map(({ name }) => name)).toEqual(names);
    }
  });
});

describe('a pool snapshot', () => {
  it('is frozen, and not changed by what happens later', async () => {
    const pool = newPool();
    pool.add(new FakeChild('a'));
    const before = pool.snapshot();
    pool.start();
    expect(before).toMatchObject({ status: 'idle', draining: false, isolatedErrors: 0 });
    expect(before.children).toMatchObject([{ status: 'unknown' }]);
    expect(pool.snapshot().children).toMatchObject([{ status: 'running' }]);
    expect(() => Object.assign(before, { status: 'started' })).toThrow(TypeError);
    expect(() => (before.children as unknown[]).pop()).toThrow(TypeError);
    void pool.stop(0);
    expect(pool.snapshot()).toMatchObject({ status: 'draining', draining: true });
  });
});

describe('claiming a role', () => {
  it('is granted to the first one who asks, per role', () => {
    const pool = newPool();
    const [one, other] = [Symbol('one'), Symbol('other')];
    expect([pool.claim(one), pool.claim(one), pool.claim(other)]).toEqual([true, false, true]);
  });
});
