import { type IQueueBackend, QueueKeys, RedisConnection, RedisQueueBackend } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { InvalidCursorError } from '../../errors/index.js';
import { historyLimit, type JobBackendHost } from '../../jobs/index.js';
import type {
  ActiveJobs,
  BullMqStore,
  Held,
  JobSignal,
  Lapsed,
  Place,
  PlacePage,
  WhichClaim,
} from './bullmq-store.js';
import type { BullState, Death, JobRecord, OwnOptions, OwnState } from './job-record.js';
import { ownField, type StoredOptions, unwrapOptions, withoutUnmade } from './job-record.js';
import {
  endOf,
  isOfLostConnection,
  makeRedisClient,
  makeWaitingClient,
  unreachable,
} from './redis-client.js';
import type { RedisTarget } from './bullmq-options.js';
import * as scripts from './redis-scripts.js';
import { RedisSignal } from './redis-signal.js';
import { storableJson } from './storable-text.js';

type Client = Redis | Cluster;
/** A Cluster says that all nodes have failed; one of them says why. */
type ClientError = Error & { readonly lastNodeError?: Error };
type Script = Exclude<keyof typeof scripts, symbol>;
type Run = (base: string, ...args: readonly (string | number)[]) => Promise<unknown>;

/** Jobs per call of a script, so that none keeps Redis from everybody else for long. */
const largestBatch = 250;
/** BullMQ's scores of delayed jobs, and of the milliseconds that it numbers them within. */
const scoresPerMs = 4096;
/** By so many of the last page's ids a list is gone on with: some may be gone. */
const rememberedIds = 20;
const closedByPeer = 'the connection was closed';

export interface RedisStoreOptions {
  readonly target: RedisTarget;
  readonly prefix: string;
  readonly commandTimeoutMs: number;
}

/** What BullMQ keeps in Redis. */
export class RedisStore implements BullMqStore {
  readonly claimsTellAll = false;
  readonly claimsAtOnce = 50;
  // A score has 53 bits.
  readonly latest = Math.floor(2 ** 53 / scoresPerMs) - 1;
  readonly #options: RedisStoreOptions;
  readonly #keys: QueueKeys;
  readonly #client: Client;
  readonly #host: JobBackendHost;
  readonly #calls = new Map<string, IQueueBackend>();
  #connection: RedisConnection | undefined;
  /** What it last told, since it was last ready. */
  #lastError: Error | undefined;
  #closed = false;

