import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { repository } from '../support/repository.js';
import { SampleApp } from '../support/sample-app.js';
import { TrackingService } from '../support/tracking-service.js';

const shippedFile = 'scans-2026-11-20.jsonl';
const data = `${repository}sample-app/data/`;
const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const shippedLines = linesOf(readFileSync(data + shippedFile, 'utf8'));
// It runs in real time.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
const soon = { timeout: 20_000, interval: 50 };

interface LogLine {
  readonly msg: string;
  readonly context?: string;
  readonly worker?: string;
  readonly workerExecutionID?: string;
  readonly err?: { readonly message: string; readonly stack: string };
}

interface Workers {
  readonly status: string;
  readonly isolatedErrors: number;
  readonly children: readonly {
    readonly name: string;
    readonly status: string;
    readonly id: string;
    readonly maxAttempts: unknown;
    readonly restarts: number;
    readonly events: readonly { readonly type: string; readonly executionId: string }[];
  }[];
}

const read = (app: SampleApp): LogLine[] => app.log.map((line) => JSON.parse(line) as LogLine);
const workers = async (app: SampleApp): Promise<Workers> =>
  JSON.parse((await app.get('/workers')).text) as Workers;
const ingested = (app: SampleApp) => app.metric('parcel_scan_lines_total{result="ingested"}');
const refused = (app: SampleApp) => app.metric('parcel_scan_lines_total{result="refused"}');
const relayed = (app: SampleApp) => app.metric('parcel_scans_relayed_total');

it('ships the scans that its script makes', () => {
  const made = execFileSync(process.execPath, [`${data}make-scans.mjs`], { maxBuffer: 2 ** 20 });
  expect(linesOf(made.toString())).toEqual(shippedLines);
});

