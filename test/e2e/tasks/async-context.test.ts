import { AsyncLocalStorage } from 'node:async_hooks';
import {
  Controller,
  Get,
  type MiddlewareConsumer,
  Module,
  type NestMiddleware,
  type NestModule,
} from '@nestjs/common';
import {
  currentContext,
  currentWorkerName,
  InjectTaskQueue,
  type RunnableWorker,
  type Task,
  type TaskContext,
  type TaskFunction,
  TaskQueue,
  TaskQueueModule,
  type TaskQueueModuleOptions,
  Worker,
  type WorkerContext,
  WorkerModule,
} from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import { bootContext, bootHttp, happened, platforms, settle, signal } from '../../support/nest.js';

/** What an app keeps of a request: nestjs-cls and its likes. */
const request = new AsyncLocalStorage<string>();
const requestId = (): string | undefined => request.getStore();

class RequestIdMiddleware implements NestMiddleware {
  use(incoming: { headers: Record<string, string> }, _response: unknown, next: () => void): void {
    request.run(incoming.headers['x-request-id'] ?? 'none', next);
  }
}

const own = 'its own context';
const whose = (ctx: TaskContext): string | undefined =>
  currentContext() === ctx ? own : currentContext()?.name;

/** An app with one queue. */
async function bootQueue(options: TaskQueueModuleOptions = {}, clock = new FakeClock()) {
  const app = await bootContext({
    imports: [TaskQueueModule.forRoot({ clock }), TaskQueueModule.register({ ...options })],
  });
  return { app, clock, queue: app.get(TaskQueue) };
}

describe.each(platforms)('A task that a request submits, %s', (platform) => {
  interface Seen {
    readonly id: string | undefined;
    readonly later: string | undefined;
    readonly context: string | undefined;
  }

  @Controller()
  class TaskController {
    readonly seen: Seen[] = [];
    constructor(
      @InjectTaskQueue('carrying') private readonly carrying: TaskQueue,
      @InjectTaskQueue('plain') private readonly plain: TaskQueue,
    ) {}

    @Get('carrying')
    carry(): Promise<Seen> {
      return this.carrying.enqueue((ctx) => this.look(ctx)).done;
    }

    @Get('plain')
    doNotCarry(): Promise<Seen> {
      return this.plain.enqueue((ctx) => this.look(ctx)).done;
    }

    @Get('submit')
    async submit(): Promise<Seen[]> {
      this.carrying.submit(async (ctx) => this.seen.push(await this.look(ctx)));
      await this.carrying.onIdle();
      return this.seen;
    }

    private async look(ctx: TaskContext): Promise<Seen> {
      const id = requestId();
      const context = whose(ctx);
      await settle();
      return { id, later: requestId(), context };
    }
  }

  @Module({
    imports: [
      TaskQueueModule.register({ name: 'carrying', concurrency: 1 }),
      TaskQueueModule.register({ name: 'plain', concurrency: 1, carryContext: false }),
    ],
    controllers: [TaskController],
  })
  class AppModule implements NestModule {
    configure(consumer: MiddlewareConsumer): void {
      consumer.apply(RequestIdMiddleware).forRoutes('*path');
    }
  }

  async function boot() {
    const { url } = await bootHttp(AppModule, platform);
    return async (path: string, id: string): Promise<unknown> => {
      const response = await fetch(`${url}/${path}`, { headers: { 'x-request-id': id } });
      return response.json();
    };
  }

  it('runs with its request id, also where tasks of other requests wait beside it', async () => {
    const get = await boot();
    const ids = Array.from({ length: 10 }, (_, index) => `request ${index}`);
    const answers = await Promise.all(ids.map((id) => get('carrying', id)));
    expect(answers).toEqual(ids.map((id) => ({ id, later: id, context: own })));
    expect(await get('submit', 'last')).toEqual([{ id: 'last', later: 'last', context: own }]);
  });

  it('runs without it by carryContext: false', async () => {
    const get = await boot();
    const ids = Array.from({ length: 5 }, (_, index) => `request ${index}`);
    const answers = await Promise.all(ids.map((id) => get('plain', id)));
    expect(answers).toEqual(ids.map(() => ({ context: own })));
  });
});