  constructor(options: RedisStoreOptions, host: JobBackendHost) {
    this.#options = options;
    this.#host = host;
    this.#keys = new QueueKeys(options.prefix);
    this.#client = makeRedisClient(options.target, options.commandTimeoutMs);
    this.#client.on('error', (error: ClientError) => {
      this.#lastError = error.lastNodeError ?? error;
      this.#tell(this.#lastError);
    });
    this.#client.on('close', () => this.#tell(this.#lastError ?? new Error(closedByPeer)));
    this.#client.on('ready', () => {
      this.#lastError = undefined;
      this.#tell(undefined);
    });
  }

  keepsText(): boolean {
    return true;
  }

  async open(): Promise<void> {
    await this.#client.connect().catch((error: Error) => {
      // ioredis itself says no more than that it is closed.
      throw unreachable(this.#lastError ?? error, error);
    });
    if (this.#closed) throw new Error('it was closed while it was opened');
    const connection = new RedisConnection(this.#client, { shared: true, blocking: false });
    // What the client says is told already.
    connection.on('error', () => {});
    this.#connection = connection;
    await connection.client;
    for (const [name, lua] of Object.entries(scripts)) {
      this.#client.defineCommand(commandOf(name as Script), { numberOfKeys: 1, lua });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#connection?.close();
    await endOf(this.#client);
  }

  explained(error: unknown): unknown {
    return isOfLostConnection(error) ? unreachable(this.#lastError ?? new Error(closedByPeer), error) : error;
  }

  calls(queue: string, leaseMs = 0, processedBy = ''): IQueueBackend {
    const key = `${leaseMs} ${processedBy} ${queue}`;
    let calls = this.#calls.get(key);
    if (calls === undefined) {
      calls = this.#callsOf(queue, leaseMs, processedBy);
      this.#calls.set(key, calls);
    }
    return calls;
  }

  #callsOf(
    queue: string,
    leaseMs: number,
    processedBy: string,
    blocking?: RedisConnection,
  ): RedisQueueBackend {
    if (this.#connection === undefined) throw new Error('the connection to Redis is not open');
    const { prefix } = this.#options;
    const toKey = (type: string): string => this.#keys.toKey(queue, type);
    // BullMQ takes options of its worker from here, which its type does not name.
    const options = { connection: this.#client, prefix, lockDuration: leaseMs, name: processedBy };
    return new RedisQueueBackend(
      this.#connection,
      queue,
      this.#keys.getKeys(queue),
      toKey,
      options,
      blocking,
      false,
    );
  }

  signal(queue: string): JobSignal {
    const connect = (): { calls: IQueueBackend; close: () => void } => {
      const client = makeWaitingClient(this.#client, this.calls(queue).clientName());
      client.on('error', () => {});
      const connection = new RedisConnection(client, { blocking: true, skipVersionCheck: true });
      connection.on('error', () => {});
      connection.client.catch(() => {});
      return { calls: this.#callsOf(queue, 0, '', connection), close: () => client.disconnect() };
    };
    return new RedisSignal(connect, this.#host.setTimer);
  }

  async announce(queue: string): Promise<void> {
    await this.#client.zadd(this.#keys.toKey(queue, 'marker'), 0, '0');
  }

  async read(queue: string, ids: readonly string[]): Promise<readonly (JobRecord | undefined)[]> {
    const answers = await this.#inBatches(ids, (some) => this.#run('readScript', queue, ...some));
    const now = Date.now();
    return answers.map((answer, index) =>
      answer === null ? undefined : recordOf(ids[index]!, answer as ReadAnswer, now),
    );
  }

  async readEnqueuers(queue: string, ids: readonly string[]): Promise<readonly (string | undefined)[]> {
    const pipeline = this.#client.pipeline();
    for (const id of ids) pipeline.hget(this.#keys.toKey(queue, id), 'opts');
    const answers = (await pipeline.exec()) ?? [];
    return answers.map(([error, opts]) => {
      if (error !== null) throw error;
      return typeof opts === 'string' ? (ownOptionsIn(opts).by ?? '') : undefined;
    });
  }

  async page(queue: string, place: Place, from: string | undefined, limit: number): Promise<PlacePage> {
    const isList = place === 'wait' || place === 'active';
    const cursor = readCursor(from);
    if (isList) {
      const args = [place, limit, ...cursor];
      const [more, ids] = (await this.#run('pageOfListScript', queue, ...args)) as [number, string[]];
      ids.reverse();
      return { ids, next: more === 1 ? JSON.stringify(ids.slice(-rememberedIds).toReversed()) : undefined };
    }
    if (from !== undefined && cursor.length !== 2) throw new InvalidCursorError(from);
    const [score = '', id = ''] = cursor;
    const found = (await this.#run('pageOfSetScript', queue, place, limit, score, id)) as string[];
    const ids = found.filter((_, index) => index % 2 === 0).slice(0, limit);
    const last = 2 * (ids.length - 1);
    const next = found.length > 2 * limit ? JSON.stringify([found[last + 1], found[last]]) : undefined;
    return { ids, next };
  }

  async readActive(queue: string): Promise<ActiveJobs> {
    const [held, nextIn, lapsed] = (await this.#run('readActiveScript', queue)) as [
      number,
      number,
      (string | null)[][],
    ];
    return {
      held,
      nextEndsAt: nextIn < 0 ? undefined : Date.now() + nextIn,
      lapsed: lapsed.map(lapsedOf),
    };
  }

  async countDelayed(queue: string, until: readonly number[]): Promise<readonly number[]> {
    const key = this.#keys.toKey(queue, 'delayed');
    const scores = until.map((time) => `(${(Math.floor(time) + 1) * scoresPerMs}`);
    return Promise.all(scores.map((score) => this.#client.zcount(key, '-inf', score)));
  }

  async areHeld(queue: string, jobs: readonly Held[]): Promise<readonly boolean[]> {
    const answers = await this.#inBatches(jobs, (some) =>
      this.#run('areHeldScript', queue, ...some.flatMap(({ id, lock }) => [id, lock])),
    );
    return answers.map((answer) => answer === 1);
  }

  async write(queue: string, id: string, state: OwnState, lock: string | undefined): Promise<boolean> {
    return (await this.#run('writeScript', queue, id, storableJson(state), lock ?? '')) === 1;
  }

  async putBack(queue: string, { id, claim }: Lapsed, death: Death | undefined): Promise<boolean> {
    const noted = death === undefined ? '' : JSON.stringify(death);
    return (await this.#run('putBackScript', queue, id, claim, noted, historyLimit)) === 1;
  }

  async lockAgain(queue: string, { id, lock }: Held, which: WhichClaim, lockMs: number): Promise<boolean> {
    const { claim, startedAt } = which;
    return (await this.#run('lockAgainScript', queue, id, lock, lockMs, claim, startedAt)) === 1;
  }

  async seize(queue: string, { id, lock }: Held, at: 'active' | 'waiting', lockMs: number): Promise<boolean> {
    return (await this.#run('seizeScript', queue, id, lock, lockMs, at)) === 1;
  }

  async release(queue: string, { id, lock }: Held, state: OwnState | undefined): Promise<boolean> {
    const written = state === undefined ? '' : storableJson(state);
    return (await this.#run('releaseScript', queue, id, lock, written)) === 1;
  }

  async noteAlive(queue: string, id: string, { claim, startedAt }: WhichClaim): Promise<void> {
    await this.#run('noteAliveScript', queue, id, claim, startedAt);
  }

  async noteStarted(queue: string, ids: readonly string[], processedBy: string): Promise<void> {
    await this.#run('noteStartedScript', queue, processedBy, ...ids);
  }

  /** BullMQ looks for it from the other end: with a backlog each one would cost as much as there are others. */
  async removeWaiting(queue: string, id: string): Promise<boolean> {
    return (await this.#run('removeWaitingScript', queue, id)) === 1;
  }

  async removeEnded(queue: string, ids: readonly string[]): Promise<number> {
    const calls = this.calls(queue);
    const removed = await Promise.allSettled(ids.map((id) => calls.remove(id, false)));
    return removed.filter((one) => one.status === 'fulfilled' && one.value > 0).length;
  }

  async holdKey(queue: string, key: string, id: string, ttlMs: number | undefined): Promise<void> {
    const name = this.#keys.toKey(queue, `de:${key}`);
    if (ttlMs === undefined) await this.#client.set(name, id, 'NX');
    else await this.#client.set(name, id, 'PX', ttlMs, 'NX');
  }

  #tell(error: Error | undefined): void {
    if (!this.#closed) this.#host.onConnection(error);
  }

  #run(script: Script, queue: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const commands = this.#client as unknown as Record<string, Run>;
    return commands[commandOf(script)]!(this.#keys.toKey(queue, ''), ...args);
  }

  async #inBatches<Item>(
    items: readonly Item[],
    run: (items: readonly Item[]) => Promise<unknown>,
  ): Promise<readonly unknown[]> {
    const calls: Promise<unknown>[] = [];
    for (let from = 0; from < items.length; from += largestBatch) {
      calls.push(run(items.slice(from, from + largestBatch)));
    }
    return (await Promise.all(calls)).flat(1);
  }
}

function commandOf(script: Script): string {
  return `nestjsWorker:${script}`;
}

type ReadAnswer = readonly [place: string, score: string, lockedForMs: number, fields: readonly string[]];

function recordOf(id: string, answer: ReadAnswer, now: number): JobRecord {
  const [place, score, lockedForMs, flat] = answer;
  const fields = new Map<string, string>();
  for (let index = 0; index < flat.length; index += 2) fields.set(flat[index]!, flat[index + 1]!);
  const numberOf = (field: string): number | undefined => {
    const text = fields.get(field);
    return text === undefined ? undefined : Number(text);
  };
  const opts = fields.get('opts') ?? '{}';
  const deaths = fields.get('nestjs-worker:deaths');
  return withoutUnmade({
    id,
    name: fields.get('name') ?? '',
    data: fields.get('data') || '{}',
    own: ownOptionsIn(opts),
    state: stateIn(fields.get('nestjs-worker:state')),
    deaths: deaths === undefined ? [] : (JSON.parse(deaths) as Death[]),
    at: place === 'waiting-children' ? 'children' : (place as BullState),
    timestamp: numberOf('timestamp') ?? 0,
    delay: (JSON.parse(opts) as { delay?: number }).delay ?? 0,
    processAt: place === 'delayed' ? Math.floor(Number(score) / scoresPerMs) : undefined,
    priority: numberOf('priority') ?? 0,
    made: numberOf('atm') ?? numberOf('attemptsMade') ?? 0,
    claims: numberOf('ats') ?? 0,
    processedOn: numberOf('processedOn'),
    processedBy: fields.get('pb'),
    finishedOn: numberOf('finishedOn'),
    failedReason: fields.get('failedReason'),
    returnValue: fields.get('returnvalue'),
    progress: fields.get('progress'),
    deduplicationId: fields.get('deid'),
    origin: fields.has('rjk') ? 'scheduler' : fields.has('parentKey') ? 'flow' : undefined,
    lockEndsAt: lockedForMs < 0 ? undefined : now + lockedForMs,
  });
}

function ownOptionsIn(opts: string): OwnOptions {
  return unwrapOptions((JSON.parse(opts) as { [ownField]?: StoredOptions })[ownField] ?? {});
}

function stateIn(text: string | null | undefined): OwnState | undefined {
  return text ? (JSON.parse(text) as OwnState) : undefined;
}

function lapsedOf([id, claims, processedOn, processedBy, made, state]: readonly (string | null)[]): Lapsed {
  return {
    id: id ?? '',
    claim: Number(claims ?? 0),
    startedAt: Number(processedOn ?? 0),
    processedBy: processedBy ?? undefined,
    made: Number(made ?? 0),
    at: 'active',
    state: stateIn(state),
  };
}

function readCursor(from: string | undefined): readonly string[] {
  if (from === undefined) return [];
  try {
    const cursor: unknown = JSON.parse(from);
    if (Array.isArray(cursor) && cursor.length > 0 && cursor.every((part) => typeof part === 'string')) {
      return cursor;
    }
  } catch {
    // None of ours.
  }
  throw new InvalidCursorError(from);
}
