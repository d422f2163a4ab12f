import { once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { register } from 'prom-client';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { HeldServer } from '../support/held-server.js';
import { type FixtureProcess, runFixture } from '../support/run-fixture.js';
import type { SecondPortOptions } from './fixtures/second-port-options.js';

// Each test starts processes, on a machine that may have much else to do.
vi.setConfig({ testTimeout: 30_000 });
const soon = { timeout: 10_000, interval: 20 };

interface Order {
  readonly id: string;
}

async function startSubscriber(): Promise<{ subscriber: HeldServer<Order>; subscriberUrl: string }> {
  const subscriber = new HeldServer<Order>();
  const subscriberUrl = await subscriber.listen();
  onTestFinished(() => subscriber.close());
  return { subscriber, subscriberUrl };
}

/** The fixture app in a process of its own, as its clients and its Prometheus see it. */
class App {
  private constructor(
    readonly process: FixtureProcess,
    readonly url: string,
    readonly metricsUrl: string,
  ) {}

  static async start(options: SecondPortOptions): Promise<App> {
    const process = runFixture('second-port', options);
    await process.line('ready');
    const urlIn = async (line: string): Promise<string> => (await process.line(line)).slice(line.length);
    return new App(process, await urlIn('main '), await urlIn('metrics '));
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  async order(id: string): Promise<void> {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${this.url}/orders`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ id }),
    });
    if (response.status !== 202) throw new Error(`${response.status}: ${await response.text()}`);
    await response.text();
  }

  /** The process that answers at the address of the app. */
  async pid(): Promise<number> {
    const response = await fetch(`${this.url}/orders`);
    return ((await response.json()) as { pid: number }).pid;
  }

  async listens(): Promise<boolean> {
    return fetch(`${this.url}/orders`).then(
      async (response) => Boolean(await response.text()),
      () => false,
    );
  }

  /** What the second port says of the queue; throws where nobody answers there any more. */
  async metrics(): Promise<Readonly<Record<'enqueued' | 'running' | 'ready' | 'succeeded', number>>> {
    const response = await fetch(`${this.metricsUrl}/metrics`);
    if (response.headers.get('content-type') !== register.contentType) throw new Error('No metrics');
    const lines = (await response.text()).split('\n');
    const value = (series: string): number =>
      Number(lines.find((line) => line.startsWith(`${series} `))?.slice(series.length));
    return {
      enqueued: value('task_enqueued_total{queue="confirmations"}'),
      running: value('task_running{queue="confirmations"}'),
      ready: value('task_queued{queue="confirmations",state="ready"}'),
      succeeded: value('task_completed_total{queue="confirmations",outcome="succeeded"}'),
    };
  }
}

interface Answer {
  readonly status: number | undefined;
  readonly pid: number;
}

/** A client that keeps its connection open. */
class KeepAliveClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(private readonly url: string) {}

  /** Sends no more than the beginning of an order; what it answers sends the rest. */
  async beginOrder(id: string): Promise<() => Promise<Answer>> {
    const headers = { 'content-type': 'application/json', expect: '100-continue' };
    const open = request(`${this.url}/orders`, { method: 'POST', agent: this.#agent, headers });
    open.flushHeaders();
    // By then the app has the request: what it has not accepted yet is cut off when its port closes.
    await once(open, 'continue');
    open.write('{"id":');
    return () => this.#answer(open.end(`"${id}"}`));
  }

  get(): Promise<Answer> {
    return this.#answer(request(`${this.url}/orders`, { agent: this.#agent }).end());
  }

  close(): void {
    this.#agent.destroy();
  }

  async #answer(sent: ClientRequest): Promise<Answer> {
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const { pid } = (await json(response)) as { pid: number };
    return { status: response.statusCode, pid };
  }
}

describe.each(['express', 'fastify'] as const)('An app with a second port for its metrics (%s)', (kind) => {
  it('frees its port at once, drains its queue, and can be watched until it has', async () => {
    const { subscriber, subscriberUrl } = await startSubscriber();
    const old = await App.start({ kind, port: 0, subscriberUrl });
    const oldPid = await old.pid();
    for (const id of ['1', '2', '3', '4']) await old.order(id);
    await subscriber.holds(2);
    const client = new KeepAliveClient(old.url);
    onTestFinished(() => client.close());
    const finishOrder = await client.beginOrder('5');
    expect(await old.metrics()).toEqual({ enqueued: 4, running: 2, ready: 2, succeeded: 0 });

    old.process.kill('SIGTERM');
    await expect.poll(() => old.listens(), soon).toBe(false);
    const next = await App.start({ kind, port: old.port, subscriberUrl });
    const nextPid = await next.pid();
    expect(next.url).toBe(old.url);
    expect(nextPid).not.toBe(oldPid);

    // A request that had begun is still answered and its task is taken; then its connection goes over to the next.
    expect(await finishOrder()).toEqual({ status: 202, pid: oldPid });
    expect(await client.get()).toEqual({ status: 200, pid: oldPid });
    expect(await client.get()).toEqual({ status: 200, pid: nextPid });
    expect(await old.metrics()).toEqual({ enqueued: 5, running: 2, ready: 3, succeeded: 0 });
    for (const succeeded of [1, 2, 3]) {
      subscriber.answer();
      await expect
        .poll(() => old.metrics(), soon)
        .toEqual({ enqueued: 5, running: 2, ready: 3 - succeeded, succeeded });
      await subscriber.holds(2);
    }
    subscriber.answer();
    await expect.poll(() => old.metrics(), soon).toEqual({ enqueued: 5, running: 1, ready: 0, succeeded: 4 });
    expect(await next.metrics()).toEqual({ enqueued: 0, running: 0, ready: 0, succeeded: 0 });

    subscriber.release();
    expect(await old.process.exit()).toMatchObject({ code: null, signal: 'SIGTERM' });
    await expect(old.metrics()).rejects.toThrow('fetch failed');
    expect(subscriber.taken.map(({ body: { id } }) => id).toSorted()).toEqual(['1', '2', '3', '4', '5']);
    expect(old.process.output).not.toMatch(/warn|error/i);

    // The next one has the port to itself.
    await next.order('6');
    await expect.poll(() => next.metrics(), soon).toMatchObject({ succeeded: 1 });
    next.process.kill('SIGTERM');
    expect(await next.process.exit()).toMatchObject({ code: null, signal: 'SIGTERM' });
  });

  it('keeps its port until the queue has drained where nothing closes it before', async () => {
    const { subscriber, subscriberUrl } = await startSubscriber();
    const app = await App.start({ kind, port: 0, subscriberUrl, closesFirst: false });
    await app.order('1');
    await subscriber.holds(1);
    app.process.kill('SIGTERM');

    const other = runFixture('second-port', { kind, port: app.port, subscriberUrl });
    await other.line('EADDRINUSE');
    expect((await other.exit()).code).toBe(1);
    await app.order('2');
    expect(await app.metrics()).toEqual({ enqueued: 2, running: 2, ready: 0, succeeded: 0 });

    subscriber.release();
    expect(await app.process.exit()).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(subscriber.taken).toHaveLength(2);
  });

  it('is not kept alive by it after app.close()', async () => {
    const app = runFixture('second-port', { kind, port: 0, subscriberUrl: '', closeWhenReady: true });
    await app.line('ready');
    expect(await app.exit()).toMatchObject({ code: 0, signal: null });
  });
});
