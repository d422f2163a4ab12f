import type { INestApplication } from '@nestjs/common';
import {
  type Job,
  type JobContext,
  JobHandler,
  JobsModule,
  MemoryJobBackend,
  type TaskQueue,
} from 'nestjs-worker';
import type { WorkerHttpModuleOptions } from 'nestjs-worker/http';
import { describe, expect, it, vi } from 'vitest';
import type { CommandDocument } from '../../../lib/http/documents/command.js';
import { nestPath } from '../../../lib/http/routes.js';
import type { Operation } from '../../../lib/http/operation.js';
import { operations } from '../../../lib/http/operations.js';
import {
  asOperator,
  asViewer,
  bootOperated,
  breakableBackend,
  guarded,
  type HttpClient,
  operatedApp,
  type Reply,
} from '../../support/http-app.js';
import { type Platform, platforms, type RootModule } from '../../support/nest.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { requestOf } from './operation-requests.js';

type Json = Readonly<Record<string, unknown>>;
type Headers = Record<string, string>;

const nobody: Headers = {};
/** Streams are left as soon as they have begun. */
async function statusOf(client: HttpClient, operation: Operation, headers: Headers): Promise<number> {
  const [method, path, body] = requestOf(operation);
  const response = await fetch(`${client.url}${path}`, {
    method,
    headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  await response.body?.cancel();
  return response.status;
}

const boot = (
  options: Partial<WorkerHttpModuleOptions>,
  platform: Platform,
  root: RootModule = operatedApp({ ...guarded, ...options }),
): Promise<HttpClient> => bootOperated(root, platform);

const commandsOf = async (client: HttpClient): Promise<CommandDocument[]> =>
  (await client.as(asOperator).get<{ commands: CommandDocument[] }>('/commands')).body.commands;

describe.each(platforms)('Who may do what, on %s', (platform) => {
  it('nobody may do anything', async () => {
    const client = await boot({}, platform);
    for (const operation of operations) {
      expect([operation.id, await statusOf(client, operation, nobody)]).toEqual([operation.id, 401]);
    }
  });

  it('viewers may read, and nothing else', async () => {
    const client = await boot({}, platform);
    await client.post('/queues/idle/jobs', { id: 'one' });
    for (const operation of operations) {
      const isAllowed = operation.access === 'read' || operation.access === 'page';
      const status = await statusOf(client, operation, asViewer);
      expect([operation.id, status]).toEqual([operation.id, isAllowed ? 200 : 403]);
    }
    expect((await client.get('/jobs/one')).body).toMatchObject({ state: 'ready' });
  });

  it('operators may do everything', async () => {
    const client = await boot({}, platform);
    for (const operation of operations) {
      // Each finds a job, whatever the one before it has done to it.
      await client.post('/queues/idle/jobs', { id: 'one', delay: '1h' });
      const status = await statusOf(client, operation, asOperator);
      expect([operation.id, status]).toEqual([operation.id, operation.id === 'enqueueJob' ? 201 : 200]);
    }
  });

  it('the routes that there are, are those of the table, and none answers without guards', async () => {
    const found: string[] = [];
    const client = await bootOperated(operatedApp(guarded), platform, {
      prepare: (app: INestApplication) => {
        if (platform === 'express') return;
        interface Route {
          method: string | string[];
          url: string;
        }
        const fastify = app.getHttpAdapter().getInstance() as {
          addHook(name: 'onRoute', hook: (route: Route) => void): void;
        };
        fastify.addHook('onRoute', ({ method, url }) =>
          [method].flat().forEach((one) => found.push(`${one} ${url}`)),
        );
      },
    });
    if (platform === 'express') {
      interface Layer {
        route?: { path: string; methods: Record<string, boolean> };
      }
      const { router } = client.app.getHttpAdapter().getInstance() as { router: { stack: Layer[] } };
      for (const { route } of router.stack) {
        if (route === undefined) continue;
        for (const method of Object.keys(route.methods)) found.push(`${method.toUpperCase()} ${route.path}`);
      }
    }
    const below = found.filter((route) => / \/work(?:\/|$)/.test(route) && !route.endsWith('*'));
    const expected = operations.flatMap(({ method, path }) => {
      const url = nestPath(`/work/${path}`).replace(/\/$/, '');
      const isRead = method === 'get' && platform === 'fastify';
      return [`${method.toUpperCase()} ${url}`, ...(isRead ? [`HEAD ${url}`] : [])];
    });
    expect(new Set(below)).toEqual(new Set(expected));
    expect(operations.length).toBeGreaterThan(25);
    for (const route of below) {
      const [method, path] = route.split(' ') as [string, string];
      const reply = await fetch(new URL(path.replaceAll(/:\w+/g, 'x'), client.url), { method });
      await reply.body?.cancel();
      expect([route, reply.status]).toEqual([route, 401]);
    }
    // What is no route says so to anybody.
    expect((await client.as(nobody).get('/nothing')).status).toBe(404);
  });

  it('the table names each operation once', () => {
    expect(new Set(operations.map(({ id }) => id)).size).toBe(operations.length);
    expect(new Set(operations.map(({ method, path }) => `${method} ${path}`)).size).toBe(operations.length);
    for (const { method, access } of operations) {
      // A browser sends these from any page, with cookies: they must not change anything.
      expect(access === 'command').toBe(method !== 'get');
    }
  });
});

@JobHandler('secrets', { maxAttempts: 1, keepCompleted: '1h' })
class Secrets {
  async handle(job: Job<{ fail?: boolean; hold?: boolean }>, ctx: JobContext): Promise<object> {
    ctx.progress({ hidden: 'in the progress' });
    if (job.payload.hold) await ctx.sleep(Infinity);
    if (job.payload.fail) throw new Error('told to everybody');
    return { hidden: 'in the result' };
  }
}

describe.each(platforms)('What viewers do not see, on %s', (platform) => {
  /** A job whose payload is none, as a program that knows nothing of the format would store it. */
  async function withGarbled(queue: string): Promise<HttpClient> {
    const backend = new MemoryJobBackend();
    const client = await boot({}, platform, operatedApp(guarded, { backend }));
    const payload = new TextEncoder().encode('secret');
    await backend.enqueue([{ id: 'garbled', queue, name: '', payload, due: { inMs: 0 }, priority: 0 }]);
    return client;
  }

  const root = (options: Partial<WorkerHttpModuleOptions> = {}): RootModule =>
    operatedApp(
      { ...guarded, ...options },
      {},
      {
        imports: [JobsModule.registerQueue({ name: 'secrets', format: 'json', lease: '1s' })],
        providers: [Secrets],
      },
    );
  const paths = [
    '/overview',
    '/workers',
    '/workers/broken',
    '/task-queues',
    '/task-queues/thumbs',
    '/queues',
    '/queues/secrets',
    '/queues/secrets/jobs?state=completed',
    '/queues/secrets/jobs?state=dead',
    '/jobs/done',
    '/jobs/failed',
    '/jobs/runs',
    '/jobs?namespace=work&job_id=done',
  ];

  async function fill(client: HttpClient): Promise<void> {
    const headers = { hidden: 'in the headers' };
    await client.post('/queues/secrets/jobs', { id: 'done', payload: { hidden: 'in the payload' }, headers });
    await client.post('/queues/secrets/jobs', { id: 'failed', payload: { fail: true }, headers });
    // What it says of its progress is told when its lease is renewed.
    await client.post('/queues/secrets/jobs', { id: 'runs', payload: { hold: true } });
    await expect
      .poll(async () => (await client.get<Json>('/jobs/runs')).body['progress'], { timeout: 5_000 })
      .toEqual({ hidden: 'in the progress' });
    const tasks: TaskQueue = client.taskQueue('thumbs');
    await expect(tasks.enqueue(() => Promise.reject(new Error('a task failed'))).done).rejects.toThrow(
      'a task',
    );
    for (const id of ['done', 'failed']) {
      await expect
        .poll(async () => (await client.get<Json>(`/jobs/${id}`)).body['ended_at'])
        .toEqual(expect.any(String));
    }
    await expect.poll(async () => (await client.get<Json>('/workers/broken')).body['status']).toBe('error');
  }

  const textsOf = async (client: HttpClient): Promise<Map<string, string>> =>
    new Map(await Promise.all(paths.map(async (path) => [path, (await client.get(path)).text] as const)));

  it('are payloads, results, progress, headers and stacks, anywhere', async () => {
    const client = await boot({}, platform, root());
    await fill(client);
    const seen = await textsOf(client.as(asViewer));
    for (const [path, text] of seen) {
      expect([path, text]).not.toEqual([path, expect.stringMatching(/"hidden":"in the|"stack"|\.ts:\d+/)]);
      expect([path, text]).not.toEqual([path, expect.stringContaining(btoa('{"hidden":"in the payload"}'))]);
    }
    expect(JSON.parse(seen.get('/jobs/done')!)).toMatchObject({
      state: 'completed',
      payload: null,
      progress: null,
      result: null,
      headers: {},
      hidden: ['payload', 'progress', 'result', 'headers'],
    });
    // They see what is wrong, nonetheless.
    expect(seen.get('/workers/broken')).toContain('The tape has run out');
    expect(seen.get('/jobs/failed')).toContain('told to everybody');

    const all = await textsOf(client);
    expect(JSON.parse(all.get('/jobs/done')!)).toMatchObject({
      payload: { hidden: 'in the payload' },
      result: { hidden: 'in the result' },
      headers: { hidden: 'in the headers' },
      hidden: [],
    });
    expect(all.get('/workers/broken')).toContain('"stack"');
    // Lists have none for anybody.
    for (const path of ['/overview', '/workers', '/task-queues', '/queues']) {
      expect(all.get(path)).not.toContain('"stack"');
    }
  });

  it('is shown to them where the options say so, and they still change nothing', async () => {
    const client = await boot({}, platform, root({ showAllToViewers: true }));
    await fill(client);
    const seen = await textsOf(client.as(asViewer));
    expect(seen.get('/jobs/done')).toContain('in the payload');
    expect(seen.get('/jobs/done')).toContain('in the headers');
    expect(seen.get('/workers/broken')).toContain('"stack"');
    expect((await client.as(asViewer).post('/queues/mails/pause')).status).toBe(403);
    expect((await client.as(asViewer).get('/commands')).status).toBe(403);
  });

  it('is what is in a payload that cannot be read', async () => {
    const client = await withGarbled('idle');
    const operator = await client.get<Json>('/jobs/garbled');
    expect(operator.body).toMatchObject({
      payload: null,
      payload_error: expect.stringContaining('"secret"'),
    });
    const viewer = await client.as(asViewer).get<Json>('/jobs/garbled');
    expect([viewer.status, viewer.body['payload_error']]).toEqual([200, null]);
    expect(viewer.text).not.toContain('secret');
  });

  it('is what a handler was told of such a payload, in whatever way that is shown', async () => {
    const client = await withGarbled('mails');
    await vi.waitUntil(async () => (await client.queue('mails').get('garbled'))?.state === 'dead');
    const places = [
      '/jobs/garbled',
      '/queues/mails/jobs?state=dead',
      '/queues/mails',
      '/queues',
      '/overview',
      '/jobs?namespace=work&job_id=garbled',
    ];
    const seen = await Promise.all(places.map((path) => client.as(asViewer).get(path)));
    expect(seen.map(({ status }) => status)).toEqual(places.map(() => 200));
    for (const { text } of seen) expect(text).not.toContain('secret');
    const operator = await client.get<Json>('/jobs/garbled');
    expect(operator.body['last_error']).toContain('"secret"');
  });

  it('is what was said of it before somebody retried it', async () => {
    const client = await withGarbled('mails');
    await vi.waitUntil(async () => (await client.queue('mails').get('garbled'))?.state === 'dead');
    await client.queue('mails').pause();
    expect((await client.post('/jobs/garbled/retry')).status).toBe(200);
    expect((await client.get('/jobs/garbled')).text).toContain('secret');
    for (const path of [
      '/jobs/garbled',
      '/queues/mails/jobs?state=ready',
      '/jobs?namespace=work&job_id=garbled',
    ]) {
      expect((await client.as(asViewer).get(path)).text).not.toContain('secret');
    }
  });

  it('is where the backend is', async () => {
    const state = breakableBackend();
    const client = await boot({}, platform, operatedApp(guarded, { backend: state.backend }));
    state.broken = true;
    await vi.waitUntil(async () => {
      await client.post('/queues/mails/pause');
      return (await client.get('/overview')).text.includes('redis.internal');
    });
    for (const path of ['/overview', '/queues', '/queues/mails']) {
      expect((await client.as(asViewer).get(path)).text).not.toContain('redis.internal');
    }
  });
});

describe.each(platforms)('A command from a page of another site, on %s', (platform) => {
  const send = (client: HttpClient, headers: Headers): Promise<Reply> =>
    client.ask('POST', '/queues/mails/pause', undefined, headers);
  const refused = { status: 403, body: { code: 'CROSS_ORIGIN' } };

  it.each<[string, Headers]>([
    ['Sec-Fetch-Site: cross-site', { 'sec-fetch-site': 'cross-site' }],
    ['Sec-Fetch-Site: same-site', { 'sec-fetch-site': 'same-site' }],
    ['another Origin', { origin: 'https://evil.example.com' }],
    ['Origin: null', { origin: 'null' }],
    ['another port', { origin: 'http://127.0.0.1:1' }],
    ['an Origin that is none', { origin: '%%' }],
    ['cross-site with our Origin', { 'sec-fetch-site': 'cross-site', origin: 'own' }],
  ])('is refused: %s', async (_what, headers) => {
    const client = await boot({}, platform);
    const own = new URL(client.url).origin;
    const reply = await send(client, { ...headers, ...(headers['origin'] === 'own' && { origin: own }) });
    expect(reply).toMatchObject(refused);
    expect(await commandsOf(client)).toMatchObject([
      { command: 'pauseQueue', status: 403, code: 'CROSS_ORIGIN' },
    ]);
    // It has not been done.
    expect((await client.get<Json>('/queues/mails')).body['paused']).toBe(false);
  });

  it.each<[string, Headers]>([
    ['nothing is said, as by what is no browser', {}],
    ['same-origin', { 'sec-fetch-site': 'same-origin' }],
    ['none, as of what was typed', { 'sec-fetch-site': 'none' }],
    ['our Origin', { origin: 'own' }],
    ['an allowed Origin', { origin: 'https://ops.example.com', 'sec-fetch-site': 'cross-site' }],
  ])('is none where %s', async (_what, headers) => {
    const client = await boot({ allowedOrigins: ['https://ops.example.com'] }, platform);
    const own = new URL(client.url).origin;
    const reply = await send(client, { ...headers, ...(headers['origin'] === 'own' && { origin: own }) });
    expect(reply.status).toBe(200);
  });

  it('is refused whatever the command', async () => {
    const client = await boot({}, platform);
    for (const operation of operations.filter(({ access }) => access === 'command')) {
      const headers = { ...asOperator, origin: 'https://evil.example.com' };
      expect([operation.id, await statusOf(client, operation, headers)]).toEqual([operation.id, 403]);
    }
  });

  it('does not keep anybody from reading', async () => {
    const client = await boot({}, platform);
    const reply = await client.ask('GET', '/overview', undefined, { 'sec-fetch-site': 'cross-site' });
    expect(reply.status).toBe(200);
  });
});

describe.each(platforms)('The audit, on %s', (platform) => {
  it('has every command, also those that were refused, with who gave it, in all three places', async () => {
    const told: CommandDocument[] = [];
    const logger = new RecordingLogger();
    const options: WorkerHttpModuleOptions = { ...guarded, onCommand: (command) => told.push(command) };
    const client = await bootOperated(operatedApp(options, { logger }), platform);
    await client.get('/overview');
    await client.post('/workers/steady/restart');
    await client.post('/workers/nix/stop');
    await client.as(asViewer).post('/queues/mails/pause');
    await client.as(nobody).ask('DELETE', '/jobs/one?queue=idle');
    await client.post('/queues/idle/jobs', { id: 'new' });
    await client.post('/queues/idle/jobs', { id: '***' });
    await client.post('/jobs', { namespace: 'work', queue_id: 'idle', id: 'go' });
    const expected = [
      { command: 'restartWorker', target: { worker: 'steady' }, by: 'operator', status: 200, code: null },
      {
        command: 'stopWorker',
        target: { worker: 'nix' },
        by: 'operator',
        status: 404,
        code: 'WORKER_NOT_FOUND',
      },
      // Those who let it in as a viewer know who it is.
      { command: 'pauseQueue', target: { queue: 'mails' }, by: 'viewer', status: 403, code: 'FORBIDDEN' },
      {
        command: 'deleteJobById',
        target: { job: 'one', queue: 'idle' },
        by: null,
        status: 401,
        code: 'UNAUTHENTICATED',
      },
      {
        command: 'enqueueJob',
        target: { queue: 'idle', job: 'new' },
        by: 'operator',
        status: 201,
        code: null,
      },
      {
        command: 'enqueueJob',
        target: { queue: 'idle', job: '***' },
        by: 'operator',
        status: 400,
        code: 'REQUEST_INVALID',
      },
      { command: 'createJob', target: { queue: 'idle', job: 'go' }, by: 'operator', status: 200, code: null },
    ];
    expect((await commandsOf(client)).toReversed()).toMatchObject(expected);
    expect(told).toMatchObject(expected);
    const lines = logger.lines.filter(({ message }) => message.startsWith('Command '));
    expect(lines.map(({ level }) => level)).toEqual(['log', 'warn', 'warn', 'warn', 'log', 'warn', 'log']);
    expect(lines.map(({ fields }) => fields)).toMatchObject(
      expected.map(({ command, target: { job, ...target }, by, status }) =>
        Object.assign(
          { command, status },
          target,
          job !== undefined && { jobID: job },
          by !== null && { by },
        ),
      ),
    );
    expect(lines[0]!.message).toBe('Command restartWorker worker "steady" by "operator"');
    expect(lines[3]!.message).toContain('by somebody unnamed was refused (UNAUTHENTICATED)');
  });

  it('cannot be forged by a name with line breaks, nor changed by who is told', async () => {
    const logger = new RecordingLogger();
    const onCommand = (command: CommandDocument): void => {
      (command as { by: string }).by = 'somebody else';
    };
    const client = await bootOperated(operatedApp({ ...guarded, onCommand }, { logger }), platform);
    await client.post(`/workers/${encodeURIComponent('x"\nCommand restartWorker by root')}/stop`);
    await client.post(`/workers/${'x'.repeat(90)}/stop`);
    const [long, forged] = await commandsOf(client);
    expect(forged).toMatchObject({ by: 'operator', target: { worker: 'x"\nCommand restartWorker by root' } });
    expect(long).toMatchObject({ by: 'operator' });
    expect(logger.messages().filter((line) => /\n/.test(line) && line.startsWith('Command'))).toEqual([]);
  });

  it('says who it was as the app says', async () => {
    const actor = (request: { headers: Json }): string => `agent ${String(request.headers['user-agent'])}`;
    const client = await boot({ actor }, platform);
    await client.ask('POST', '/queues/mails/pause', undefined, { 'user-agent': 'kubectl' });
    await client.ask('POST', '/queues/mails/resume', undefined, { 'user-agent': 'x'.repeat(1_000) });
    const [second, first] = await commandsOf(client);
    expect(first!.by).toBe('agent kubectl');
    expect(second!.by).toHaveLength(200);
  });

  it.each<[string, Partial<WorkerHttpModuleOptions>]>([
    [
      'an actor that throws',
      {
        actor: () => {
          throw new Error('no user');
        },
      },
    ],
    ['an actor that answers nonsense', { actor: () => ({}) as never }],
    [
      'an onCommand that throws',
      {
        onCommand: () => {
          throw new Error('no audit');
        },
      },
    ],
    ['an onCommand that rejects', { onCommand: () => Promise.reject(new Error('no audit')) }],
  ])('suffers no harm from %s', async (what, options) => {
    const client = await boot(options, platform);
    expect((await client.post('/queues/mails/pause')).status).toBe(200);
    expect(await commandsOf(client)).toMatchObject([{ command: 'pauseQueue', status: 200 }]);
    const { body } = await client.get<{ pool: { isolated_errors: number } }>('/overview');
    expect(body.pool.isolated_errors > 0).toBe(!what.includes('nonsense'));
  });
});

describe.each(platforms)('The page, on %s', (platform) => {
  it('has headers that keep it to itself', async () => {
    const client = await boot({}, platform);
    const { status, headers, text } = await client.get('');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(headers.get('cache-control')).toBe('no-store');
    const policy = new Map(
      headers
        .get('content-security-policy')!
        .split('; ')
        .map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1).join(' ')]),
    );
    expect(policy.get('default-src')).toBe("'none'");
    expect(policy.get('script-src')).toBe("'self'");
    expect(policy.get('style-src')).toBe("'self'");
    expect(policy.get('connect-src')).toBe("'self'");
    expect(policy.get('frame-ancestors')).toBe("'none'");
    expect(policy.get('base-uri')).toBe("'none'");
    expect([...policy.values()].join()).not.toMatch(/unsafe|\*|https?:/);
    // Nothing inline, and nothing from elsewhere.
    expect(text).not.toMatch(/<script(?![^>]* src=)|<style|style=| on\w+=|(?:href|src)="(?:https?:)?\/\//);
  });

  it('finds its files with and without a slash at its end, wherever it is', async () => {
    const client = await boot({}, platform);
    for (const page of ['', '/', '/?a=b', '?a=b']) {
      const response = await fetch(`${client.url}${page}`, { headers: asOperator });
      expect(response.status).toBe(200);
      const text = await response.text();
      const files = [...text.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, file]) => file!);
      expect(files).toHaveLength(3);
      for (const file of files) {
        expect(file).not.toMatch(/^\//);
        const asset = await fetch(new URL(file.replaceAll('&amp;', '&'), response.url), {
          headers: asOperator,
        });
        expect([file, asset.status]).toEqual([file, 200]);
        expect(asset.headers.get('cache-control')).toBe('private, max-age=31536000, immutable');
        expect(asset.headers.get('x-content-type-options')).toBe('nosniff');
        expect((await asset.text()).length).toBeGreaterThan(10);
      }
    }
  });

  it('has files that are kept by their hash only', async () => {
    const client = await boot({}, platform);
    for (const [file, type] of [
      ['app.js', 'text/javascript'],
      ['app.css', 'text/css'],
      ['icon.svg', 'image/svg+xml'],
    ]) {
      for (const query of ['', '?v=other', '?v=a&v=b']) {
        const { status, headers } = await client.get(`/assets/${file}${query}`);
        expect([status, headers.get('cache-control')]).toEqual([200, 'no-cache']);
        expect(headers.get('content-type')).toContain(type!);
      }
    }
    for (const file of [
      'nix.js',
      '__proto__',
      'constructor',
      '..%2Fpackage.json',
      '%2e%2e%2f%2e%2e%2fpackage.json',
    ]) {
      expect((await client.get(`/assets/${file}`)).status).toBe(404);
    }
  });

  it('is served to anybody where people sign in by a token, and nothing else is', async () => {
    const client = await boot({ signIn: 'token' }, platform);
    for (const operation of operations) {
      const expected = operation.access === 'page' ? 200 : 401;
      expect([operation.id, await statusOf(client, operation, nobody)]).toEqual([operation.id, expected]);
    }
    const { text } = await client.as(nobody).get('');
    expect(text).toContain('data-sign-in="token"');
    // It holds no data.
    expect(text).not.toMatch(/steady|mails/);
  });

  it('says what the app calls it, escaped', async () => {
    const client = await boot({ title: '</title><script>alert("1")</script>' }, platform);
    const { text } = await client.get('');
    expect(text).toContain('<title>&lt;/title&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;</title>');
    expect(text).toContain('data-sign-in="browser"');
  });

  it('is not there where it is switched off', async () => {
    const client = await boot({ dashboard: false }, platform);
    for (const path of ['', '/assets/app.js']) {
      expect(await client.get(path)).toMatchObject({ status: 404, body: { code: 'ROUTE_NOT_FOUND' } });
    }
    expect((await client.get('/overview')).status).toBe(200);
  });

  it('answers are not kept by anybody', async () => {
    const client = await boot({}, platform);
    for (const path of ['/overview', '/jobs/nix', '/nothing']) {
      const { headers } = await client.get(path);
      expect([headers.get('cache-control'), headers.get('x-content-type-options')]).toEqual([
        'no-store',
        'nosniff',
      ]);
    }
  });
});
