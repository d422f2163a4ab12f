import { describe, expect, it } from 'vitest';
import { runFixture } from '../support/run-fixture.js';
import type { AppOptions } from './fixtures/app-options.js';

const kinds = ['context', 'express', 'fastify'] as const;

const stopped = ['relay aborted', 'relay ended'];
const closed = [...stopped, 'db closed', 'app shut down'];

async function outcomeOf(options: Omit<AppOptions, 'workers'>) {
  const app = runFixture('app', { ...options, workers: ['relay', 'doomed'] });
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