describe('What a submitter carries into a task', () => {
  it('is there at each attempt, after a delay, in after(), and in its middlewares', async () => {
    const seen: [string, string | undefined][] = [];
    const { clock, queue } = await bootQueue({
      maxAttempts: 2,
      backoff: { initial: '1m', jitter: false },
      middlewares: [
        async (_ctx, next) => {
          seen.push(['middleware', requestId()]);
          return next();
        },
      ],
    });
    const task = request.run('request 1', () =>
      queue.enqueue(
        (ctx) => {
          seen.push([`attempt ${ctx.attempt}`, requestId()]);
          if (ctx.attempt === 1) throw new Error('once more');
        },
        { delay: '1h', after: () => void seen.push(['after', requestId()]) },
      ),
    );
    await request.run('whoever moves the time', () => clock.advance('2h'));
    await task.done;
    const steps = ['middleware', 'attempt 1', 'middleware', 'attempt 2', 'after'];
    expect(seen).toEqual(steps.map((step) => [step, 'request 1']));
  });

  it('is there for each of many that are enqueued at once', async () => {
    const { queue } = await bootQueue({ concurrency: 3 });
    const tasks = request.run('request 1', () => queue.enqueueMany([requestId, requestId, requestId]));
    expect(await Promise.all(tasks.map(({ done }) => done))).toEqual(tasks.map(() => 'request 1'));
  });

  it('is its own, whoever pauses, resumes and dispatches', async () => {
    const { queue } = await bootQueue();
    queue.pause();
    const first = request.run('request 1', () => queue.enqueue(requestId));
    const second = request.run('request 2', () => queue.enqueue(requestId));
    const none = queue.enqueue(requestId);
    request.run('request 3', () => queue.resume());
    expect(await Promise.all([first.done, second.done, none.done])).toEqual([
      'request 1',
      'request 2',
      undefined,
    ]);
  });

  it('stays with those to come when it is carried into a task that submits another', async () => {
    const { queue } = await bootQueue();
    const inner = await request.run('request 1', () => queue.enqueue(() => queue.enqueue(requestId)).done);
    expect(await inner.done).toBe('request 1');
  });

  it('does not reach other tasks, nor what a task enters for good', async () => {
    const { queue } = await bootQueue({ concurrency: 1 });
    const entering = request.run('request 1', () =>
      queue.enqueue(() => {
        request.enterWith('left behind');
        return requestId();
      }),
    );
    const next = queue.enqueue(requestId);
    expect(await entering.done).toBe('left behind');
    expect(await next.done).toBeUndefined();
    expect(await queue.enqueue(requestId).done).toBeUndefined();
  });
});

describe('Without carryContext', () => {
  it.each<[string, (queue: TaskQueue) => Task<string | undefined>]>([
    ['submits it', (queue) => request.run('request 1', () => queue.enqueue(requestId))],
    [
      'resumes the queue',
      (queue) => {
        queue.pause();
        const task = queue.enqueue(requestId);
        request.run('request 1', () => queue.resume());
        return task;
      },
    ],
    [
      'dispatches it',
      (queue) => {
        queue.pause();
        const task = queue.enqueue(requestId);
        void request.run('request 1', () => queue.dispatch());
        return task;
      },
    ],
    [
      'raises the concurrency',
      (queue) => {
        const task = queue.enqueue(requestId);
        request.run('request 1', () => (queue.concurrency = 5));
        return task;
      },
    ],
  ])('a task does not run in the async context of a request that %s', async (_what, act) => {
    const { queue } = await bootQueue({ carryContext: false });
    expect(await act(queue).done).toBeUndefined();
  });

  it('what a task enters for good does not reach the next one', async () => {
    const { queue } = await bootQueue({ carryContext: false, concurrency: 1 });
    const tasks = [1, 2, 3].map((n) =>
      queue.enqueue(async () => {
        const seen = requestId();
        request.enterWith(`left behind by ${n}`);
        await settle();
        return seen;
      }),
    );
    expect(await Promise.all(tasks.map(({ done }) => done))).toEqual([undefined, undefined, undefined]);
    expect(await queue.enqueue(requestId).done).toBeUndefined();
  });

  it('what after() enters for good reaches nobody', async () => {
    const { queue } = await bootQueue({ carryContext: false, concurrency: 1 });
    const options = { after: () => request.enterWith('left behind') };
    await queue.enqueue(requestId, options).done;
    await settle();
    expect(await queue.enqueue(requestId).done).toBeUndefined();
  });
});

