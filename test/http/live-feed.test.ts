import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { FakeClock } from 'nestjs-worker/testing';
import { describe, expect, it } from 'vitest';
import { CommandLog } from '../../lib/http/command-log.js';
import type { QueueView } from '../../lib/http/documents/job-queue.js';
import type { Access } from '../../lib/http/documents/overview.js';
import { LiveFeed, type LiveSource } from '../../lib/http/live-feed.js';
import { Pool } from '../../lib/pool/index.js';
import { WorkerPool } from '../../lib/workers/index.js';
import { type Signal, signal } from '../support/nest.js';
import { RecordingLogger } from '../support/recording-logger.js';

/** A response whose reader reads, or does not. */
class Reader extends EventEmitter {
  readonly written: string[] = [];
  reads = true;
  isEnded = false;

  write(text: string): boolean {
    this.written.push(text);
    return this.reads;
  }
  end(): void {
    this.isEnded = true;
    this.emit('close');
  }
  destroy(): void {
    this.end();
  }
  get types(): string[] {
    return this.written.map((text) => /^(?:event: )?(\S+)/.exec(text)![1]!);
  }
}

function setUp() {
  const clock = new FakeClock();
  const logger = new RecordingLogger();
  const pool = new Pool({ clock, logger });
  let look: Signal<readonly QueueView[]> | undefined;
  const source = {
    pool,
    workers: new WorkerPool(pool),
    commands: new CommandLog(pool, undefined),
    taskQueues: () => [],
    views: () => look?.promise ?? Promise.resolve([]),
    overview: () =>
      Promise.resolve({ workers: [], task_queues: [], job_queues: [], pool: {}, backend: null } as never),
    poolDocument: () => ({ status: 'started', draining: false, isolated_errors: 0 }) as const,
    backendDocument: () => null,
  } satisfies LiveSource as { -readonly [Key in keyof LiveSource]: LiveSource[Key] };
  const feed = new LiveFeed(source);
  const join = async (access: Access = 'operator'): Promise<Reader> => {
    const reader = new Reader();
    feed.add(reader as unknown as ServerResponse, access);
    await clock.settle();
    return reader;
  };
  const hang = (): Signal<readonly QueueView[]> => (look = signal());
  return { clock, logger, pool, source, feed, join, hang };
}

describe('LiveFeed', () => {
  it('ends the stream of a reader whom nothing can be told, and says so', async () => {
    const { source, join, pool, logger, clock, feed } = setUp();
    source.overview = () => Promise.reject(new Error('no overview'));
    const reader = await join();
    expect(reader.isEnded).toBe(true);
    expect(reader.written).toEqual([]);
    expect([pool.isolatedErrors, feed.readers, clock.pending]).toEqual([1, 0, 0]);
    expect(logger.messages().join()).toContain('how all stands');
  });

  it('goes on after a look that fails', async () => {
    const { source, join, pool, clock, feed } = setUp();
    const reader = await join();
    source.views = () => Promise.reject(new Error('no'));
    await clock.advance('5s');
    expect(pool.isolatedErrors).toBe(5);
    source.poolDocument = () => ({ status: 'draining', draining: true, isolated_errors: 0 });
    await clock.advance('500ms');
    expect(reader.types.at(-1)).toBe('change');
    feed.close();
    expect(clock.pending).toBe(0);
  });

  it('looks around once, however often readers come and go while it looks', async () => {
    const { join, hang, clock, feed } = setUp();
    const look = hang();
    for (let round = 0; round < 5; round++) {
      const reader = await join();
      await clock.advance('1s');
      reader.end();
      expect(clock.pending).toBe(0);
    }
    const last = await join();
    look.resolve([]);
    await clock.settle();
    expect(clock.pending).toBe(1);
    last.end();
    expect([clock.pending, feed.readers]).toEqual([0, 0]);
  });

  it('tells those who come at one moment the same overview, made once', async () => {
    const { source, feed, clock } = setUp();
    const { overview } = source;
    let made = 0;
    source.overview = (access) => {
      made++;
      return overview(access);
    };
    const readers = Array.from({ length: 200 }, () => new Reader());
    for (const reader of readers) feed.add(reader as unknown as ServerResponse, 'viewer');
    await clock.settle();
    expect(made).toBe(1);
    expect(readers.every(({ types }) => types.join() === 'overview')).toBe(true);
    feed.close();
    expect(readers.every(({ isEnded }) => isEnded)).toBe(true);
  });

  it('leaves out who does not read, and tells everything anew once it does', async () => {
    const { source, join, clock, feed } = setUp();
    const reader = await join();
    reader.reads = false;
    let errors = 0;
    source.poolDocument = () => ({ status: 'started', draining: false, isolated_errors: ++errors });
    await clock.advance('30s');
    expect(reader.types).toEqual(['overview', 'change']);
    reader.reads = true;
    reader.emit('drain');
    await clock.settle();
    expect(reader.types).toEqual(['overview', 'change', 'overview']);
    await clock.advance('500ms');
    expect(reader.types.at(-1)).toBe('change');
    feed.close();
  });

  it('gives up on who has not read for a minute', async () => {
    const { source, join, clock, feed } = setUp();
    const reader = await join();
    reader.reads = false;
    let errors = 0;
    source.poolDocument = () => ({ status: 'started', draining: false, isolated_errors: ++errors });
    await clock.advance('59s');
    expect(reader.isEnded).toBe(false);
    await clock.advance('3s');
    expect([reader.isEnded, feed.readers, clock.pending]).toEqual([true, 0, 0]);
  });

  it('takes nobody once it is closed', async () => {
    const { join, feed, clock } = setUp();
    feed.close();
    const reader = await join();
    expect([reader.isEnded, reader.written, feed.readers, clock.pending]).toEqual([true, [], 0, 0]);
  });

  it('lets go of a reader whose socket breaks', async () => {
    const { join, feed, clock } = setUp();
    const reader = await join();
    reader.emit('error', new Error('ECONNRESET'));
    expect([feed.readers, clock.pending]).toEqual([0, 0]);
    reader.emit('close');
    expect(feed.readers).toBe(0);
  });

  it('tells operators alone why the backend cannot be reached', async () => {
    const { clock, source, join } = setUp();
    const [operator, viewer] = [await join(), await join('viewer')];
    const error = 'connect ECONNREFUSED redis.internal:6379';
    const backend = { name: 'redis', durable: true, shared: true, status: 'degraded', error } as const;
    source.backendDocument = () => backend;
    await clock.advance('1s');
    expect(operator.written.at(-1)).toContain('redis.internal');
    expect(viewer.written.at(-1)).toContain('degraded');
    expect(viewer.written.join('')).not.toContain('redis.internal');
  });

  it('has no reader whose connection is gone before it came', async () => {
    const { feed } = setUp();
    const gone = Object.assign(new Reader(), { destroyed: true });
    feed.add(gone as unknown as ServerResponse, 'operator');
    expect([feed.readers, gone.written]).toEqual([0, []]);
  });

  it('lets nothing else wait for a backend that does not answer', async () => {
    const { clock, source, join, hang } = setUp();
    const reader = await join();
    hang();
    await clock.advance('1s');
    const before = reader.written.length;
    source.poolDocument = () => ({ status: 'draining', draining: true, isolated_errors: 0 }) as never;
    await clock.advance('500ms');
    expect(reader.written.slice(before).join('')).toContain('draining');
  });
});
