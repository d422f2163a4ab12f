import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { type Duration, TaskQueueModule, WorkerPoolService } from 'nestjs-worker';
import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { CommandDocument } from '../../../lib/http/documents/command.js';
import type { ChangeDocument, OverviewDocument } from '../../../lib/http/documents/overview.js';
import {
  asOperator,
  asViewer,
  bootOperated,
  breakableBackend,
  guarded,
  type HttpClient,
  operatedApp,
} from '../../support/http-app.js';
import { heapUsed } from '../../support/heap.js';
import { type Platform, platforms, signal } from '../../support/nest.js';
import { EventStream, eventOf } from './event-stream.js';

const boot = (platform: Platform, clock?: FakeClock): Promise<HttpClient> =>
  bootOperated(operatedApp(guarded, clock && { clock }), platform);

const read = (client: HttpClient, headers = asOperator): Promise<EventStream> =>
  EventStream.open(`${client.url}/events`, headers);

/** Moves the time until it has come. */
async function within<Data>(clock: FakeClock, time: Duration, event: Promise<Data>): Promise<Data> {
  await clock.advance(time);
  return event;
}

/** A reader of flesh and blood, whose socket can be left unread. */
async function rawReader(client: HttpClient): Promise<{ socket: Socket; text: () => string }> {
  const { hostname, port, pathname } = new URL(client.url);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('utf8'))).on('error', () => {});
  socket.write(
    `GET ${pathname}/events HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer operator\r\n\r\n`,
  );
  await vi.waitUntil(() => text.includes('event: overview') && text.endsWith('\n\n\r\n'), {
    timeout: 10_000,
  });
  return { socket, text: () => text };
}

/** The events in what came in chunks. */
function eventsIn(text: string): { type: string; data: unknown }[] {
  const body = text.slice(text.indexOf('\r\n\r\n') + 4).replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/g, '');
  return body
    .split('\n\n')
    .filter((block) => block.startsWith('event: '))
    .map((block) => eventOf(block));
}

/** Node's own answers of the server, as they begin. */
function responsesOf(client: HttpClient): ServerResponse[] {
  const responses: ServerResponse[] = [];
  (client.app.getHttpServer() as Server).on(
    'request',
    (request: IncomingMessage, response: ServerResponse) => {
      if (request.url?.endsWith('/events') === true) responses.push(response);
    },
  );
  return responses;
}

