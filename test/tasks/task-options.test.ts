import { TaskQueue, type TaskOptions, type TaskQueueOptions } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { bareQueue } from '../support/fake-queue.js';
import { silentLogger } from '../support/recording-logger.js';

const nothing = (): void => undefined;

const refusal = (option: string, owner: string): Error =>
  expect.objectContaining({
    code: 'INVALID_OPTION',
    message: expect.stringMatching(
      new RegExp(`"${option.replace('.', String.raw`\.`)}" of ${owner}.+accepted`, 's'),
    ) as string,
  }) as Error;

const policies: [object, string][] = [
  [{ maxAttempts: 0 }, 'maxAttempts'],
  [{ maxAttempts: -1 }, 'maxAttempts'],
  [{ maxAttempts: 1.5 }, 'maxAttempts'],
  [{ maxAttempts: '3' }, 'maxAttempts'],
  [{ backoff: 'fast' }, 'backoff'],
  [{ backoff: 5 }, 'backoff'],
  [{ backoff: null }, 'backoff'],
  [{ backoff: { initial: -1 } }, 'backoff.initial'],
  [{ backoff: { factor: 0.5 } }, 'backoff.factor'],
  [{ backoff: { max: 'x' } }, 'backoff.max'],
  [{ backoff: { jitter: 2 } }, 'backoff.jitter'],
  [{ backoff: { initially: 5 } }, 'backoff.initially'],
  [{ timeout: 0 }, 'timeout'],
  [{ timeout: -1 }, 'timeout'],
  [{ timeout: 'soon' }, 'timeout'],
  [{ abortGrace: -1 }, 'abortGrace'],
  [{ abortGrace: Infinity }, 'abortGrace'],
  [{ overlap: 'yes', timeout: 5 }, 'overlap'],
  [{ overlap: true }, 'overlap'],
];

describe('options of a queue', () => {
  it.each([
    ...policies,
    [{ concurrency: 0 }, 'concurrency'],
    [{ concurrency: 2.5 }, 'concurrency'],
    [{ concurrency: '2' }, 'concurrency'],
    [{ maxQueued: -1 }, 'maxQueued'],
    [{ maxQueued: Number.NaN }, 'maxQueued'],
    [{ overflow: 'drop' }, 'overflow'],
    [{ overflow: 'drop-oldest', maxQueued: 0 }, 'overflow'],
    [{ autoStart: 'false' }, 'autoStart'],
    [{ carryContext: 1 }, 'carryContext'],
    [{ degradedAfter: 'late' }, 'degradedAfter'],
    [{ middlewares: [5] }, 'middlewares'],
    [{ shutdownTimeout: -1 }, 'shutdownTimeout'],
    [{ abortMargin: '10s', shutdownTimeout: '5s' }, 'abortMargin'],
    [{ idGenerator: 5 }, 'idGenerator'],
    [{ historySize: -1 }, 'historySize'],
    [{ retries: 5 }, 'retries'],
  ] as [object, string][])('refuse %o, and name the queue and the option', (options, option) => {
    const make = (): TaskQueue => new TaskQueue({ name: 'mail', logger: silentLogger, ...options });
    expect(make).toThrow(refusal(option, 'task queue "mail"'));
  });

  it.each([{ name: '' }, { name: '  ' }, { name: 5 }])('refuse %o', (options) => {
    const make = (): TaskQueue => new TaskQueue(options as TaskQueueOptions);
    expect(make).toThrow(refusal('name', `task queue "${options.name}"`));
  });

  it('may be without end where that makes sense', async () => {
    const { queue } = bareQueue({
      concurrency: Infinity,
      maxQueued: Infinity,
      maxAttempts: Infinity,
      timeout: Infinity,
      degradedAfter: Infinity,
    });
    expect(queue.snapshot()).toMatchObject({ concurrency: Infinity, maxQueued: Infinity });
    await queue.shutdown();
  });
});

