import type { EnqueuedJob, EnqueueError, JobDraft, JobMiddleware } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { fakeJobQueue, rejectionOf } from '../support/fake-job-queue.js';

type Next = () => Promise<EnqueuedJob>;

const around = (enqueue: (draft: JobDraft, next: Next) => Promise<EnqueuedJob>): JobMiddleware => ({
  enqueue,
});

describe('middlewares around enqueueing', () => {
  it('are run from the outermost to the innermost, and back', async () => {
    const seen: string[] = [];
    const named = (name: string): JobMiddleware =>
      around(async (_draft, next) => {
        seen.push(`${name} in`);
        const enqueued = await next();
        seen.push(`${name} out`);
        return enqueued;
      });
    const { queue } = fakeJobQueue({ middlewares: [named('a'), named('b')] });
    expect(await queue.enqueue(1)).toMatchObject({ status: 'enqueued' });
    expect(seen).toEqual(['a in', 'b in', 'b out', 'a out']);
  });

  it('see the job, and may change what is stored', async () => {
    const drafts: JobDraft[] = [];
    const { queue, clock } = fakeJobQueue({
      middlewares: [
        around((draft, next) => {
          drafts.push({ ...draft, headers: { ...draft.headers } });
          draft.headers.tenant = 'acme';
          draft.payload = { wrapped: draft.payload };
          draft.delay = '1m';
          draft.unique = { key: 'one' };
          return next();
        }),
      ],
    });
    const headers = Object.freeze({ own: 'x' });
    const { id } = await queue.enqueue('letter', { name: 'welcome', priority: 2, headers });
    expect(drafts).toEqual([
      { queue: 'emails', id, payload: 'letter', name: 'welcome', priority: 2, headers: { own: 'x' } },
    ]);
    expect(await queue.get(id)).toMatchObject({
      payload: { wrapped: 'letter' },
      name: 'welcome',
      priority: 2,
      headers: { own: 'x', tenant: 'acme' },
      dueAt: clock.now() + 60_000,
      uniqueKey: 'one',
    });
  });

  it('may answer instead of storing it', async () => {
    const { queue, backend } = fakeJobQueue({
      middlewares: [around(() => Promise.resolve({ id: 'elsewhere', status: 'duplicate' }))],
    });
    expect(await queue.enqueue(1)).toEqual({ id: 'elsewhere', status: 'duplicate' });
    expect(backend.batches).toEqual([]);
  });

  it('pass on what they throw, and nothing is stored', async () => {
    const { queue, backend } = fakeJobQueue({
      middlewares: [around(() => Promise.reject(new Error('not today')))],
    });
    expect((await rejectionOf(queue.enqueue(1))).message).toBe('not today');
    expect(backend.batches).toEqual([]);
  });

  it('see why it was refused', async () => {
    const seen: unknown[] = [];
    const { queue, backend } = fakeJobQueue({
      schema: z.string(),
      middlewares: [
        around(async (_draft, next) => {
          try {
            return await next();
          } catch (error) {
            seen.push((error as { code?: string }).code);
            throw error;
          }
        }),
      ],
    });
    await rejectionOf(queue.enqueue(1));
    backend.hold = () => Promise.reject(new Error('gone'));
    await rejectionOf(queue.enqueue('a'));
    expect(seen).toEqual(['JOB_PAYLOAD_INVALID', 'JOB_ENQUEUE_FAILED']);
  });

  it('are held to the rules for what they change', async () => {
    const { queue } = fakeJobQueue({
      middlewares: [
        around((draft, next) => {
          draft.priority = 1_000;
          return next();
        }),
      ],
    });
    expect(await rejectionOf(queue.enqueue(1))).toMatchObject({ code: 'INVALID_OPTION', option: 'priority' });
  });

  it('that call next() twice store it once', async () => {
    const { queue, backend } = fakeJobQueue({
      middlewares: [
        around(async (_draft, next) => {
          await next();
          return next();
        }),
      ],
    });
    expect(await rejectionOf(queue.enqueue(1))).toMatchObject({ code: 'NEXT_CALLED_TWICE' });
    expect(backend.batches).toHaveLength(1);
  });

  it('that forget to return are named', async () => {
    class Forgetful implements JobMiddleware {
      async enqueue(_draft: JobDraft, next: Next): Promise<EnqueuedJob> {
        await next();
        return undefined as never;
      }
    }
    const { queue } = fakeJobQueue({ middlewares: [new Forgetful()] });
    expect((await rejectionOf(queue.enqueue(1))).message).toContain(
      'Forgetful.enqueue() answered no { id, status }',
    );
  });

  it('are not asked where there is none for enqueueing', async () => {
    const { queue, backend } = fakeJobQueue({
      middlewares: [{ use: (_ctx, next) => next() }, (_ctx, next) => next()],
    });
    await queue.enqueueMany([1, 2, 3]);
    expect(backend.batches.map((batch) => batch.length)).toEqual([3]);
  });

  it('are around each job of enqueueMany(), which still go together', async () => {
    const seen: unknown[] = [];
    const { queue, backend } = fakeJobQueue<number>({
      middlewares: [
        around((draft, next) => {
          seen.push(draft.payload);
          return next();
        }),
      ],
    });
    const payloads = Array.from({ length: 1_100 }, (_, index) => index);
    const answers = await queue.enqueueMany(payloads, (_payload, index) => ({ id: `n-${index}` }));
    expect(seen).toEqual(payloads);
    expect(answers.map(({ id }) => id)).toEqual(payloads.map((index) => `n-${index}`));
    expect(backend.batches.map((batch) => batch.length)).toEqual([500, 500, 100]);
  });

  it('leave the errors of enqueueMany() as they are', async () => {
    const { queue, backend } = fakeJobQueue<number>({
      schema: z.number().max(10),
      middlewares: [around((_draft, next) => next())],
    });
    expect(await rejectionOf(queue.enqueueMany([1, 11, 2]))).toMatchObject({ code: 'JOB_PAYLOAD_INVALID' });
    expect(await queue.counts()).toMatchObject({ ready: 2 });
    backend.hold = (method) => (method === 'enqueue' ? Promise.reject(new Error('gone')) : undefined);
    const error = (await rejectionOf(queue.enqueueMany([1, 2], (n) => ({ id: `n-${n}` })))) as EnqueueError;
    expect(error).toMatchObject({ code: 'JOB_ENQUEUE_FAILED', ids: ['n-1', 'n-2'] });
    expect(error.message).toContain('0 jobs of the same enqueueMany()');
  });

  it('listed as classes must be made by Nest first', async () => {
    class Audit implements JobMiddleware {
      enqueue(_draft: JobDraft, next: Next): Promise<EnqueuedJob> {
        return next();
      }
    }
    const { queue } = fakeJobQueue({ middlewares: [Audit] });
    // The pool of the test makes what needs no dependencies; until `begin()`, nobody knew.
    expect(await queue.enqueue(1)).toMatchObject({ status: 'enqueued' });
  });
});
