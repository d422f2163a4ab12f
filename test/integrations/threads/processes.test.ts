import { beforeAll, describe, expect, it, vi } from 'vitest';
import { requireFreshBuild } from '../../support/dist.js';
import { type FixtureProcess, startProgram } from '../../support/run-fixture.js';

// Each test starts a process, on a machine that may have much else to do.
vi.setConfig({ testTimeout: 30_000 });
beforeAll(requireFreshBuild);

const fixture = (file: string): string => new URL(`fixtures/${file}`, import.meta.url).pathname;

const run = (file: string, options: object = {}, ...flags: readonly string[]): FixtureProcess =>
  startProgram(fixture(file), options, flags);

describe('A Nest app', () => {
  it('ends soon after close(), though a thread is there for the next call', async () => {
    const app = run('app.mjs', { name: 'double', end: 'close' });
    await app.line('closed');
    expect(await app.exit()).toMatchObject({ code: 0, signal: null });
    expect((await app.exit()).afterMs).toBeLessThan(5_000);
    expect(app.lines).toContain('succeeded');
  });

  it.each([['close'], ['SIGTERM']] as const)(
    'that is to end (%s) ends a thread that never returns before its deadline, and then itself',
    async (how) => {
      const app = run('app.mjs', { name: 'spin', end: how });
      await app.line('ready');
      if (how === 'SIGTERM') app.kill('SIGTERM');
      else await app.line('closed');
      const { code, signal, afterMs } = await app.exit();
      expect({ code, signal }).toEqual(
        how === 'SIGTERM' ? { code: null, signal: 'SIGTERM' } : { code: 0, signal: null },
      );
      // At the deadline, after 2 s, it would be given up on, and named.
      expect(afterMs).toBeLessThan(10_000);
      expect(app.lines).toContain('cancelled');
      expect(app.output).not.toContain('orphaned');
    },
  );

  it('that is to end waits for a thread that its timeout ends', async () => {
    const app = run('app.mjs', { name: 'spin', timeout: '1s', pool: { shutdownTimeout: '25s' } });
    await app.line('ready');
    app.kill('SIGTERM');
    const { signal, afterMs } = await app.exit();
    expect(signal).toBe('SIGTERM');
    // The shutdown itself would end it after 20 s.
    expect(afterMs).toBeLessThan(10_000);
    expect(app.lines).toContain('timed-out');
  });
});

it('A script with both copies of the package uses the same threads, and ends when its last task has', async () => {
  const script = run('script.mjs');
  expect(await script.exit()).toMatchObject({ code: 0, signal: null });
  expect(script.lines).toEqual(['two copies: true, threads: 1', 'timeout']);
});

it('A thread that cannot begin fails the attempts that wait for it, instead of having them wait for ever', async () => {
  const script = run('stranded.mjs', {}, '--require', fixture('no-threads.cjs'));
  expect(await script.exit()).toMatchObject({ code: 0, signal: null });
  expect(script.lines).toEqual(['no threads here', 'no threads here', 'no threads here']);
});
