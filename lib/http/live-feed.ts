import type { ServerResponse } from 'node:http';
import type { CancelTimer } from '../clock/index.js';
import type { Pool } from '../pool/index.js';
import type { TaskQueueSnapshot } from '../tasks/index.js';
import type { WorkerPool } from '../workers/index.js';
import type { CommandLog } from './command-log.js';
import type { HttpCommand } from './documents/command.js';
import { jobQueueSummary, type QueueView } from './documents/job-queue.js';
import {
  type Access,
  type BackendDocument,
  backendFor,
  type ChangeDocument,
  type OverviewDocument,
  type PoolDocument,
} from './documents/overview.js';
import { timeOf } from './documents/parts.js';
import { changedOf, forgetOther, type Told } from './told-items.js';
import { taskQueueSummary } from './documents/task-queue.js';
import { workerSummary } from './documents/worker.js';

/** Workers that change are told of together. */
const gatherMs = 100;
/** What has no events is looked at so often. */
const tickMs = 500;
/** The backend is asked at each second tick, and something is said at each twentieth. */
const ticksPerCount = 2;
const ticksPerHeartbeat = 20;
/** Who has not read for so long is gone. */
const patienceMs = 60_000;

/** What is told about. */
export interface LiveSource {
  readonly pool: Pool;
  readonly workers: WorkerPool;
  readonly commands: CommandLog;
  taskQueues(): readonly TaskQueueSnapshot[];
  views(): Promise<readonly QueueView[]>;
  overview(access: Access): Promise<OverviewDocument>;
  poolDocument(): PoolDocument;
  backendDocument(): BackendDocument | null;
}

interface Reader {
  readonly response: ServerResponse;
  readonly access: Access;
  /** Since when it has not read what was sent, or has not been told anything yet. */
  heldSince: number | undefined;
  /** What was told meanwhile has gone by it. */
  hasMissed: boolean;
}

/**
 * Tells any number of readers, as server-sent events, how everything stands and what changes. What changes is found out and written
 * as text once for all. A slow reader costs no memory: it is left out, and told everything anew when it has caught up. Without
 * readers nothing happens.
 */
