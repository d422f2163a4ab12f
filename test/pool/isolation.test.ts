import { AsyncLocalStorage } from 'node:async_hooks';
import { currentContext, WorkerPool, type WorkLogger } from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import { fakePool } from '../support/fake-pool.js';
import { ManualWorker } from '../support/manual-worker.js';
import { noLogger } from '../../lib/execution/index.js';

const boom = new Error('boom');
const throwing = (): never => {
  throw boom;
};
const rejecting = async (): Promise<never> => {
  await Promise.resolve();
  throw boom;
};
/** As a caller passes it who does not care what is returned. */
const rejectingLater = rejecting as () => void;

describe('user code beside the work', () => {
  it('is counted each time it fails, and logged once of each kind', async () => {
    const { pool, clock, logger } = fakePool();
    pool.events$.subscribe(throwing);
    const worker = new ManualWorker();
    pool.register(worker);
    pool.start();
    await clock.settle();
    expect(worker.running).toBe(1);
    expect(pool.snapshot().isolatedErrors).toBe(2);
    expect(
      logger.lines.filter(({ message }) => message.includes('further failures are counted')),
    ).toMatchObject([
      {
        level: 'error',
        message: /^a subscriber of events\$ failed; the work goes on/,
        fields: { err: boom },
      },
    ]);
    await pool.stop();
    expect(pool.snapshot().isolatedErrors).toBe(4);
  });

  it('may be a listener that throws at once or later: the others are told all the same', async () => {
    const { pool, clock, events } = fakePool();
    pool.pool.events.on(throwing);
    pool.pool.events.on(rejecting);
    pool.register(new ManualWorker());
    pool.start();
    await clock.settle();
    expect(events.types()).toEqual(['registered', 'started']);
    expect(pool.snapshot().isolatedErrors).toBe(4);
    await pool.stop();
  });

  it.each([
    ['throws', throwing],
    ['rejects', rejectingLater],
  ])('may be a logger that %s: nothing else goes wrong', async (_how, write) => {
    const clock = new FakeClock();
    const logger: WorkLogger = { debug: write, log: write, warn: write, error: write, child: () => logger };
    const pool = new WorkerPool({ clock, logger, maxAttempts: 2, backoff: 'none' });
    const worker = new ManualWorker();
    pool.register(worker);
    pool.start();
    await clock.settle();
    worker.attempt.fail();
    await clock.advance(1);
    expect(worker.attempts).toHaveLength(2);
    await pool.stop();
    expect(pool.execution('ManualWorker').status).toBe('cancelled');
    expect(pool.snapshot().isolatedErrors).toBeGreaterThan(3);
  });

  it('may be an idGenerator that throws: ids come from elsewhere', async () => {
    const { pool, clock, logger } = fakePool({ idGenerator: throwing });
    const worker = new ManualWorker();
    pool.register(worker);
    pool.start();
    await clock.settle();
    expect(worker.attempt.ctx.executionId).toMatch(/^[\da-f-]{36}$/);
    expect(pool.snapshot().isolatedErrors).toBeGreaterThan(0);
    expect(logger.messages('error')).toEqual([expect.stringMatching(/^the idGenerator failed/)]);
    await pool.stop();
  });

  it.each([undefined, '', 7, Promise.resolve('id')])('may be an idGenerator that answers %o', (answer) => {
    const { pool, logger } = fakePool({ idGenerator: () => answer as string });
    pool.register({ run: async () => {} }, { name: 'relay' });
    expect(pool.execution('relay').id).toMatch(/^[0-9a-f-]{36}$/);
    expect(logger.messages('error')).toEqual([expect.stringMatching(/^the idGenerator failed/)]);
  });

  it('may be a backoff function that throws', async () => {
    const { pool, clock, logger } = fakePool({ maxAttempts: 2, backoff: throwing });
    const worker = new ManualWorker();
    pool.register(worker, { name: 'relay' });
    pool.start();
    await clock.settle();
    worker.attempt.fail();
    await clock.advance('1s');
    expect(worker.attempts).toHaveLength(2);
    expect(logger.messages('error')).toContainEqual(
      expect.stringMatching(/^the backoff function of "relay" failed/),
    );
    await pool.stop();
  });
});

describe('the async context of work', () => {
  const storage = new AsyncLocalStorage<string>();

  it('is not that of the one who starts it', async () => {
    const { pool, clock } = fakePool({ maxAttempts: Infinity, backoff: { initial: '1s' } });
    const seen: (string | undefined)[] = [];
    const worker = new ManualWorker();
    pool.register(
      {
        run: (ctx) => {
          seen.push(storage.getStore());
          // For good, as some tracers do: the next attempt must not have it.
          storage.enterWith('attempt');
          return worker.run(ctx);
        },
      },
      { name: 'relay' },
    );
    storage.run('request 1', () => pool.start());
    await clock.settle();
    worker.attempt.fail();
    await storage.run('request 2', () => clock.advance('1s'));
    await storage.run('request 3', () => pool.restart('relay'));
    await clock.settle();
    await storage.run('request 4', () => pool.stop());
    storage.run('request 5', () => pool.start());
    await clock.settle();
    expect(seen).toEqual([undefined, undefined, undefined, undefined]);
    await pool.stop();
  });

  it('is that in which the pool was made', async () => {
    const { pool, clock } = storage.run('boot', () => fakePool());
    let seen: string | undefined;
    pool.register({ run: async () => (seen = storage.getStore()) }, { name: 'relay' });
    storage.run('request', () => pool.start());
    await clock.settle();
    expect(seen).toBe('boot');
  });

  it('does not nest where one worker starts another', async () => {
    const { pool, clock } = fakePool();
    const seen: (string | undefined)[] = [];
    const note = async (): Promise<void> => void seen.push(currentContext()?.name);
    pool.register(
      {
        run: async () => {
          await note();
          pool.start('second');
        },
      },
      { name: 'first' },
    );
    pool.register({ run: note }, { name: 'second' });
    pool.start('first');
    await clock.settle();
    expect(seen).toEqual(['first', 'second']);
  });

  it('of one worker is not put on the lines of another that it stops', async () => {
    const contexts: (string | undefined)[] = [];
    const write = (message: string): void => {
      if (message.includes('"victim"')) contexts.push(currentContext()?.name);
    };
    const logger: WorkLogger = { ...noLogger, log: write, child: () => logger };
    delete logger.isEnabled;
    const clock = new FakeClock();
    const pool = new WorkerPool({ clock, logger });
    pool.register(new ManualWorker(), { name: 'victim' });
    pool.register({ run: () => pool.stop('victim') }, { name: 'killer' });
    pool.start();
    await clock.settle();
    expect(contexts).toEqual([undefined, undefined, undefined]);
  });
});