describe('What an attempt enters for good', () => {
  it('does not reach the next attempt of its task', async () => {
    const seen: (string | undefined)[] = [];
    const { queue } = await bootQueue({ maxAttempts: 3, backoff: 'none' });
    const task = request.run('request 1', () =>
      queue.enqueue((ctx) => {
        seen.push(requestId());
        request.enterWith(`attempt ${ctx.attempt}`);
        if (ctx.attempt < 3) throw new Error('again');
      }),
    );
    await task.done;
    expect(seen).toEqual(['request 1', 'request 1', 'request 1']);
  });
});

describe('currentContext()', () => {
  const look: TaskFunction<(string | undefined)[]> = async (ctx) => {
    const before = whose(ctx);
    await settle();
    return [before, whose(ctx), currentWorkerName()];
  };

  it.each([true, false])(
    "is the task's own where a worker submits it (carryContext: %s)",
    async (carryContext) => {
      const found = signal<readonly unknown[]>();
      @Worker({ name: 'ingest' })
      class Ingest implements RunnableWorker {
        constructor(private readonly queue: TaskQueue) {}

        async run(ctx: WorkerContext): Promise<void> {
          const task = this.queue.enqueue(look);
          found.resolve([await task.done, currentContext() === ctx, currentWorkerName()]);
        }
      }
      const app = await bootContext({
        imports: [WorkerModule, TaskQueueModule.register({ carryContext })],
        providers: [Ingest],
      });
      await happened(app, 'succeeded', 'ingest');
      expect(await found.promise).toEqual([[own, own, undefined], true, 'ingest']);
    },
  );

  it.each([true, false])(
    'is its own for a task that a task submits (carryContext: %s)',
    async (carryContext) => {
      const { queue } = await bootQueue({ carryContext, concurrency: 2 });
      const contexts: unknown[] = [];
      const outer = queue.enqueue(async (ctx) => {
        contexts.push(ctx, currentContext());
        const inner = queue.enqueue((innerCtx) => void contexts.push(innerCtx, currentContext()));
        await inner.done;
        return whose(ctx);
      });
      expect(await outer.done).toBe(own);
      const [first, firstCurrent, second, secondCurrent] = contexts;
      expect(firstCurrent).toBe(first);
      expect(secondCurrent).toBe(second);
      expect(second).not.toBe(first);
    },
  );

  it.each([true, false])(
    'is that of no worker and no other task in after() (carryContext: %s)',
    async (carryContext) => {
      const { queue } = await bootQueue({ carryContext });
      const seen: unknown[] = [];
      const outer = queue.enqueue(async (ctx) => {
        const inner = queue.enqueue(() => undefined, {
          name: 'inner',
          after: () => void seen.push(currentContext()),
        });
        await inner.done;
        await settle();
        return currentContext() === ctx;
      });
      expect(await outer.done).toBe(true);
      expect(seen.filter((context) => (context as TaskContext | undefined)?.task !== 'inner')).toEqual([
        undefined,
      ]);
    },
  );

  it("is nobody's where a timer of the queue has begun an attempt, but its own", async () => {
    const { clock, queue } = await bootQueue();
    const delayed = await queue.enqueue(() => queue.enqueue(look, { delay: '1m' })).done;
    await clock.advance('1m');
    expect(await delayed.done).toEqual([own, own, undefined]);
  });
});
