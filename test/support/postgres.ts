import { Client, Pool, type PoolConfig } from 'pg';
import { findDebianTool, type FoundTool } from './debian-tool.js';
import { PostgresDatabase } from './postgres-database.js';
import { PostgresProgram, postgresTool } from './postgres-program.js';

/** Where PostgreSQL's programs are. Unpacks Debian's into a cache where there are none. */
export const findPostgres = (env = process.env): Promise<FoundTool> => findDebianTool(postgresTool, env);

/**
 * A real PostgreSQL, 15 or later: one on a port of its own which writes to a temporary folder, or a fresh database on
 * the server that POSTGRES_URL names.
 */
export class PostgresServer {
  readonly #server: PostgresProgram | PostgresDatabase;

  private constructor(server: PostgresProgram | PostgresDatabase) {
    this.#server = server;
  }

  /** Whether the one that starts would be ours to start with settings, to kill and to hold; for `it.runIf()`. */
  static get isOwn(): boolean {
    return !process.env['POSTGRES_URL'];
  }

  /** Installs it where that is necessary and possible. `settings` as in postgresql.conf: `max_connections=20`. */
  static async start(...settings: readonly string[]): Promise<PostgresServer> {
    const given = process.env['POSTGRES_URL'];
    if (given) return new PostgresServer(await PostgresDatabase.make(given, execute, ...settings));
    return new PostgresServer(await PostgresProgram.start(await findPostgres(), ...settings));
  }

  /** Whether it may be killed, held and started again. */
  get isOwn(): boolean {
    return this.#server.isOwn;
  }

  get url(): string {
    return this.#server.url;
  }

  get port(): number {
    return this.#server.port;
  }

  get version(): string {
    return this.#server.version;
  }

  /** Connections for the test itself, which `end()`s them. */
  pool(options: PoolConfig = {}): Pool {
    const pool = new Pool({ connectionString: this.url, ...options });
    pool.on('error', () => {});
    return pool;
  }

  /** One connection for the test itself, such as to listen on; the test `end()`s it. */
  async client(): Promise<Client> {
    const client = new Client(this.url);
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  /** Starts it again after `kill()` or `shutdown()`. */
  begin(): Promise<void> {
    return this.#server.begin();
  }

  /** Ends it at once, as a crash does. What was committed is there when it begins again. */
  kill(): Promise<void> {
    return this.#server.kill();
  }

  /** As an operator does it: clients are told. */
  shutdown(): Promise<void> {
    return this.#server.shutdown();
  }

  /** Holds it, so that it answers nothing, or lets it go on. */
  hold(held: boolean): void {
    this.#server.hold(held);
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }
}

async function execute(url: string, statement: string): Promise<readonly unknown[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query(statement)).rows as unknown[];
  } finally {
    await client.end();
  }
}
