import { existsSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { HeldServer } from '../support/held-server.js';
import { RedisServer } from '../support/redis.js';
import { repository } from '../support/repository.js';
import { makeInbox, SampleApp } from '../support/sample-app.js';

const shippedFile = 'scans-2026-11-20.jsonl';
const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');
// It runs in real time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });
const soon = { timeout: 20_000, interval: 50 };
/** There are thousands of jobs, each with a request of its own. */
const inTheEnd = { timeout: 120_000, interval: 100 };

const ingested = (app: SampleApp) => app.metric('parcel_scan_lines_total{result="ingested"}');
const jobs = (app: SampleApp, metric: string) => app.metric(`job_${metric}{queue="scans"}`);
/** As it is in a line of JSON. */
const stoppedConsumer = String.raw`Job consumer \"scans\" stopped (shutdown)`;

describe('the sample app with jobs in Redis', () => {
  let redis: RedisServer;
  let inbox: string;

  beforeAll(async () => {
    redis = await RedisServer.start();
  });

  afterAll(async () => {
    await redis?.stop();
  });

  beforeEach(async () => {
    inbox = await makeInbox();
    const client = redis.client();
    await client.flushall();
    client.disconnect();
    return () => rm(inbox, { recursive: true, force: true });
  });

  /** One life of the app; each has the inbox and the Redis of the one before. */
  async function start(env: Readonly<Record<string, string>> = {}): Promise<SampleApp> {
    const app = await SampleApp.start({ INBOX: inbox, REDIS_URL: redis.url, ...env });
    onTestFinished(() => app.stop());
    return app;
  }

  /** A tracking service that answers when it is told to. */
  async function heldTracking(): Promise<{ tracking: HeldServer<unknown>; TRACKING_URL: string }> {
    const tracking = new HeldServer<unknown>();
    const url = await tracking.listen();
    onTestFinished(() => tracking.close());
    return { tracking, TRACKING_URL: url };
  }

  /** What the app's own stand-in of the tracking service has taken, in all its lives. */
  const feed = (): { readonly key: string; readonly line: string }[] => {
    const file = join(inbox, 'out/tracking-feed.jsonl');
    return linesOf(existsSync(file) ? readFileSync(file, 'utf8') : '').map((text) => {
      const { key, ...scan } = JSON.parse(text) as { readonly key: string };
      return { key, line: JSON.stringify(scan) };
    });
  };

  it('told to stop, ends what it has begun, and leaves the rest to the next start', async () => {
    const first = await heldTracking();
    const app = await start({ TRACKING_URL: first.TRACKING_URL });
    await expect.poll(() => ingested(app), soon).toBeGreaterThan(0);
    const count = await ingested(app);
    await first.tracking.holds(20);
    app.terminate();
    await vi.waitUntil(async () => (await app.get('/health/readiness')).status === 503, soon);
    first.tracking.release();
    expect(await app.ended).toBe('SIGTERM');
    expect(app.log.some((line) => line.includes(stoppedConsumer))).toBe(true);
    const before = first.tracking.taken.map(({ key }) => key);
    expect(before).toHaveLength(20);

    // The file that comes with the app is dropped, and read, once more.
    const second = await heldTracking();
    const next = await start({ TRACKING_URL: second.TRACKING_URL });
    await expect.poll(() => ingested(next), soon).toBe(count);
    // What is stored is not stored again.
    expect(await jobs(next, 'duplicates_total')).toBe(count - 20);
    expect(await jobs(next, 'enqueued_total')).toBe(20);
    second.tracking.release();
    await expect.poll(() => second.tracking.taken.length, inTheEnd).toBe(count);
    const after = second.tracking.taken.map(({ key }) => key);
    expect(new Set(after).size).toBe(count);
    // By its key the tracking service knows what it was given by both.
    expect(after).toEqual(expect.arrayContaining(before));
    for (const state of ['ready', 'scheduled', 'active', 'dead']) {
      await expect.poll(() => jobs(next, state), soon).toBe(0);
    }
    expect(await next.metric('job_backend_up{backend="redis"}')).toBe(1);
  });

  it('killed again and again in the middle, goes on, and loses and doubles nothing', async () => {
    const shipped = linesOf(readFileSync(`${repository}sample-app/data/${shippedFile}`, 'utf8'));
    let app = await start();
    await expect.poll(() => ingested(app), soon).toBeGreaterThan(0);
    const count = await ingested(app);
    // Another file, read in this life only: later lives know of it from Redis alone.
    const scan = JSON.parse(shipped[0]!) as object;
    const late = Array.from({ length: 100 }, (_, index) =>
      JSON.stringify({ ...scan, scanner: `LATE-${index}` }),
    );
    await writeFile(join(inbox, 'late.jsonl'), `${late.join('\n')}\n`);
    await expect.poll(() => ingested(app), soon).toBe(count + late.length);

    for (let kill = 1; kill <= 2; kill++) {
      const taken = feed().length;
      await expect.poll(() => feed().length, inTheEnd).toBeGreaterThan(taken + 300);
      app.kill();
      expect(await app.ended).toBe('SIGKILL');
      expect(feed().length).toBeLessThan(count);
      expect(feed().some(({ line }) => line.includes('LATE'))).toBe(false);
      app = await start();
    }

    await expect.poll(() => feed().length, inTheEnd).toBe(count + late.length);
    for (const state of ['ready', 'scheduled', 'active']) {
      await expect.poll(() => jobs(app, state), inTheEnd).toBe(0);
    }
    expect(await jobs(app, 'dead')).toBe(0);
    const taken = feed();
    expect(new Set(taken.map(({ key }) => key)).size).toBe(taken.length);
    const lines = taken.map(({ line }) => line);
    expect(new Set(lines).size).toBe(count + late.length);
    expect([...shipped, ...late]).toEqual(expect.arrayContaining(lines));
    expect(lines).toEqual(expect.arrayContaining(late));
    expect(await app.metric('job_backend_up{backend="redis"}')).toBe(1);
  });
});
