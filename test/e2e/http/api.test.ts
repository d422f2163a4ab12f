import { Injectable } from '@nestjs/common';
import {
  DiscardJob,
  type Job,
  type JobContext,
  JobHandler,
  JobsModule,
  MemoryJobBackend,
  TaskQueueModule,
  Worker,
  type WorkerContext,
  WorkerPoolService,
} from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { OverviewDocument } from '../../../lib/http/documents/overview.js';
import {
  bootOperated,
  breakableBackend,
  guarded,
  type HttpClient,
  operatedApp,
  type Reply,
} from '../../support/http-app.js';
import { type Platform, platforms, type Signal, signal } from '../../support/nest.js';
import { RecordingLogger } from '../../support/recording-logger.js';

type Json = Readonly<Record<string, unknown>>;
interface JobJson extends Json {
  readonly id: string;
  readonly state: string;
  readonly history: readonly Json[];
}

const boot = (platform: Platform): Promise<HttpClient> => bootOperated(operatedApp(guarded), platform);

const problem = (status: number, code: string): object =>
  expect.objectContaining({
    status,
    body: expect.objectContaining({ error: expect.stringMatching(/\S/), code }),
  }) as object;

/** The states of jobs as the API tells them. */
const stateOf = async (client: HttpClient, id: string): Promise<string> =>
  (await client.get<JobJson>(`/jobs/${id}`)).body.state;

let release: Signal = signal();
afterEach(() => {
  release.resolve();
  release = signal();
});

/** Ends when the test says so, and not before. */
@Worker({ name: 'slow' })
class Slow {
  async run(): Promise<void> {
    await release.promise;
  }
}

describe.each(platforms)('Workers, on %s', (platform) => {
  it('are listed, and got with their history', async () => {
    const client = await boot(platform);
    await expect.poll(async () => (await client.get<Json>('/workers/broken')).body['status']).toBe('error');
    const { body } = await client.get<{ workers: Json[] }>('/workers');
    expect(body.workers).toEqual([
      expect.objectContaining({ name: 'steady', status: 'running', attempt: 1, last_error: null }),
      expect.objectContaining({
        name: 'broken',
        status: 'error',
        last_error: { name: 'Error', message: 'The tape has run out' },
      }),
      expect.objectContaining({ name: 'off', status: 'disabled' }),
    ]);
    const { body: whole } = await client.get<{ events: Json[]; last_error: Json } & Json>('/workers/broken');
    expect(whole.events.map(({ type }) => type)).toEqual(['registered', 'started', 'failed', 'exhausted']);
    expect(whole.last_error['stack']).toMatch(/at .*http-app/);
    expect(whole).toMatchObject({ origin: 'Broken in AppModule', stop_reason: null, events_dropped: 0 });
    expect(await client.get('/workers/nix')).toEqual(problem(404, 'WORKER_NOT_FOUND'));
  });

  it('are stopped, started and restarted', async () => {
    const client = await boot(platform);
    const stopped = await client.post<Json>('/workers/steady/stop');
    expect(stopped).toMatchObject({
      status: 200,
      body: { status: 'cancelled', stop_reason: 'stop-requested' },
    });
    const started = await client.post<Json>('/workers/steady/start');
    expect(started).toMatchObject({ status: 200, body: { status: 'running' } });
    const again = await client.post<Json>('/workers/steady/start');
    expect(again.body['execution_id']).toBe(started.body['execution_id']);
    const restarted = await client.post<Json>('/workers/steady/restart');
    expect(restarted).toMatchObject({ status: 200, body: { status: 'running', attempt: 1 } });
    expect(restarted.body['execution_id']).not.toBe(started.body['execution_id']);
  });

  it('that are disabled or unknown are not started', async () => {
    const client = await boot(platform);
    for (const verb of ['start', 'restart']) {
      expect(await client.post(`/workers/off/${verb}`)).toEqual(problem(409, 'WORKER_DISABLED'));
    }
    for (const verb of ['start', 'stop', 'restart']) {
      expect(await client.post(`/workers/nix/${verb}`)).toEqual(problem(404, 'WORKER_NOT_FOUND'));
    }
  });

  it('that take their time to stop are answered for after two seconds, as they stand by then', async () => {
    const clock = new FakeClock();
    const root = operatedApp(guarded, { clock, shutdownTimeout: '10s' }, { providers: [Slow] });
    const client = await bootOperated(root, platform);
    for (const verb of ['stop', 'restart']) {
      let reply: Reply<Json> | undefined;
      const asked = client.post<Json>(`/workers/slow/${verb}`).then((answer) => (reply = answer));
      await expect
        .poll(async () => (await client.get<Json>('/workers/slow')).body['status'])
        .toBe('stopping');
      await clock.advance('1900ms');
      expect(reply).toBeUndefined();
      await clock.advance('100ms');
      await asked;
      expect(reply).toMatchObject({ status: 200, body: { name: 'slow', status: 'stopping' } });
    }
    release.resolve();
    // What was asked for goes on by itself.
    await expect
      .poll(async () =>
        (await client.get<{ events: Json[] }>('/workers/slow')).body.events.map(({ type }) => type),
      )
      .toEqual(['registered', 'started', 'stopping', 'cancelled', 'started', 'succeeded']);
    await clock.advance('1s');
    const closed = client.app.close();
    await clock.advance('1m');
    await closed;
  });
});

