import { decode, encode } from '@msgpack/msgpack';
import { readFileSync } from 'node:fs';
import { JobsModule, type JobsModuleOptions } from 'nestjs-worker';
import { RedisJobBackend } from 'nestjs-worker/redis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GoWorker, secondsNow } from '../../integrations/redis/go-worker.js';
import { asViewer, bootOperated, guarded, type HttpClient, operatedApp } from '../../support/http-app.js';
import { type Platform, platforms } from '../../support/nest.js';
import { RedisServer } from '../../support/redis.js';

// What the server of gocraft/work v2 promises (github.com/taylorchu/work, http/openapi.yaml), and where this one is to differ.

interface GoJob {
  readonly id: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly enqueued_at: string;
  readonly payload: string | null;
  readonly retries: number;
  readonly last_error: string;
}

interface JobAnswer {
  readonly namespace: string;
  readonly queue_id: string;
  readonly status: string;
  readonly job: GoJob;
}

type Metrics = Readonly<Record<string, number>>;

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const aJob = {
  id: expect.stringMatching(/^[a-z0-9-]{36}$/),
  created_at: expect.stringMatching(time),
  updated_at: expect.stringMatching(time),
  enqueued_at: expect.stringMatching(time),
  payload: 'InBheWxvYWQxIg==',
  retries: 0,
  last_error: '',
};

const boot = (platform: Platform, jobs?: JobsModuleOptions): Promise<HttpClient> =>
  bootOperated(
    operatedApp(guarded, jobs, {
      imports: [JobsModule.registerQueue({ name: 'packed' }, { name: 'raw', format: 'bytes' })],
    }),
    platform,
  );

const create = (client: HttpClient, body: object) =>
  client.post<JobAnswer>('/jobs', { namespace: 'work', queue_id: 'idle', ...body });

const metricsOf = async (client: HttpClient, queue: string, namespace = 'work'): Promise<Metrics> => {
  const query = new URLSearchParams({ namespace, queue_id: queue });
  return (await client.get<Metrics>(`/metrics?${query.toString()}`)).body;
};

