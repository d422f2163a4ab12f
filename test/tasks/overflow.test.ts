import type { Task, TaskOutcome } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { bareQueue, fakeQueue, ManualTask, stateOf } from '../support/fake-queue.js';

const nothing = (): void => undefined;
const full = expect.objectContaining({
  code: 'TASK_QUEUE_FULL',
  statusCode: 503,
  message: expect.stringMatching(/"mail" is full: 2 tasks wait/) as string,
});

describe("overflow: 'reject'", () => {
  it('refuses what finds no room, and takes what can begin at once', async () => {
    const { queue, clock } = bareQueue({ concurrency: 2, maxQueued: 2 });
    const manual = new ManualTask();
    for (let index = 0; index < 4; index++) queue.submit(manual.run);
    expect(() => queue.submit(nothing)).toThrow(full);
    await clock.settle();
    expect([queue.running, queue.size]).toEqual([2, 2]);
    expect(() => queue.submit(nothing)).toThrow(full);
    expect(() => queue.enqueue(nothing, { delay: '1s' })).toThrow(full);
    expect(queue.snapshot().enqueued).toBe(4);
    manual.attempt.succeed();
    await clock.settle();
    queue.submit(manual.run);
    manual.attempts.forEach((attempt) => attempt.succeed());
    await clock.settle();
    manual.attempts.forEach((attempt) => attempt.succeed());
    await queue.shutdown();
  });

  it('counts what waits for a time, and not what waits for its next attempt against it', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxQueued: 1, maxAttempts: 2, backoff: () => '1h' });
    const task = queue.enqueue(() => Promise.reject(new Error('boom')));
    await clock.settle();
    expect(task.status).toBe('backoff');
    queue.submit(nothing);
    await clock.settle();
    queue.pause();
    expect(() => queue.submit(nothing)).toThrow(expect.objectContaining({ code: 'TASK_QUEUE_FULL' }));
    await queue.shutdown();
  });

  it('with maxQueued: 0 takes what can begin at once, and nothing else', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxQueued: 0 });
    const manual = new ManualTask();
    queue.submit(manual.run);
    const refused = expect.objectContaining({ code: 'TASK_QUEUE_FULL' });
    expect(() => queue.submit(nothing)).toThrow(refused);
    await clock.settle();
    expect(() => queue.submit(nothing)).toThrow(refused);
    manual.attempt.succeed();
    await clock.settle();
    expect(await queue.enqueue(() => 5).done).toBe(5);
    await queue.shutdown();
  });

  it('never refuses with maxQueued: Infinity', async () => {
    const { queue } = bareQueue({ concurrency: Infinity, maxQueued: Infinity });
    queue.pause();
    for (let index = 0; index < 200_000; index++) queue.submit(nothing);
    queue.resume();
    await queue.onIdle();
    expect(queue.snapshot().completed.succeeded).toBe(200_000);
    await queue.shutdown();
  });
});

describe("overflow: 'wait'", () => {
  it('lets a task wait for room, and says when it found some', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxQueued: 1, overflow: 'wait' });
    const manual = new ManualTask();
    const tasks = ['a', 'b', 'c', 'd'].map((name) => queue.enqueue(manual.run, { name }));
    await clock.settle();
    expect(tasks.map(({ status }) => status)).toEqual(['running', 'queued', 'waiting', 'waiting']);
    expect(queue.snapshot()).toMatchObject({ running: 1, queued: 1, waiting: 2 });
    expect(queue.size).toBe(3);
    expect(await Promise.all(tasks.map(({ accepted }) => stateOf(accepted)))).toEqual([
      'fulfilled',
      'fulfilled',
      'pending',
      'pending',
    ]);
    manual.attempt.succeed();
    await clock.settle();
    await tasks[2]?.accepted;
    expect(tasks.map(({ status }) => status)).toEqual(['success', 'running', 'queued', 'waiting']);
    for (let left = 0; left < 3; left++) {
      manual.attempt.succeed();
      await clock.settle();
    }
    expect(manual.attempts.map(({ ctx }) => ctx.task).join('')).toBe('abcd');
    await queue.shutdown();
  });

  it('lets nobody pass who came later, also when room is made at that very moment', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxQueued: 1, overflow: 'wait' });
    const order: string[] = [];
    const manual = new ManualTask();
    const add = (name: string): Task => queue.enqueue(() => order.push(name), { name });
    queue.enqueue(manual.run, { after: () => add('e') });
    await clock.settle();
    const [b] = ['b', 'c', 'd'].map(add);
    b?.cancel();
    expect(add('x').status).toBe('waiting');
    manual.attempt.succeed();
    await queue.onIdle();
    expect(order.join('')).toBe('cdxe');
    await queue.shutdown();
  });

  it('settles one that waits: when it is cancelled, and at a shutdown when it is to run later', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxQueued: 1, overflow: 'wait' });
    const manual = new ManualTask();
    queue.submit(manual.run);
    await clock.settle();
    queue.submit(nothing, { delay: '1h' });
    const cancelled = queue.enqueue(nothing);
    const later = queue.enqueue(nothing, { delay: '1h' });
    const soon = queue.enqueue(() => 'soon');
    cancelled.cancel();
    await cancelled.accepted;
    await expect(cancelled.done).rejects.toThrow('while it waited for room in the queue');
    const stopped = queue.shutdown();
    await expect(later.done).rejects.toMatchObject({ reason: 'shutdown' });
    await later.accepted;
    manual.attempt.succeed();
    expect(await soon.done).toBe('soon');
    expect((await stopped).orphans).toEqual([]);
    expect(queue.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('makes one wait in time: its delay goes on meanwhile', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1, maxQueued: 0, overflow: 'wait' });
    const manual = new ManualTask();
    queue.submit(manual.run);
    await clock.settle();
    const short = queue.enqueue(() => 'short', { delay: '1s' });
    expect(short.status).toBe('waiting');
    await clock.advance('5s');
    manual.attempt.succeed();
    await clock.settle();
    expect(short.status).toBe('success');
    await queue.shutdown();
  });

  it('takes what nobody waits for, too', async () => {
    const { queue } = bareQueue({ concurrency: 1, maxQueued: 2, overflow: 'wait' });
    let runs = 0;
    for (let index = 0; index < 1_000; index++) queue.submit(() => void runs++);
    expect(queue.snapshot()).toMatchObject({ queued: 3, waiting: 997, enqueued: 1_000 });
    await queue.onIdle();
    expect(runs).toBe(1_000);
    await queue.shutdown();
  });

  it('is saturated while tasks wait for room only', async () => {
    const { queue, clock } = bareQueue({
      concurrency: 1,
      maxQueued: 0,
      overflow: 'wait',
      degradedAfter: '1s',
    });
    const manual = new ManualTask();
    queue.submit(manual.run);
    await clock.settle();
    queue.submit(nothing);
    await clock.advance('1s');
    expect(queue.snapshot()).toMatchObject({ degraded: true, waiting: 1, oldestDueMs: 1_000 });
    manual.attempt.succeed();
    await clock.settle();
    expect(queue.snapshot().degraded).toBe(false);
    await queue.shutdown();
  });
});

