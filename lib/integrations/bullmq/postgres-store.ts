import { type IQueueBackend, type PgPoolConfig, PostgresConnection, PostgresQueueBackend } from 'bullmq';
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
  StoringCalls,
  WhichClaim,
} from './bullmq-store.js';
import {
  type BullState,
  type Death,
  type JobRecord,
  type OwnState,
  ownField,
  type StoredOptions,
  unwrapOptions,
  withoutUnmade,
} from './job-record.js';
import * as queries from './postgres-queries.js';
import { queryInTurn } from './pool-turns.js';
import { PostgresSignal } from './postgres-signal.js';
import { type EnqueuerRow, enqueuersOf, withinTransaction } from './postgres-transaction.js';
import { storableJson } from './storable-text.js';

/** So many lapsed jobs are looked at in one go. */
const mostLapsed = 1_000;

export interface PostgresStoreOptions {
  readonly pool: PgPoolConfig;
  readonly schema: string;
  readonly migrate: boolean;
  readonly commandTimeoutMs: number;
}

/** What BullMQ keeps in PostgreSQL. */
export class PostgresStore implements BullMqStore {
  readonly claimsTellAll = true;
  // Less than the connections that a pool has.
  readonly claimsAtOnce = 8;
  readonly latest = Number.MAX_SAFE_INTEGER;
  readonly #host: JobBackendHost;
  readonly #connection: PostgresConnection;
  readonly #calls = new Map<string, IQueueBackend>();
  #closed = false;

