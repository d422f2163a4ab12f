import { beforeAll, describe, expect, it } from 'vitest';
import { requireFreshBuild } from '../support/dist.js';
import { Program } from '../support/program.js';
import { repository } from '../support/repository.js';

const prologue = `
  import { TaskQueue } from '${repository}dist/esm/index.js';
  const noop = () => {};
  const logger = { debug: noop, log: noop, warn: noop, error: noop, child: () => logger };
  const until = async (queue, holds) => {
    while (!holds(queue.snapshot())) await new Promise((resolve) => setImmediate(resolve));
  };
  process.exit = () => console.log('process.exit was called');
  const boom = () => { throw new Error('boom'); };
  const later = async () => { await new Promise((resolve) => setImmediate(resolve)); boom(); };
`;

const run = (script: string): Program =>
  new Program(process.execPath, ['--input-type=module', '--eval', prologue + script]);

beforeAll(requireFreshBuild);

describe(
  'the failure modes of this field (pitfalls 7), for tasks, in a process of their own',
  { timeout: 20_000 },
  () => {
    it('F10: nothing of a queue holds the process open once it has shut down', async () => {
      const program = run(`
        const queue = new TaskQueue({
          logger, maxAttempts: 5, shutdownTimeout: '2h', abortMargin: '2h', abortGrace: '1h', concurrency: 20,
        });
        const signal = new AbortController().signal;
        queue.submit((ctx) => ctx.sleep('1h'), { timeout: '2h', signal });
        queue.submit((ctx) => new Promise((resolve) => ctx.signal.addEventListener('abort', resolve)));
        queue.submit((ctx) => Promise.race([ctx.sleep('1h'), ctx.sleep(1)]));
        queue.submit(later, { backoff: () => '40 days' });
        queue.submit(noop, { delay: '40 days' });
        queue.submit(noop, { notBefore: new Date(Date.now() + 4e9) });
        queue.submit((ctx) => ctx.sleep('1h'), { timeout: 5, backoff: () => '1h' });
        await until(queue, ({ attempts }) => attempts.succeeded + attempts.failed + attempts['timed-out'] === 3);
        const { orphans } = await queue.shutdown();
        console.log(JSON.stringify(orphans), JSON.stringify(queue.snapshot().completed));
      `);
      expect([await program.ended, program.stderr]).toEqual([0, []]);
      expect(program.stdout).toEqual([
        '[] {"succeeded":2,"failed":0,"timed-out":0,"cancelled":5,"dropped":0}',
      ]);
    });

    it('F10: nor does a task that never ends, once the queue has given up on it', async () => {
      const program = run(`
        const queue = new TaskQueue({ logger, concurrency: 20 });
        queue.submit(() => new Promise(noop), { timeout: 20, abortGrace: '1h' });
        queue.submit(() => new Promise(noop), { timeout: '2h' });
        queue.submit(() => new Promise(noop), { timeout: 20, overlap: true, maxAttempts: 3, backoff: () => '1h' });
        queue.submit(noop, { after: () => new Promise(noop) });
        await until(queue, ({ leftBehind, settling }) => leftBehind === 1 && settling === 1);
        const { orphans } = await queue.shutdown({ deadline: 100 });
        console.log(JSON.stringify(orphans));
      `);
      expect([await program.ended, program.stderr]).toEqual([0, []]);
      expect(program.stdout).toEqual(['[{"kind":"task-queue","name":"default"}]']);
    });

    it('F32: what a task leaves behind to throw later ends the process as it would without a queue', async () => {
      const program = run(`
        const queue = new TaskQueue({ logger });
        queue.submit(() => void setTimeout(boom, 5));
      `);
      expect(await program.ended).toBe(1);
      expect(program.stderr.join('\n')).toContain('boom');
    });

    it('F33: what user code throws, at once or later, ends neither the process nor the queue', async () => {
      const program = run(`
        const bad = { debug: later, log: boom, warn: later, error: boom, child: () => bad };
        const queue = new TaskQueue({
          logger: bad, idGenerator: boom, backoff: boom, maxAttempts: 2,
          middlewares: [async (ctx, next) => { if (ctx.task === 'refused') boom(); return next(); }],
        });
        const controller = new AbortController();
        for (const after of [boom, later]) {
          queue.submit(noop, { after });
          queue.submit(boom, { after, maxAttempts: 1 });
          queue.submit(later, { after });
          queue.submit(noop, { name: 'refused', after });
          queue.submit((ctx) => ctx.sleep('1h'), { after, timeout: 5, maxAttempts: 1 });
          queue.submit((ctx) => ctx.sleep('1h'), { after, signal: controller.signal });
          void queue.enqueue(boom, { after }).done;
        }
        await until(queue, ({ attempts }) => attempts['timed-out'] === 2);
        controller.abort();
        await queue.onIdle();
        console.log(JSON.stringify(queue.snapshot().completed));
        console.log(await queue.enqueue(() => 'next').done, JSON.stringify((await queue.shutdown()).orphans));
      `);
      expect([await program.ended, program.stderr]).toEqual([0, []]);
      expect(program.stdout).toEqual([
        '{"succeeded":2,"failed":8,"timed-out":2,"cancelled":2,"dropped":0}',
        'next []',
      ]);
    });
  },
);