describe("overflow: 'drop-oldest'", () => {
  it('drops the one that has waited longest for the newer one, and says so once', async () => {
    const { queue, clock, logger, events } = fakeQueue({
      concurrency: 1,
      maxQueued: 2,
      overflow: 'drop-oldest',
    });
    const manual = new ManualTask();
    const outcomes: TaskOutcome[] = [];
    const after = (outcome: TaskOutcome): void => void outcomes.push(outcome);
    queue.submit(manual.run);
    await clock.settle();
    const tasks = ['a', 'b', 'c', 'd'].map((name) => queue.enqueue(() => name, { name, after }));
    expect(tasks.map(({ status }) => status)).toEqual(['cancelled', 'cancelled', 'queued', 'queued']);
    // Told once the newer ones are in.
    expect(outcomes).toEqual([]);
    await clock.settle();
    expect(outcomes).toEqual([1, 2].map(() => ({ kind: 'cancelled', reason: 'dropped' })));
    await expect(tasks[0]?.done).rejects.toThrow('Task "a" in queue "mail" was dropped to make room');
    await expect(tasks[0]?.done).rejects.toMatchObject({ code: 'TASK_INTERRUPTED', reason: 'dropped' });
    expect(logger.messages('warn')).toEqual(['Task queue "mail" is full (2): it drops its oldest tasks']);
    expect(events.of('cancelled').map(({ task, reason }) => [task, reason])).toEqual([
      ['a', 'dropped'],
      ['b', 'dropped'],
    ]);
    manual.attempt.succeed();
    expect(await Promise.all([tasks[2]?.done, tasks[3]?.done])).toEqual(['c', 'd']);
    expect(queue.snapshot()).toMatchObject({
      enqueued: 5,
      completed: { dropped: 2, cancelled: 0, succeeded: 3 },
    });
    await queue.shutdown();
  });

  it('drops the lowest priority first, then what is due next', async () => {
    const { queue } = bareQueue({ concurrency: 1, maxQueued: 4, overflow: 'drop-oldest' });
    queue.pause();
    const named = (name: string, options: object): Task => queue.enqueue(nothing, { name, ...options });
    const tasks = [
      named('later', { delay: '2h' }),
      named('sooner', { delay: '1h' }),
      named('usual', {}),
      named('low', { priority: -3 }),
    ];
    const dropped = (): string[] =>
      tasks.filter(({ status }) => status === 'cancelled').map(({ name }) => name);
    queue.submit(nothing, { priority: 7 });
    expect(dropped()).toEqual(['low']);
    queue.submit(nothing, { priority: 7 });
    expect(dropped()).toEqual(['usual', 'low']);
    queue.enqueue(nothing, { delay: '3h', priority: 7 });
    queue.enqueue(nothing, { delay: '3h', priority: 7 });
    expect(dropped()).toEqual(['usual', 'low']);
    queue.enqueue(nothing, { delay: '3h' });
    expect(dropped()).toEqual(['sooner', 'usual', 'low']);
    queue.enqueue(nothing, { delay: '3h' });
    expect(dropped()).toEqual(['later', 'sooner', 'usual', 'low']);
    await queue.shutdown();
  });

  it('drops plain ones by their own names, and says so once a minute', async () => {
    const { queue, logger, clock, events } = fakeQueue({
      concurrency: 1,
      maxQueued: 1,
      overflow: 'drop-oldest',
    });
    for (let round = 0; round < 3; round++) {
      if (round === 2) await clock.advance('1m');
      queue.pause();
      queue.submit(function first() {});
      queue.submit(nothing);
      queue.resume();
      await queue.onIdle();
      queue.submit(nothing);
      await clock.settle();
    }
    expect(logger.messages('warn')).toHaveLength(2);
    expect(events.of('cancelled').map(({ task }) => task)).toEqual(['first', 'first', 'first']);
    await queue.shutdown();
  });
});
