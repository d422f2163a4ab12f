import { describe, expect, it, vi } from 'vitest';
import type { FixtureProcess } from '../../support/run-fixture.js';
import { type Ledger, runTaskApp } from './fixtures/run-app.js';

// Each test starts a process, on a machine that may have much else to do.
vi.setConfig({ testTimeout: 60_000 });

const kinds = ['context', 'express', 'fastify'] as const;
const bySigterm = { code: null, signal: 'SIGTERM' };

/** How all that was accepted has ended; fails where something has not, or more than once. */
function endsOf({ accepted, settled }: Ledger): Record<string, number> {
  expect(accepted.filter((id) => settled.get(id)?.length !== 1)).toEqual([]);
  expect(settled.size).toBe(accepted.length);
  const ends: Record<string, number> = {};
  for (const [end] of settled.values()) ends[end!] = (ends[end!] ?? 0) + 1;
  return ends;
}

/** Sends requests, a few at a time, until the server is gone. Answers the ids that were promised to be run. */
async function sendUntilGone(url: string): Promise<{ promised: string[]; refused: number; other: number[] }> {
  const promised: string[] = [];
  const other: number[] = [];
  let refused = 0;
  const client = async (): Promise<void> => {
    for (;;) {
      let response: Response;
      let text: string;
      try {
        response = await fetch(url, { method: 'POST', headers: { connection: 'close' } });
        text = await response.text();
      } catch {
        return;
      }
      if (response.status === 201) promised.push(text);
      else if (response.status === 503) refused++;
      else other.push(response.status);
    }
  };
  await Promise.all([client(), client(), client()]);
  return { promised, refused, other };
}

const urlOf = async (app: FixtureProcess): Promise<string> => (await app.line('url ')).slice('url '.length);

describe.each(kinds)('SIGTERM to a busy process, %s', (kind) => {
  // At different moments of its life.
  it.each([0, 40, 150])('loses nothing that was accepted (%i tasks seen)', async (settledBefore) => {
    const { app, ledger } = runTaskApp({ kind, tasks: 'busy' });
    const requests = kind === 'context' ? undefined : urlOf(app).then(sendUntilGone);
    await app.line('ready');
    await vi.waitUntil(() => ledger().settled.size >= settledBefore, { timeout: 20_000, interval: 5 });
    app.kill('SIGTERM');
    const { afterMs, ...exit } = await app.exit();
    expect(exit).toEqual(bySigterm);
    expect(afterMs).toBeLessThan(5_000);

    const book = ledger();
    expect(endsOf(book)).toEqual({ succeeded: book.accepted.length });
    expect(book.accepted.filter((id) => id.startsWith('cleanup'))).toHaveLength(5);
    // Each notification was followed by an entry in the other queue.
    expect(book.accepted.filter((id) => id.startsWith('audit'))).toHaveLength(book.accepted.length / 2);
    expect(app.lines.filter((line) => ['ingest ended', 'db closed', 'app shut down'].includes(line))).toEqual(
      ['ingest ended', 'db closed', 'app shut down'],
    );
    expect(app.output).not.toMatch(/orphaned|gave up|UnhandledPromise/);

    const { promised, other } = (await requests) ?? { promised: [], other: [] };
    expect(promised.filter((id) => book.settled.get(id)?.[0] !== 'succeeded')).toEqual([]);
    expect(other).toEqual([]);
    if (requests !== undefined) expect(promised.length).toBeGreaterThan(0);
  });
});

describe.each(kinds)('SIGTERM to a process with a %s', (kind) => {
  it('ends it soon after shutdownTimeout where a task never ends, and names that one', async () => {
    const { app, ledger } = runTaskApp({
      kind,
      tasks: 'deaf',
      shutdownTimeout: '400ms',
      abortMargin: '200ms',
    });
    await app.line('deaf started');
    await app.line('ready');
    app.kill('SIGTERM');
    const { afterMs, ...exit } = await app.exit();
    expect(exit).toEqual(bySigterm);
    expect(afterMs).toBeGreaterThan(390);
    expect(afterMs).toBeLessThan(3_000);
    expect(app.output).toMatch(/Task queue "mail" is orphaned: .*, with deaf-1 \([\da-f-]{36}\)/);
    expect(app.output).not.toContain('Task queue "audit" is orphaned');
    expect(app.output).toContain('db closed');
    expect(endsOf(ledger())).toEqual({ 'cancelled shutdown': 1 });
  });

  it('aborts a task before the deadline, and ends it then', async () => {
    const { app, ledger } = runTaskApp({ kind, tasks: 'slow', shutdownTimeout: '10s', abortMargin: '9.9s' });
    await app.line('slow started');
    await app.line('ready');
    app.kill('SIGTERM');
    const { afterMs, ...exit } = await app.exit();
    expect(exit).toEqual(bySigterm);
    expect(afterMs).toBeGreaterThan(90);
    expect(afterMs).toBeLessThan(5_000);
    expect(app.output).not.toContain('orphaned');
    expect(endsOf(ledger())).toEqual({ 'cancelled shutdown': 1 });
  });

  it('is waited for by no task that waits for a time or a retry', async () => {
    const { app, ledger } = runTaskApp({ kind, tasks: 'waiting' });
    await app.line('flaky failed');
    await app.line('ready');
    app.kill('SIGTERM');
    const { afterMs, ...exit } = await app.exit();
    expect(exit).toEqual(bySigterm);
    expect(afterMs).toBeLessThan(3_000);
    expect(app.lines).not.toContain('ran');
    expect(endsOf(ledger())).toEqual({ 'cancelled shutdown': 3 });
    expect(app.output).toMatch(/Task queue "mail" gave up 3 tasks/);
  });
});

describe('After app.close()', () => {
  it.each([
    { kind: 'context', tasks: 'waiting' },
    { kind: 'express', tasks: 'waiting' },
    { kind: 'fastify', tasks: 'waiting' },
    { kind: 'express', tasks: 'busy' },
  ] as const)('nothing keeps the process alive (%o)', async (options) => {
    const { app, ledger } = runTaskApp({ ...options, closeWhenReady: true });
    await app.line('closed');
    const { afterMs, ...exit } = await app.exit();
    expect(exit).toEqual({ code: 0, signal: null });
    expect(afterMs).toBeLessThan(2_000);
    const ends = endsOf(ledger());
    expect(Object.keys(ends)).toEqual([options.tasks === 'busy' ? 'succeeded' : 'cancelled shutdown']);
  });
});
