// What BullMQ has in PostgreSQL.
import { queueName, schema } from '../names.mjs';
import { PostgresServer } from './postgres-server.mjs';
import { Store } from './store.mjs';

/** What there is of a queue with no jobs, and how much of it there may be. BullMQ trims its events about there. */
const ofQueue = new Map([
  ['migration', Infinity],
  ['meta', Infinity],
  ['event', 11_000],
]);

class BullMqPostgresContents {
  #server;

  constructor(server) {
    this.#server = server;
  }

  async waiting() {
    const [{ count }] = await this.#ask(
      `select count(*) from ${schema}.job where queue = $1 and state not in ('completed', 'failed')`,
      queueName,
    );
    return Number(count);
  }

  async ids() {
    const rows = await this.#ask(`select id from ${schema}.job where queue = $1`, queueName);
    return rows.map(({ id }) => id);
  }

  async left() {
    const tables = await this.#ask('select tablename as name from pg_tables where schemaname = $1', schema);
    const left = await Promise.all(
      tables.map(async ({ name }) => {
        const [{ count }] = await this.#ask(`select count(*) from ${schema}.${name}`);
        return { name, size: Number(count) };
      }),
    );
    return left
      .filter(({ name, size }) => size > (ofQueue.get(name) ?? 0))
      .map(({ name, size }) => `${name} (${size})`);
  }

  async #ask(text, ...values) {
    return (await this.#server.direct.query(text, values)).rows;
  }
}

export function makeStore() {
  const server = new PostgresServer();
  return new Store(server, new BullMqPostgresContents(server));
}