// One app for all of these, which look at it in the order in which things happen.
describe('the sample app', () => {
  let app: SampleApp;

  beforeAll(async () => {
    app = await SampleApp.start();
  });

  afterAll(async () => {
    await app.stop();
  });

  const feed = (): string[] => linesOf(readFileSync(join(app.inbox, 'out/tracking-feed.jsonl'), 'utf8'));

  it('ingests every line of the shipped file, or refuses it', async () => {
    await expect
      .poll(async () => (await ingested(app)) + (await refused(app)), soon)
      .toBe(shippedLines.length);
    expect(await refused(app)).toBeGreaterThan(0);
    expect(existsSync(join(app.inbox, shippedFile))).toBe(false);
    expect(existsSync(join(app.inbox, 'done', shippedFile))).toBe(true);
  });

  it('marks the steps', async () => {
    for (const action of ['wait', 'read', 'store']) {
      const labels = `worker="scan-ingest",action="${action}",outcome="success"`;
      expect(await app.metric(`worker_mark_duration_seconds_count{${labels}}`)).toBe(1);
    }
  });

  it('relays what it ingested', async () => {
    const count = await ingested(app);
    await expect.poll(() => relayed(app), soon).toBe(count);
    expect(feed()).toHaveLength(count);
    expect(shippedLines).toEqual(expect.arrayContaining(feed()));
  });

  it('picks up a file that is dropped while it runs', async () => {
    const before = { ingested: await ingested(app), refused: await refused(app) };
    const [first = '', second = ''] = feed();
    await writeFile(join(app.inbox, 'late.jsonl'), `${first}\n{"at":\n${second}\n`);
    await expect.poll(() => relayed(app), soon).toBe(before.ingested + 2);
    expect(await refused(app)).toBe(before.refused + 1);
    expect(feed().slice(-2)).toEqual([first, second]);
  });

  it('restarts the worker whose carrier fails it', async () => {
    const series = 'worker_executions_total{worker="carrier-status",status="restarted"}';
    await expect.poll(() => app.metric(series), soon).toBeGreaterThanOrEqual(2);
  });

  it.each(['startup', 'readiness', 'liveness'])('is well: %s', async (probe) => {
    const { status, text } = await app.get(`/health/${probe}`);
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({
      status: 'ok',
      details: {
        workers: { pool: 'started', workers: { 'scan-ingest': 'running', 'scan-relay': 'running' } },
      },
    });
  });

  it('lists its workers', async () => {
    const { status, isolatedErrors, children } = await workers(app);
    expect({ status, isolatedErrors }).toEqual({ status: 'started', isolatedErrors: 0 });
    expect(children.map(({ name }) => name)).toEqual(['scan-ingest', 'scan-relay', 'carrier-status']);
    const [ingest, , carrier] = children;
    expect(ingest).toMatchObject({ status: 'running', maxAttempts: 'Infinity', restarts: 0 });
    const started = carrier?.events.filter(({ type }) => type === 'started') ?? [];
    expect(started).toHaveLength(1 + (carrier?.restarts ?? 0));
    expect(new Set(started.map(({ executionId }) => executionId)).size).toBe(started.length);
  });

  it('ends on Ctrl-C, and closes the feed after the last worker', async () => {
    const interruptedAt = performance.now();
    app.interrupt();
    expect(await app.ended).toBe('SIGINT');
    expect(performance.now() - interruptedAt).toBeLessThan(5_000);

    const messages = read(app).map(({ msg }) => msg);
    const stopped = messages.filter((msg) => /^Worker "[\w-]+" stopped \(shutdown\)$/.test(msg));
    expect(stopped).toHaveLength(3);
    const closed = messages.findIndex((msg) => /^Closed .* scans appended$/.test(msg));
    expect(closed).toBeGreaterThan(Math.max(...stopped.map((msg) => messages.indexOf(msg))));
  });

  it('has logged JSON, and named the execution once in each line from inside a run', () => {
    const named = /"worker":|"workerExecutionID":/g;
    const failed = read(app).find(({ msg }) => msg.startsWith('Worker "carrier-status" failed after'));
    expect(failed?.err?.stack).toContain(failed?.err?.message);

    const fromRuns = app.log.filter((line) => /"context":"\w+Worker"/.test(line));
    const workersHeard = new Set(read(app).map(({ context }) => context));
    expect([...workersHeard]).toEqual(
      expect.arrayContaining(['ScanIngestWorker', 'ScanRelayWorker', 'CarrierStatusWorker', 'Worker']),
    );
    expect(fromRuns.filter((line) => line.match(named)?.length !== 2)).toEqual([]);
    for (const { context, msg, worker, workerExecutionID } of read(app)) {
      if (context !== 'Worker') continue;
      expect(msg).toContain(`Worker "${worker}"`);
      expect(workerExecutionID).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

describe('the sample app, told to stop while it relays', () => {
  it('says that it drains, passes on what it ingested, and ends', async () => {
    const tracking = new TrackingService();
    const trackingUrl = await tracking.listen();
    onTestFinished(() => tracking.close());
    const app = await SampleApp.start({ TRACKING_URL: trackingUrl });
    onTestFinished(() => app.stop());

    await expect.poll(() => ingested(app), soon).toBeGreaterThan(0);
    await tracking.holdsOne();
    const count = await ingested(app);
    expect(tracking.taken).toEqual([]);
    app.interrupt();

    const readiness = await vi.waitUntil(async () => {
      const answer = await app.get('/health/readiness');
      return answer.status === 503 && answer;
    }, soon);
    expect(JSON.parse(readiness.text)).toMatchObject({
      status: 'error',
      error: { workers: { pool: 'draining', workers: { 'scan-relay': 'stopping' } } },
    });
    expect((await app.get('/health/liveness')).status).toBe(200);
    expect((await workers(app)).status).toBe('draining');

    tracking.release();
    expect(await app.ended).toBe('SIGINT');
    expect(tracking.taken).toHaveLength(count);
    expect(new Set(tracking.taken.map((scan) => JSON.stringify(scan))).size).toBe(count);
  });
});