describe('options of a task', () => {
  it.each([
    ...policies,
    [{ name: '' }, 'name'],
    [{ name: 5 }, 'name'],
    [{ scope: '' }, 'scope'],
    [{ scope: null }, 'scope'],
    [{ notBefore: '2030-01-01' }, 'notBefore'],
    [{ notBefore: new Date(Number.NaN) }, 'notBefore'],
    [{ notBefore: new Date(), delay: 5 }, 'delay'],
    [{ delay: -1 }, 'delay'],
    [{ delay: Infinity }, 'delay'],
    [{ delay: 'later' }, 'delay'],
    [{ priority: 101 }, 'priority'],
    [{ priority: -101 }, 'priority'],
    [{ priority: 0.5 }, 'priority'],
    [{ priority: null }, 'priority'],
    [{ signal: new AbortController() }, 'signal'],
    [{ signal: null }, 'signal'],
    [{ after: 'then' }, 'after'],
    [{ within: 5 }, 'within'],
    [{ concurrency: 5 }, 'concurrency'],
  ] as [object, string][])(
    'refuse %o, and name the task, its queue and the option',
    async (options, option) => {
      const { queue } = bareQueue();
      const refused = refusal(option, 'a task.*of queue "mail"');
      expect(() => queue.submit(nothing, options)).toThrow(refused);
      expect(() => queue.enqueue(nothing, options)).toThrow(refused);
      expect(() => queue.enqueueMany([nothing], options)).toThrow(refused);
      expect(queue.snapshot().enqueued).toBe(0);
      await queue.shutdown();
    },
  );

  it('name the task where it has a name', async () => {
    const { queue } = bareQueue();
    expect(() => queue.enqueue(nothing, { name: 'render', priority: 1_000 })).toThrow(
      refusal('priority', 'a task "render" of queue "mail"'),
    );
    await queue.shutdown();
  });

  it('come from the queue where the task says nothing, each by itself', async () => {
    const { queue, clock } = bareQueue({
      maxAttempts: 2,
      timeout: '1s',
      backoff: { initial: '5s', max: '1m', jitter: false },
    });
    const due = async (options?: TaskOptions): Promise<unknown[]> => {
      const task = queue.enqueue((ctx) => ctx.sleep('1h'), options);
      await clock.advance('1s');
      const answer = [task.status, (task.nextAttempt?.getTime() ?? clock.now()) - clock.now()];
      task.cancel();
      await clock.settle();
      return answer;
    };
    expect(await due()).toEqual(['backoff', 5_000]);
    expect(await due({ backoff: { initial: '3s' } })).toEqual(['backoff', 3_000]);
    expect(await due({ maxAttempts: 1 })).toEqual(['error', 0]);
    expect(await due({ timeout: Infinity })).toEqual(['running', 0]);
    await queue.shutdown();
  });

  it('hold for a task with the option undefined as for one without it', async () => {
    const { queue } = bareQueue();
    const none = {
      name: undefined,
      delay: undefined,
      signal: undefined,
      after: undefined,
      timeout: undefined,
    };
    const task = queue.enqueue(nothing, none as object);
    await task.done;
    expect(task.name).toBe('nothing');
    await queue.shutdown();
  });
});

describe('the deadline of shutdown', () => {
  it.each([-1, 'soon', Number.NaN, new Date(Number.NaN)])('is not %o', async (deadline) => {
    const { queue } = bareQueue();
    await expect(queue.shutdown({ deadline: deadline as number })).rejects.toEqual(
      refusal('deadline', String.raw`shutdown\(\) of task queue "mail"`),
    );
    expect(await queue.enqueue(() => 5).done).toBe(5);
    await queue.shutdown();
  });

  it('may be a length of time or a time of day, also one that is past', async () => {
    for (const [deadline, waits] of [
      ['2s', 2_000],
      [1_500, 1_500],
      [new Date('2026-01-01T00:00:03Z'), 3_000],
      [new Date('2025-01-01T00:00:03Z'), 0],
      [0, 0],
      [undefined, 25_000],
    ] as const) {
      const { queue, clock } = bareQueue();
      let end!: () => void;
      queue.submit(() => new Promise<void>((resolve) => (end = resolve)));
      await clock.settle();
      const stopped = queue.shutdown(deadline === undefined ? {} : { deadline });
      await clock.advance('1m');
      expect(await stopped).toEqual({ orphans: [{ kind: 'task-queue', name: 'mail' }], durationMs: waits });
      end();
      await clock.settle();
    }
  });
});
