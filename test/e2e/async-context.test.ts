import { AsyncLocalStorage } from 'node:async_hooks';
import { currentContext, type RunnableWorker, type WorkerContext, WorkerModule } from 'nestjs-worker';
import { describe, expect, it } from 'vitest';
import { recordEvents } from 'nestjs-worker/testing';
import { bootContext, poolOf, settle } from '../support/nest.js';

/** What an app keeps of a request: nestjs-cls and its likes. */
const request = new AsyncLocalStorage<string>();

/** Notes whose async context it runs in, at each run and each abort. */
class Noting implements RunnableWorker {
  readonly seen: (string | undefined)[] = [];

  async run(ctx: WorkerContext): Promise<void> {
    this.seen.push(request.getStore());
    ctx.signal.addEventListener('abort', () => {
      this.seen.push(request.getStore());
      this.seen.push(currentContext()?.executionId === ctx.executionId ? 'own context' : 'another context');
    });
    await settle();
    this.seen.push(request.getStore());
    await ctx.sleep('1 day');
  }
}

const begun = [undefined, undefined];
const aborted = [undefined, 'own context'];

type Pool = ReturnType<typeof poolOf>;

describe('A worker does not run in the async context of a request', () => {
  it.each<[string, (pool: Pool, worker: Noting) => unknown, unknown[]]>([
    ['registers it', (pool, worker) => void pool.register(worker, { name: 'noting' }), begun],
    [
      'starts it',
      async (pool, worker) => {
        request.exit(() => pool.register(worker, { name: 'noting' }));
        await pool.stop('noting');
        worker.seen.length = 0;
        pool.start('noting');
      },
      begun,
    ],
    [
      'starts the pool',
      async (pool, worker) => {
        await pool.stop();
        request.exit(() => pool.register(worker, { name: 'noting' }));
        pool.start();
      },
      begun,
    ],
    [
      'restarts it',
      async (pool, worker) => {
        request.exit(() => pool.register(worker, { name: 'noting' }));
        await settle();
        await settle();
        await pool.restart('noting');
      },
      [...begun, ...aborted, ...begun],
    ],
    [
      'stops it',
      async (pool, worker) => {
        request.exit(() => pool.register(worker, { name: 'noting' }));
        await settle();
        await settle();
        await pool.stop('noting');
      },
      [...begun, ...aborted],
    ],
  ])('that %s', async (_what, act, seen) => {
    const app = await bootContext({ imports: [WorkerModule] });
    const worker = new Noting();
    await request.run('request 1', async () => act(poolOf(app), worker));
    await settle();
    await settle();
    expect(worker.seen).toEqual(seen);
  });
});

it('An async context that an attempt enters for good does not reach the next one', async () => {
  const seen: (string | undefined)[] = [];
  const app = await bootContext({ imports: [WorkerModule.forRoot({ maxAttempts: 3, backoff: 'none' })] });
  const pool = poolOf(app);
  pool.register(
    {
      run: async () => {
        seen.push(request.getStore());
        request.enterWith('left behind');
        throw new Error('again');
      },
    },
    { name: 'entering' },
  );
  await recordEvents(pool).waitFor('exhausted');
  await app.close();
  expect(seen).toEqual([undefined, undefined, undefined]);
});
