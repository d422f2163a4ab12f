import { AsyncLocalStorage } from 'node:async_hooks';
import { availableParallelism } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { type Task, TaskQueue } from 'nestjs-worker';
import { inThread } from 'nestjs-worker/threads';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../support/recording-logger.js';
import {
  calls,
  failureOf,
  release,
  sharedNumbers,
  somePipe,
  someQueue,
  someThreads,
  until,
} from './threads.js';

/** Runs something else in the one thread of that queue, and tells whether the counter stood still meanwhile. */
async function standsStill(
  counter: Int32Array,
  call: ReturnType<typeof someQueue>['call'],
): Promise<boolean> {
  const before = Atomics.load(counter, 0);
  await call('double', 1).done;
  return Atomics.load(counter, 0) === before;
}

describe('A thread that never returns', () => {
  it('leaves this one free, and is ended by the timeout of its task', async () => {
    const { clock, queue, call } = someQueue();
    const counter = sharedNumbers();
    const task = call('spin', counter, { timeout: '10s' });
    await until(() => Atomics.load(counter, 0) > 0);
    for (let turns = 0; turns < 100; turns++) {
      const before = Atomics.load(counter, 0);
      await turn();
      await until(() => Atomics.load(counter, 0) > before);
    }
    expect(task.status).toBe('running');

    await clock.advance('10s');
    expect(await failureOf(task.done)).toMatchObject({ code: 'ATTEMPT_ABORTED', reason: 'timeout' });
    expect(task.status).toBe('error');
    expect(queue.snapshot().attempts['timed-out']).toBe(1);
    expect(await standsStill(counter, call)).toBe(true);
  });

  it('is gone before the next attempt begins, which has another thread', async () => {
    const { clock, call } = someQueue({ maxThreads: 2 });
    const counter = sharedNumbers();
    const task = call('spinOnce', counter, { timeout: '10s', maxAttempts: 2, backoff: () => 0 });
    await until(() => Atomics.load(counter, 0) > 0);
    await clock.advance('10s');
    expect(await task.done).toBe('the second time');
    expect(task.attempts).toBe(2);
  });

  it('in native code is stuck until that returns, and nothing runs beside it', async () => {
    const { path, open } = somePipe();
    const { clock, queue, call } = someQueue();
    const counter = sharedNumbers();
    const task = call('readPipe', { path, counter }, { timeout: '1s', abortGrace: '5s', maxAttempts: 2 });
    const next = call('double', 1);
    await until(() => Atomics.load(counter, 0) === 1);
    await clock.advance('1s');
    expect(task.status).toBe('running');
    await clock.advance('5s');
    expect(task.status).toBe('stuck');
    expect(await failureOf(task.done)).toMatchObject({ reason: 'timeout' });
    expect(next.status).toBe('running');

    open();
    expect(await next.done).toBe(2);
    await queue.onIdle();
    expect(queue.running).toBe(0);
  });

  it('is ended by cancel(), whose reason the task has', async () => {
    const { call } = someQueue();
    const counter = sharedNumbers();
    const task = call('spin', counter);
    await until(() => Atomics.load(counter, 0) > 0);
    const reason = new Error('not wanted any more');
    expect(task.cancel(reason)).toBe(true);
    expect(await failureOf(task.done)).toMatchObject({
      code: 'TASK_INTERRUPTED',
      reason: 'stop-requested',
      cause: reason,
    });
    expect(task.status).toBe('cancelled');
    expect(await standsStill(counter, call)).toBe(true);
  });

  it('is ended in time by the shutdown of its queue, which leaves no orphan', async () => {
    const { clock, queue, call } = someQueue();
    const counter = sharedNumbers();
    const task = call('spin', counter);
    await until(() => Atomics.load(counter, 0) > 0);
    const ended = queue.shutdown({ deadline: '20s' });
    await clock.advance('14s');
    expect(task.status).toBe('running');
    await clock.advance('1s');
    expect(await ended).toMatchObject({ orphans: [] });
    expect(await failureOf(task.done)).toMatchObject({ code: 'TASK_INTERRUPTED', reason: 'shutdown' });

    queue.start();
    expect(await standsStill(counter, call)).toBe(true);
  });
});

describe('A thread that breaks', () => {
  it.each([
    ['calls process.exit()', 'exit', { message: expect.stringContaining('exit code 7') as unknown }],
    ['throws outside of the call', 'throwLater', { name: 'RangeError', message: 'from a callback' }],
    ['runs out of memory', 'fillMemory', { code: 'ERR_WORKER_OUT_OF_MEMORY' }],
  ])('since it %s fails the attempt, and is replaced', async (_how, name, expected) => {
    const { call } = someQueue({ resourceLimits: { maxOldGenerationSizeMb: 16 } });
    expect(await failureOf(call(name).done)).toMatchObject(expected);
    expect(await call('double', 1).done).toBe(2);
  });

  it('fails only its own attempt', async () => {
    const { call } = someQueue({ maxThreads: 2 });
    const counter = sharedNumbers();
    const held = call('hold', counter);
    await until(() => Atomics.load(counter, 0) === 1);
    await failureOf(call('exit').done);
    expect(held.status).toBe('running');
    release(counter);
    await held.done;
  });
});