describe.each(platforms)('The contract of gocraft/work, on %s', (platform) => {
  it('creates jobs, counts them, and answers one again that is there', async () => {
    const client = await boot(platform);
    const payload = 'InBheWxvYWQxIg==';
    const later = await create(client, { payload, delay: '10s' });
    expect([later.status, later.body]).toEqual([200, { namespace: 'work', queue_id: 'idle', job: aJob }]);
    const { created_at, enqueued_at } = later.body.job;
    expect(Date.parse(enqueued_at) - Date.parse(created_at)).toBe(10_000);
    expect(await metricsOf(client, 'idle')).toMatchObject({
      namespace: 'work',
      queue_id: 'idle',
      ready_total: 0,
      scheduled_total: 1,
      total: 1,
      latency: 0,
    });
    expect((await create(client, { payload })).body.job).toEqual(aJob);
    expect(await metricsOf(client, 'idle')).toMatchObject({ ready_total: 1, scheduled_total: 1, total: 2 });

    const first = await create(client, { payload, id: 'id1' });
    const second = await create(client, { payload: 'InBheWxvYWQyIg==', id: 'id1' });
    expect([second.status, second.body]).toEqual([200, first.body]);
    expect(await metricsOf(client, 'idle')).toMatchObject({ ready_total: 2, scheduled_total: 1, total: 3 });

    const got = await client.get('/jobs?namespace=work&job_id=id1');
    expect([got.status, got.body]).toEqual([
      200,
      { namespace: 'work', status: 'ready', job: { ...aJob, id: 'id1' } },
    ]);
    const deleted = await client.ask('DELETE', '/jobs?namespace=work&queue_id=idle&job_id=id1');
    expect([deleted.status, deleted.body]).toEqual([
      200,
      { namespace: 'work', queue_id: 'idle', job: { ...aJob, id: 'id1' } },
    ]);
    expect(await metricsOf(client, 'idle')).toMatchObject({ ready_total: 1, scheduled_total: 1, total: 2 });
  });

  it('takes namespace and queue_id as query parameters, too', async () => {
    const client = await boot(platform);
    const { status, body } = await client.post<JobAnswer>('/jobs?namespace=work&queue_id=idle', {
      payload: 'e30=',
    });
    expect([status, body.queue_id, body.job.payload]).toEqual([200, 'idle', 'e30=']);
  });

  it('takes what its clients leave out or leave empty', async () => {
    const client = await boot(platform);
    for (const body of [{}, { payload: null }, { payload: '' }, { id: '', delay: '' }]) {
      const { status, body: answer } = await create(client, body);
      expect([status, answer.job]).toEqual([200, { ...aJob, payload: null }]);
    }
  });

  it.each([
    ['no parameters', 'GET', '/jobs', undefined],
    ['no parameters', 'DELETE', '/jobs', undefined],
    ['no parameters', 'GET', '/metrics', undefined],
    ['no queue', 'DELETE', '/jobs?namespace=work&job_id=id1', undefined],
    ['no body', 'POST', '/jobs', undefined],
    ['an empty body', 'POST', '/jobs', ''],
    ['an empty object', 'POST', '/jobs', '{}'],
    ['half a body', 'POST', '/jobs', '{'],
    ['a number for a delay', 'POST', '/jobs', '{"namespace":"work","queue_id":"idle","delay":1}'],
    ['a delay without a unit', 'POST', '/jobs', '{"namespace":"work","queue_id":"idle","delay":"10"}'],
    ['a negative delay', 'POST', '/jobs', '{"namespace":"work","queue_id":"idle","delay":"-1s"}'],
    ['no base64', 'POST', '/jobs', '{"namespace":"work","queue_id":"idle","payload":"e30"}'],
    ['base64url', 'POST', '/jobs', '{"namespace":"work","queue_id":"idle","payload":"-_-_"}'],
    ['an unsafe id', 'POST', '/jobs', '{"namespace":"work","queue_id":"idle","id":"a b"}'],
    ['an id with a line break', 'POST', '/jobs', '{"namespace":"work","queue_id":"idle","id":"a\\n"}'],
    [
      'an id of 201 characters',
      'POST',
      '/jobs',
      JSON.stringify({ namespace: 'work', queue_id: 'idle', id: 'x'.repeat(201) }),
    ],
  ])('answers 400 to %s (%s %s)', async (_what, method, path, body) => {
    const client = await boot(platform);
    const reply = await client.ask(method, path, body);
    expect(reply.status).toBe(400);
    expect(reply.body).toMatchObject({ error: expect.any(String), code: expect.stringMatching(/^REQUEST_/) });
    expect(await metricsOf(client, 'idle')).toMatchObject({ total: 0 });
  });

  it('takes nothing for what is null, and leaves out what it does not know, as a program in Go does', async () => {
    const client = await boot(platform);
    const body = { namespace: 'work', queue_id: 'idle', id: null, payload: null, delay: null, retries: 7 };
    expect((await client.post('/jobs', body)).status).toBe(200);
    expect(await metricsOf(client, 'idle')).toMatchObject({ total: 1 });
  });

  it('W10: an unknown job is not found, and was not completed', async () => {
    const client = await boot(platform);
    for (const [method, path] of [
      ['GET', '/jobs?namespace=work&job_id=xxx'],
      ['DELETE', '/jobs?namespace=work&queue_id=idle&job_id=xxx'],
    ] as const) {
      expect(await client.ask(method, path)).toMatchObject({ status: 404, body: { code: 'JOB_NOT_FOUND' } });
    }
  });

  it('refuses a namespace that is not its own, and a queue that it does not have', async () => {
    const client = await boot(platform);
    const foreign = { status: 404, body: { code: 'NAMESPACE_NOT_FOUND' } };
    expect(await client.get('/metrics?namespace=%7Bns1%7D&queue_id=idle')).toMatchObject(foreign);
    expect(await client.get('/jobs?namespace=other&job_id=a')).toMatchObject(foreign);
    expect(await client.ask('DELETE', '/jobs?namespace=other&queue_id=idle&job_id=a')).toMatchObject(foreign);
    expect(await create(client, { namespace: 'other' })).toMatchObject(foreign);
    const nowhere = { status: 404, body: { code: 'QUEUE_NOT_FOUND' } };
    expect(await client.get('/metrics?namespace=work&queue_id=nix')).toMatchObject(nowhere);
    expect(await create(client, { queue_id: 'nix' })).toMatchObject(nowhere);
  });

  it('calls the namespace as the options say', async () => {
    const client = await bootOperated(operatedApp({ ...guarded, namespace: '{shop}' }), platform);
    expect((await metricsOf(client, 'idle', '{shop}'))['total']).toBe(0);
    expect((await client.get('/metrics?namespace=work&queue_id=idle')).status).toBe(404);
  });

  it('answers the very bytes that were sent, whatever they are', async () => {
    const client = await boot(platform);
    const packed = Buffer.from(encode(Uint8Array.of(0, 0xff, 0xfe, 0x80, 0xc3, 0x28))).toString('base64');
    const anything = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString('base64');
    for (const [queue_id, payload] of [
      ['packed', packed],
      ['raw', anything],
    ] as const) {
      const { body } = await create(client, { queue_id, payload });
      expect(body.job.payload).toBe(payload);
      const got = await client.get<JobAnswer>(`/jobs?namespace=work&job_id=${body.job.id}`);
      expect(got.body.job.payload).toBe(payload);
    }
    const other = await create(client, { queue_id: 'idle', payload: anything });
    expect(other).toMatchObject({ status: 422, body: { code: 'JOB_PAYLOAD_INVALID' } });
  });

  it('hides payloads from viewers', async () => {
    const client = await boot(platform);
    await create(client, { id: 'secret', payload: 'InBheWxvYWQxIg==' });
    const { status, body } = await client.as(asViewer).get<JobAnswer>('/jobs?namespace=work&job_id=secret');
    expect([status, body.job.payload]).toEqual([200, null]);
  });

  it('W10: of 100 at once with one id, one is stored, and all are answered alike', async () => {
    const client = await boot(platform);
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, n) => create(client, { id: 'one', payload: btoa(String(n)) })),
    );
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(replies.map(({ body }) => body.job.payload)).size).toBe(1);
    expect(await metricsOf(client, 'idle')).toMatchObject({ total: 1 });
  });

  it('W1: what runs is told apart from what is for later, and is never hidden', async () => {
    const client = await boot(platform);
    await create(client, { queue_id: 'mails', payload: btoa('{"hold":true}') });
    await create(client, { queue_id: 'mails', delay: '720h' });
    await expect
      .poll(() => metricsOf(client, 'mails'))
      .toMatchObject({ active_total: 1, ready_total: 0, scheduled_total: 1, total: 2, latency: 0 });
    const scaling = await client.get('/queues/mails/scaling?jobs_per_consumer=1&window=1h');
    expect(scaling.body).toMatchObject({
      active: 1,
      ready: 0,
      scheduled: 1,
      due_within: 0,
      consumers_wanted: 1,
    });
  });

  it('W13: latency is how long the oldest ready job has been due, in nanoseconds, and in seconds', async () => {
    const client = await boot(platform);
    await create(client, {});
    await expect.poll(async () => (await metricsOf(client, 'idle'))['latency']).toBeGreaterThan(20e6);
    const { latency, latency_seconds } = await metricsOf(client, 'idle');
    expect(latency! / 1e9).toBeCloseTo(latency_seconds!, 6);
    expect(latency_seconds).toBeLessThan(20);
  });
});

