// A PostgreSQL of our own for measurements and chaos: on a free port, waiting for no disk; or a database of our own on
// the server of POSTGRES_URL.
import { Client } from 'pg';
import { loadTypescript } from '../support/load-typescript.mjs';

const support = (name) => loadTypescript(new URL(`../support/${name}.ts`, import.meta.url));
const { findDebianTool } = await support('debian-tool');
const { PostgresProgram, postgresTool } = await support('postgres-program');
const { PostgresDatabase } = await support('postgres-database');

const started = new Set();
process.once('exit', () => started.forEach((server) => server.clearUp()));

async function execute(url, statement) {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

/**
 * Answers its `url`, `port` and `version`, whether it `isOwn`, how to `stop()` it, and, where it is, how to `kill()`,
 * `shutdown()`, `hold(true)` and `begin()` it. `settings` as in postgresql.conf: `max_connections=20`.
 */
export async function startPostgres(...settings) {
  const given = process.env.POSTGRES_URL;
  if (given) return PostgresDatabase.make(given, execute, ...settings);
  const server = await PostgresProgram.start(await findDebianTool(postgresTool), ...settings);
  started.add(server);
  return server;
}
