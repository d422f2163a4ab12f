import * as fc from 'fast-check';
import type { Task } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { longestTimerMs } from '../../lib/clock/index.js';
import { DelayedTasks } from '../../lib/tasks/delayed-tasks.js';
import type { QueuedTask } from '../../lib/tasks/queued-task.js';
import { AdjustableClock, bareQueue, isolatedErrors } from '../support/fake-queue.js';

const nothing = (): void => undefined;

describe('delay', () => {
  it('runs a task no sooner', async () => {
    const { queue, clock } = bareQueue();
    const task = queue.enqueue(nothing, { delay: '1.5s' });
    expect(task.status).toBe('deferred');
    await clock.advance(1_499);
    expect(task.status).toBe('deferred');
    await clock.advance(1);
    expect(task.status).toBe('success');
    await queue.shutdown();
  });

  it('counts from the call, also where something else is set in motion at that moment', async () => {
    const { queue, clock } = bareQueue();
    await queue.enqueue(nothing).done;
    await clock.advance('1m');
    queue.concurrency = 5;
    const task = queue.enqueue(nothing, { delay: '1s' });
    queue.submit(nothing);
    expect(queue.snapshot().oldestDueMs).toBe(0);
    await clock.advance(999);
    expect(task.status).toBe('deferred');
    await clock.advance(1);
    expect(task.status).toBe('success');
    await queue.shutdown();
  });

  it('counts from the call, also where a long piece of code calls more than once', async () => {
    const { queue, clock } = bareQueue();
    const monotonic = clock.monotonic.bind(clock);
    let blockedMs = 0;
    clock.monotonic = () => monotonic() + blockedMs;
    for (let count = 0; count < 5; count++) queue.submit(nothing);
    blockedMs = 60_000;
    const task = queue.enqueue(nothing, { delay: '1s' });
    await clock.settle();
    await clock.advance(999);
    expect(task.status).toBe('deferred');
    await clock.advance(1);
    expect(task.status).toBe('success');
    await queue.shutdown();
  });

  it('runs in the order in which tasks come due, and those of one moment as they came', async () => {
    const { queue, clock } = bareQueue({ concurrency: 1 });
    const order: string[] = [];
    const given: [string, number][] = [
      ['c', 30],
      ['a', 10],
      ['d', 30],
      ['b', 20],
      ['e', 30],
    ];
    for (const [name, delay] of given) queue.submit(() => order.push(name), { delay });
    await clock.advance(30);
    expect(order.join('')).toBe('abcde');
    await queue.shutdown();
  });

  it('may be years', async () => {
    const { queue, clock } = bareQueue();
    const task = queue.enqueue(nothing, { delay: '5y' });
    await clock.advance('4y');
    expect(task.status).toBe('deferred');
    await clock.advance('1y');
    expect(task.status).toBe('success');
    await queue.shutdown();
  });
});

describe('notBefore', () => {
  it('runs at once where the date is past, and in its time where it lies years ahead', async () => {
    const { queue, clock } = bareQueue();
    const past = queue.enqueue(nothing, { notBefore: new Date('2020-01-01') });
    const date = new Date('2031-05-06T07:08:09.123Z');
    const future = queue.enqueue(nothing, { notBefore: date });
    expect([past.status, future.status]).toEqual(['queued', 'deferred']);
    expect(future.nextAttempt).toEqual(date);
    await clock.advance(date.getTime() - clock.now() - 1);
    expect([past.status, future.status]).toEqual(['success', 'deferred']);
    await clock.advance(1);
    expect(future.status).toBe('success');
    await queue.shutdown();
  });

  it('holds when the time of day was set back meanwhile', async () => {
    const { queue, clock } = bareQueue();
    const date = new Date(clock.now() + 60_000);
    let ranAt = 0;
    queue.submit(() => void (ranAt = clock.now()), { notBefore: date });
    await clock.advance('30s');
    clock.shiftMs = -3_600_000;
    await clock.advance('30s');
    expect(ranAt).toBe(0);
    expect(queue.snapshot().delayed).toBe(1);
    await clock.advance('59m');
    clock.shiftMs = -7_200_000;
    await clock.advance('1h');
    expect(ranAt).toBe(0);
    await clock.advance('1h');
    expect(ranAt).toBe(date.getTime());
    await queue.shutdown();
  });

  it('says nothing about the attempts after the first', async () => {
    const { queue, clock } = bareQueue({ maxAttempts: 2, backoff: () => '1s' });
    let attempts = 0;
    const task = queue.enqueue(
      () => {
        if (++attempts === 1) throw new Error('boom');
      },
      { notBefore: new Date(clock.now() + 1_000) },
    );
    await clock.advance('1s');
    clock.shiftMs = -3_600_000;
    await clock.advance('1s');
    expect(task.status).toBe('success');
    await queue.shutdown();
  });
});

it('waits by real timers longer than they can, without firing at once', async () => {
  const { queue } = bareQueue();
  const task = queue.enqueue(nothing, { delay: longestTimerMs * 3 });
  await new Promise((resolve) => setImmediate(resolve));
  expect(task.status).toBe('deferred');
  await queue.shutdown();
});