describe('Beside Go programs on a real Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  }, 60_000);
  afterAll(() => server.stop());

  let namespaces = 0;
  const bootShop = async (platform: Platform = 'express') => {
    const namespace = `{shop-${++namespaces}}`;
    const client = await boot(platform, { backend: new RedisJobBackend({ url: server.url, namespace }) });
    const createHere = (body: object) => create(client, { namespace, ...body });
    return { client, namespace, createHere };
  };

  it.each(platforms)('W10: of 100 at once with one id, one is stored (%s)', async (platform) => {
    const { client, namespace, createHere } = await bootShop(platform);
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, n) => createHere({ id: 'one', payload: btoa(String(n)) })),
    );
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(replies.map(({ body }) => body.job.payload)).size).toBe(1);
    expect(await metricsOf(client, 'idle', namespace)).toMatchObject({ total: 1 });
  });

  it('a job that is created here is what a Go program reads, and what it acknowledges is gone here', async () => {
    const { client, namespace, createHere } = await bootShop();
    const bytes = Uint8Array.of(0, 0xff, 0xfe, 0x80);
    const payload = Buffer.from(bytes).toString('base64');
    const { body } = await createHere({ queue_id: 'raw', id: 'for-go', payload });
    const redis = server.client();
    try {
      const go = new GoWorker(redis, namespace, 'raw');
      const [job] = await go.dequeue(1, 60, secondsNow() + 1);
      expect(job).toMatchObject({ id: 'for-go', retries: 0, last_error: '' });
      expect(new Uint8Array(job!.payload!)).toEqual(bytes);
      expect(job!.created_at.toISOString()).toBe(body.job.created_at);
      // What Go reads is the time of this machine, and what we answer that of Redis.
      const apart = Math.abs(job!.enqueued_at.getTime() - Date.parse(body.job.enqueued_at));
      expect(apart).toBeLessThan(5_000);
      await go.ack('for-go');
    } finally {
      redis.disconnect();
    }
    const query = new URLSearchParams({ namespace, job_id: 'for-go' });
    expect((await client.get(`/jobs?${query.toString()}`)).status).toBe(404);
  });

  it('the jobs that Go wrote are answered with the bytes that Go gave them', async () => {
    const { client, namespace } = await bootShop();
    const file = new URL('../../integrations/redis/fixtures/gocraft-work-v2-jobs.json', import.meta.url);
    const { jobs } = JSON.parse(readFileSync(file, 'utf8')) as { jobs: { jobKey: string; hex: string }[] };
    const redis = server.client();
    try {
      const go = new GoWorker(redis, namespace, 'raw');
      for (const { jobKey, hex } of jobs) {
        const id = jobKey.split(':job:')[1]!;
        const bytes = Buffer.from(hex, 'hex');
        await go.write(id, bytes, secondsNow());
        const written = decode(new Uint8Array(bytes)) as { payload: Uint8Array | null; retries: number };
        const query = new URLSearchParams({ namespace, job_id: id, queue_id: 'raw' });
        const { status, body } = await client.get<JobAnswer>(`/jobs?${query.toString()}`);
        expect([status, body.job.id, body.job.retries]).toEqual([200, id, written.retries]);
        const expected = written.payload === null ? null : Buffer.from(written.payload).toString('base64');
        expect(body.job.payload).toBe(expected);
      }
      expect(jobs.length).toBeGreaterThan(3);
    } finally {
      redis.disconnect();
    }
  });

  it('W1: what a Go program holds is among what is scheduled, and in the total', async () => {
    const { client, namespace, createHere } = await bootShop();
    await createHere({ queue_id: 'raw', id: 'held' });
    const redis = server.client();
    try {
      const go = new GoWorker(redis, namespace, 'raw');
      expect(await go.dequeue(1, 60, secondsNow() + 1)).toHaveLength(1);
    } finally {
      redis.disconnect();
    }
    expect(await metricsOf(client, 'raw', namespace)).toMatchObject({
      ready_total: 0,
      scheduled_total: 1,
      active_total: 0,
      total: 1,
    });
  });
});
