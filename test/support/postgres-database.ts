// Imports nothing but Node itself: test/bench and test/chaos, which plain Node runs, load it as well.
import { randomUUID } from 'node:crypto';

/** Runs one statement on a connection of its own. */
export type Execute = (url: string, statement: string) => Promise<readonly unknown[]>;

const notOurs = (what: string): Error =>
  new Error(`The PostgreSQL of POSTGRES_URL is not ours to ${what}: skip this, or unset POSTGRES_URL.`);

/** A database of its own on a server that somebody else looks after; shaped as `PostgresProgram` is. */
export class PostgresDatabase {
  readonly isOwn = false;
  readonly process = undefined;
  readonly url: string;
  readonly version: string;
  readonly #drop: () => Promise<void>;

  private constructor(url: string, version: string, drop: () => Promise<void>) {
    this.url = url;
    this.version = version;
    this.#drop = drop;
  }

  static async make(
    server: string,
    execute: Execute,
    ...settings: readonly string[]
  ): Promise<PostgresDatabase> {
    if (settings.length > 0) throw notOurs(`start with ${settings.join(', ')}`);
    const name = `nestjs_worker_${randomUUID().replaceAll('-', '')}`;
    const [row] = await execute(server, 'show server_version');
    const { server_version: version } = row as { server_version: string };
    await execute(server, `create database ${name}`);
    const url = new URL(server);
    url.pathname = name;
    // As in `15.18 (Debian 15.18-0+deb12u1)`.
    return new PostgresDatabase(url.href, version.split(' ')[0] ?? version, async () => {
      await execute(server, `drop database ${name} with (force)`);
    });
  }

  /** The process that is about to exit cannot ask for it. */
  clearUp(): void {}

  get port(): number {
    return Number(new URL(this.url).port || 5432);
  }

  async begin(): Promise<never> {
    throw notOurs('start');
  }

  async kill(): Promise<never> {
    throw notOurs('kill');
  }

  async shutdown(): Promise<never> {
    throw notOurs('shut down');
  }

  hold(_held: boolean): never {
    throw notOurs('hold');
  }

  /** Ends the connections of others to it as well. */
  stop(): Promise<void> {
    return this.#drop();
  }
}