  constructor(options: PostgresStoreOptions, host: JobBackendHost) {
    this.#host = host;
    const { pool, schema, migrate, commandTimeoutMs } = options;
    this.#connection = new PostgresConnection({
      application_name: 'nestjs-worker',
      keepAlive: true,
      ...pool,
      connectionTimeoutMillis: commandTimeoutMs,
      query_timeout: commandTimeoutMs,
      schema,
      migrate,
    });
    // One for each queue that is waited at.
    this.#connection.setMaxListeners(0);
    this.#connection.on('error', (error: Error) => {
      if (!this.#closed) this.#host.onConnection(error);
    });
    queryInTurn(this.#connection.pool);
    // BullMQ does not listen to one that it has taken from the pool: if that is lost meanwhile, the process would end.
    this.#connection.pool.on('connect', (client) => client.on('error', () => {}));
  }

  /** JSON that PostgreSQL has no form for: a NUL, or half of a pair. */
  keepsText(text: string): boolean {
    return !/\\u(?:0000|d[89a-f])/iu.test(text);
  }

  async open(): Promise<void> {
    await this.#connection.waitUntilReady();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#connection.close();
  }

  calls(queue: string, leaseMs = 0, processedBy = ''): IQueueBackend {
    const key = `${leaseMs} ${processedBy} ${queue}`;
    let calls = this.#calls.get(key);
    if (calls === undefined) {
      // BullMQ takes options of its worker from here, which its type does not name.
      const options = { connection: {}, lockDuration: leaseMs, name: processedBy };
      calls = new PostgresQueueBackend(this.#connection, queue, options, false);
      this.#calls.set(key, calls);
    }
    return calls;
  }

  within<Result>(
    transaction: object,
    queue: string,
    run: (storing: StoringCalls) => Promise<Result>,
  ): Promise<Result> {
    return withinTransaction(transaction, this.#connection.schema, queue, run);
  }

  signal(queue: string): JobSignal {
    return new PostgresSignal(this.#connection, queue, this.#host.setTimer);
  }

  /** Everybody who waits has heard it. */
  async announce(): Promise<void> {}

  /** Its connections take them at the same time. */
  async inTurn(queue: string, ids: readonly string[]): Promise<readonly string[]> {
    const rows = await this.#query<{ id: string }>(queries.inTurnQuery, queue, ids);
    return rows.map(({ id }) => id);
  }

  async read(queue: string, ids: readonly string[]): Promise<readonly (JobRecord | undefined)[]> {
    const rows = await this.#query<JobRow>(queries.readQuery, queue, ids);
    const records = new Map(rows.map((row) => [row.id, recordOf(row)]));
    return ids.map((id) => records.get(id));
  }

  async readEnqueuers(queue: string, ids: readonly string[]): Promise<readonly (string | undefined)[]> {
    const rows = await this.#query<EnqueuerRow>(queries.readEnqueuersQuery, queue, ids);
    return enqueuersOf(ids, rows);
  }

  async page(queue: string, place: Place, from: string | undefined, limit: number): Promise<PlacePage> {
    const [first, second] = readCursor(from);
    const query = queries.pageQuery(place);
    const rows = await this.#query<{ id: string; first: string; second: string }>(
      query,
      queue,
      limit + 1,
      first,
      second,
    );
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    const next = rows.length > limit && last ? JSON.stringify([last.first, last.second]) : undefined;
    return { ids: page.map(({ id }) => id), next };
  }

  async readActive(queue: string): Promise<ActiveJobs> {
    const now = Date.now();
    const [lapsed, [locked]] = await Promise.all([
      this.#query<LapsedRow>(queries.readLapsedQuery, queue, now, mostLapsed),
      this.#query<{ held: string; next: string | null }>(queries.readLockedQuery, queue, now),
    ]);
    return {
      lapsed: lapsed.map(lapsedOf),
      held: Number(locked?.held ?? 0),
      nextEndsAt: numberOf(locked?.next),
    };
  }

  async countDelayed(queue: string, until: readonly number[]): Promise<readonly number[]> {
    const rows = await this.#query<{ count: string }>(
      queries.countDelayedQuery,
      queue,
      until.map(Math.floor),
    );
    return rows.map(({ count }) => Number(count));
  }

  async areHeld(queue: string, jobs: readonly Held[]): Promise<readonly boolean[]> {
    const ids = jobs.map(({ id }) => id);
    const rows = await this.#query<{ id: string; lock_token: string }>(queries.readLocksQuery, queue, ids);
    const locks = new Map(rows.map((row) => [row.id, row.lock_token]));
    return jobs.map(({ id, lock }) => locks.get(id) === lock);
  }

  async write(queue: string, id: string, state: OwnState, lock: string | undefined): Promise<boolean> {
    return this.#change(queries.writeQuery, queue, id, storableJson(state), lock);
  }

  async putBack(queue: string, { id, claim }: Lapsed, death: Death | undefined): Promise<boolean> {
    const noted = death === undefined ? undefined : storableJson(death);
    return this.#change(queries.putBackQuery, queue, id, claim, Date.now(), noted, historyLimit);
  }

  async lockAgain(queue: string, { id, lock }: Held, which: WhichClaim, lockMs: number): Promise<boolean> {
    const { claim, startedAt } = which;
    return this.#change(queries.lockAgainQuery, queue, id, lock, Date.now() + lockMs, claim, startedAt);
  }

  async seize(queue: string, { id, lock }: Held, at: 'active' | 'waiting', lockMs: number): Promise<boolean> {
    const states = at === 'active' ? ['active'] : ['waiting', 'delayed'];
    return this.#change(queries.seizeQuery, queue, id, lock, Date.now() + lockMs, states);
  }

  async release(queue: string, { id, lock }: Held, state: OwnState | undefined): Promise<boolean> {
    const written = state === undefined ? undefined : storableJson(state);
    return this.#change(queries.releaseQuery, queue, id, lock, written);
  }

  async noteAlive(queue: string, id: string, { claim, startedAt }: WhichClaim): Promise<void> {
    await this.#change(queries.noteAliveQuery, queue, id, claim, startedAt);
  }

  async noteStarted(queue: string, ids: readonly string[], processedBy: string): Promise<void> {
    await this.#change(queries.noteStartedQuery, queue, ids, processedBy);
  }

  async removeEnded(queue: string, ids: readonly string[]): Promise<number> {
    return (await this.#query(queries.removeEndedQuery, queue, ids)).length;
  }

  async holdKey(queue: string, key: string, id: string, ttlMs: number | undefined): Promise<void> {
    const now = Date.now();
    const until = ttlMs === undefined ? undefined : now + ttlMs;
    await this.#change(queries.holdKeyQuery, queue, key, id, until, now);
  }

  async freeKey(queue: string, key: string, id: string, now: number): Promise<boolean> {
    return this.#change(queries.freeKeyQuery, queue, key, id, now);
  }

  async #query<Row>(text: string, ...args: readonly unknown[]): Promise<readonly Row[]> {
    const { rows } = await this.#connection.pool.query<Row & Record<string, unknown>>(text, nulls(args));
    return rows;
  }

  /** Whether it changed anything. */
  async #change(text: string, ...args: readonly unknown[]): Promise<boolean> {
    const { rowCount } = await this.#connection.pool.query(text, nulls(args));
    return (rowCount ?? 0) > 0;
  }
}