describe.each(platforms)('Task queues, on %s', (platform) => {
  it('are listed, and got with the tasks that run', async () => {
    const client = await boot(platform);
    const queue = client.taskQueue('thumbs');
    const running = queue.enqueue(() => release.promise, { name: 'resize' });
    const failed = queue.enqueue(() => Promise.reject(new Error('no such picture')));
    await expect(failed.done).rejects.toThrow('no such picture');
    const { body } = await client.get<{ task_queues: Json[] }>('/task-queues');
    expect(body.task_queues).toEqual([
      expect.objectContaining({ name: 'thumbs', status: 'running', running: 1, enqueued_total: 2 }),
    ]);
    const { body: whole } = await client.get<{ tasks: Json[]; completed_total: Json } & Json>(
      '/task-queues/thumbs',
    );
    expect(whole.tasks).toEqual([expect.objectContaining({ name: 'resize', status: 'running', attempt: 1 })]);
    expect(whole.completed_total).toMatchObject({ failed: 1, succeeded: 0 });
    expect(await client.get('/task-queues/nix')).toEqual(problem(404, 'TASK_QUEUE_NOT_FOUND'));
    release.resolve();
    await running.done;
  });
});

describe.each(platforms)('Job queues, on %s', (platform) => {
  it('are listed, and got whole', async () => {
    const client = await boot(platform);
    await client.post('/queues/idle/jobs', { payload: 1 });
    await client.post('/queues/idle/jobs', { payload: 2, delay: '1h' });
    await client.post('/queues/mails/jobs', { payload: {} });
    await client.post('/queues/mails/jobs', { payload: { fail: 'no route' } });
    await expect
      .poll(async () => (await client.get<{ throughput: Json[] }>('/queues/mails')).body.throughput)
      .toEqual([{ at: expect.stringMatching(/:00\.000Z$/), completed: 1, failed: 1 }]);
    const { body } = await client.get<{ queues: Json[] }>('/queues');
    expect(body.queues).toEqual([
      expect.objectContaining({
        name: 'mails',
        paused: false,
        levels: { ready: 0, active: 0, scheduled: 0, dead: 1, oldest_ready_age_seconds: 0 },
        minute: expect.objectContaining({ completed: 1, failed: 1 }),
        consumer: expect.objectContaining({ status: 'running', running: 0 }),
      }),
      expect.objectContaining({
        name: 'idle',
        levels: expect.objectContaining({ ready: 1, scheduled: 1 }),
        consumer: null,
        minute: null,
      }),
    ]);
    const { body: whole } = await client.get('/queues/mails');
    expect(whole).toMatchObject({ handlers: [''], samples: [], jobs: [], events: expect.any(Array) });
    expect(await client.get('/queues/nix')).toEqual(problem(404, 'QUEUE_NOT_FOUND'));
  });

  it('are paused and resumed', async () => {
    const client = await boot(platform);
    expect(await client.post('/queues/mails/pause')).toMatchObject({ status: 200, body: { paused: true } });
    const { body } = await client.post<Json>('/queues/mails/jobs', { payload: {}, id: 'held' });
    expect(body).toMatchObject({ status: 'enqueued' });
    expect(await client.get('/queues/mails/scaling?jobs_per_consumer=1')).toMatchObject({
      body: { ready: 1, paused: true, consumers_wanted: 0 },
    });
    expect(await stateOf(client, 'held')).toBe('ready');
    expect(await client.post('/queues/mails/resume')).toMatchObject({ status: 200, body: { paused: false } });
    await expect.poll(() => stateOf(client, 'held')).toBe('completed');
    for (const verb of ['pause', 'resume', 'redrive']) {
      expect(await client.post(`/queues/nix/${verb}`)).toEqual(problem(404, 'QUEUE_NOT_FOUND'));
    }
  });

  it('give their dead jobs another chance, all or some', async () => {
    const client = await boot(platform);
    for (let n = 0; n < 5; n++) await client.post('/queues/mails/jobs', { payload: { fail: 'no' } });
    const dead = async (): Promise<unknown> => (await client.get<Json>('/queues/mails/scaling')).body['dead'];
    await expect.poll(dead).toBe(5);
    await client.post('/queues/mails/pause');
    expect(await client.post('/queues/mails/redrive', { limit: 2 })).toMatchObject({
      status: 200,
      body: { retried: 2 },
    });
    expect(await dead()).toBe(3);
    expect((await client.post('/queues/mails/redrive')).body).toEqual({ retried: 3 });
    expect((await client.post('/queues/mails/redrive', {})).body).toEqual({ retried: 0 });
    expect(await client.post('/queues/mails/redrive', { limit: 0 })).toEqual(problem(400, 'REQUEST_INVALID'));
  });

  it('tell how many consumers they need', async () => {
    const client = await boot(platform);
    expect(await client.get('/queues/idle/scaling')).toMatchObject({
      status: 200,
      body: { consumers_wanted: 0, ready: 0, jobs_per_consumer: 10, window_seconds: 60 },
    });
    for (let n = 0; n < 11; n++) await client.post('/queues/idle/jobs', { payload: n });
    for (const delay of ['30s', '4m', '2h']) await client.post('/queues/idle/jobs', { delay });
    const wanted = async (query: string): Promise<Json> =>
      (await client.get<Json>(`/queues/idle/scaling${query}`)).body;
    expect(await wanted('')).toMatchObject({ ready: 11, scheduled: 3, due_within: 1, consumers_wanted: 2 });
    expect(await wanted('?jobs_per_consumer=1&window=5m')).toMatchObject({
      due_within: 2,
      consumers_wanted: 13,
    });
    expect(await wanted('?jobs_per_consumer=1000000000&window=24h')).toMatchObject({
      due_within: 3,
      consumers_wanted: 1,
      window_seconds: 86_400,
    });
    for (const query of [
      'jobs_per_consumer=0',
      'jobs_per_consumer=1.5',
      'window=soon',
      'window=25h',
      'window=-1s',
    ]) {
      expect(await client.get(`/queues/idle/scaling?${query}`)).toEqual(problem(400, 'REQUEST_INVALID'));
    }
    expect(await client.get('/queues/nix/scaling')).toEqual(problem(404, 'QUEUE_NOT_FOUND'));
  });
});

