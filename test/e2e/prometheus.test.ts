import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { alerts, boardTargets, ourSeries, selectorsIn, withoutVariables } from '../support/monitoring.js';
import { Prometheus, type Sample } from '../support/prometheus.js';
import { repository } from '../support/repository.js';
import { SampleApp } from '../support/sample-app.js';

// It runs in real time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });
const soon = { timeout: 30_000, interval: 200 };
/** There are thousands of jobs, each with a request of its own. */
const inTheEnd = { timeout: 90_000, interval: 200 };

/** Values by worker. */
const byWorker = (samples: readonly Sample[]): Record<string, number> =>
  Object.fromEntries(samples.map(({ labels, value }) => [labels['worker'], value]));

describe('a real Prometheus that scrapes the sample app', () => {
  let app: SampleApp;
  let prometheus: Prometheus;

  beforeAll(async () => {
    app = await SampleApp.start();
    prometheus = await Prometheus.start(app.url);
  }, 240_000);

  afterAll(async () => {
    await prometheus?.stop();
    await app?.stop();
  });

  const query = (promql: string): Promise<Sample[]> => prometheus.query(promql);
  const values = async (promql: string): Promise<number[]> => (await query(promql)).map(({ value }) => value);

  it('finds it up', async () => {
    await expect.poll(() => values('up{job="sample-app"}'), soon).toEqual([1]);
    // What came with the app may be done before anybody looked: these scans come now, under ids of their own.
    const scans = await readFile(`${repository}sample-app/data/scans-2026-11-20.jsonl`, 'utf8');
    await writeFile(join(app.inbox, 'later.jsonl'), scans.repeat(3));
    await expect.poll(async () => (await values('job_ready{queue="scans"}'))[0], soon).toBeGreaterThan(0);
  });

  it('sees every worker running', async () => {
    await expect
      .poll(async () => byWorker(await query('max_over_time(worker_running[1m])')), soon)
      .toEqual({ 'scan-ingest': 1, 'carrier-status': 1 });
    const steady = 'worker_running{worker!="carrier-status"}';
    expect(byWorker(await query(steady))).toEqual({ 'scan-ingest': 1 });
    for (const trouble of ['worker_stuck', 'worker_given_up']) {
      expect(byWorker(await query(trouble))).toEqual({ 'scan-ingest': 0, 'carrier-status': 0 });
    }
  });

  it('counts attempts and restarts by worker', async () => {
    const restarted = 'sum by (worker) (worker_executions_total{status="restarted"})';
    await expect
      .poll(async () => byWorker(await query(restarted))['carrier-status'], soon)
      .toBeGreaterThanOrEqual(2);

    const started = byWorker(await query('sum by (worker) (worker_executions_total{status="started"})'));
    expect(started).toMatchObject({ 'scan-ingest': 1 });
    expect(started['carrier-status']).toBeGreaterThanOrEqual(3);

    // From one scrape, so these hold exactly: what is started more than once is restarted, and each failure ended one.
    const once =
      'worker_executions_total{status="started"} - ignoring (status) worker_executions_total{status="restarted"}';
    expect(await values(once)).toEqual([1, 1]);
    const ended = [
      'worker_executions_total{status="started"}',
      'worker_executions_total{status="error"}',
      'worker_running',
    ].join(' - ignoring (status) ');
    expect(await values(ended)).toEqual([0, 0]);
  });

  it('has a rate from the first failure on, since every series is there from the start', async () => {
    const failures = 'increase(worker_executions_total{worker="carrier-status",status="error"}[1m])';
    await expect.poll(async () => (await values(failures))[0], soon).toBeGreaterThan(0);
    expect(await values('sum(worker_executions_total{worker="scan-ingest",status="error"})')).toEqual([0]);
  });

  it('has the durations of attempts and of marks', async () => {
    const failures = 'worker_attempt_duration_seconds_count{worker="carrier-status"}';
    expect((await values(failures))[0]).toBeGreaterThanOrEqual(2);

    const slowest =
      'histogram_quantile(0.99, sum by (le) (worker_mark_duration_seconds_bucket{worker="scan-ingest",action="read"}))';
    const [seconds = Number.NaN] = await values(slowest);
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(10);
  });

  it('agrees with the app on how many scans went through, and all counts agree', async () => {
    const lines = 'sum(parcel_scan_lines_total{result="ingested"})';
    await expect.poll(() => values(`${lines} == on() parcel_scans_relayed_total`), inTheEnd).toHaveLength(1);
    const [scans = Number.NaN] = await values(lines);
    expect(scans).toBe(await app.metric('parcel_scans_relayed_total'));

    expect(await values('job_enqueued_total{queue="scans"}')).toEqual([scans]);
    const succeeded = 'job_attempts_total{queue="scans",outcome="succeeded"}';
    await expect.poll(() => values(succeeded), soon).toEqual([scans]);
    const begun =
      'job_wait_seconds_count - on (queue) sum by (queue) (job_attempts_total) - on (queue) job_running';
    expect(await values(begun)).toEqual([0]);
    expect(await values('increase(job_attempts_total{queue="scans",outcome="failed"}[5m]) > 0')).toHaveLength(
      1,
    );
  });

  it('has what all processes share once by queue, and how long jobs took', async () => {
    for (const gauge of ['ready', 'scheduled', 'active', 'dead', 'oldest_ready_age_seconds', 'paused']) {
      await expect.poll(() => values(`max by (queue) (job_${gauge}{queue="scans"})`), soon).toEqual([0]);
    }
    // Once they waited.
    expect((await values('max_over_time(job_ready{queue="scans"}[5m])'))[0]).toBeGreaterThan(0);
    expect(await values('job_backend_up{backend="memory"}')).toEqual([1]);
    const slowest = 'histogram_quantile(0.5, sum by (le) (job_life_time_seconds_bucket{queue="scans"}))';
    const [seconds = Number.NaN] = await values(slowest);
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(60);
  });

  // The series of a mark are there once its first segment has ended, and it has a rate once it was read twice.
  describe('has what the alerts and the board ask for', () => {
    const asked = [
      ...new Set(
        [...alerts, ...boardTargets]
          .flatMap(({ expr }) => selectorsIn(withoutVariables(expr)))
          .map(({ series, matchers }) => series + matchers),
      ),
    ].toSorted();

    it('every series that the board has, which are all of ours', async () => {
      const stored = async (): Promise<string[]> => prometheus.names();
      const named = boardTargets.flatMap(({ expr }) => selectorsIn(expr)).map(({ series }) => series);
      await expect.poll(stored, soon).toEqual(expect.arrayContaining(named));
      await expect.poll(stored, soon).toEqual(expect.arrayContaining([...ourSeries.keys()]));
    });

    it.each(asked)('%s', async (selector) => {
      // One of a list of values might be misspelt, and nobody would miss it.
      const [, list = ''] = /=~"([^".]*\|[^"]*)"/.exec(selector) ?? [];
      for (const value of list.split('|')) {
        await expect.poll(() => query(selector.replace(list, value)), soon).not.toEqual([]);
      }
    });

    it.each(boardTargets)('panel: $legendFormat of $expr', async ({ expr, legendFormat }) => {
      // No worker of the sample app succeeds, and nobody waits for a restart all the time.
      const always = withoutVariables(expr).replace(' > 0)', ')');
      await expect.poll(() => query(always), soon).not.toEqual([]);
      const found = await query(always);
      const labels = Array.from(
        legendFormat.matchAll(/\{\{(\w+)\}\}/g),
        ([, label = '']) => label,
      ).toSorted();
      for (const sample of found) expect(Object.keys(sample.labels).toSorted()).toEqual(labels);
    });

    it.each(alerts)('alert $alert', async ({ expr }) => {
      // It may fire or not; that it is silent for want of series, the cases above rule out.
      await expect(query(expr)).resolves.toBeInstanceOf(Array);
    });
  });
});
