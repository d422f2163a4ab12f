import { AsyncLocalStorage } from 'node:async_hooks';
import { Body, Controller, Injectable, Post } from '@nestjs/common';
import {
  type EnqueuedJob,
  getJobQueueToken,
  InjectJobQueue,
  type Job,
  type JobContext,
  JobHandler,
  type JobQueue,
  JobsModule,
  type RunnableJob,
  type RunnableWorker,
  Worker,
  type WorkerContext,
  WorkerModule,
} from 'nestjs-worker';
import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { rejectionOf, WatchedBackend } from '../../support/fake-job-queue.js';
import { bootContext, bootHttp, platforms, signal } from '../../support/nest.js';

const emails = JobsModule.registerQueue({ name: 'emails', schema: z.object({ to: z.string() }) });

@Controller()
class Letters {
  constructor(@InjectJobQueue('emails') private readonly queue: JobQueue<{ to: string }>) {}

  @Post('letters')
  send(@Body() letter: { to: string }): Promise<EnqueuedJob> {
    return this.queue.enqueue(letter, { timeout: '100ms' });
  }
}

let backend: WatchedBackend;

beforeEach(() => {
  backend = new WatchedBackend();
});

describe.each(platforms)('a request on %s', (platform) => {
  const boot = () =>
    bootHttp({ imports: [JobsModule.forRoot({ backend }), emails], controllers: [Letters] }, platform);
  const post = (url: string, body: object): Promise<Response> =>
    fetch(`${url}/letters`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  it('enqueues, and those that come together go together', async () => {
    const { url } = await boot();
    const responses = await Promise.all(Array.from({ length: 100 }, () => post(url, { to: 'a' })));
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 100 }, () => 201));
    const answers = (await Promise.all(responses.map((response) => response.json()))) as EnqueuedJob[];
    expect(new Set(answers.map(({ id }) => id)).size).toBe(100);
    expect(backend.batches.flat().toSorted()).toEqual(answers.map(({ id }) => id).toSorted());
  });

  it('is answered with 503, and without the reason, where the backend fails or does not answer', async () => {
    const { url } = await boot();
    for (const hold of [() => Promise.reject(new Error('password')), () => new Promise(() => {})]) {
      backend.hold = (method) => (method === 'enqueue' ? hold() : undefined);
      const response = await post(url, { to: 'a' });
      expect(response.status).toBe(503);
    }
  });
});

describe('all that enqueues', () => {
  it('has its own async context afterwards, although jobs go together', async () => {
    const app = await bootContext({ imports: [JobsModule.forRoot({ backend }), emails] });
    const queue = app.get<JobQueue<{ to: string }>>(getJobQueueToken('emails'));
    const requests = new AsyncLocalStorage<number>();
    const seen = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        requests.run(index, async () => {
          await queue.enqueue({ to: 'a' });
          return requests.getStore();
        }),
      ),
    );
    expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(backend.batches).toHaveLength(1);
  });

  it('may do so while the app shuts down', async () => {
    const ended: unknown[] = [];
    @Worker()
    class Ingest implements RunnableWorker {
      constructor(@InjectJobQueue('emails') private readonly queue: JobQueue<{ to: string }>) {}

      async run(ctx: WorkerContext): Promise<void> {
        await ctx.sleep('1 day').catch(() => {});
        ended.push(await this.queue.enqueue({ to: 'the last one' }));
      }
    }
    const app = await bootContext({
      imports: [WorkerModule, JobsModule.forRoot({ backend }), emails],
      providers: [Ingest],
    });
    await app.close();
    expect(ended).toMatchObject([{ status: 'enqueued' }]);
    expect(await backend.counts(['emails'], { dueWithinMs: 0 })).toMatchObject([{ ready: 1 }]);
  });
});

describe('two apps on one backend', () => {
  const handled: string[] = [];
  const held = signal();

  @JobHandler('emails', { concurrency: 1, keepCompleted: '1m' })
  @Injectable()
  class EmailHandler implements RunnableJob<{ to: string }, string> {
    async handle({ payload }: Job<{ to: string }>, ctx: JobContext): Promise<string> {
      if (payload.to === 'slow') {
        await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()));
        handled.push((ctx.signal.reason as { reason: string }).reason);
        held.resolve();
        return 'too late';
      }
      handled.push(payload.to);
      return `sent to ${payload.to}`;
    }
  }

  const boot = async (providers: (typeof EmailHandler)[] = []): Promise<JobQueue<{ to: string }>> => {
    const app = await bootContext({ imports: [JobsModule.forRoot({ backend }), emails], providers });
    return app.get(getJobQueueToken('emails'));
  };

  beforeEach(() => {
    handled.length = 0;
  });

  it('are one that fills and one that runs, first in, first out', async () => {
    const filling = await boot();
    await boot([EmailHandler]);
    const names = Array.from({ length: 5_000 }, (_, index) => `a-${index}`);
    await filling.enqueueMany(names.map((to) => ({ to })));
    await expect.poll(() => handled.length, { timeout: 10_000 }).toBe(5_000);
    expect(handled).toEqual(names);
  });

  it('can wait for one another', async () => {
    const filling = await boot();
    await boot([EmailHandler]);
    const { id } = await filling.enqueue({ to: 'a' });
    expect(await filling.waitUntilFinished<string>(id, { timeout: '5s' })).toBe('sent to a');
  });

  it('can stop what the other runs: a job that is deleted is aborted, and does not come back', async () => {
    const filling = await boot();
    await boot([EmailHandler]);
    const { id } = await filling.enqueue({ to: 'slow' });
    await expect.poll(() => filling.counts()).toMatchObject({ active: 1 });
    expect(await filling.delete([id])).toEqual(['active']);
    await held.promise;
    expect(handled).toEqual(['lease-lost']);
    expect(await filling.get(id)).toBeUndefined();
    expect((await rejectionOf(filling.waitUntilFinished(id, { timeout: '1s' }))).message).toContain(
      'is not known',
    );
  });

  it('can hold back and let go what the other runs', async () => {
    const filling = await boot();
    await boot([EmailHandler]);
    await filling.pause();
    await filling.enqueue({ to: 'later' });
    expect(await filling.counts()).toMatchObject({ paused: true, ready: 1 });
    expect(handled).toEqual([]);
    await filling.resume();
    await expect.poll(() => handled).toEqual(['later']);
  });
});