describe.each(platforms)('Jobs, on %s', (platform) => {
  it('are listed by their state, page by page, each once', async () => {
    const client = await boot(platform);
    const ids = Array.from({ length: 25 }, (_, n) => `job-${n}`);
    for (const id of ids) await client.post('/queues/idle/jobs', { id, payload: { secret: id } });
    const seen: string[] = [];
    let cursor: string | null = null;
    let pages = 0;
    do {
      const query: URLSearchParams = new URLSearchParams({
        state: 'ready',
        limit: '10',
        ...(cursor !== null && { cursor }),
      });
      const { body }: Reply<{ jobs: JobJson[]; cursor: string | null }> = await client.get(
        `/queues/idle/jobs?${query.toString()}`,
      );
      expect(body.jobs.length).toBeLessThanOrEqual(10);
      // A list has none of what the jobs carry.
      expect(JSON.stringify(body.jobs)).not.toContain('secret');
      seen.push(...body.jobs.map(({ id }) => id));
      cursor = body.cursor;
      pages++;
    } while (cursor !== null);
    expect(seen.toSorted()).toEqual(ids.toSorted());
    expect(pages).toBeGreaterThanOrEqual(3);
    for (const query of [
      '',
      '?state=nix',
      '?state=ready&limit=0',
      '?state=ready&limit=1001',
      '?state=ready&cursor=',
    ]) {
      expect(await client.get(`/queues/idle/jobs${query}`)).toEqual(problem(400, 'REQUEST_INVALID'));
    }
    const forged = await client.get('/queues/idle/jobs?state=ready&cursor=forged');
    expect(forged).toEqual(problem(400, 'JOB_CURSOR_INVALID'));
    expect(await client.get('/queues/nix/jobs?state=ready')).toEqual(problem(404, 'QUEUE_NOT_FOUND'));
  });

  it('are in the list of the state that they are in', async () => {
    const client = await boot(platform);
    await client.post('/queues/mails/jobs', { id: 'done', payload: {} });
    await client.post('/queues/mails/jobs', { id: 'failed', payload: { fail: 'no' } });
    await client.post('/queues/mails/jobs', { id: 'runs', payload: { hold: true } });
    await client.post('/queues/mails/jobs', { id: 'later', delay: '1h' });
    await client.post('/queues/mails/jobs', { id: 'unwanted', delay: '1h' });
    await client.post('/jobs/unwanted/cancel');
    const listed = async (state: string): Promise<string[]> => {
      const { body } = await client.get<{ jobs: JobJson[] }>(`/queues/mails/jobs?state=${state}`);
      return body.jobs.map(({ id }) => id);
    };
    await expect.poll(() => listed('completed')).toEqual(['done']);
    await expect.poll(() => listed('dead')).toEqual(['failed']);
    await expect.poll(() => listed('active')).toEqual(['runs']);
    expect(await listed('scheduled')).toEqual(['later']);
    expect(await listed('cancelled')).toEqual(['unwanted']);
    expect(await listed('ready')).toEqual([]);
  });

  it('are got with what they carry, their history and their error', async () => {
    const client = await boot(platform);
    const payload = { fail: 'no route to host', to: ['ä', null, 1.5, true] };
    await client.post('/queues/mails/jobs', { id: 'one', payload, headers: { trace: 'abc' }, priority: 7 });
    await expect.poll(() => stateOf(client, 'one')).toBe('dead');
    const { body } = await client.get<JobJson>('/jobs/one');
    expect(body).toMatchObject({
      id: 'one',
      queue: 'mails',
      name: '',
      state: 'dead',
      priority: 7,
      failures: 1,
      deaths: 0,
      cause: 'exhausted',
      last_error: expect.stringContaining('no route to host'),
      payload,
      payload_error: null,
      headers: { trace: 'abc' },
      hidden: [],
      history: [
        { attempt: 1, outcome: 'failed', error: expect.stringContaining('no route to host') as string },
      ],
    });
    expect((await client.get('/jobs/one?queue=mails')).status).toBe(200);
    expect(await client.get('/jobs/one?queue=nix')).toEqual(problem(404, 'QUEUE_NOT_FOUND'));
    expect(await client.get('/jobs/nix')).toEqual(problem(404, 'JOB_NOT_FOUND'));
    await client.post('/queues/mails/jobs', { id: 'two', payload: {} });
    await expect.poll(() => stateOf(client, 'two')).toBe('completed');
    expect((await client.get('/jobs/two')).body).toMatchObject({ result: { sent: true }, history: [] });
  });

  it('are enqueued with all that can be said of them', async () => {
    const client = await boot(platform);
    const before = Date.now();
    const made = await client.post('/queues/idle/jobs', {
      payload: [1, { a: null }],
      id: 'whole',
      name: 'welcome',
      delay: 90_000,
      priority: -100,
      unique: { key: 'bob', ttl: '1h' },
      limit_key: 'tenant-7',
      headers: { a: 'b' },
    });
    expect([made.status, made.body]).toEqual([201, { id: 'whole', queue: 'idle', status: 'enqueued' }]);
    const { body } = await client.get<JobJson & { due_at: string }>('/jobs/whole');
    expect(body).toMatchObject({
      payload: [1, { a: null }],
      name: 'welcome',
      state: 'scheduled',
      priority: -100,
      unique_key: 'bob',
      limit_key: 'tenant-7',
      headers: { a: 'b' },
    });
    expect(Date.parse(body.due_at)).toBeGreaterThanOrEqual(before + 90_000);
    expect(Date.parse(body.due_at)).toBeLessThan(Date.now() + 91_000);

    const again = await client.post('/queues/idle/jobs', { id: 'whole', payload: 'other' });
    expect([again.status, again.body]).toEqual([200, { id: 'whole', queue: 'idle', status: 'exists' }]);
    const duplicate = await client.post('/queues/idle/jobs', { unique: { key: 'bob' } });
    expect([duplicate.status, duplicate.body]).toEqual([
      200,
      { id: 'whole', queue: 'idle', status: 'duplicate' },
    ]);
    await client.post('/queues/idle/jobs', { id: 'at', not_before: '2040-02-29T12:00:00.5+01:00' });
    expect((await client.get('/jobs/at')).body).toMatchObject({
      due_at: '2040-02-29T11:00:00.500Z',
      payload: null,
    });
    const bare = await client.post<Json>('/queues/idle/jobs', {});
    expect(bare).toMatchObject({ status: 201, body: { id: expect.stringMatching(/^[0-9a-f-]{36}$/) } });
  });

  it.each<[string, object]>([
    ['delay', { delay: 'soon' }],
    ['delay', { delay: -1 }],
    ['delay', { delay: 1e300 }],
    ['delay', { delay: '1s', not_before: '2040-01-01T00:00:00Z' }],
    ['not_before', { not_before: '2040-13-41T00:00:00Z' }],
    ['not_before', { not_before: 'tomorrow' }],
    ['priority', { priority: 101 }],
    ['priority', { priority: 0.5 }],
    ['id', { id: '../etc' }],
    ['id', { id: '' }],
    ['unique', { unique: {} }],
    ['unique.key', { unique: { key: '' } }],
    ['unique.ttl', { unique: { key: 'a', ttl: 'long' } }],
    ['headers', { headers: { a: 1 } }],
    ['headers', { headers: ['a'] }],
    ['name', { name: 'x'.repeat(1_001) }],
    ['limit_key', { limit_key: '\uD800' }],
    ['nonsense', { nonsense: 1 }],
  ])('are refused by their %s, as in %o', async (field, body) => {
    const client = await boot(platform);
    const reply = await client.post<{ issues: { path: string }[] }>('/queues/idle/jobs', body);
    expect(reply.status).toBe(400);
    const paths = reply.body.issues.map(({ path }) => path).join();
    expect(paths.replaceAll(/([A-Z])/g, (letter) => `_${letter.toLowerCase()}`)).toContain(field);
    expect((await client.get<Json>('/queues/idle/scaling')).body).toMatchObject({ ready: 0, scheduled: 0 });
  });

  it('are refused where their payload is not what the schema of the handler says', async () => {
    @JobHandler('typed', { schema: z.object({ to: z.object({ mail: z.email() }) }) })
    class Typed {
      async handle(): Promise<void> {}
    }
    const root = operatedApp(
      guarded,
      {},
      {
        imports: [JobsModule.registerQueue({ name: 'typed', format: 'json' })],
        providers: [Typed],
      },
    );
    const client = await bootOperated(root, platform);
    const refused = await client.post('/queues/typed/jobs', { payload: { to: { mail: 'nobody' } } });
    expect(refused).toMatchObject({
      status: 422,
      body: {
        code: 'JOB_PAYLOAD_INVALID',
        issues: [{ path: 'body.payload.to.mail', message: expect.any(String) as string }],
      },
    });
    expect((await client.post('/queues/typed/jobs', { payload: { to: { mail: 'a@b.de' } } })).status).toBe(
      201,
    );
    const bytes = { namespace: 'work', queue_id: 'typed', payload: btoa('{"to":7}') };
    expect(await client.post('/jobs', bytes)).toEqual(problem(422, 'JOB_PAYLOAD_INVALID'));
    expect(await client.post('/queues/nix/jobs', {})).toEqual(problem(404, 'QUEUE_NOT_FOUND'));
  });

  it('are retried: dead and scheduled ones, and no others', async () => {
    const client = await boot(platform);
    await client.post('/queues/idle/jobs', { id: 'later', delay: '1h' });
    expect(await client.post('/jobs/later/retry')).toMatchObject({ status: 200, body: { state: 'ready' } });
    expect(await client.post('/jobs/later/retry')).toMatchObject({ status: 200, body: { state: 'ready' } });
    await client.post('/queues/mails/jobs', { id: 'failed', payload: { fail: 'no' } });
    await expect.poll(() => stateOf(client, 'failed')).toBe('dead');
    await client.post('/queues/mails/pause');
    expect(await client.post('/jobs/failed/retry?queue=mails')).toMatchObject({
      status: 200,
      body: { state: 'ready', failures: 0, cause: null, history: [{ attempt: 1 }] },
    });
    await client.post('/queues/mails/resume');
    await client.post('/queues/mails/jobs', { id: 'runs', payload: { hold: true } });
    await expect.poll(() => stateOf(client, 'runs')).toBe('active');
    expect(await client.post('/jobs/runs/retry')).toEqual(problem(409, 'JOB_STATE_CONFLICT'));
    await client.post('/queues/mails/jobs', { id: 'done', payload: {} });
    await expect.poll(() => stateOf(client, 'done')).toBe('completed');
    expect(await client.post('/jobs/done/retry')).toEqual(problem(409, 'JOB_STATE_CONFLICT'));
    expect(await client.post('/jobs/nix/retry')).toEqual(problem(404, 'JOB_NOT_FOUND'));
  });

  it('are cancelled: one that waits is not run, one that is being run is told to end', async () => {
    const reasons: unknown[] = [];
    @JobHandler('watched')
    class Watched {
      async handle(_job: Job, ctx: JobContext): Promise<void> {
        try {
          await ctx.sleep(Infinity);
        } finally {
          reasons.push((ctx.signal.reason as { reason?: unknown }).reason);
        }
      }
    }
    const root = operatedApp(
      guarded,
      {},
      {
        imports: [JobsModule.registerQueue({ name: 'watched' })],
        providers: [Watched],
      },
    );
    const client = await bootOperated(root, platform);
    await client.post('/queues/watched/jobs', { id: 'waits', delay: '1h' });
    expect(await client.post('/jobs/waits/cancel')).toMatchObject({
      status: 200,
      body: { state: 'cancelled', ended_at: expect.any(String) as string },
    });
    await client.post('/queues/watched/jobs', { id: 'runs' });
    await expect.poll(() => stateOf(client, 'runs')).toBe('active');
    expect(await client.post('/jobs/runs/cancel')).toMatchObject({
      status: 200,
      body: { state: 'cancelled' },
    });
    await expect.poll(() => reasons).toEqual(['lease-lost']);
    expect(await client.post('/jobs/runs/cancel')).toEqual(problem(409, 'JOB_STATE_CONFLICT'));
    expect(await client.post('/jobs/nix/cancel')).toEqual(problem(404, 'JOB_NOT_FOUND'));
  });

  it('are deleted for good, whatever their state', async () => {
    const client = await boot(platform);
    await client.post('/queues/idle/jobs', { id: 'waits', payload: 'p' });
    await client.post('/queues/mails/jobs', { id: 'runs', payload: { hold: true } });
    await expect.poll(() => stateOf(client, 'runs')).toBe('active');
    for (const [id, state] of [
      ['waits', 'ready'],
      ['runs', 'active'],
    ]) {
      expect(await client.ask('DELETE', `/jobs/${id}`)).toMatchObject({ status: 200, body: { id, state } });
      expect(await client.ask('DELETE', `/jobs/${id}`)).toEqual(problem(404, 'JOB_NOT_FOUND'));
    }
    const running = async (): Promise<unknown> =>
      (await client.get<{ jobs: Json[] }>('/queues/mails')).body.jobs;
    await expect.poll(running).toEqual([]);
  });

  it('are dead with a cause, and shown as far as they can be read', async () => {
    @JobHandler('final')
    class Final {
      handle(): never {
        throw new DiscardJob('the customer is gone');
      }
    }
    const root = operatedApp(
      guarded,
      {},
      {
        imports: [JobsModule.registerQueue({ name: 'final' })],
        providers: [Final],
      },
    );
    const client = await bootOperated(root, platform);
    await client.post('/queues/final/jobs', { id: 'gone' });
    await expect.poll(() => stateOf(client, 'gone')).toBe('dead');
    expect((await client.get('/jobs/gone')).body).toMatchObject({ cause: 'discarded' });
  });
});