describe('More calls than threads', () => {
  it('all end, never more at a time than maxThreads, the first one first', async () => {
    const { call } = someQueue({ maxThreads: 2 });
    const counter = sharedNumbers();
    const tasks: Task<number>[] = Array.from({ length: 40 }, () => call<number>('hold', counter));
    await until(() => Atomics.load(counter, 0) === 2);
    await call('double', 1, { timeout: '1s' }).accepted;
    for (let turns = 0; turns < 50; turns++) await turn();
    expect(Atomics.load(counter, 0)).toBe(2);
    release(counter);
    const ids = await Promise.all(tasks.map(({ done }) => done));
    expect(new Set(ids).size).toBe(2);
    expect(Atomics.load(counter, 0)).toBe(40);
  });

  it('are as many as the machine has CPUs, where threads are shared', async () => {
    const queue = new TaskQueue({ concurrency: Infinity, logger: silentLogger });
    const counter = sharedNumbers();
    const tasks = Array.from({ length: availableParallelism() + 3 }, () =>
      queue.enqueue(inThread<number>(calls, counter, { export: 'hold' })),
    );
    await until(() => Atomics.load(counter, 0) === availableParallelism());
    release(counter);
    const ids = await Promise.all(tasks.map(({ done }) => done));
    expect(new Set(ids).size).toBe(availableParallelism());
  });

  it('time out and are cancelled while they wait, at once and without being run', async () => {
    const { clock, call } = someQueue();
    const [busy, never] = [sharedNumbers(), sharedNumbers()];
    const held = call('hold', busy);
    await until(() => Atomics.load(busy, 0) === 1);
    const late = call('hold', never, { timeout: '1s' });
    const unwanted = call('hold', never);
    await until(() => unwanted.status === 'running');
    unwanted.cancel();
    expect(await failureOf(unwanted.done)).toMatchObject({ code: 'TASK_INTERRUPTED' });
    await clock.advance('1s');
    expect(await failureOf(late.done)).toMatchObject({ reason: 'timeout' });

    release(busy);
    await held.done;
    expect(await call('double', 1).done).toBe(2);
    expect(Atomics.load(never, 0)).toBe(0);
  });

  it('get the place of one that was ended', async () => {
    const { call } = someQueue();
    const counter = sharedNumbers();
    const spinning = call('spin', counter);
    const next = call('double', 21);
    await until(() => Atomics.load(counter, 0) > 0);
    spinning.cancel();
    expect(await next.done).toBe(42);
  });
});

describe('Threads', () => {
  it('are kept for the next call, and go when they have been without one for idleTimeout', async () => {
    const { call } = someQueue({ idleTimeout: 50 });
    const first = await call<{ threadId: number }>('default').done;
    const second = await call<{ threadId: number }>('default').done;
    expect(second.threadId).toBe(first.threadId);
    await expect
      .poll(async () => (await call<{ threadId: number }>('default').done).threadId, { interval: 200 })
      .not.toBe(first.threadId);
  });

  it('do not end at once where the timeout is longer than a timer can be', async () => {
    const { call } = someQueue({ idleTimeout: '100 days' });
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on('warning', note);
    await call('default').done;
    await turn();
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });

  it('keep nothing of the request that they were begun in', async () => {
    const { call } = someQueue();
    const request = await (async () => {
      const store = {};
      await new AsyncLocalStorage<object>().run(store, () => call('default').done);
      return new WeakRef(store);
    })();
    await expect
      .poll(() => {
        gc!();
        return request.deref() === undefined;
      })
      .toBe(true);
    expect(await call('double', 1).done).toBe(2);
  });

  it('are ended by close(), with what runs in them and what waits for them', async () => {
    const { call, threads } = someQueue();
    const counter = sharedNumbers();
    const tasks = [call('spin', counter, { maxAttempts: 9 }), call('spin', counter, { maxAttempts: 9 })];
    await until(() => Atomics.load(counter, 0) > 0);
    await threads.close();
    const still = Atomics.load(counter, 0);
    tasks.push(call('double', 1, { maxAttempts: 9 }));
    for (const task of tasks) {
      expect(await failureOf(task.done)).toMatchObject({ code: 'DISCARD', message: /were closed/ });
      expect(task.attempts).toBe(1);
    }
    expect(Atomics.load(counter, 0)).toBe(still);
    await threads.close();
  });

  it('that were never begun can be closed', async () => {
    await someThreads().close();
  });
});
