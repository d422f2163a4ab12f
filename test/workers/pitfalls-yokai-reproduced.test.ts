import { WorkerPool, type WorkerStatus } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { fakePool } from '../support/fake-pool.js';
import { failing, ManualWorker } from '../support/manual-worker.js';
import { silentLogger } from '../support/recording-logger.js';

describe('the defects of yokai that were reproduced (pitfalls 1.5)', () => {
  it.each([
    ['0.5s', 500],
    ['0.9s', 900],
    ['1.5s', 1_500],
    ['0.1s', 100],
  ] as const)('a deferral of %s is %i ms, not a whole second more or less', async (deferredStart, ms) => {
    const { pool, clock } = fakePool({ deferredStart });
    const worker = new ManualWorker();
    pool.register(worker);
    pool.start();
    await clock.advance(ms - 1);
    expect(worker.running).toBe(0);
    await clock.advance(1);
    expect(worker.running).toBe(1);
    await pool.stop();
  });

  it('a worker that rejects on cancellation does not burn its attempts during the stop', async () => {
    const { pool, clock, events } = fakePool({ maxAttempts: 5, backoff: 'none' });
    const worker = new ManualWorker();
    pool.register(worker, { name: 'relay' });
    pool.start();
    await clock.settle();
    await pool.stop();
    await clock.advance('1m');
    expect(worker.attempts).toHaveLength(1);
    expect(events.types('relay')).toEqual(['registered', 'started', 'stopping', 'cancelled']);
  });

  it('a stop returns only when the worker that panics is gone, in 50 of 50', async () => {
    for (let round = 0; round < 50; round++) {
      const pool = new WorkerPool({ logger: silentLogger, maxAttempts: Infinity, backoff: 'none' });
      const worker = failing();
      pool.register(worker, { name: 'relay' });
      pool.start();
      for (let turn = 0; turn < round % 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      await pool.stop();
      const { runs } = worker;
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      expect(worker.runs).toBe(runs);
    }
  });

  it('looking at executions while they change is safe, and what was seen stays', async () => {
    const { pool, clock } = fakePool({ maxAttempts: Infinity, backoff: { initial: '1s', factor: 1 } });
    for (let index = 0; index < 10; index++) pool.register(failing(), { name: `w${index}` });
    const seen: (readonly { readonly name: string }[])[] = [];
    pool.events$.subscribe((event) => {
      seen.push(pool.executions());
      if (event.type === 'started' && seen.length < 100)
        pool.register(failing(), { name: `late-${seen.length}` });
    });
    pool.start();
    await clock.advance('3s');
    await pool.stop();
    const lengths = seen.map((executions) => executions.length);
    expect(lengths).toEqual(lengths.toSorted((a, b) => a - b));
    expect(lengths[0]).toBe(10);
    expect(lengths.at(-1)).toBeGreaterThan(20);
  });

  it('a stop before the start is fine, and does not keep the pool from starting', async () => {
    const { pool, clock } = fakePool();
    const worker = new ManualWorker();
    pool.register(worker, { name: 'relay' });
    expect(await pool.stop()).toEqual({ orphans: [], durationMs: 0 });
    expect(await pool.stop('relay')).toEqual({ orphans: [], durationMs: 0 });
    pool.start();
    await clock.settle();
    expect(worker.running).toBe(1);
    await pool.stop();
  });

  it('a second start does not lose hold of the first: stop ends all there is', async () => {
    const { pool, clock } = fakePool({ maxAttempts: 1 });
    const worker = new ManualWorker();
    pool.register(worker, { name: 'relay' });
    pool.start();
    await clock.settle();
    pool.start();
    await clock.settle();
    expect(pool.execution('relay')).toMatchObject({ attempt: 1, maxAttempts: 1 });
    await pool.stop();
    expect(worker.running).toBe(0);
    expect(worker.attempts).toHaveLength(1);
  });

  it('two workers of one name are an error, also where they are of one class', () => {
    const { pool } = fakePool();
    pool.register(new ManualWorker());
    expect(() => pool.register(new ManualWorker())).toThrow(/Two of kind worker are named "ManualWorker"/);
    pool.register(new ManualWorker(), { name: 'second' });
    expect(pool.registrations().map(({ name }) => name)).toEqual(['ManualWorker', 'second']);
  });

  it.each([
    [42, 'NonError', '42'],
    ['text', 'NonError', 'text'],
    [{ status: 503 }, 'NonError', '{ status: 503 }'],
    [undefined, 'NonError', 'undefined'],
    [new RangeError('too far'), 'RangeError', 'too far'],
  ])('a thrown %o is printed as it is, and an error keeps its stack', async (thrown, name, message) => {
    const { pool, clock, logger } = fakePool();
    pool.register({ run: () => Promise.reject(thrown) }, { name: 'relay' });
    pool.start();
    await clock.settle();
    expect(pool.execution('relay').lastError).toMatchObject({ name, message });
    const line = logger.lines.find(({ fields }) => 'err' in fields);
    expect(line).toMatchObject({ level: 'error', message: `Worker "relay" failed after 0 ms: ${message}` });
    const { stack = 'none' } = (line?.fields.err ?? {}) as { stack?: string };
    expect(stack).toContain(thrown instanceof Error ? 'pitfalls-yokai-reproduced.test.ts' : 'none');
  });

  it('a thousand attempts take their time: restarts back off', async () => {
    const { pool, clock } = fakePool({ maxAttempts: 1_000 });
    const worker = failing();
    pool.register(worker, { name: 'relay' });
    pool.start();
    await clock.advance('1m');
    expect(worker.runs).toBeGreaterThan(4);
    expect(worker.runs).toBeLessThan(12);
    // 60 s at the most and half of it at the least, once it has come to that.
    const before = worker.runs;
    await clock.advance('1h');
    expect(worker.runs - before).toBeGreaterThanOrEqual(59);
    expect(worker.runs - before).toBeLessThanOrEqual(121);
    await pool.stop();
  });

  it.each([0, -1, 0.5])('a maxAttempts of %d is refused instead of running once', (maxAttempts) => {
    const { pool } = fakePool();
    expect(() => pool.register(new ManualWorker(), { maxAttempts })).toThrow(
      /"maxAttempts".*whole number of 1 or more/,
    );
  });

  it('a worker between restarts is in backoff, not in error', async () => {
    const { pool, clock } = fakePool({ maxAttempts: Infinity });
    pool.register(failing(), { name: 'relay' });
    pool.start();
    const statuses: WorkerStatus[] = [];
    for (let step = 0; step < 100; step++) {
      await clock.advance('1s');
      statuses.push(pool.execution('relay').status);
    }
    expect(new Set(statuses)).toEqual(new Set(['backoff']));
    await pool.stop();
  });

  it('a success after errors leaves the last error to be seen', async () => {
    const { pool, clock } = fakePool({ maxAttempts: 2, backoff: 'none' });
    const worker = new ManualWorker();
    pool.register(worker, { name: 'relay' });
    pool.start();
    await clock.settle();
    worker.attempt.fail(new Error('first'));
    await clock.advance(0);
    worker.attempt.succeed();
    await clock.settle();
    expect(pool.execution('relay')).toMatchObject({ status: 'success', lastError: { message: 'first' } });
  });

  it('a middleware may be a plain function', async () => {
    const { pool, clock } = fakePool();
    const names: string[] = [];
    pool.register(failing(), {
      name: 'relay',
      middlewares: [
        async (ctx, next) => {
          names.push(ctx.name);
          return next();
        },
      ],
    });
    pool.start();
    await clock.settle();
    expect(names).toEqual(['relay']);
  });

  it('one worker can be stopped by its name', async () => {
    const { pool, clock } = fakePool();
    const [one, other] = [new ManualWorker(), new ManualWorker()];
    pool.register(one, { name: 'one' });
    pool.register(other, { name: 'other' });
    pool.start();
    await clock.settle();
    await pool.stop('one');
    expect([one.running, other.running]).toEqual([0, 1]);
    await pool.stop();
  });

  it('two pools have a logger each', async () => {
    const [first, second] = [fakePool(), fakePool()];
    for (const { pool } of [first, second]) pool.register(failing(), { name: 'relay' });
    first.pool.start();
    await first.clock.settle();
    expect(first.logger.lines.length).toBeGreaterThan(0);
    expect(second.logger.lines).toEqual([]);
  });
});