describe.each(platforms)('Names, on %s', (platform) => {
  const names = ['a b', 'a/b', '100%', 'ünï 📬', '..', '#?&=+', 'a%2Fb', '<script>'];
  const paths = names.map((name) => encodeURIComponent(name).replaceAll('.', '%2E'));

  const workers = names.map((name) => {
    @Worker({ name })
    @Injectable()
    class Named {
      async run(ctx: WorkerContext): Promise<void> {
        await ctx.sleep(Infinity);
      }
    }
    return Named;
  });

  it('may have any characters', async () => {
    const root = operatedApp(
      guarded,
      {},
      {
        imports: [
          JobsModule.registerQueue(...names.map((name) => ({ name, format: 'json' as const }))),
          ...names.map((name) => TaskQueueModule.register({ name })),
        ],
        providers: workers,
      },
    );
    const client = await bootOperated(root, platform);
    for (const [index, path] of paths.entries()) {
      // '..' cannot be asked for by fetch(), whatever it is written as.
      if (names[index] === '..') continue;
      const name = names[index]!;
      expect(await client.get(`/workers/${path}`)).toMatchObject({ status: 200, body: { name } });
      expect(await client.post(`/workers/${path}/restart`)).toMatchObject({ status: 200, body: { name } });
      expect(await client.get(`/task-queues/${path}`)).toMatchObject({ status: 200, body: { name } });
      expect(await client.get(`/queues/${path}`)).toMatchObject({ status: 200, body: { name } });
      expect(await client.post(`/queues/${path}/jobs`, {})).toMatchObject({
        status: 201,
        body: { queue: name },
      });
      expect(await client.get(`/queues/${path}/scaling`)).toMatchObject({ body: { queue: name, ready: 1 } });
      const jobs = await client.get<{ jobs: Json[] }>(`/queues/${path}/jobs?state=ready`);
      expect(jobs.body.jobs).toEqual([expect.objectContaining({ queue: name })]);
      const query = new URLSearchParams({ namespace: 'work', queue_id: name });
      expect(await client.get(`/metrics?${query.toString()}`)).toMatchObject({
        body: { queue_id: name, ready_total: 1 },
      });
    }
  });
});

