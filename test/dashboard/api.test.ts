import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { Api, ApiError, pathTo } from '../../dashboard/net/api.js';

interface Answer {
  readonly status?: number;
  readonly body: string;
}

/** Of a server that answers so, and says in `seen` what it was asked. */
async function apiOf(answer: Answer, authorization: string | null = null) {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { 'content-type': type, authorization: sent } = request.headers;
      seen.push([request.method, request.url, type, sent, body].filter(Boolean).join(' '));
      response.writeHead(answer.status ?? 200, { connection: 'close' }).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const close = () => new Promise((resolve) => void server.close(resolve));
  onTestFinished(async () => void (await close()));
  const { port } = server.address() as AddressInfo;
  const onUnauthorized = vi.fn<(error: string) => void>();
  const base = new URL(`http://127.0.0.1:${port}/prefix/work/`);
  const api = new Api({ base, authorization: () => authorization, onUnauthorized });
  return { api, seen, onUnauthorized, close };
}

it('asks below its base, with the header that was entered', async () => {
  const { api, seen } = await apiOf({ body: '{"a":1}' }, 'Bearer me');
  expect(await api.get('workers/x')).toEqual({ a: 1 });
  await api.post('queues/q/redrive', { limit: 2 });
  await api.post('workers/x/stop');
  await api.delete('jobs/1?queue=q');
  expect(seen).toEqual([
    'GET /prefix/work/workers/x Bearer me',
    'POST /prefix/work/queues/q/redrive application/json Bearer me {"limit":2}',
    'POST /prefix/work/workers/x/stop application/json Bearer me {}',
    'DELETE /prefix/work/jobs/1?queue=q Bearer me',
  ]);
});

it('says what the server says', async () => {
  const body = '{"error":"No.","code":"WORKER_STUCK","issues":[{"path":"limit","message":"must be 1"}]}';
  const { api } = await apiOf({ status: 409, body });
  const error = await api.get('x').catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ status: 409, code: 'WORKER_STUCK', message: 'No. limit must be 1' });
});

it.each(['<h1>Bad gateway</h1>', '', 'null', '[]'])('gets along with an answer of %j', async (body) => {
  const { api } = await apiOf({ status: 502, body });
  await expect(api.get('x')).rejects.toMatchObject({ status: 502, message: 'The server answered 502.' });
});

it('does not take a page for a document', async () => {
  const { api } = await apiOf({ body: '<form>' });
  await expect(api.get('x')).rejects.toBeInstanceOf(ApiError);
});

it('says that the server wants to know who we are', async () => {
  const { api, onUnauthorized } = await apiOf({ status: 401, body: '{"error":"Who?"}' });
  await expect(api.get('x')).rejects.toMatchObject({ status: 401 });
  expect(onUnauthorized).toHaveBeenCalledExactlyOnceWith('Who?');
});

it('says that there is no server', async () => {
  const { api, close } = await apiOf({ body: '{}' });
  await close();
  await expect(api.get('x')).rejects.toMatchObject({ status: 0, message: 'The server cannot be reached.' });
});

it('rejects as fetch does when nobody waits any more', async () => {
  const { api } = await apiOf({ body: '{}' });
  await expect(api.get('x', AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
});

it('encodes names', () => {
  expect(pathTo('jobs/{}/retry?queue={}', 'a/b c', '?&#{}')).toBe(
    'jobs/a%2Fb%20c/retry?queue=%3F%26%23%7B%7D',
  );
});
