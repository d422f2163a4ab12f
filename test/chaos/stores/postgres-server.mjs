// A PostgreSQL that a scenario may kill, hold and start again; or a database of our own on the server of POSTGRES_URL,
// which it may not.
import { Pool } from 'pg';
import { startPostgres } from '../../bench/postgres-server.mjs';

export class PostgresServer {
  name = 'PostgreSQL';
  isOwn = !process.env.POSTGRES_URL;
  stalledBy = 'locks on all tables';
  #server;
  #direct;

  get host() {
    return new URL(this.#server.url).hostname;
  }

  get port() {
    return this.#server.port;
  }

  /** For direct looks. */
  get direct() {
    // A connection that ends with the server is replaced by the next query.
    return (this.#direct ??= new Pool({ connectionString: this.#server.url, max: 2 }).on('error', () => {}));
  }

  url(host, port) {
    const url = new URL(this.#server.url);
    url.hostname = host;
    url.port = String(port);
    return url.href;
  }

  /** What it has answered to be committed survives that it is killed, although it waits for no disk. */
  async start() {
    if (this.#server === undefined) this.#server = await startPostgres();
    else await this.#server.begin();
  }

  async kill() {
    await this.#server.kill();
  }

  async shutdown() {
    await this.#server.shutdown();
  }

  hold(held) {
    this.#server.hold(held);
  }

  /** As a change of its tables would. */
  async stall(ms) {
    const client = await this.direct.connect();
    try {
      const { rows } = await client.query(
        `select format('%I.%I', schemaname, tablename) as name from pg_tables
        where schemaname not in ('pg_catalog', 'information_schema')`,
      );
      await client.query('begin');
      await client.query(`lock table ${rows.map(({ name }) => name).join()} in access exclusive mode`);
      await client.query('select pg_sleep($1)', [ms / 1_000]);
      await client.query('commit');
    } finally {
      client.release();
    }
  }

  async now() {
    const { rows } = await this.direct.query('select extract(epoch from clock_timestamp()) * 1000 as now');
    return Number(rows[0].now);
  }

  async stop() {
    await this.#direct?.end();
    await this.#server?.stop();
  }
}