describe.each(platforms)('Where the backend is gone, on %s', (platform) => {
  const untold = /redis\.internal|6379|ECONNREFUSED/;

  it('lists answer nonetheless, and what needs it says that it is not available, and not where it is', async () => {
    const logger = new RecordingLogger();
    const state = breakableBackend();
    const client = await bootOperated(operatedApp(guarded, { backend: state.backend, logger }), platform);
    await client.post('/queues/idle/jobs', { id: 'one' });
    state.broken = true;
    const { body } = await client.get<{ queues: Json[] }>('/queues');
    expect(body.queues.map(({ levels, paused }) => [levels, paused])).toEqual([
      [null, null],
      [null, null],
    ]);
    const overview = await client.get<OverviewDocument>('/overview');
    expect(overview.status).toBe(200);
    expect(overview.body.job_queues[1]).toMatchObject({ name: 'idle', levels: null });
    expect(overview.body.workers).toHaveLength(3);
    const asked: readonly [string, string, unknown?][] = [
      ['GET', '/queues/idle'],
      ['GET', '/queues/idle/scaling'],
      ['GET', '/queues/idle/jobs?state=ready'],
      ['GET', '/jobs/one'],
      ['GET', '/jobs?namespace=work&job_id=one'],
      ['GET', '/metrics?namespace=work&queue_id=idle'],
      ['POST', '/queues/idle/pause'],
      ['POST', '/queues/idle/redrive'],
      ['POST', '/jobs/one/cancel'],
      ['DELETE', '/jobs/one'],
    ];
    for (const [method, path, sent] of asked) {
      const reply = await client.ask(method, path, sent);
      expect([path, reply]).toEqual([path, problem(503, 'JOB_BACKEND_UNAVAILABLE')]);
      expect(reply.text).not.toMatch(untold);
    }
    for (const [path, sent] of [
      ['/queues/idle/jobs', {}],
      ['/jobs', { namespace: 'work', queue_id: 'idle' }],
    ] as const) {
      const reply = await client.post(path, sent);
      expect(reply).toEqual(problem(503, 'JOB_ENQUEUE_FAILED'));
      expect(reply.text).not.toMatch(untold);
    }
    state.broken = false;
    expect((await client.get('/queues/idle/scaling')).body).toMatchObject({ ready: expect.any(Number) });
  });

  it('one that will never open is not available either, which is no fault of who asks', async () => {
    const state = breakableBackend();
    const { InvalidOptionError } = await import('nestjs-worker');
    state.backend.open = () =>
      Promise.reject(
        new InvalidOptionError({
          owner: 'RedisJobBackend',
          option: 'url',
          given: 'redis://redis.internal:6379',
          accepted: 'something else',
          cure: 'Give it.',
        }),
      );
    const client = await bootOperated(operatedApp(guarded, { backend: state.backend }), platform);
    await vi.waitUntil(async () => (await client.get('/queues/idle')).status !== 200);
    for (const path of ['/queues/idle', '/jobs/one']) {
      const reply = await client.get(path);
      expect(reply).toEqual(problem(503, 'JOB_BACKEND_UNAVAILABLE'));
      expect(reply.text).not.toMatch(untold);
    }
    const enqueued = await client.post('/queues/idle/jobs', {});
    expect(enqueued.status).toBe(503);
    expect(enqueued.text).not.toMatch(untold);
  });
});

