import { firstValueFrom, map, merge, NEVER, share, take, tap } from 'rxjs';
import { filter, mergeMap, toArray } from 'rxjs/operators';
import type { WorkEvent, WorkerPool } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { type FakePool, fakePool } from '../support/fake-pool.js';
import { ManualWorker } from '../support/manual-worker.js';

const boom = new Error('subscriber');
const throwing = (): never => {
  throw boom;
};

/** Async, as it is often passed where nobody looks at what is returned. */
const throwingLater = (async () => throwing()) as () => void;

/** Starts and stops a worker; fails where the process heard of an uncaught error meanwhile. */
async function liveWith(subscribe: (pool: WorkerPool) => unknown): Promise<FakePool> {
  const made = fakePool();
  const uncaught: unknown[] = [];
  const hear = (error: unknown): void => void uncaught.push(error);
  process.on('uncaughtException', hear);
  process.on('unhandledRejection', hear);
  try {
    subscribe(made.pool);
    made.pool.register(new ManualWorker(), { name: 'relay' });
    made.pool.start();
    await made.clock.settle();
    await made.pool.stop();
    // RxJS throws what nobody handles from a timer.
    await new Promise((resolve) => setTimeout(resolve, 1));
    await made.clock.settle();
  } finally {
    process.off('uncaughtException', hear);
    process.off('unhandledRejection', hear);
  }
  expect(uncaught).toEqual([]);
  expect(made.events.types()).toEqual(['registered', 'started', 'stopping', 'cancelled']);
  return made;
}

describe('events$', () => {
  it.each<[string, (pool: WorkerPool) => unknown, failures: number]>([
    ['a function', (pool) => pool.events$.subscribe(throwing), 4],
    ['an observer', (pool) => pool.events$.subscribe({ next: throwing }), 4],
    ['an async function', (pool) => pool.events$.subscribe(throwingLater), 4],
    ['an async observer', (pool) => pool.events$.subscribe({ next: throwingLater }), 4],
    [
      'a function behind operators',
      (pool) =>
        pool.events$
          .pipe(
            map((e) => e),
            filter(Boolean),
          )
          .subscribe(throwing),
      4,
    ],
    [
      'an async function behind operators',
      (pool) => pool.events$.pipe(map((e) => e)).subscribe(throwingLater),
      4,
    ],
    ['a function behind share()', (pool) => pool.events$.pipe(share()).subscribe(throwing), 4],
    ['an operator', (pool) => pool.events$.pipe(map(throwing)).subscribe(), 1],
    [
      'an operator within an operator',
      (pool) =>
        pool.events$
          .pipe(
            tap(throwing),
            map((e) => e),
          )
          .subscribe(),
      1,
    ],
    ['an inner observable', (pool) => pool.events$.pipe(mergeMap(async () => throwing())).subscribe(), 1],
    ['the error handler', (pool) => pool.events$.pipe(map(throwing)).subscribe({ error: throwing }), 1],
    ['the completion handler', (pool) => pool.events$.pipe(take(1)).subscribe({ complete: throwing }), 1],
  ])('is isolated from what is thrown by %s', async (_what, subscribe, failures) => {
    const { pool } = await liveWith(subscribe);
    expect(pool.snapshot().isolatedErrors).toBe(failures);
  });

  it('gives an error of an operator to the handler that the subscriber has', async () => {
    const heard: unknown[] = [];
    const { pool } = await liveWith((made) =>
      made.events$.pipe(map(throwing)).subscribe({ error: (error: unknown) => heard.push(error) }),
    );
    expect(heard).toEqual([boom]);
    expect(pool.snapshot().isolatedErrors).toBe(0);
  });

  it('tells nothing more once it is unsubscribed', async () => {
    const told: WorkEvent[] = [];
    await liveWith((pool) => {
      const subscription = pool.events$.subscribe((event) => {
        told.push(event);
        subscription.unsubscribe();
      });
    });
    expect(told).toHaveLength(1);
  });

  it('works with what RxJS offers', async () => {
    const { pool, clock } = fakePool();
    const first = firstValueFrom(pool.events$);
    const merged = firstValueFrom(merge(pool.events$, NEVER).pipe(take(2), toArray()));
    pool.register(new ManualWorker(), { name: 'relay' });
    pool.start();
    await clock.settle();
    expect(await first).toMatchObject({ type: 'registered', name: 'relay', kind: 'worker' });
    expect((await merged).map(({ type }) => type)).toEqual(['registered', 'started']);
    await pool.stop();
  });

  it('tells frozen events, each with its time and execution, and marks too', async () => {
    const { pool, clock, events } = fakePool();
    const worker = new ManualWorker();
    pool.register(worker, { name: 'relay' });
    pool.start();
    await clock.advance(250);
    worker.attempt.ctx.mark('fetch');
    expect(events.of('marked')).toEqual([
      {
        type: 'marked',
        kind: 'worker',
        name: 'relay',
        executionId: worker.attempt.ctx.executionId,
        time: clock.now(),
        scope: 'relay',
        action: 'fetch',
        durationMs: 250,
        outcome: 'success',
      },
    ]);
    await pool.stop();
    expect(events.events.every((event) => Object.isFrozen(event))).toBe(true);
    expect(events.types()).toEqual(['registered', 'started', 'marked', 'stopping', 'marked', 'cancelled']);
  });
});
