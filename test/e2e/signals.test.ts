import { describe, expect, it, vi } from 'vitest';
import { runFixture } from '../support/run-fixture.js';
import type { AppOptions } from './fixtures/app-options.js';

// Each test starts a process, on a machine that may have much else to do.
vi.setConfig({ testTimeout: 30_000 });

const run = (options: AppOptions) => runFixture('app', options);
const kinds = ['context', 'express', 'fastify'] as const;

/** What the app has printed about its life, in the order in which it did. */
const life = ['relay started', 'relay aborted', 'relay ended', 'db closed', 'app shut down'];
const told = (lines: readonly string[]) => lines.filter((line) => life.includes(line));

describe.each(kinds)('A signal to a process with a %s', (kind) => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'that is a %s lets workers end before anything closes, and ends the process by it',
    async (name) => {
      const app = run({ kind, workers: ['relay'], hooks: 'plain' });
      await app.line('relay started');
      await app.line('ready');
      app.kill(name);
      expect(await app.exit()).toMatchObject({ code: null, signal: name });
      expect(told(app.lines)).toEqual(life);
    },
  );

  it('ends it with status 0 where Nest is told to use process.exit', async () => {
    const app = run({ kind, workers: ['relay'], hooks: 'process-exit' });
    await app.line('relay started');
    await app.line('ready');
    app.kill('SIGTERM');
    expect(await app.exit()).toMatchObject({ code: 0, signal: null });
    expect(told(app.lines)).toEqual(life);
  });

  it('ends it soon after shutdownTimeout where a worker does not end, and names that one', async () => {
    const app = run({ kind, workers: ['deaf', 'relay'], hooks: 'plain', shutdownTimeout: '300ms' });
    await app.line('deaf started');
    await app.line('relay started');
    await app.line('ready');
    app.kill('SIGTERM');
    const { code, signal, afterMs } = await app.exit();
    expect({ code, signal }).toEqual({ code: null, signal: 'SIGTERM' });
    expect(afterMs).toBeGreaterThan(290);
    expect(afterMs).toBeLessThan(2_500);
    expect(app.output).toContain('Worker "deaf" is orphaned');
    expect(app.output).not.toContain('Worker "relay" is orphaned');
    expect(told(app.lines)).toEqual(life);
  });

  it('is waited for by nobody whose worker is deferred or in backoff', async () => {
    const app = run({ kind, workers: ['deferred', 'flaky'], hooks: 'plain' });
    await app.line('flaky started');
    await app.line('ready');
    app.kill('SIGTERM');
    const { signal, afterMs } = await app.exit();
    expect(signal).toBe('SIGTERM');
    expect(afterMs).toBeLessThan(2_000);
    expect(app.output).not.toContain('deferred started');
  });
});

describe.each(['express', 'fastify'] as const)('SIGTERM during a slow bootstrap with %s', (kind) => {
  it('ends the process, and nothing has started', async () => {
    const app = run({ kind, workers: ['relay'], hooks: 'plain', slowBootstrap: true });
    await app.line('bootstrapping');
    app.kill('SIGTERM');
    const { code, signal, afterMs } = await app.exit();
    expect({ code, signal }).toEqual({ code: null, signal: 'SIGTERM' });
    expect(afterMs).toBeLessThan(5_000);
    expect(told(app.lines)).toEqual(['db closed', 'app shut down']);
  });
});

describe('Shutdown hooks', () => {
  const warning = 'Shutdown hooks are not enabled';

  it.each(kinds)('that are not enabled are warned of at boot (%s)', async (kind) => {
    const app = run({ kind, workers: ['relay'] });
    expect(await app.line(warning)).toContain('Call app.enableShutdownHooks()');
    await app.line('ready');
    app.kill('SIGTERM');
    expect(await app.exit()).toMatchObject({ signal: 'SIGTERM' });
    expect(told(app.lines)).toEqual(['relay started']);
  });

  it.each(kinds)('that are enabled are not, also after a standalone context is up (%s)', async (kind) => {
    const app = run({ kind, workers: ['relay'], hooks: 'plain', closeWhenReady: true });
    await app.line('closed');
    expect(await app.exit()).toMatchObject({ code: 0, signal: null });
    expect(app.output).not.toContain(warning);
  });
});

describe('After app.close()', () => {
  const workers = ['relay', 'deferred', 'flaky'] as const;

  it.each<AppOptions>([
    { kind: 'context', workers },
    { kind: 'express', workers },
    { kind: 'fastify', workers },
    { kind: 'express', workers, hooks: 'plain', integrations: true },
  ])('nothing keeps the process alive (F10, %o)', async (options) => {
    const app = run({ ...options, closeWhenReady: true });
    await app.line('closed');
    const { code, signal, afterMs } = await app.exit();
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(afterMs).toBeLessThan(1_000);
    expect(told(app.lines)).toEqual(life);
  });
});
