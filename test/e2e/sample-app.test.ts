import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { repository } from '../support/repository.js';
import { HeldServer } from '../support/held-server.js';
import { SampleApp } from '../support/sample-app.js';

const shippedFile = 'scans-2026-11-20.jsonl';
const data = `${repository}sample-app/data/`;
const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const shippedLines = linesOf(readFileSync(data + shippedFile, 'utf8'));
// It runs in real time.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });
const soon = { timeout: 20_000, interval: 50 };
/** There are thousands of jobs, each with a request of its own. */
const inTheEnd = { timeout: 90_000, interval: 50 };

interface LogLine {
  readonly msg: string;
  readonly context?: string;
  readonly worker?: string;
  readonly workerExecutionID?: string;
  readonly queue?: string;
  readonly task?: string;
  readonly taskExecutionID?: string;
  readonly jobID?: string;
  readonly jobExecutionID?: string;
  readonly reqId?: string;
  readonly level: number;
  readonly err?: { readonly message: string; readonly stack: string };
}

interface Entry {
  readonly key: string;
  readonly event: string;
  readonly file?: string;
}

/** A line of the tracking service's file. */
interface Taken {
  readonly key: string;
  /** The scan, as the depot's file had it. */
  readonly line: string;
}

interface Workers {
  readonly status: string;
  readonly isolatedErrors: number;
  readonly children: readonly {
    readonly kind: string;
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
const attempts = (app: SampleApp, outcome: string) =>
  app.metric(`task_attempts_total{queue="notifications",outcome="${outcome}"}`);
const completed = (app: SampleApp, outcome: string) =>
  app.metric(`task_completed_total{queue="notifications",outcome="${outcome}"}`);
const jobs = (app: SampleApp, metric: string, labels = '') =>
  app.metric(`job_${metric}{queue="scans"${labels}}`);
const jobAttempts = (app: SampleApp, outcome: string) => jobs(app, 'attempts_total', `,outcome="${outcome}"`);
/** A scan in each file, and in each another one. */
const dropFiles = (app: SampleApp, names: readonly string[]) =>
  Promise.all(names.map((name, index) => writeFile(join(app.inbox, name), `${shippedLines.at(index)}\n`)));

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

  const feed = (): Taken[] =>
    linesOf(readFileSync(join(app.inbox, 'out/tracking-feed.jsonl'), 'utf8')).map((text) => {
      const { key, ...scan } = JSON.parse(text) as { readonly key: string };
      return { key, line: JSON.stringify(scan) };
    });

  const ledger = (): Entry[] =>
    linesOf(readFileSync(join(app.inbox, 'out/notifications.jsonl'), 'utf8')).map(
      (line) => JSON.parse(line) as Entry,
    );

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

  it('relays what it ingested, each scan once, however many calls that takes', async () => {
    const count = await ingested(app);
    await expect.poll(() => relayed(app), inTheEnd).toBe(count);
    expect(feed()).toHaveLength(count);
    expect(new Set(feed().map(({ key }) => key)).size).toBe(count);
    const lines = feed().map(({ line }) => line);
    expect(new Set(lines).size).toBe(count);
    expect(shippedLines).toEqual(expect.arrayContaining(lines));
    // The tracking service fails by count: the first call and every 500th after it; and the second and every 700th
    // after it it takes, and is not heard.
    const failed = await jobAttempts(app, 'failed');
    const calls = Array.from({ length: count + failed }, (_, index) => index + 1);
    expect(failed).toBe(calls.filter((call) => call % 500 === 1 || call % 700 === 2).length);
    expect(failed).toBeGreaterThanOrEqual(10);
  });

  it('picks up a file that is dropped while it runs', async () => {
    const before = { ingested: await ingested(app), refused: await refused(app) };
    const [first = '', second = ''] = shippedLines;
    await writeFile(join(app.inbox, 'late.jsonl'), `${first}\n{"at":\n${second}\n`);
    await expect.poll(() => relayed(app), soon).toBe(before.ingested + 2);
    expect(await refused(app)).toBe(before.refused + 1);
    const lines = feed()
      .slice(-2)
      .map(({ line }) => line);
    expect(lines.toSorted()).toEqual([first, second].toSorted());
  });

  it('makes the same jobs of the same file, which the tracking service knows', async () => {
    const before = { ingested: await ingested(app), relayed: await relayed(app), feed: feed().length };
    await expect.poll(() => jobs(app, 'active'), soon).toBe(0);
    await copyFile(join(app.inbox, 'done/late.jsonl'), join(app.inbox, 'again.jsonl'));
    await expect.poll(() => relayed(app), soon).toBe(before.relayed + 2);
    expect(await ingested(app)).toBe(before.ingested + 2);
    expect(feed()).toHaveLength(before.feed);
  });

  it('restarts the worker whose carrier fails it', async () => {
    const series = 'worker_executions_total{worker="carrier-status",status="restarted"}';
    await expect.poll(() => app.metric(series), soon).toBeGreaterThanOrEqual(2);
  });

  it('notifies the subscriber of each file once, however many calls that takes', async () => {
    const late = ['late-1.jsonl', 'late-2.jsonl', 'late-3.jsonl'];
    await dropFiles(app, late);
    const files = [shippedFile, 'late.jsonl', 'again.jsonl', ...late];
    await expect.poll(() => completed(app, 'succeeded'), soon).toBe(files.length);

    expect(ledger().map(({ file }) => file)).toEqual(expect.arrayContaining(files));
    expect(ledger()).toHaveLength(files.length);
    expect(new Set(ledger().map(({ key }) => key)).size).toBe(files.length);
    // The subscriber fails by count: the first call and every third after it; and the second and every fifth after
    // it he takes, and is not heard.
    const failed = await attempts(app, 'failed');
    const calls = Array.from({ length: files.length + failed }, (_, index) => index + 1);
    expect(failed).toBe(calls.filter((call) => call % 3 === 1 || call % 5 === 2).length);
    expect(failed).toBeGreaterThanOrEqual(3);
  });

  it('delivers what a request has submitted, and names that request in the log', async () => {
    const { status, text } = await app.post('/notifications/ping', { 'x-request-id': 'r-107' });
    const { key } = JSON.parse(text) as Entry;
    expect(status).toBe(202);

    const delivered = await vi.waitUntil(
      () => read(app).find(({ msg }) => msg === `Delivered ping ${key}`),
      soon,
    );
    expect(ledger().filter((entry) => entry.key === key)).toEqual([{ key, event: 'ping' }]);
    expect(delivered).toMatchObject({ queue: 'notifications', task: 'ping', reqId: 'r-107' });
    expect(delivered.taskExecutionID).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('logs why a delivery is tried again, and each attempt under an id of its own', () => {
    const retried = read(app).filter(({ msg }) =>
      /^Task "[\w-]+" in task queue "notifications" failed after .* and is tried again in/.test(msg),
    );
    expect(new Set(retried.map(({ err }) => err?.message))).toEqual(
      new Set(['The subscriber answered 503', 'fetch failed: other side closed']),
    );
    for (const { level, queue, task, taskExecutionID, err, msg } of retried) {
      expect({ level, queue }).toEqual({ level: 40, queue: 'notifications' });
      expect(msg).toContain(`Task "${task}"`);
      expect(taskExecutionID).toMatch(/^[0-9a-f-]{36}$/);
      // Who called fetch() is not in the stack of its errors from Node 22 on.
      expect(err?.stack).toContain(err?.message.startsWith('fetch failed') ? 'SocketError' : '#deliver');
    }
    const delivered = read(app).filter(({ context }) => context === 'Notifications');
    const ids = [...retried, ...delivered].map(({ taskExecutionID }) => taskExecutionID);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('logs why a job is tried again, each attempt under an id of its own, and that it went well then', () => {
    const retried = read(app).filter(({ msg }) =>
      /^Job [\w:]+ in job consumer "scans" failed after .* and is tried again in/.test(msg),
    );
    expect(new Set(retried.map(({ err }) => err?.message))).toEqual(
      new Set(['The tracking service answered 503', 'fetch failed: other side closed']),
    );
    for (const { level, queue, jobID, jobExecutionID, err, msg } of retried) {
      expect({ level, queue }).toEqual({ level: 40, queue: 'scans' });
      expect(msg).toContain(`Job ${jobID} `);
      expect(jobExecutionID).toMatch(/^[0-9a-f-]{36}$/);
      expect(err?.stack).toContain('ScanRelay');
    }
    const again = read(app).filter(({ context }) => context === 'ScanRelay');
    expect(new Set(again.map(({ jobID }) => jobID))).toEqual(new Set(retried.map(({ jobID }) => jobID)));
    expect(again.every(({ msg }) => /^Relayed at attempt \d; before: \w/.test(msg))).toBe(true);
    const ids = [...retried, ...again].map(({ jobExecutionID }) => jobExecutionID);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('counts and times what its job queue does', async () => {
    const succeeded = await jobAttempts(app, 'succeeded');
    const ended = succeeded + (await jobAttempts(app, 'failed')) + (await jobAttempts(app, 'snoozed'));
    expect(succeeded).toBe(await relayed(app));
    expect(await jobs(app, 'enqueued_total')).toBe(await ingested(app));
    for (const none of ['timed-out', 'cancelled']) expect(await jobAttempts(app, none)).toBe(0);
    for (const none of ['given_up', 'quarantined', 'leases_lost', 'duplicates', 'enqueue_failures']) {
      expect(await jobs(app, `${none}_total`)).toBe(0);
    }
    expect(await jobs(app, 'wait_seconds_count')).toBe(ended);
    expect(await jobs(app, 'duration_seconds_count')).toBe(ended);
    expect(await jobs(app, 'life_time_seconds_count')).toBe(succeeded);
    const { text } = await app.get('/metrics');
    for (const idle of ['running', 'stuck', 'ready', 'scheduled', 'active', 'dead', 'paused']) {
      expect(text).toContain(`job_${idle}{queue="scans"} 0\n`);
    }
    expect(text).toContain('job_oldest_ready_age_seconds{queue="scans"} 0\n');
    expect(text).toContain('job_concurrency{queue="scans"} 20\n');
    expect(text).toContain('job_backend_up{backend="memory"} 1\n');
    const mark = 'job_mark_duration_seconds_count{queue="scans",scope="scans",action="answer"';
    expect(await app.metric(`${mark},outcome="success"}`)).toBeGreaterThanOrEqual(succeeded);
  });

  it('counts and times what its task queue does', async () => {
    const enqueued = await app.metric('task_enqueued_total{queue="notifications"}');
    const begun = (await attempts(app, 'succeeded')) + (await attempts(app, 'failed'));
    const queue = '{queue="notifications"}';
    expect(enqueued).toBe(ledger().length);
    expect(await completed(app, 'succeeded')).toBe(enqueued);
    expect(await app.metric(`task_wait_seconds_count${queue}`)).toBe(begun);
    expect(await app.metric(`task_duration_seconds_count${queue}`)).toBe(begun);
    // Each call takes the stand-in a fifth of a second.
    expect(await app.metric(`task_duration_seconds_sum${queue}`)).toBeGreaterThan(begun * 0.19);
    for (const idle of [
      `task_running${queue}`,
      `task_oldest_due_age_seconds${queue}`,
      ...['ready', 'delayed', 'waiting'].map(
        (state) => `task_queued{queue="notifications",state="${state}"}`,
      ),
    ]) {
      expect((await app.get('/metrics')).text).toContain(`${idle} 0\n`);
    }
    const mark = 'task_mark_duration_seconds_count{queue="notifications",scope="ping",action="answer"';
    expect(await app.metric(`${mark},outcome="success"}`)).toBeGreaterThanOrEqual(1);
  });

  it.each(['startup', 'readiness', 'liveness'])('is well: %s', async (probe) => {
    const { status, text } = await app.get(`/health/${probe}`);
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({
      status: 'ok',
      details: {
        workers: {
          pool: 'started',
          workers: { 'scan-ingest': 'running' },
          taskQueues: { notifications: 'running' },
          jobQueues: { scans: 'running' },
          jobBackend: 'up',
        },
      },
    });
  });

  it('lists its workers', async () => {
    const { status, isolatedErrors, children } = await workers(app);
    expect({ status, isolatedErrors }).toEqual({ status: 'started', isolatedErrors: 0 });
    const [ingest, carrier, ...others] = children.filter(({ kind }) => kind === 'worker');
    expect([ingest?.name, carrier?.name]).toEqual(['scan-ingest', 'carrier-status']);
    expect(others).toEqual([]);
    expect(ingest).toMatchObject({ status: 'running', maxAttempts: 'Infinity', restarts: 0 });
    const started = carrier?.events.filter(({ type }) => type === 'started') ?? [];
    expect(started).toHaveLength(1 + (carrier?.restarts ?? 0));
    expect(new Set(started.map(({ executionId }) => executionId)).size).toBe(started.length);
  });

  it('lists its task queue beside them', async () => {
    const { children } = await workers(app);
    const failed = await attempts(app, 'failed');
    expect(
      children
        .filter(({ kind }) => kind !== 'worker')
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(['notifications', 'scans']);
    expect(children.filter(({ kind }) => kind === 'task-queue')).toMatchObject([
      {
        kind: 'task-queue',
        name: 'notifications',
        status: 'running',
        degraded: false,
        concurrency: 2,
        running: 0,
        queued: 0,
        delayed: 0,
        enqueued: ledger().length,
        completed: { succeeded: ledger().length, failed: 0, cancelled: 0 },
        attempts: { succeeded: ledger().length, failed },
        tasks: [],
      },
    ]);
  });

  it('lists its job consumer', async () => {
    const { children } = await workers(app);
    expect(children.filter(({ kind }) => kind === 'job-consumer')).toMatchObject([
      {
        name: 'scans',
        status: 'running',
        degraded: false,
        concurrency: 20,
        running: 0,
        atHand: 0,
        stuck: 0,
        settling: 0,
        attempts: { succeeded: await relayed(app), failed: await jobAttempts(app, 'failed') },
        dead: 0,
        leasesLost: 0,
        jobs: [],
      },
    ]);
  });

  it('ends on Ctrl-C, and closes the feed after the last worker and job', async () => {
    const interruptedAt = performance.now();
    app.interrupt();
    expect(await app.ended).toBe('SIGINT');
    expect(performance.now() - interruptedAt).toBeLessThan(5_000);

    const messages = read(app).map(({ msg }) => msg);
    const stopped = messages.filter((msg) => /^Worker "[\w-]+" stopped \(shutdown\)$/.test(msg));
    expect(stopped).toHaveLength(2);
    stopped.push('Job consumer "scans" stopped (shutdown)', 'Task queue "notifications" stopped (shutdown)');
    expect(messages).toEqual(expect.arrayContaining(stopped));
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
      expect.arrayContaining(['ScanIngestWorker', 'ScanRelay', 'CarrierStatusWorker', 'Worker']),
    );
    expect(fromRuns.filter((line) => line.match(named)?.length !== 2)).toEqual([]);

    const fromTasks = app.log.filter((line) => line.includes('"context":"Notifications"'));
    const fields = /"(queue|task|taskExecutionID|jobID|jobExecutionID|worker|workerExecutionID)":/g;
    expect(fromTasks).toHaveLength(ledger().length);
    for (const line of fromTasks) {
      expect([...line.matchAll(fields)].map(([, field]) => field)).toEqual([
        'queue',
        'task',
        'taskExecutionID',
      ]);
    }
    const fromJobs = app.log.filter((line) => line.includes('"context":"ScanRelay"'));
    expect(fromJobs.length).toBeGreaterThanOrEqual(10);
    for (const line of fromJobs) {
      expect([...line.matchAll(fields)].map(([, field]) => field)).toEqual([
        'queue',
        'jobID',
        'jobExecutionID',
      ]);
    }
    for (const { context, msg, worker, workerExecutionID, queue } of read(app)) {
      if (context !== 'Worker' || queue !== undefined) continue;
      expect(msg).toContain(`Worker "${worker}"`);
      expect(workerExecutionID).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

describe('the sample app, told to stop while it relays', () => {
  it('says that it drains, ends what it has begun and nothing else, and ends', async () => {
    const tracking = new HeldServer<unknown>();
    const trackingUrl = await tracking.listen();
    onTestFinished(() => tracking.close());
    const app = await SampleApp.start({ TRACKING_URL: trackingUrl });
    onTestFinished(() => app.stop());

    await expect.poll(() => ingested(app), soon).toBeGreaterThan(0);
    await tracking.holds(20);
    expect(tracking.taken).toEqual([]);
    app.interrupt();

    const readiness = await vi.waitUntil(async () => {
      const answer = await app.get('/health/readiness');
      return answer.status === 503 && answer;
    }, soon);
    expect(JSON.parse(readiness.text)).toMatchObject({
      status: 'error',
      error: { workers: { pool: 'draining', jobQueues: { scans: 'stopping' } } },
    });
    expect((await app.get('/health/liveness')).status).toBe(200);
    expect(await workers(app)).toMatchObject({
      status: 'draining',
      children: expect.arrayContaining([
        expect.objectContaining({ name: 'scans', status: 'stopping', running: 20 }),
      ]),
    });

    tracking.release();
    expect(await app.ended).toBe('SIGINT');
    // The rest was in memory, and is lost with the process; see sample-app-jobs.test.ts for Redis.
    expect(tracking.taken).toHaveLength(20);
    expect(new Set(tracking.taken.map(({ key }) => key)).size).toBe(20);
    expect(new Set(tracking.taken.map(({ body }) => JSON.stringify(body))).size).toBe(20);
  });
});

describe('the sample app, told to stop while notifications are queued', () => {
  it('delivers what it has accepted, says what it could not deliver, and ends', async () => {
    const subscriber = new HeldServer<Entry>();
    const subscriberUrl = await subscriber.listen();
    onTestFinished(() => subscriber.close());
    const app = await SampleApp.start({ SUBSCRIBER_URL: subscriberUrl });
    onTestFinished(() => app.stop());
    const late = ['late-1.jsonl', 'late-2.jsonl', 'late-3.jsonl', 'late-4.jsonl'];
    await dropFiles(app, late);
    const files = [shippedFile, ...late];
    const enqueued = () => app.metric('task_enqueued_total{queue="notifications"}');
    await expect.poll(enqueued, soon).toBe(files.length);
    await subscriber.holds(2);
    app.terminate();

    const queue = await vi.waitUntil(async () => {
      const { status, children } = await workers(app);
      return status === 'draining' && children.find(({ name }) => name === 'notifications');
    }, soon);
    expect(queue).toMatchObject({ status: 'stopping', running: 2, queued: 3 });
    expect((await app.get('/health/readiness')).status).toBe(503);
    // The queue takes tasks until it is idle.
    expect((await app.post('/notifications/ping')).status).toBe(202);

    // What fails now is not tried again.
    const { key, body } = subscriber.answer(503);
    subscriber.release();
    expect(await app.ended).toBe('SIGTERM');

    const delivered = subscriber.taken.map(({ body: { event, file = event } }) => file);
    expect(delivered).toHaveLength(files.length);
    expect(new Set([...delivered, body.file])).toEqual(new Set([...files, 'ping']));
    expect(subscriber.refused).toEqual([{ key, body }]);
    const given = read(app).filter(({ msg }) => msg.startsWith('Not delivered'));
    expect(given).toMatchObject([{ level: 40, msg: 'Not delivered: cancelled', key, file: body.file }]);
    const failed = read(app).filter(({ msg }) => msg.startsWith('Task "file-ingested" in task queue'));
    expect(failed).toHaveLength(1);
    expect(failed[0]).toMatchObject({ level: 50, queue: 'notifications', task: 'file-ingested' });
    expect(failed[0]?.msg).toMatch(/failed after .*: The subscriber answered 503$/);
  });
});