describe.each(platforms)('The event stream, on %s', (platform) => {
  it('needs the headers that let its reader in, and begins with the overview', async () => {
    const client = await boot(platform);
    expect((await client.as({}).get('/events')).status).toBe(401);
    const stream = await read(client);
    expect(stream.response.status).toBe(200);
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(stream.response.headers.get('cache-control')).toBe('no-store, no-transform');
    expect(stream.response.headers.get('x-accel-buffering')).toBe('no');
    const overview = await stream.next<OverviewDocument>('overview');
    expect(stream.events[0]?.type).toBe('overview');
    expect(overview).toMatchObject({ access: 'operator', title: 'Background work' });
    expect(overview.workers.map(({ name }) => name)).toEqual(['steady', 'broken', 'off']);
    const viewer = await read(client, asViewer);
    const { now: _now, ...seen } = await viewer.next<OverviewDocument>('overview');
    expect(seen).toMatchObject({ access: 'viewer', job_queues: [{ name: 'mails' }, { name: 'idle' }] });
    expect(JSON.stringify(seen)).not.toContain('"stack"');
  });

  it('tells within a second what changes of workers, task queues and job queues', async () => {
    const clock = new FakeClock();
    const client = await boot(platform, clock);
    const stream = await read(client);
    await stream.next('overview');
    await clock.advance('1s');

    const pool = client.app.get(WorkerPoolService);
    await pool.stop('steady');
    const stopped = stream.next<ChangeDocument>(
      'change',
      ({ workers }) => workers?.[0]?.status === 'cancelled',
    );
    expect((await within(clock, '1s', stopped)).workers).toEqual([
      expect.objectContaining({ name: 'steady', status: 'cancelled' }),
    ]);

    const end = signal();
    const task = client.taskQueue('thumbs').enqueue(() => end.promise);
    const running = stream.next<ChangeDocument>(
      'change',
      ({ task_queues }) => task_queues?.[0]?.running === 1,
    );
    expect((await within(clock, '1s', running)).job_queues).toBeUndefined();
    end.resolve();
    await task.done;

    const from = stream.events.length;
    await client.queue('idle').pause();
    await client.queue('idle').enqueue(1);
    const paused = stream.next<ChangeDocument>('change', ({ job_queues }) => job_queues !== undefined, from);
    // Those that have not changed are left out.
    expect((await within(clock, '1s', paused)).job_queues).toEqual([
      expect.objectContaining({ name: 'idle', paused: true, levels: expect.objectContaining({ ready: 1 }) }),
    ]);
  });

  it('says nothing where nothing changes, but that it is still there', async () => {
    const clock = new FakeClock();
    const client = await boot(platform, clock);
    const stream = await read(client);
    await stream.next('overview');
    await clock.advance('1s');
    const before = stream.events.length;
    for (let seconds = 0; seconds < 30; seconds++) await clock.advance('1s');
    await expect.poll(() => stream.comments.length).toBeGreaterThanOrEqual(2);
    expect(stream.comments.length).toBeLessThanOrEqual(4);
    expect(stream.events).toHaveLength(before);
  });

  it('tells a late reader what is otherwise than in its overview, though it is nothing new to others', async () => {
    const clock = new FakeClock();
    const client = await boot(platform, clock);
    const first = await read(client);
    await first.next('overview');
    await clock.advance('1s');
    const { id } = await client.queue('idle').enqueue(1);
    const second = await read(client);
    const overview = await second.next<OverviewDocument>('overview');
    expect(overview.job_queues[1]?.levels?.ready).toBe(1);
    await client.queue('idle').delete([id]);
    const change = second.next<ChangeDocument>('change', ({ job_queues }) => job_queues !== undefined);
    expect((await within(clock, '1s', change)).job_queues).toEqual([
      expect.objectContaining({ name: 'idle', levels: expect.objectContaining({ ready: 0 }) }),
    ]);
  });

  it('tells operators of commands, and viewers of none', async () => {
    const client = await boot(platform);
    const operator = await read(client);
    const viewer = await read(client, asViewer);
    await Promise.all([operator.next('overview'), viewer.next('overview')]);
    await client.post('/queues/mails/pause');
    expect(await operator.next<CommandDocument>('command')).toMatchObject({
      command: 'pauseQueue',
      target: { queue: 'mails' },
      by: 'operator',
      status: 200,
    });
    await viewer.next<ChangeDocument>('change', ({ job_queues }) => job_queues?.[0]?.paused === true);
    expect(viewer.events.filter(({ type }) => type === 'command')).toEqual([]);
  });

  it('goes on where the backend is gone, and says so', async () => {
    const clock = new FakeClock();
    const state = breakableBackend();
    const client = await bootOperated(operatedApp(guarded, { backend: state.backend, clock }), platform);
    const stream = await read(client);
    await stream.next('overview');
    state.broken = true;
    const change = stream.next<ChangeDocument>(
      'change',
      ({ job_queues }) => job_queues?.[0]?.levels === null,
    );
    await within(clock, '2s', change);
    const from = stream.events.length;
    state.broken = false;
    const again = stream.next<ChangeDocument>(
      'change',
      ({ job_queues }) => job_queues?.some(({ levels }) => levels !== null) === true,
      from,
    );
    await within(clock, '2s', again);
  });

  it('costs nothing without readers', async () => {
    const clock = new FakeClock();
    const client = await boot(platform, clock);
    await clock.advance('1s');
    const before = clock.pending;
    const streams = await Promise.all([read(client), read(client, asViewer), read(client)]);
    await Promise.all(streams.map((stream) => stream.next('overview')));
    expect(clock.pending).toBe(before + 1);
    streams[0].leave();
    await clock.advance('1s');
    expect(clock.pending).toBe(before + 1);
    streams[1].leave();
    streams[2].leave();
    await expect.poll(() => clock.pending).toBe(before);
    // Comes back to life, once.
    const last = await read(client);
    await last.next('overview');
    expect(clock.pending).toBe(before + 1);
    last.leave();
    await expect.poll(() => clock.pending).toBe(before);
  });

  it('answers HEAD, and is over then', async () => {
    const client = await boot(platform);
    const reply = await client.ask('HEAD', '/events');
    expect([reply.status, reply.text]).toEqual([200, '']);
    expect(reply.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  });

  it('has the headers that hooks of the app set, such as those of CORS', async () => {
    const client = await bootOperated(operatedApp(guarded), platform, {
      prepare: (app) => app.enableCors({ origin: 'https://ops.example.com', credentials: true }),
    });
    const stream = await read(client, { ...asOperator, origin: 'https://ops.example.com' } as never);
    await stream.next('overview');
    expect(stream.response.headers.get('access-control-allow-origin')).toBe('https://ops.example.com');
    expect(stream.response.headers.get('access-control-allow-credentials')).toBe('true');
  });

  it('is ended by the end of the app, at once', async () => {
    const client = await boot(platform);
    const streams = await Promise.all([read(client), read(client, asViewer)]);
    await Promise.all(streams.map((stream) => stream.next('overview')));
    const from = performance.now();
    await client.app.close();
    await Promise.all(streams.map(({ ended }) => ended));
    expect(performance.now() - from).toBeLessThan(2_000);
  });

  /** Task queues with long names, each of which is told of whenever it has had a task. */
  async function withMuchToTell() {
    const clock = new FakeClock();
    const names = Array.from({ length: 150 }, (_, n) => `queue number ${n} ${'x'.repeat(300)}`);
    const imports = names.map((name) => TaskQueueModule.register({ name }));
    const client = await bootOperated(operatedApp(guarded, { clock }, { imports }), platform);
    return { clock, client, names, responses: responsesOf(client) };
  }

  it('costs bounded memory with a reader that does not read, who is told everything anew when it does', async () => {
    const { clock, client, names, responses } = await withMuchToTell();
    const { socket, text } = await rawReader(client);
    socket.pause();
    const queues = names.map((name) => client.taskQueue(name));
    const oneOf = JSON.stringify((await client.get('/task-queues')).body).length;
    const heapBefore = heapUsed();
    let told = 0;
    let most = 0;
    // No longer than its patience, and far more than what the sockets between the two hold.
    for (let round = 0; round < 118; round++) {
      for (const queue of queues) queue.submit(() => {});
      await clock.advance('500ms');
      told += oneOf;
      most = Math.max(most, responses[0]!.writableLength);
    }
    expect(told).toBeGreaterThan(10_000_000);
    expect(most).toBeLessThan(1_000_000);
    expect(heapUsed() - heapBefore).toBeLessThan(30_000_000);
    const isLast = ({ type, data }: { type: string; data: unknown }): boolean =>
      type === 'overview' &&
      (data as OverviewDocument).task_queues.every(
        ({ name, enqueued_total }) => name === 'thumbs' || enqueued_total === 118,
      );
    socket.resume();
    await vi.waitUntil(() => text().endsWith('\n\n\r\n') && eventsIn(text()).some(isLast), {
      timeout: 10_000,
      interval: 50,
    });
    // And it is told what comes from then on.
    client.taskQueue('thumbs').submit(() => {});
    await clock.advance('1s');
    await vi.waitUntil(() => text().endsWith('\n\n\r\n') && eventsIn(text()).at(-1)?.type === 'change', {
      timeout: 10_000,
      interval: 50,
    });
  });

  it('lets go of a reader that has not read for a minute', async () => {
    const { clock, client, names, responses } = await withMuchToTell();
    const { socket } = await rawReader(client);
    socket.pause();
    const queues = names.map((name) => client.taskQueue(name));
    await vi.waitUntil(
      async () => {
        for (const queue of queues) queue.submit(() => {});
        await clock.advance('500ms');
        return responses[0]!.writableNeedDrain;
      },
      { timeout: 15_000, interval: 0 },
    );
    for (let seconds = 0; seconds < 62; seconds++) await clock.advance('1s');
    await vi.waitUntil(() => responses[0]!.destroyed);
  });
});
