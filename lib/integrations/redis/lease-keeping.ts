import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import type { ClaimedJob, LeaseKeeper, LeaseKeeperOptions } from '../../jobs/index.js';
import { HeldLeases, slotBytes, textAt } from './held-leases.js';
import {
  type FromLeaseThread,
  freshPart,
  leaseThread,
  type LeaseThreadData,
  type ToLeaseThread,
} from './lease-thread.js';
import { LoopLeases, type LoopLeasesHost } from './loop-leases.js';

export interface LeaseKeepingHost extends LoopLeasesHost {
  warn(message: string): void;
}

/** What the thread needs to know of Redis. */
export type LeaseThreadSetting = Omit<LeaseThreadData, 'life' | 'slotBytes' | 'textAt' | 'freshPart'>;

/**
 * Keeps the leases of jobs from one thread for all queues, which begins with the first keeper, ends with the last, and
 * holds no process open. Where there can be no thread, or it ends by itself, the main loop does what it did.
 */
export class LeaseKeeping {
  readonly #setting: LeaseThreadSetting;
  readonly #host: LeaseKeepingHost;
  readonly #keepers = new Map<number, ThreadKeeper>();
  #keeperIds = 0;
  #thread: Worker | undefined;
  #failed = false;
  #life: BigInt64Array | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #heartbeatMs = Infinity;

  constructor(setting: LeaseThreadSetting, host: LeaseKeepingHost) {
    this.#setting = setting;
    this.#host = host;
  }

  keep(options: LeaseKeeperOptions): LeaseKeeper {
    const id = ++this.#keeperIds;
    this.#begin();
    const { queue, leaseMs, blockedLimitMs } = options;
    this.#showLife(Math.min(1_000, blockedLimitMs / 4));
    this.#tell({ kind: 'add', keeper: id, queue, leaseMs, blockedLimitMs });
    const keeper = new ThreadKeeper(options, this.#host, {
      onPage: (page) => this.#tell({ kind: 'page', keeper: id, page }),
      onHurry: () => this.#tell({ kind: 'hurry', keeper: id }),
      onClose: () => this.#remove(id),
    });
    this.#keepers.set(id, keeper);
    if (this.#failed) keeper.fallBack();
    return keeper;
  }

