import { describe, expect, it, vi } from 'vitest';
import { runFixture } from '../support/run-fixture.js';
import type { AppOptions } from './fixtures/app-options.js';

// Each test starts a process, on a machine that may have much else to do.
vi.setConfig({ testTimeout: 30_000 });

const kinds = ['context', 'express'] as const;

const stopped = ['relay aborted', 'relay ended'];
const closed = [...stopped, 'db closed', 'app shut down'];

async function outcomeOf(options: Partial<AppOptions>) {
  const app = runFixture('app', { workers: ['relay', 'doomed'], ...options });
  await app.line('doomed started');
  const { code, signal } = await app.exit();
  return { code, signal, told: app.lines.filter((line) => closed.includes(line)), output: app.output };
}

describe.each(kinds)("onExhausted: 'shutdown' ends the process with an error (F32, %s)", (kind) => {
  it('by closing the app that was attached', async () => {
    const { code, signal, told, output } = await outcomeOf({ kind, attach: true });
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(told).toEqual(closed);
    expect(output).toContain(`"doomed" is exhausted and has onExhausted: 'shutdown'`);
  });

  it('by SIGTERM, with shutdown hooks', async () => {
    const { code, signal, told } = await outcomeOf({ kind, hooks: 'plain' });
    expect({ code, signal }).toEqual({ code: null, signal: 'SIGTERM' });
    expect(told).toEqual(closed);
  });

  it('also where Nest would call process.exit(0)', async () => {
    const { code, signal, told } = await outcomeOf({ kind, hooks: 'process-exit' });
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(told).toEqual(closed);
  });

  it('also with an attached app and process.exit(0) together', async () => {
    const { code, signal, told } = await outcomeOf({ kind, attach: true, hooks: 'process-exit' });
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(told).toEqual(closed);
  });

  it('by SIGTERM without any hooks, after the other workers have ended', async () => {
    const { code, signal, told } = await outcomeOf({ kind });
    expect({ code, signal }).toEqual({ code: null, signal: 'SIGTERM' });
    expect(told).toEqual(stopped);
  });
});

describe("onExhausted: 'shutdown' where only somebody else listens for SIGTERM", () => {
  it('stops the other workers, closes the pool and ends with an error', async () => {
    const { code, signal, told, output } = await outcomeOf({ kind: 'context', foreignListener: true });
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(told).toEqual(stopped);
    expect(output).toContain('foreign SIGTERM');
    expect(output.split('\n').at(-1)).toBe('pool closed');
    expect(output).toContain('Worker "relay" stopped (shutdown)');
  });
});

describe("onExhausted: 'shutdown' of several workers at once", () => {
  it.each<Partial<AppOptions>>([{ attach: true }, { hooks: 'process-exit' }])(
    'closes the app once (%o)',
    async (options) => {
      const { code, told } = await outcomeOf({
        kind: 'context',
        workers: ['relay', 'doomed', 'doomed-too'],
        ...options,
      });
      expect(code).toBe(1);
      expect(told).toEqual(closed);
    },
  );
});