function nulls(args: readonly unknown[]): unknown[] {
  return args.map((arg) => arg ?? null);
}

interface JobRow {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly data: unknown;
  readonly opts: {
    delay?: number;
    [ownField]?: StoredOptions & { state?: OwnState; deaths?: readonly Death[] };
  };
  readonly priority: number;
  readonly attempts_made: number;
  readonly attempts_started: number;
  readonly progress: unknown;
  readonly return_value: unknown;
  readonly failed_reason: string | null;
  readonly processed_by: string | null;
  // Whole numbers of 64 bits are texts.
  readonly added_at_ms: string;
  readonly process_at_ms: string | null;
  readonly processed_at_ms: string | null;
  readonly finished_at_ms: string | null;
  readonly locked_until_ms: string | null;
  readonly dedup_id: string | null;
  readonly scheduler_id: string | null;
  readonly parent_key: string | null;
}

const stateNames: Readonly<Record<string, BullState>> = { waiting: 'wait', 'waiting-children': 'children' };

function recordOf(row: JobRow): JobRecord {
  const own = row.opts[ownField];
  const hasEnded = row.state === 'completed';
  return withoutUnmade({
    id: row.id,
    name: row.name,
    data: JSON.stringify(row.data),
    own: unwrapOptions(own ?? {}),
    state: own?.state,
    deaths: own?.deaths ?? [],
    at: stateNames[row.state] ?? (row.state as BullState),
    timestamp: Number(row.added_at_ms),
    delay: row.opts.delay ?? 0,
    processAt: row.state === 'delayed' ? numberOf(row.process_at_ms) : undefined,
    priority: row.priority,
    made: row.attempts_made,
    claims: row.attempts_started,
    processedOn: numberOf(row.processed_at_ms),
    processedBy: row.processed_by ?? undefined,
    finishedOn: numberOf(row.finished_at_ms),
    failedReason: row.failed_reason ?? undefined,
    returnValue: hasEnded ? JSON.stringify(row.return_value) : undefined,
    progress: row.progress === null ? undefined : JSON.stringify(row.progress),
    deduplicationId: row.dedup_id ?? undefined,
    origin: row.scheduler_id ? 'scheduler' : row.parent_key ? 'flow' : undefined,
    lockEndsAt: numberOf(row.locked_until_ms),
  });
}

interface LapsedRow {
  readonly id: string;
  readonly attempts_started: number;
  readonly attempts_made: number;
  readonly processed_at_ms: string | null;
  readonly processed_by: string | null;
  readonly own_state: OwnState | null;
}

function lapsedOf(row: LapsedRow): Lapsed {
  return {
    id: row.id,
    claim: row.attempts_started,
    startedAt: Number(row.processed_at_ms ?? 0),
    processedBy: row.processed_by ?? undefined,
    made: row.attempts_made,
    at: 'active',
    state: row.own_state ?? undefined,
  };
}

function numberOf(text: string | null | undefined): number | undefined {
  return text === null || text === undefined ? undefined : Number(text);
}

function readCursor(from: string | undefined): readonly (string | undefined)[] {
  if (from === undefined) return [];
  try {
    const cursor: unknown = JSON.parse(from);
    const [first, second] = Array.isArray(cursor) ? (cursor as unknown[]) : [];
    if (typeof first === 'string' && /^-?\d+$/u.test(first) && typeof second === 'string')
      return [first, second];
  } catch {
    // None of ours.
  }
  throw new InvalidCursorError(from);
}
