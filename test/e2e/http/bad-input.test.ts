import { request as ask } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  asOperator,
  type HttpClient,
  guarded,
  operatedApp,
  HttpClient as Client,
} from '../../support/http-app.js';
import { moduleNamed, type Platform, platforms } from '../../support/nest.js';
import type { INestApplication, LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { type RawReply, sendRaw } from './raw-request.js';

const logged: unknown[] = [];
const logger: LoggerService = {
  log: () => {},
  warn: () => {},
  error: (...args: unknown[]) => void logged.push(args),
};

async function boot(platform: Platform): Promise<INestApplication> {
  const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
  const root = moduleNamed('AppModule', operatedApp({ ...guarded, bodyLimit: 50_000 }) as object);
  return NestFactory.create(root, adapter, { logger, abortOnError: false, forceCloseConnections: true });
}

/** What fetch() would mend is sent as it is. */
function send(
  client: HttpClient,
  method: string,
  path: string,
  body?: string | Buffer,
  headers: Record<string, string | string[] | undefined> = {},
): Promise<RawReply> {
  const { hostname, port, pathname } = new URL(client.url);
  return new Promise((resolve, reject) => {
    const request = ask(
      {
        hostname,
        port,
        method,
        path: `${pathname}${path}`,
        headers: Object.fromEntries(
          Object.entries({
            ...asOperator,
            ...(body !== undefined && {
              'content-type': 'application/json',
              'content-length': String(Buffer.byteLength(body)),
            }),
            ...headers,
          }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
        ),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode!, text }));
      },
    );
    request.on('error', reject).end(body);
  });
}

const stack = /\n\s+at |node_modules|node:internal|\.[jt]s:\d/;

function expectRefusal({ status, text }: RawReply, ...expected: number[]): { code: string; error: string } {
  expect([status, text]).toEqual([expect.toBeOneOf(expected.length > 0 ? expected : range(400, 499)), text]);
  expect(text).not.toMatch(stack);
  const body = JSON.parse(text) as { code: string; error: string };
  expect(body).toMatchObject({
    error: expect.stringMatching(/\S/),
    code: expect.stringMatching(/^[A-Z_]+$/),
  });
  return body;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, n) => from + n);
const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