export class LiveFeed {
  readonly #app: LiveSource;
  readonly #readers = new Set<Reader>();
  readonly #changedWorkers = new Set<string>();
  readonly #told: Record<'task_queues' | 'job_queues', Told> = {
    task_queues: new Map(),
    job_queues: new Map(),
  };
  #toldPool = '';
  #toldBackend = '';
  #cancelFlush: CancelTimer | undefined;
  #cancelTick: CancelTimer | undefined;
  /** Between the first reader and the last: who was looking around when they left does not go on for others. */
  #watch = {};
  #ticks = 0;
  #isCounting = false;
  #off: (() => void)[] = [];
  #overview: Promise<OverviewDocument> | undefined;
  #closed = false;

  constructor(app: LiveSource) {
    this.#app = app;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** Tells `response` from now on, until it is closed. */
  add(response: ServerResponse, access: Access): void {
    // Who has left while the guards looked will not say so again.
    if (response.destroyed) return;
    if (this.#closed) return void response.end();
    const reader: Reader = { response, access, heldSince: this.#now(), hasMissed: false };
    this.#readers.add(reader);
    const leave = (): void => this.#remove(reader);
    response.once('close', leave).on('error', leave);
    if (this.#readers.size === 1) this.#begin();
    void this.#tellAll(reader);
  }

  /** Ends all streams. */
  close(): void {
    this.#closed = true;
    for (const reader of this.#readers) {
      this.#remove(reader);
      reader.response.end();
    }
  }

  #begin(): void {
    const { pool, commands } = this.#app;
    this.#off = [
      pool.events.on((event) => {
        if (event.kind !== 'worker' || event.type === 'marked') return;
        this.#changedWorkers.add(event.name);
        this.#cancelFlush ??= this.#setTimer(() => this.#flushWorkers(), gatherMs);
      }),
      commands.on((command) => this.#tellCommand(command)),
    ];
    this.#wait((this.#watch = {}));
  }

  #wait(watch: object): void {
    this.#cancelTick = this.#setTimer(() => this.#tick(watch), tickMs);
  }

  #remove(reader: Reader): void {
    if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
    this.#off.splice(0).forEach((off) => off());
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    this.#changedWorkers.clear();
  }

  #flushWorkers(): void {
    this.#cancelFlush = undefined;
    const { pool, workers } = this.#app;
    const changed = [...this.#changedWorkers].filter((name) => pool.child('worker', name) !== undefined);
    this.#changedWorkers.clear();
    if (changed.length === 0) return;
    this.#tell({ workers: changed.map((name) => workerSummary(workers.execution(name))) });
  }

  #tick(watch: object): void {
    this.#ticks++;
    try {
      // The backend may take its time, for which nothing else is to wait.
      if (this.#ticks % ticksPerCount === 0 && !this.#isCounting) void this.#count(watch);
      this.#tellOwn();
      if (this.#ticks % ticksPerHeartbeat === 0) this.#beat();
      this.#dropTheGone();
    } catch (error) {
      this.#app.pool.report('telling the dashboard what has changed', error);
    }
    if (this.#readers.size > 0 && watch === this.#watch) this.#wait(watch);
  }

  /** How the job queues stand. */
  async #count(watch: object): Promise<void> {
    this.#isCounting = true;
    try {
      const views = await this.#app.views();
      // Those who wanted to know have left; those who have come since ask for themselves.
      if (this.#readers.size === 0 || watch !== this.#watch) return;
      const summaries = views.map((view) => jobQueueSummary(view));
      const changed = changedOf(summaries, this.#told.job_queues);
      if (changed.length > 0) this.#tell({ job_queues: changed });
    } catch (error) {
      this.#app.pool.report('telling the dashboard how the job queues stand', error);
    } finally {
      this.#isCounting = false;
    }
  }

  /** What this process knows by itself. */
  #tellOwn(): void {
    const app = this.#app;
    const summaries = app.taskQueues().map((one) => taskQueueSummary(one));
    const taskQueues = changedOf(summaries, this.#told.task_queues);
    const [pool, backend] = [app.poolDocument(), app.backendDocument()];
    const [poolText, backendText] = [JSON.stringify(pool), JSON.stringify(backend)];
    const change: Omit<ChangeDocument, 'now'> = {
      ...(taskQueues.length > 0 && { task_queues: taskQueues }),
      ...(poolText !== this.#toldPool && { pool }),
      ...(backendText !== this.#toldBackend && { backend }),
    };
    this.#toldPool = poolText;
    this.#toldBackend = backendText;
    if (Object.keys(change).length > 0) this.#tell(change);
  }

  #tell(change: Omit<ChangeDocument, 'now'>): void {
    const all = { now: timeOf(this.#app.pool.clock.now()), ...change };
    const text = eventText('change', all);
    const { backend } = change;
    const forViewers =
      backend === undefined ? text : eventText('change', { ...all, backend: backendFor('viewer', backend) });
    for (const reader of this.#readers) this.#write(reader, reader.access === 'operator' ? text : forViewers);
  }

  #tellCommand(command: HttpCommand): void {
    // Whoever is not even known may try as often as they like.
    if (command.status === 401) return;
    const text = eventText('command', command);
    for (const reader of this.#readers) {
      if (reader.access === 'operator') this.#write(reader, text);
    }
  }

  /** To those who read: to one who does not, it is nothing that could be missed. */
  #beat(): void {
    for (const reader of this.#readers) {
      if (reader.heldSince === undefined) this.#writeNow(reader, ': still here\n\n');
    }
  }

  #write(reader: Reader, text: string): void {
    if (reader.heldSince === undefined) this.#writeNow(reader, text);
    else reader.hasMissed = true;
  }

  #writeNow(reader: Reader, text: string): void {
    if (reader.response.write(text)) return;
    reader.heldSince = this.#now();
    reader.response.once('drain', () => {
      reader.heldSince = undefined;
      if (!reader.hasMissed) return;
      reader.heldSince = this.#now();
      void this.#tellAll(reader);
    });
  }

  /** Everything, to one who knows nothing or has missed something. */
  async #tellAll(reader: Reader): Promise<void> {
    try {
      // Those who come at one moment are told the same.
      this.#overview ??= this.#app.overview('operator').finally(() => (this.#overview = undefined));
      const overview = await this.#overview;
      if (!this.#readers.has(reader)) return;
      reader.heldSince = undefined;
      reader.hasMissed = false;
      const { access } = reader;
      const backend = backendFor(access, overview.backend);
      this.#writeNow(reader, eventText('overview', { ...overview, access, backend }));
      this.#compare(overview);
    } catch (error) {
      this.#app.pool.report('telling the dashboard how all stands', error);
      reader.response.end();
    }
  }

  /**
   * What `overview` says otherwise than what was told before is told to all with the next look around: it may be back as it was
   * by then, which to everybody else is no change.
   */
  #compare({ task_queues, job_queues, pool, backend }: OverviewDocument): void {
    forgetOther(task_queues, this.#told.task_queues);
    forgetOther(job_queues, this.#told.job_queues);
    if (JSON.stringify(pool) !== this.#toldPool) this.#toldPool = '';
    if (JSON.stringify(backend) !== this.#toldBackend) this.#toldBackend = '';
  }

  #dropTheGone(): void {
    for (const reader of this.#readers) {
      const { response, heldSince } = reader;
      const isLate = heldSince !== undefined && this.#now() - heldSince > patienceMs;
      if (!response.destroyed && !isLate) continue;
      this.#remove(reader);
      response.destroy();
    }
  }

  #now(): number {
    return this.#app.pool.clock.monotonic();
  }

  #setTimer(callback: () => void, delayMs: number): CancelTimer {
    const { pool } = this.#app;
    return pool.inScope(() => pool.clock.setTimer(callback, delayMs));
  }
}

/** One event of the stream. JSON has no line breaks. */
function eventText(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}