describe('many delayed tasks', () => {
  it('have one timer between them, and cost those beside them nothing', async () => {
    const { queue, clock } = bareQueue();
    queue.submit(nothing, { delay: '1h' });
    for (let index = 0; index < 10_000; index++) queue.submit(nothing, { delay: '2h' });
    await clock.settle();
    expect(clock.pending).toBe(1);
    expect(clock.timersSet).toBe(1);
    for (let index = 0; index < 10_000; index++) queue.submit(nothing);
    await clock.settle();
    expect(clock.timersSet).toBe(1);
    expect(queue.snapshot()).toMatchObject({ delayed: 10_001, completed: { succeeded: 10_000 } });
    await clock.advance('1h');
    expect(clock.timersSet).toBe(2);
    await queue.shutdown();
    expect(clock.pending).toBe(0);
  });

  it('are cancelled at no more cost, from whichever end', async () => {
    for (const backwards of [false, true]) {
      const { queue, clock } = bareQueue();
      const tasks: Task[] = [];
      for (let index = 0; index < 20_000; index++)
        tasks.push(queue.enqueue(nothing, { delay: 1_000 + index }));
      if (backwards) tasks.reverse();
      for (const task of tasks.slice(1)) task.cancel();
      expect(queue.size).toBe(1);
      expect(clock.pending).toBe(1);
      await clock.advance('1m');
      expect(tasks[0]?.status).toBe('success');
      await queue.shutdown();
    }
  });
});

it('survive a shutdown that one of them asks for while all are given up', async () => {
  const bare = bareQueue();
  const { queue, clock } = bare;
  const tasks: Task[] = [];
  let calls = 0;
  const after = (): void => {
    calls++;
    tasks.forEach((task) => task.cancel());
    void queue.shutdown();
  };
  for (let index = 0; index < 10; index++)
    tasks.push(queue.enqueue(nothing, { delay: 1_000 + index, after }));
  tasks[4]?.cancel();
  expect(calls).toBe(10);
  await queue.shutdown();
  await queue.onIdle();
  expect(queue.snapshot()).toMatchObject({ delayed: 0, completed: { cancelled: 10 } });
  expect(clock.pending).toBe(0);
  expect(isolatedErrors(bare)).toBe(0);
});

it.each([5, 10])(
  'survive one that cancels the others while all are given up, with room for %i',
  async (room) => {
    const bare = bareQueue({ overflow: 'wait', maxQueued: room });
    const { queue, clock } = bare;
    const tasks: Task[] = [];
    let calls = 0;
    const after = (): void => {
      calls++;
      tasks.forEach((task) => task.cancel());
    };
    queue.pause();
    for (let index = 0; index < 10; index++)
      tasks.push(queue.enqueue(nothing, { delay: 1_000 + index, after }));
    expect(tasks.at(-1)?.status).toBe(room === 5 ? 'waiting' : 'deferred');
    expect(await queue.shutdown()).toEqual({ orphans: [], durationMs: 0 });
    expect(calls).toBe(10);
    expect(queue.snapshot()).toMatchObject({ delayed: 0, waiting: 0, completed: { cancelled: 10 } });
    expect(clock.pending).toBe(0);
    expect(isolatedErrors(bare)).toBe(0);
  },
);

describe('DelayedTasks', () => {
  /** As much of a task as it looks at. */
  const fake = (dueAt: number): QueuedTask =>
    ({ dueAt, delayedOrder: 0, attempts: 1, status: 'backoff', options: {} }) as unknown as QueuedTask;

  type Command = { push: number } | { drop: number } | { advance: number } | 'takeFirst' | 'takeAll';

  const commands: fc.Arbitrary<Command[]> = fc.array(
    fc.oneof(
      { weight: 30, arbitrary: fc.record({ push: fc.nat(50) }) },
      { weight: 20, arbitrary: fc.record({ drop: fc.nat(500) }) },
      { weight: 5, arbitrary: fc.record({ advance: fc.nat(20) }) },
      { weight: 5, arbitrary: fc.constant('takeFirst' as const) },
      { weight: 1, arbitrary: fc.constant('takeAll' as const) },
    ),
    { maxLength: 400, size: 'max' },
  );

  it('gives out what it was given, once, in order and in time', async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (script) => {
        const clock = new AdjustableClock();
        const due: QueuedTask[] = [];
        const delayed = new DelayedTasks({ clock, inScope: (fn) => fn() }, (task) => {
          task.status = 'queued';
          due.push(task);
        });
        let model: QueuedTask[] = [];
        const sorted = (): QueuedTask[] => model.toSorted((a, b) => a.dueAt - b.dueAt);
        for (const command of script) {
          if (command === 'takeFirst') {
            const [first] = sorted();
            expect(delayed.takeFirst()).toBe(first);
            if (first !== undefined) first.status = 'queued';
            model = model.filter((task) => task !== first);
          } else if (command === 'takeAll') {
            const taken = delayed.takeAll();
            expect(new Set(taken)).toEqual(new Set(model));
            for (const task of taken) {
              task.status = 'cancelled';
              delayed.drop(task);
            }
            model = [];
          } else if ('push' in command) {
            const task = fake(clock.monotonic() + command.push + 1);
            delayed.push(task);
            model.push(task);
          } else if ('drop' in command) {
            const [task] = model.splice(command.drop % (model.length || 1), 1);
            if (task === undefined) continue;
            task.status = 'cancelled';
            delayed.drop(task);
          } else {
            await clock.advance(command.advance);
            const expected = sorted().filter(({ dueAt }) => dueAt <= clock.monotonic());
            expect(due.splice(0)).toEqual(expected);
            model = model.filter((task) => !expected.includes(task));
          }
          expect(delayed.length).toBe(model.length);
          expect(delayed.first).toBe(sorted()[0]);
          expect(clock.pending).toBe(model.length > 0 ? 1 : 0);
        }
      }),
      { numRuns: 100 },
    );
  });
});