describe.each(platforms)('Bad input, on %s', (platform) => {
  let app: INestApplication;
  let client: HttpClient;
  beforeAll(async () => {
    app = await boot(platform);
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as { port: number };
    client = new Client(app, `http://127.0.0.1:${port}/work`);
  });
  afterAll(() => app.close());
  const isFastify = platform === 'fastify';

  it.each([
    '',
    '{',
    '{"payload":',
    "{'payload':1}",
    '{"payload":1,}',
    'undefined',
    'NaN',
    '\u0000',
    '\uFEFF{}x',
    '{"a":1}{"b":2}',
    '<xml/>',
    'payload=1',
    '[]',
    'null',
    'true',
    '"text"',
    '7',
    '[{"payload":1}]',
  ])('a body of %o', async (body) => {
    for (const path of ['/queues/idle/jobs', '/jobs', '/queues/idle/redrive']) {
      const reply = await send(client, 'POST', path, body);
      // Where a body may be left out, nothing is one left out.
      if (path.endsWith('redrive') && body === '' && reply.status === 200) continue;
      expectRefusal(reply, 400);
    }
  });

  it.each([
    '{"__proto__":{"a":1}}',
    '{"constructor":{"prototype":{"a":1}}}',
    '{"payload":1,"__proto__":null}',
  ])('a body of %s', async (body) => {
    expectRefusal(await send(client, 'POST', '/queues/idle/jobs', body), 400);
    expect(({} as { a?: number }).a).toBeUndefined();
  });

  it('a payload with such names is data, or refused', async () => {
    for (const payload of ['{"__proto__":{"a":1}}', '{"constructor":{"prototype":{"a":1}}}']) {
      const { status } = await send(client, 'POST', '/queues/idle/jobs', `{"payload":${payload}}`);
      expect([201, 400]).toContain(status);
      expect(({} as { a?: number }).a).toBeUndefined();
    }
  });

  it.each<[string, unknown]>([
    ['a text for options', { delay: {}, priority: 'high' }],
    ['a number for a text', { id: 7 }],
    ['null for a text', { id: null }],
    ['a list for a text', { name: ['a'] }],
    ['null for a number', { priority: null }],
    ['a key too long', { unique: { key: 'x'.repeat(1_001) } }],
    ['NUL in an id', { id: 'a\u0000b' }],
    ['a line break in an id', { id: 'a\nb' }],
    ['a slash in an id', { id: 'a/b' }],
    ['half of a character', { headers: { a: '\uD800' } }],
    ['another field', { payload: 1, payloads: 2 }],
  ])('%s', async (_what, body) => {
    expectRefusal(await send(client, 'POST', '/queues/idle/jobs', JSON.stringify(body)), 400);
  });

  it.each(['e30', 'e30==', '====', 'e30\n=', 'é30=', '*', 'e3 0=', '\u0000', 7, {}, [], true])(
    'base64 of %o',
    async (payload) => {
      const body = JSON.stringify({ namespace: 'work', queue_id: 'idle', payload });
      expectRefusal(await send(client, 'POST', '/jobs', body), 400);
    },
  );

  it('bodies that are too long, said or not', async () => {
    const long = JSON.stringify({ payload: 'x'.repeat(60_000) });
    expect(expectRefusal(await send(client, 'POST', '/queues/idle/jobs', long), 413).code).toBe(
      'BODY_TOO_LARGE',
    );
    const chunked = await send(client, 'POST', '/queues/idle/jobs', long, {
      'content-length': undefined,
      'transfer-encoding': 'chunked',
    });
    expect(expectRefusal(chunked, 413).code).toBe('BODY_TOO_LARGE');
    const huge = JSON.stringify({ payload: 'x'.repeat(20_000_000) });
    const { status } = await send(client, 'POST', '/queues/idle/jobs', huge).catch(() => ({ status: 413 }));
    expect(status).toBe(413);
    expect((await client.get('/queues/idle/scaling')).body['ready']).toBeLessThan(10);
  });

  it.each([
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/octet-stream',
    'nonsense',
    '/',
    '',
  ])('a body of type %o', async (type) => {
    expectRefusal(await send(client, 'POST', '/queues/idle/jobs', '{}', { 'content-type': type }), 400, 415);
  });

  it.each(['utf-16', 'iso-8859-1', 'utf-7', 'nonsense', '"'])('a body in charset %s', async (charset) => {
    const type = `application/json; charset=${charset}`;
    const reply = await send(client, 'POST', '/queues/idle/jobs', '{"payload":1}', { 'content-type': type });
    if (reply.status !== 201) expectRefusal(reply, 400, 415);
  });

  it('bodies that are no UTF-8, and bodies that are packed', async () => {
    const bytes = Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]);
    expectRefusal(await send(client, 'POST', '/queues/idle/jobs', bytes), 400);
    for (const [encoding, body] of [
      ['gzip', Buffer.from('no gzip')],
      ['gzip', gzipSync(Buffer.alloc(50_000_000))],
      ['nonsense', Buffer.from('{}')],
      ['deflate', Buffer.from('{}')],
      ['br', Buffer.from('{}')],
    ] as const) {
      const headers = { 'content-encoding': encoding };
      const reply = await send(client, 'POST', '/queues/idle/jobs', body, headers);
      // Fastify unpacks nothing, and takes what it is given as it is.
      if (isFastify && body.toString() === '{}') expect(reply.status).toBe(201);
      else expectRefusal(reply, 400, 413, 415);
    }
  });

  it('JSON of any depth', async () => {
    for (const depth of [100, 1_000, 20_000]) {
      const body = `{"payload":${deep(depth)}}`;
      for (const headers of [{}, { 'content-length': undefined, 'transfer-encoding': 'chunked' }]) {
        const reply = await send(client, 'POST', '/queues/idle/jobs', body, headers);
        expect(reply.text).not.toMatch(stack);
        if (reply.status !== 201) expectRefusal(reply, 400, 422);
        else {
          const { id } = JSON.parse(reply.text) as { id: string };
          expect((await client.get(`/jobs/${id}`)).status).toBe(200);
        }
      }
      expectRefusal(await send(client, 'POST', '/jobs', body), 400);
    }
    expectRefusal(await send(client, 'POST', '/queues/idle/jobs', `{"payload":${deep(100_000)}}`), 413);
  });

  it.each([
    '/queues/nix',
    '/queues/nix/scaling',
    '/queues/__proto__',
    '/queues/constructor',
    '/workers/__proto__',
    '/workers/toString',
    '/task-queues/hasOwnProperty',
    '/jobs/__proto__',
    '/jobs/nix',
    '/nothing',
    '/workers/steady/nothing',
    '/workers//stop',
    '/queues//jobs?state=ready',
    '/assets/..%2f..%2fpackage.json',
    '/assets/__proto__',
    '/queues/%00',
    '/queues/a%0d%0ab',
    '/queues/%F0%9F%92%A9',
    '/queues/idle%2Fscaling',
    '/%2e%2e/work/overview',
    '/queues/..%2f..%2foverview',
    `/queues/${'x'.repeat(90)}`,
    `/workers/${'x'.repeat(5_000)}`,
    '/OVERVIEW%20',
  ])('%s is not there', async (path) => {
    expectRefusal(await send(client, 'GET', path), 400, 404, 414);
  });

  it.each([
    '/queues/idle/jobs',
    '/queues/idle/jobs?state=nix',
    '/queues/idle/jobs?state=ready&state=dead',
    '/queues/idle/jobs?state[]=ready',
    '/queues/idle/jobs?state=ready&limit=ten',
    '/queues/idle/jobs?state=ready&limit=1.5',
    '/queues/idle/jobs?state=ready&limit=-1',
    '/queues/idle/jobs?state=ready&limit=1e3',
    '/queues/idle/jobs?state=ready&limit=99999999999999999999',
    '/queues/idle/jobs?state=ready&limit=',
    '/queues/idle/jobs?state=ready&limit=NaN',
    '/queues/idle/jobs?state=ready&cursor=AAAA',
    '/queues/idle/jobs?state=ready&cursor=%00',
    '/queues/idle/jobs?state=ready&cursor=-1',
    '/queues/idle/jobs?state=ready&cursor=e30%3D',
    `/queues/idle/jobs?state=ready&cursor=${'x'.repeat(3_000)}`,
    '/queues/idle/jobs?__proto__[state]=ready',
    '/queues/idle/scaling?window=P1D',
    '/queues/idle/scaling?window=1s&window=2s',
    '/queues/idle/scaling?window=Infinity',
    '/queues/idle/scaling?jobs_per_consumer=0',
    '/queues/idle/scaling?jobs_per_consumer=Infinity',
    '/queues/idle/scaling?jobs_per_consumer=%20',
    '/jobs?namespace=work&job_id=a%20b',
    '/jobs?namespace=work&namespace=work&job_id=a',
    '/jobs?namespace=&job_id=a',
    '/jobs/a%20b',
    '/jobs/a%2Fb',
    '/jobs/%E2%82%AC',
  ])('%s is refused', async (path) => {
    expectRefusal(await send(client, 'GET', path), 400);
  });

  it('cursors of another state or queue, and cursors that are cut', async () => {
    for (let n = 0; n < 5; n++) await client.queue('idle').enqueue(n);
    const { body } = await client.get<{ cursor: string }>('/queues/idle/jobs?state=ready&limit=2');
    expect(body.cursor).toEqual(expect.any(String));
    const cursor = encodeURIComponent(body.cursor);
    for (const path of [
      `/queues/idle/jobs?state=dead&cursor=${cursor}`,
      `/queues/mails/jobs?state=ready&cursor=${cursor}`,
      `/queues/idle/jobs?state=ready&cursor=${encodeURIComponent(body.cursor.slice(0, -1))}`,
      `/queues/idle/jobs?state=ready&cursor=${encodeURIComponent(`${body.cursor}0`)}`,
    ]) {
      const reply = await send(client, 'GET', path);
      if (reply.status !== 200) expectRefusal(reply, 400);
    }
  });

  it('a job id of 200 characters is found', async () => {
    const id = 'x'.repeat(200);
    expect((await client.post('/queues/idle/jobs', { id })).status).toBe(201);
    expect((await client.get(`/jobs?namespace=work&job_id=${id}`)).status).toBe(200);
    const reply = await send(client, 'GET', `/jobs/${id}`);
    // Fastify takes no parameter of a path longer than its maxParamLength, 100 where the app says nothing.
    if (isFastify) expectRefusal(reply, 404, 414);
    else expect(reply.status).toBe(200);
  });

  it.each(['%', '%zz', '%E0%A4%A', '%FF', '%C0%80', 'a%'])('a path with %s', async (text) => {
    for (const path of [`/queues/${text}`, `/queues/${text}/jobs`, `/jobs/${text}`]) {
      const { status, text: answer } = await send(client, 'GET', path);
      expect([path, status]).toEqual([path, expect.toBeOneOf([400, 404])]);
      expect(answer).not.toMatch(stack);
      expect(JSON.parse(answer)).toMatchObject({ error: expect.any(String), code: expect.any(String) });
    }
  });

  it.each(['PUT', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND', 'PURGE', 'QUERY', 'LINK'])(
    'the method %s',
    async (method) => {
      for (const path of ['/overview', '/jobs', '/queues/idle', '/nothing']) {
        const { status, text } = await send(client, method, path);
        expect([path, status, text]).toEqual([path, expect.toBeOneOf([400, 404, 405]), text]);
        expect(text).not.toMatch(stack);
      }
    },
  );

  it('commands by the wrong method change nothing', async () => {
    for (const [method, path] of [
      ['GET', '/queues/idle/pause'],
      ['HEAD', '/queues/idle/pause'],
      ['DELETE', '/queues/idle/pause'],
      ['POST', '/queues/idle'],
      ['DELETE', '/queues/idle'],
    ] as const) {
      const { status } = await send(client, method, path);
      expect(status).toBe(404);
    }
    expect((await client.get<{ paused: unknown }>('/queues/idle')).body.paused).toBe(false);
  });

  it('headers that are strange', async () => {
    for (const headers of [
      { origin: ['https://a.example.com', 'https://b.example.com'] as unknown as string },
      { 'sec-fetch-site': 'same-origin, cross-site' },
      { 'x-long': 'x'.repeat(8_000) },
      { 'content-type': ['text/plain', 'application/json'] as unknown as string },
      { authorization: 'Bearer operator, Bearer viewer' },
      { 'content-encoding': 'identity, identity' },
    ]) {
      const { status, text } = await send(client, 'POST', '/queues/idle/jobs', '{}', headers);
      expect(status).toBeLessThan(500);
      expect(text).not.toMatch(stack);
    }
  });

  const head = `Authorization: Bearer operator\r\nContent-Type: application/json\r\nConnection: close\r\n`;
  it.each<[string, (at: string) => string]>([
    [
      'two lengths',
      (at) =>
        `POST ${at}/jobs HTTP/1.1\r\nHost: x\r\n${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
    ],
    [
      'a length and chunks',
      (at) =>
        `POST ${at}/jobs HTTP/1.1\r\nHost: x\r\n${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['a negative length', (at) => `POST ${at}/jobs HTTP/1.1\r\nHost: x\r\n${head}Content-Length: -1\r\n\r\n`],
    [
      'a length that is none',
      (at) => `POST ${at}/jobs HTTP/1.1\r\nHost: x\r\n${head}Content-Length: two\r\n\r\n{}`,
    ],
    [
      'chunks that are none',
      (at) =>
        `POST ${at}/jobs HTTP/1.1\r\nHost: x\r\n${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
    ],
    [
      'an unknown coding',
      (at) => `POST ${at}/jobs HTTP/1.1\r\nHost: x\r\n${head}Transfer-Encoding: nonsense\r\n\r\n{}`,
    ],
    ['headers without an end', (at) => `GET ${at}/overview HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(100_000)}`],
    [
      'very many headers',
      (at) => `GET ${at}/overview HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(10_000)}\r\n`,
    ],
    ['a very long path', (at) => `GET ${at}/${'x'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
    ['no host', (at) => `GET ${at}/overview HTTP/1.1\r\n${head}\r\n`],
    // Node takes the first of two hosts.
    ['two hosts and no path', (at) => `GET ${at}/nothing HTTP/1.1\r\nHost: a\r\nHost: b\r\n${head}\r\n`],
    ['an old version', (at) => `GET ${at}/queues/nix HTTP/0.9\r\n\r\n`],
    ['a new version', (at) => `GET ${at}/overview HTTP/9.9\r\n\r\n`],
    ['an unknown method', (at) => `BREW ${at}/overview HTTP/1.1\r\nHost: x\r\n\r\n`],
    ['NUL in the path', (at) => `GET ${at}/queues/\u0000 HTTP/1.1\r\nHost: x\r\n${head}\r\n`],
    ['a blank in the path', (at) => `GET ${at}/queues/a b HTTP/1.1\r\nHost: x\r\n${head}\r\n`],
    ['bytes in the path', (at) => `GET ${at}/queues/\u00ff\u00fe HTTP/1.1\r\nHost: x\r\n${head}\r\n`],
    [
      'an absolute address',
      (at) => `GET http://elsewhere.example.com${at}/queues/nix HTTP/1.1\r\nHost: x\r\n${head}\r\n`,
    ],
    ['a path that is none', () => `GET work HTTP/1.1\r\nHost: x\r\n${head}\r\n`],
    ['a header that folds', (at) => `GET ${at}/overview HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n`],
    [
      'a header with a line feed',
      (at) => `GET ${at}/overview HTTP/1.1\r\nHost: x\r\nX: a\nY: b\u0000\r\n\r\n`,
    ],
    [
      'something unexpected',
      (at) => `POST ${at}/jobs HTTP/1.1\r\nHost: x\r\n${head}Expect: nonsense\r\nContent-Length: 2\r\n\r\n{}`,
    ],
    ['no HTTP', () => '\u0016\u0003\u0001\u0002\u0000'],
    ['a tunnel', () => `CONNECT elsewhere.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n`],
    [
      'another protocol',
      (at) => `GET ${at}/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    ],
  ])('bytes with %s', async (_what, bytesOf) => {
    const { status, text } = await sendRaw(client.url, bytesOf('/work'), 1_000);
    // Much of that Node refuses before anybody sees it, or closes the connection.
    expect([status, text.slice(0, 200)]).toEqual([
      expect.toBeOneOf([0, ...range(400, 499)]),
      text.slice(0, 200),
    ]);
    expect(text).not.toMatch(stack);
  });

  it('a body that never comes leaves nothing behind', async () => {
    const bytes = `POST /work/jobs HTTP/1.1\r\nHost: x\r\n${head}Content-Length: 100\r\n\r\n{"a":`;
    const { text } = await sendRaw(client.url, bytes, 100);
    expect(text).not.toMatch(stack);
  });

  it('has left the app as it was, and the log without a complaint', async () => {
    expect((await client.get('/overview')).status).toBe(200);
    expect(
      (await client.get<{ pool: { isolated_errors: number } }>('/overview')).body.pool.isolated_errors,
    ).toBe(0);
    expect(logged.filter((line) => JSON.stringify(line)?.includes('HTTP API'))).toEqual([]);
  });
});
