import { type PgPool, PostgresConnection, PostgresQueueBackend } from 'bullmq';
import { InvalidOptionError } from '../../errors/index.js';
import type { StoringCalls } from './bullmq-store.js';
import { freeKeyQuery, readEnqueuersQuery } from './postgres-queries.js';

/** What a transaction is given as: a client of pg that has begun one, or what asks as it does. */
export interface PostgresTransaction {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: Record<string, unknown>[] }>;
}

export interface EnqueuerRow {
  readonly id: string;
  readonly by: string;
}

export function enqueuersOf(
  ids: readonly string[],
  rows: readonly EnqueuerRow[],
): readonly (string | undefined)[] {
  const enqueuers = new Map(rows.map(({ id, by }) => [id, by]));
  return ids.map((id) => enqueuers.get(id));
}

/** BullMQ's calls, made through one client of somebody else's. */
class TransactionConnection extends PostgresConnection {
  /** Whoever has begun the transaction is connected. */
  override async waitUntilReady(): Promise<void> {}
}

/** A schema that nobody has: by it we know that `search_path` is ours, and not one that was there before. */
const mark = '"nestjs-worker"';

/** What is under way by each client: what is said of `search_path` is for one at a time. */
const underWay = new WeakMap<object, Promise<unknown>>();

/**
 * Calls BullMQ within a transaction of somebody else's. BullMQ finds its tables by `search_path`, which is as it was
 * afterwards.
 */
export function withinTransaction<Result>(
  given: object,
  schema: string,
  queue: string,
  run: (storing: StoringCalls) => Promise<Result>,
): Promise<Result> {
  const transaction = given as Partial<PostgresTransaction>;
  if (typeof transaction.query !== 'function') throw noTransaction(given);
  const query: PostgresTransaction['query'] = (text, values) =>
    (given as PostgresTransaction).query(text, values);
  const call = async (): Promise<Result> => {
    const path = await readPath(query);
    const own = `"${schema}", ${mark}`;
    await query(`select set_config('search_path', $1, true)`, [own]);
    // Outside a transaction that is over at once; of a pool, another connection may be asked each time.
    if ((await readPath(query)) !== own) throw notBegun(given);
    const pool = { query, on: () => {}, end: async () => {}, connect: () => {} } as unknown as PgPool;
    const calls = new PostgresQueueBackend(new TransactionConnection(pool), queue, { connection: {} }, false);
    const readEnqueuers: StoringCalls['readEnqueuers'] = async (ids) => {
      const read = await query(readEnqueuersQuery, [queue, ids]);
      return enqueuersOf(ids, read.rows as unknown as readonly EnqueuerRow[]);
    };
    const freeKey: StoringCalls['freeKey'] = async (key, id) => {
      const freed = await query(freeKeyQuery, [queue, key, id, Date.now()]);
      return freed.rows.length > 0;
    };
    const result = await run({ calls, readEnqueuers, freeKey });
    await query(`select set_config('search_path', $1, true)`, [path]);
    return result;
  };
  const before = underWay.get(given) ?? Promise.resolve();
  const result = before.then(call, call);
  underWay.set(given, result);
  return result;
}

async function readPath(query: PostgresTransaction['query']): Promise<unknown> {
  const { rows } = await query(`select current_setting('search_path') as path`);
  return rows[0]?.['path'];
}

function notBegun(given: object): InvalidOptionError {
  return new InvalidOptionError({
    owner: 'a job',
    option: 'transaction',
    given: given.constructor.name,
    accepted: 'a client of pg that has begun one',
    cure:
      'Nothing was begun here, or it is a pool, which asks by another client each time. ' +
      "Take a client of the pool, and have it query('begin') before.",
  });
}

function noTransaction(given: object): InvalidOptionError {
  return new InvalidOptionError({
    owner: 'a job',
    option: 'transaction',
    given,
    accepted:
      'a client of pg that has begun one, or what has a query(text, values) like it that answers { rows }',
    cure: 'Of TypeORM, give what queryRunner.connect() answers.',
  });
}