describe.each(platforms)('A command that was carried out, on %s', (platform) => {
  it('says so, whatever can be seen of it afterwards', async () => {
    const backend = new MemoryJobBackend();
    const client = await bootOperated(operatedApp(guarded, { backend }), platform);
    await client.post('/queues/idle/jobs', { id: 'later', delay: '1h' });
    const counts = vi.spyOn(backend, 'counts').mockRejectedValue(new Error('too late'));
    expect(await client.post('/queues/idle/pause')).toMatchObject({ status: 200, body: { levels: null } });
    counts.mockRestore();
    expect((await client.get('/queues/idle')).body).toMatchObject({ paused: true });

    const get = vi.spyOn(backend, 'get').mockRejectedValue(new Error('too late'));
    const created = await client.post<{ job: { id: string } }>('/jobs', {
      namespace: 'work',
      queue_id: 'idle',
    });
    expect(created.status).toBe(200);
    get.mockRestore();
    expect(await stateOf(client, created.body.job.id)).toBe('ready');

    const real = backend.get.bind(backend);
    for (const [verb, state] of [
      ['retry', 'ready'],
      ['cancel', 'cancelled'],
    ]) {
      const once = vi.spyOn(backend, 'get').mockImplementationOnce(real);
      once.mockRejectedValue(new Error('too late'));
      expect(await client.post(`/jobs/later/${verb}?queue=idle`)).toMatchObject({
        status: 200,
        body: { state },
      });
      once.mockRestore();
      expect(await stateOf(client, 'later')).toBe(state);
    }
    const { commands } = (await client.get<{ commands: readonly Json[] }>('/commands')).body;
    expect(commands.map(({ code }) => code)).toEqual(commands.map(() => null));
  });

  it('whose own code fails is our fault, whatever status the error has', async () => {
    const logger = new RecordingLogger();
    const failing = { enqueue: () => Promise.reject(Object.assign(new Error('elsewhere'), { status: 401 })) };
    const imports = [JobsModule.registerQueue({ name: 'taxed', middlewares: [failing] })];
    const client = await bootOperated(operatedApp(guarded, { logger }, { imports }), platform);
    const reply = await client.post('/queues/taxed/jobs', {});
    expect(reply).toEqual(problem(500, 'INTERNAL'));
    expect(reply.text).not.toContain('elsewhere');
    expect(logger.lines.filter(({ message }) => message.startsWith('The HTTP API'))).toHaveLength(1);
  });
});

describe.each(platforms)('While the app shuts down, on %s', (platform) => {
  it('how it goes can be seen, and nothing is started any more', async () => {
    const client = await bootOperated(operatedApp(guarded, {}, { providers: [Slow] }), platform);
    const pool = client.app.get(WorkerPoolService);
    const closed = client.app.close();
    await vi.waitUntil(() => pool.snapshot().draining);
    const { body } = await client.get<OverviewDocument>('/overview');
    expect(body.pool).toMatchObject({ draining: true, status: 'draining' });
    expect(body.workers.find(({ name }) => name === 'slow')?.status).toBe('stopping');
    for (const verb of ['start', 'restart']) {
      expect(await client.post(`/workers/steady/${verb}`)).toEqual(problem(503, 'POOL_STOPPING'));
    }
    release.resolve();
    await closed;
    await expect(client.get('/overview')).rejects.toThrow('fetch failed');
  });
});
