import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { currentContext, type Middleware, type MiddlewareFunction, type WorkContext } from 'nestjs-worker';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { composeMiddlewares, type Handler, type Outcome } from '../../lib/execution/index.js';
import { TestAttempt } from '../support/attempt.js';

type Listed = readonly (Middleware | MiddlewareFunction)[];

function run(middlewares: Listed, handler: Handler, attempt = new TestAttempt()): Promise<Outcome> {
  return attempt.execute(composeMiddlewares(middlewares, handler));
}

const named =
  (name: string, steps: string[]): MiddlewareFunction =>
  async (_ctx, next) => {
    steps.push(`${name} in`);
    const result = await next();
    steps.push(`${name} out`);
    return result;
  };

describe('middlewares', () => {
  it('are around the work, the first one outermost', async () => {
    const steps: string[] = [];
    const outcome = await run([named('a', steps), named('b', steps)], () => {
      steps.push('work');
      return 7;
    });
    expect(steps).toEqual(['a in', 'b in', 'work', 'b out', 'a out']);
    expect(outcome).toEqual({ kind: 'succeeded', value: 7 });
  });

  it('cost nothing where there are none', () => {
    const handler: Handler = () => 1;
    expect(composeMiddlewares([], handler)).toBe(handler);
  });

  it('may be objects, which keep their `this`', async () => {
    class Counting implements Middleware {
      count = 0;
      async use(_ctx: unknown, next: () => Promise<unknown>): Promise<unknown> {
        this.count++;
        return next();
      }
    }
    const counting = new Counting();
    await run([counting], () => 1);
    expect(counting.count).toBe(1);
  });

  it('are given the context of the attempt and run in it', async () => {
    const attempt = new TestAttempt();
    const seen: unknown[] = [];
    await run(
      [
        async (ctx, next) => {
          seen.push(ctx, currentContext());
          return next();
        },
      ],
      () => 1,
      attempt,
    );
    expect(seen).toEqual([attempt.context, attempt.context]);
  });

  it('fail the attempt by what they throw, before or after the work', async () => {
    const work = vi.fn(() => 1);
    const error = new Error('middleware');
    const before = await run([() => Promise.reject(error)], work);
    expect(before).toEqual({ kind: 'failed', error });
    expect(work).not.toHaveBeenCalled();

    const synchronously = await run(
      [
        () => {
          throw error;
        },
      ],
      work,
    );
    expect(synchronously).toEqual({ kind: 'failed', error });

    const after = await run(
      [
        async (_ctx, next) => {
          await next();
          throw error;
        },
      ],
      work,
    );
    expect(after).toEqual({ kind: 'failed', error });
    expect(work).toHaveBeenCalledTimes(1);
  });

  it('let the attempt succeed by what they swallow', async () => {
    const swallowing: MiddlewareFunction = async (_ctx, next) => next().catch(() => 'swallowed');
    const outcome = await run([swallowing], () => Promise.reject(new Error('boom')));
    expect(outcome).toEqual({ kind: 'succeeded', value: 'swallowed' });
  });

  it('let the attempt succeed without any work by not calling next', async () => {
    const work = vi.fn();
    expect(await run([async () => 'skipped'], work)).toEqual({ kind: 'succeeded', value: 'skipped' });
    expect(work).not.toHaveBeenCalled();
  });

  it('hear of an error that the work throws at once by a rejection of next', async () => {
    const heard: unknown[] = [];
    const boom = new Error('boom');
    const outcome = await run(
      [
        async (_ctx, next) => {
          await next().catch((error: unknown) => heard.push(error));
        },
      ],
      () => {
        throw boom;
      },
    );
    expect(heard).toEqual([boom]);
    expect(outcome.kind).toBe('succeeded');
  });

  it('fail the attempt by calling next twice, and the work runs once', async () => {
    const work = vi.fn();
    async function retrying(_ctx: unknown, next: () => Promise<unknown>): Promise<unknown> {
      await next();
      return next();
    }
    const outcome = await run([retrying], work);
    expect(outcome).toMatchObject({
      kind: 'failed',
      error: { code: 'NEXT_CALLED_TWICE', message: expect.stringContaining('retrying') as string },
    });
    expect(work).toHaveBeenCalledTimes(1);
  });

  it('may call next once in each of many attempts', async () => {
    const handler = composeMiddlewares([async (_ctx, next) => next()], () => 'ok');
    for (let attempt = 0; attempt < 3; attempt++)
      expect((await new TestAttempt().execute(handler)).kind).toBe('succeeded');
  });

  it('stand under the timeout of the attempt: one that hangs is aborted and awaited', async () => {
    const attempt = new TestAttempt();
    const steps: string[] = [];
    const hanging: MiddlewareFunction = async (ctx, next) => {
      await next();
      steps.push('work done');
      await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()));
      steps.push('aborted');
      await nextTurn();
      steps.push('left');
    };
    const outcome = attempt.execute(
      composeMiddlewares([hanging], () => 1),
      5_000,
    );
    await attempt.clock.advance(4_999);
    expect(steps).toEqual(['work done']);
    await attempt.clock.advance(1);
    expect((await outcome).kind).toBe('timed-out');
    expect(steps).toEqual(['work done', 'aborted', 'left']);
  });

  it('with a timeout of their own fail the attempt, abort the work and wait for its end', async () => {
    const attempt = new TestAttempt();
    const limited: MiddlewareFunction = async (ctx, next) => {
      const result = await Promise.race([next(), ctx.sleep('1s').then(() => 'late')]);
      if (result === 'late') throw new Error('took too long');
      return result;
    };
    let aborted = false;
    let cleanUp = (): void => {};
    const cleaned = new Promise<void>((resolve) => (cleanUp = resolve));
    let ended = false;
    const outcome = run(
      [limited],
      async (ctx) => {
        await once(ctx.signal, 'abort');
        aborted = true;
        await cleaned;
      },
      attempt,
    ).finally(() => (ended = true));
    await attempt.clock.advance('1s');
    expect({ aborted, ended }).toEqual({ aborted: true, ended: false });
    cleanUp();
    expect(await outcome).toMatchObject({ kind: 'timed-out', error: { message: 'took too long' } });
    expect(attempt.abortedFor).toEqual(['timeout']);
    expect(attempt.clock.pending).toBe(0);
  });

  it('that do not wait for the work leave nothing behind: the attempt lasts until it has ended', async () => {
    const attempt = new TestAttempt();
    const notAwaiting: MiddlewareFunction = async (_ctx, next) => {
      void next();
      return 'gone';
    };
    let ended = false;
    const outcome = run([notAwaiting], (ctx) => ctx.sleep('1m'), attempt).finally(() => (ended = true));
    await attempt.clock.advance('59s');
    expect(ended).toBe(false);
    await attempt.clock.advance('1s');
    expect(await outcome).toMatchObject({ value: 'gone' });
    expect(attempt.clock.pending).toBe(0);
  });

  it('that do not wait for work which fails fail with it, and reject nothing unhandled', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    onTestFinished(() => void process.off('unhandledRejection', unhandled));
    const attempt = new TestAttempt();
    const notAwaiting: MiddlewareFunction = async (_ctx, next) => {
      void next();
      void next();
    };
    const failing = async (ctx: WorkContext): Promise<never> => {
      await ctx.sleep('1s');
      throw new Error('boom');
    };
    const outcome = run([notAwaiting], failing, attempt);
    await attempt.clock.advance('1s');
    expect(await outcome).toMatchObject({ kind: 'failed', error: { message: 'boom' } });
    expect(unhandled).not.toHaveBeenCalled();
  });

  it('that swallow an error make the attempt succeed', async () => {
    const attempt = new TestAttempt();
    const swallowing: MiddlewareFunction = (_ctx, next) => next().catch(() => 'fine');
    expect(await run([swallowing], () => Promise.reject(new Error('boom')), attempt)).toMatchObject({
      kind: 'succeeded',
      value: 'fine',
    });
  });
});
