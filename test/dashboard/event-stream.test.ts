import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished, vi } from 'vitest';
import { EventStream, type EventStreamOptions, type StreamState } from '../../dashboard/net/event-stream.js';
import { retryDelayMs } from '../../dashboard/net/retry-delay.js';

const overview = 'event: overview\ndata: {}\n\n';

/** Streams from a server that answers so. */
async function streamFrom(
  answer: (response: ServerResponse, request: IncomingMessage, connection: number) => void,
  options: Partial<EventStreamOptions> = {},
) {
  let connections = 0;
  const server = createServer((request, response) => answer(response, request, ++connections));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const states: StreamState[] = [];
  const events: string[] = [];
  const stream = new EventStream({
    url: new URL(`http://127.0.0.1:${port}/work/events`),
    headers: () => ({}),
    onEvent: ({ event, data }) => void events.push(`${event} ${data}`),
    onState: (state) => void states.push(state),
    random: () => 0,
    ...options,
  });
  onTestFinished(async () => {
    stream.stop();
    server.closeAllConnections();
    await new Promise((resolve) => void server.close(resolve));
  });
  stream.start();
  return { stream, states, events, connections: () => connections };
}

function begin(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  response.write(text);
}

it('sends headers, and tells what it reads', async () => {
  const seen: (string | undefined)[] = [];
  const { states, events } = await streamFrom(
    (response, request) => {
      seen.push(request.headers.authorization, request.headers.accept);
      begin(response, `${overview}event: change\ndata: 1\n\n`);
    },
    { headers: () => ({ authorization: 'Bearer me' }) },
  );
  await vi.waitUntil(() => events.length === 2);
  expect(events).toEqual(['overview {}', 'change 1']);
  expect(states).toEqual([{ state: 'connecting' }, { state: 'live' }]);
  expect(seen).toEqual(['Bearer me', 'text/event-stream']);
});

it('connects again when the server closes', async () => {
  const { states, events } = await streamFrom((response, _request, connection) => {
    begin(response, overview);
    if (connection === 1) response.end();
  });
  await vi.waitUntil(() => events.length === 2);
  expect(states.map(({ state }) => state)).toEqual(['connecting', 'live', 'reconnecting', 'live']);
});

it('says why the server cannot answer, and tries again', async () => {
  const { states, events } = await streamFrom((response, _request, connection) => {
    if (connection > 1) return begin(response, overview);
    response.writeHead(503, { 'content-type': 'application/json' }).end('{"error":"It is shutting down."}');
  });
  await vi.waitUntil(() => events.length === 1);
  expect(states[1]).toEqual({ state: 'reconnecting', error: 'It is shutting down.' });
});

it('takes a silent connection for dead', async () => {
  const { states, connections } = await streamFrom((response) => begin(response, overview), { silentMs: 60 });
  await vi.waitUntil(() => connections() === 2);
  expect(states[2]).toEqual({ state: 'reconnecting', error: 'The server has gone silent.' });
});

it('takes heartbeats for a sign of life', async () => {
  let beats = 0;
  const { states } = await streamFrom(
    (response) => {
      begin(response, overview);
      const beat = setInterval(() => {
        beats += 1;
        response.write(': still here\n\n');
      }, 50);
      response.once('close', () => clearInterval(beat));
    },
    { silentMs: 400 },
  );
  // For more than twice as long as silence may last.
  await vi.waitUntil(() => beats >= 20, { timeout: 10_000 });
  expect(states.map(({ state }) => state)).toEqual(['connecting', 'live']);
});

it.each([401, 403])('gives up when it is refused with %i', async (status) => {
  const { states, connections } = await streamFrom((response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end('{"error":"Not you."}');
  });
  await vi.waitUntil(() => states.length === 2);
  expect(states[1]).toEqual({ state: 'refused', status, error: 'Not you.' });
  expect(connections()).toBe(1);
});

it('is not taken in by a page to sign in at', async () => {
  const { states } = await streamFrom((response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<form>');
  });
  await vi.waitUntil(() => states.length === 2);
  expect(states[1]).toMatchObject({
    state: 'reconnecting',
    error: expect.stringContaining('sign in') as string,
  });
});

it('tries at once when it is hurried', async () => {
  const { stream, states, events } = await streamFrom(
    (response, _request, connection) => (connection === 1 ? response.destroy() : begin(response, overview)),
    // A long wait, were it not hurried.
    { random: () => 1_000 },
  );
  await vi.waitUntil(() => states.length === 2);
  expect(states[1]).toEqual({ state: 'reconnecting', error: 'The server cannot be reached.' });
  stream.hurry();
  await vi.waitUntil(() => events.length === 1);
});

it('is quiet once it is stopped', async () => {
  const closed = vi.fn<() => void>();
  const { stream, states, events } = await streamFrom((response) => {
    begin(response, overview);
    response.once('close', closed);
  });
  await vi.waitUntil(() => events.length === 1);
  stream.stop();
  await vi.waitUntil(() => closed.mock.calls.length === 1);
  expect(states.at(-1)).toEqual({ state: 'live' });
});

it('waits longer each time, up to 15 s, and spreads the readers', () => {
  expect([1, 2, 3, 6, 60].map((attempt) => retryDelayMs(attempt, 1))).toEqual([
    500, 1_000, 2_000, 15_000, 15_000,
  ]);
  expect(retryDelayMs(3, 0)).toBe(1_000);
});
