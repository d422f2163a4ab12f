import { beforeAll, describe, expect, it } from 'vitest';
import { requireFreshBuild } from '../support/dist.js';
import { Program } from '../support/program.js';
import { repository } from '../support/repository.js';

const prologue = `
  import { WorkerPool } from '${repository}dist/esm/index.js';
  const noop = () => {};
  const logger = { debug: noop, log: noop, warn: noop, error: noop, child: () => logger };
  const turn = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms));
  process.exit = () => console.log('process.exit was called');
  // Made by now, so that what is left at the end can be held against it.
  await turn(1);
  console.log('begin');
  await turn(1);
  const before = process.getActiveResourcesInfo().filter((type) => type !== 'Timeout').toSorted();
  const left = () => {
    const rest = [...before];
    return process.getActiveResourcesInfo().filter((type) => {
      const index = rest.indexOf(type);
      if (index >= 0) rest.splice(index, 1);
      return index < 0;
    });
  };
  const boom = () => { throw new Error('boom'); };
  const later = async () => { await turn(1); boom(); };
`;

const run = (script: string): Program =>
  new Program(process.execPath, ['--input-type=module', '--eval', prologue + script]);

/** Milliseconds from a line of the program to its end. */
async function msFromLineToEnd(program: Program, line: string): Promise<number> {
  let at: number | undefined;
  const watching = setInterval(
    () => (at ??= program.stdout.includes(line) ? performance.now() : undefined),
    2,
  );
  expect([await program.ended, program.stderr]).toEqual([0, []]);
  clearInterval(watching);
  expect(program.stdout).toContain(line);
  return performance.now() - (at ?? performance.now());
}

beforeAll(requireFreshBuild);

describe(
  'the failure modes of this field (pitfalls 7), in a process of their own',
  { timeout: 20_000 },
  () => {
    it('F10: nothing of a pool holds the process open once it has stopped', async () => {
      const program = run(`
      const pool = new WorkerPool({ logger, maxAttempts: Infinity, shutdownTimeout: '10m' });
      const workers = {
        sleeping: { run: (ctx) => ctx.sleep('1h') },
        listening: { run: (ctx) => new Promise((resolve) => ctx.signal.addEventListener('abort', resolve)) },
        racing: { run: async (ctx) => { for (;;) await Promise.race([ctx.sleep('1h'), ctx.sleep(1)]); } },
        failing: { run: later },
        done: { run: async () => {} },
      };
      for (const [name, worker] of Object.entries(workers)) {
        pool.register(worker, { name, timeout: '20m', stallTimeout: '10m', backoff: { initial: '10m', max: '40 days' } });
      }
      pool.register(workers.sleeping, { name: 'deferred', deferredStart: '40 days' });
      pool.start();
      await turn(50);
      console.log(JSON.stringify(pool.executions().map(({ status }) => status)));
      const { orphans } = await pool.stop();
      console.log(JSON.stringify({ orphans, left: left() }));
      console.log('stopped');
    `);
      expect(await msFromLineToEnd(program, 'stopped')).toBeLessThan(1_000);
      expect(program.stdout).toEqual([
        'begin',
        '["running","running","running","backoff","success","deferred"]',
        '{"orphans":[],"left":[]}',
        'stopped',
      ]);
    });

    it('F10: nor does a worker that never ends, once the pool has given up on it', async () => {
      const program = run(`
      const pool = new WorkerPool({ logger });
      pool.register({ run: () => new Promise(() => {}) }, { name: 'timed out', timeout: 20, abortGrace: '1h' });
      pool.register({ run: () => new Promise(() => {}) }, { name: 'never', timeout: '2h', stallTimeout: '1h' });
      pool.register({ run: (ctx) => ctx.sleep('1h') }, { name: 'good' });
      pool.start();
      await turn(50);
      const { orphans } = await pool.stop(undefined, { timeout: 100 });
      console.log(JSON.stringify(orphans));
      console.log('stopped');
    `);
      expect(await msFromLineToEnd(program, 'stopped')).toBeLessThan(1_000);
      expect(program.stdout[1]).toBe(
        '[{"kind":"worker","name":"timed out"},{"kind":"worker","name":"never"}]',
      );
    });

    it('F33: what hooks throw, at once or later, ends neither the process nor the work', async () => {
      const program = run(`
      const bad = { debug: later, log: boom, warn: later, error: boom, child: () => bad };
      const pool = new WorkerPool({
        logger: bad, idGenerator: boom, backoff: boom, maxAttempts: 2,
        middlewares: [async (ctx, next) => { if (ctx.attempt === 1 && ctx.name === 'relay') boom(); return next(); }],
      });
      pool.events$.subscribe(boom);
      pool.events$.subscribe(later);
      pool.events$.subscribe({ next: later, error: boom });
      pool.attachApp({ close: later });
      let runs = 0;
      pool.register({ run: (ctx) => { runs++; return ctx.sleep('1h'); } }, { name: 'relay' });
      pool.register({ run: later }, { name: 'exhausted', maxAttempts: 1, onExhausted: 'shutdown' });
      pool.start();
      while (runs === 0) await turn(10);
      console.log(pool.execution('relay').status, pool.execution('relay').attempt);
      await pool.stop();
      await turn(10);
      console.log(pool.execution('relay').status, pool.snapshot().isolatedErrors > 20);
      process.removeAllListeners('exit');
      process.exitCode = 0;
    `);
      expect([await program.ended, program.stderr]).toEqual([0, []]);
      expect(program.stdout).toEqual(['begin', 'running 2', 'cancelled true']);
    });
  },
);
