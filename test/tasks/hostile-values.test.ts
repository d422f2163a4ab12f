import { describe, expect, it } from 'vitest';
import { bareQueue, unhandledDuring } from '../support/fake-queue.js';

/** Throws whatever is done to it. */
const hostile = (): object =>
  new Proxy(
    {},
    {
      get: () => {
        throw new Error('do not look at me');
      },
      has: () => {
        throw new Error('do not ask me either');
      },
    },
  );

const withGetter = <Value extends object>(value: Value, name: string): Value =>
  Object.defineProperty(value, name, {
    get: () => {
      throw new Error(`nobody reads ${name}`);
    },
  });

describe('a value that throws when it is looked at', () => {
  it('is a failure like any other, where a task throws it', async () => {
    const { queue } = bareQueue({ concurrency: 1 });
    const thrown = hostile();
    const unhandled = await unhandledDuring(async () => {
      const task = queue.enqueue(() => Promise.reject(thrown as never));
      expect(await task.done.catch((error: unknown) => error === thrown)).toBe(true);
      expect(task.status).toBe('error');
      expect(await queue.enqueue(() => 'next').done).toBe('next');
    });
    expect(unhandled).toEqual([]);
    expect(queue.snapshot().completed).toMatchObject({ failed: 1, succeeded: 1 });
    expect((await queue.shutdown()).orphans).toEqual([]);
  });

  it.each(['cause', 'name', 'errors'])('gives its place back, where its %s cannot be read', async (name) => {
    const { queue, clock } = bareQueue({ concurrency: 1 });
    const error = withGetter(new Error('late'), name);
    const unhandled = await unhandledDuring(async () => {
      const task = queue.enqueue((ctx) => ctx.sleep('1h').catch(() => Promise.reject(error)), {
        timeout: 5,
      });
      await clock.advance(5);
      await expect(task.done).rejects.toBe(error);
      expect(await queue.enqueue(() => 'next').done).toBe('next');
    });
    expect(unhandled).toEqual([]);
    expect(queue.running).toBe(0);
    await queue.shutdown();
  });

  it('ends the attempt, where it is a promise with a then of its own', async () => {
    const { queue } = bareQueue({ concurrency: 1 });
    const broken = (): unknown =>
      Object.assign(Promise.resolve(), {
        // oxlint-disable-next-line unicorn/no-thenable -- it is what is tested
        then: () => {
          throw new Error('no then');
        },
      });
    const twice = (): unknown =>
      Object.assign(Promise.resolve('x'), {
        // oxlint-disable-next-line unicorn/no-thenable -- it is what is tested
        then: (resolve: (value: string) => void) => {
          resolve('once');
          resolve('twice');
          throw new Error('and that');
        },
      });
    const unhandled = await unhandledDuring(async () => {
      await expect(queue.enqueue(broken).done).rejects.toThrow('no then');
      expect(await queue.enqueue(twice).done).toBe('once');
      await expect(queue.enqueue(() => withGetter(Promise.resolve(), 'constructor')).done).rejects.toThrow(
        'nobody reads constructor',
      );
    });
    expect(unhandled).toEqual([]);
    expect(queue.snapshot()).toMatchObject({ running: 0, completed: { failed: 2, succeeded: 1 } });
    await queue.shutdown();
  });

  it('does not hold the queue, where after() returns it', async () => {
    const { queue } = bareQueue();
    const unhandled = await unhandledDuring(async () => {
      queue.submit(() => {}, { after: () => withGetter(Promise.resolve(), 'constructor') });
      queue.submit(() => {}, { after: () => withGetter({}, 'then') });
      await queue.onIdle();
    });
    expect(unhandled).toEqual([]);
    expect((await queue.shutdown()).orphans).toEqual([]);
  });

  it.each([undefined, null, 'text', 0])('is kept as it is: %s', async (thrown) => {
    const { queue } = bareQueue();
    const task = queue.enqueue(() => Promise.reject(thrown as never));
    expect(
      await task.done.then(
        () => 'resolved',
        (error: unknown) => [error],
      ),
    ).toEqual([thrown]);
    await queue.shutdown();
  });
});