  async close(): Promise<void> {
    for (const keeper of this.#keepers.values()) keeper.end();
    this.#keepers.clear();
    await this.#end();
  }

  #begin(): void {
    if (this.#thread !== undefined || this.#failed) return;
    const life = new SharedArrayBuffer(8);
    const workerData: LeaseThreadData = { ...this.#setting, life, slotBytes, textAt, freshPart };
    try {
      const ioredis = JSON.stringify(pathOfIoredis());
      const program = `(${leaseThread.toString()})(require(${ioredis}), require('node:worker_threads'))`;
      const thread = new Worker(program, {
        eval: true,
        workerData,
        name: 'nestjs-worker:leases',
        // No agents and no loaders: only Yarn has to be there for the thread to find anything.
        execArgv: 'pnp' in process.versions ? process.execArgv : [],
      });
      thread.unref();
      thread.on('message', (message: FromLeaseThread) =>
        this.#keepers.get(message.keeper)?.lose(message.lost),
      );
      thread.on('error', (error) => this.#fail(thread, error));
      thread.on('exit', () => this.#fail(thread, new Error('it has ended')));
      this.#thread = thread;
    } catch (error) {
      this.#fail(undefined, error);
      return;
    }
    this.#life = new BigInt64Array(life);
  }

  /** Often enough for the one of the keepers that waits the shortest time for it. */
  #showLife(everyMs: number): void {
    const show = (): void => {
      if (this.#life !== undefined) Atomics.store(this.#life, 0, process.hrtime.bigint());
    };
    show();
    if (this.#life === undefined || everyMs >= this.#heartbeatMs) return;
    clearInterval(this.#heartbeat);
    this.#heartbeatMs = everyMs;
    this.#heartbeat = setInterval(show, Math.max(1, everyMs)).unref();
  }

  #tell(message: ToLeaseThread): void {
    this.#thread?.postMessage(message);
  }

  #remove(id: number): Promise<void> {
    this.#keepers.delete(id);
    this.#tell({ kind: 'remove', keeper: id });
    return this.#keepers.size === 0 ? this.#end() : Promise.resolve();
  }

  async #end(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    this.#life = undefined;
    clearInterval(this.#heartbeat);
    this.#heartbeatMs = Infinity;
    await thread?.terminate();
  }

  #fail(thread: Worker | undefined, error: unknown): void {
    // One that we have ended is no failure.
    if (this.#thread !== thread || this.#failed) return;
    this.#failed = true;
    this.#host.warn(
      `The thread that renews leases of jobs cannot run (${(error as Error).message}). They are renewed by the main loop ` +
        'instead: while that is blocked for longer than a lease, jobs may be given to another process.',
    );
    void this.#end();
    for (const keeper of this.#keepers.values()) keeper.fallBack();
  }
}

interface ThreadKeeperHost {
  onPage(page: SharedArrayBuffer): void;
  /** Among what is held is something that cannot wait until the thread looks again. */
  onHurry(): void;
  onClose(): Promise<void>;
}

/** Keeps the leases of one queue. */
class ThreadKeeper implements LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #host: ThreadKeeperHost;
  readonly #loop: LoopLeases;
  #held: HeldLeases | undefined;
  #ended = false;

  constructor(options: LeaseKeeperOptions, loopHost: LoopLeasesHost, host: ThreadKeeperHost) {
    this.#options = options;
    this.#host = host;
    this.#loop = new LoopLeases(options, loopHost);
    this.#held = new HeldLeases((page) => host.onPage(page));
  }

  hold(jobs: readonly ClaimedJob[], heldForMs: number): void {
    if (this.#ended) return;
    const heldAt = Number(process.hrtime.bigint()) / 1e6 - heldForMs;
    const held = this.#held;
    const rest = held === undefined ? jobs : jobs.filter((job) => !held.hold(job, heldAt));
    if (rest.length > 0) this.#loop.hold(rest, heldForMs);
    if (rest.length < jobs.length && heldForMs > this.#options.leaseMs * freshPart) this.#host.onHurry();
  }

  letGo(jobs: readonly ClaimedJob[]): void {
    for (const job of jobs) {
      this.#held?.letGo(job);
      this.#loop.letGo(job);
    }
  }

  /** What the thread has lost. */
  lose(slots: FromLeaseThread['lost']): void {
    const held = this.#held;
    if (held === undefined || this.#ended) return;
    const jobs = slots.flatMap(({ slot, version }) => held.at(slot, version) ?? []);
    for (const job of jobs) held.letGo(job);
    if (jobs.length > 0) this.#options.onLost(jobs);
  }

  /** There is no thread. One that worked has renewed all within the last third of a lease, or was just about to. */
  fallBack(): void {
    const jobs = this.#held?.all() ?? [];
    this.#held = undefined;
    this.#loop.hold(jobs, this.#options.leaseMs / 2);
  }

  end(): void {
    this.#ended = true;
    this.#held = undefined;
    this.#loop.close();
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    this.end();
    await this.#host.onClose();
  }
}

/** Where ioredis is, for the thread: it has no place of its own from which to look. */
function pathOfIoredis(): string {
  return createRequire(ownFile()).resolve('ioredis');
}

/** This file. Neither `import.meta.url` nor `__filename` is there in both of the formats that it is compiled to. */
function ownFile(): string {
  const { stackTraceLimit } = Error;
  const prepare = Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace');
  try {
    Error.stackTraceLimit = 1;
    Error.prepareStackTrace = (_, [site]) => site?.getFileName();
    const file: unknown = new Error('here').stack;
    if (typeof file === 'string') return file;
    throw new Error('it is not known where ioredis is');
  } finally {
    if (prepare === undefined) Reflect.deleteProperty(Error, 'prepareStackTrace');
    else Object.defineProperty(Error, 'prepareStackTrace', prepare);
    Error.stackTraceLimit = stackTraceLimit;
  }
}
