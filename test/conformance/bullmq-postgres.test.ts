import { setTimeout as delay } from 'node:timers/promises';
import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { describeJobBackend } from 'nestjs-worker/testing';
import type { Pool } from 'pg';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { onlyParts } from '../support/conformance-parts.js';
import { PostgresServer } from '../support/postgres.js';

let server: PostgresServer;
let pool: Pool;

beforeAll(async () => {
  server = await PostgresServer.start();
  pool = server.pool({ options: '-c search_path=bullmq' });
}, 240_000);

afterAll(async () => {
  await pool?.end();
  await server?.stop();
});

/** Making a schema takes longer than most tests. */
async function empty(): Promise<void> {
  const { rows } = await pool.query<{ name: string }>(
    `select tablename as name from pg_tables where schemaname = 'bullmq' and tablename not like '%migration%'`,
  );
  const names = rows.map(({ name }) => name);
  if (names.length > 0) await pool.query(`truncate ${names.join()} cascade`);
}

/** With priorities jobs are at another place until they are claimed; the rest is the same. */
const parts = (priorities: boolean): RegExp => (priorities ? /^(?:capabilities|order|getting)/u : /./u);

for (const priorities of [false, true]) {
  describe(`priorities: ${priorities}`, () => {
    describeJobBackend({
      runner: { describe: onlyParts(describe, parts(priorities)), it },
      capabilities: new BullMqJobBackend({ postgres: 'postgres://127.0.0.1', priorities }).capabilities,
      // It takes a millisecond for each.
      many: 2_000,
      make: async () => {
        await empty();
        const make = (): BullMqJobBackend => new BullMqJobBackend({ postgres: server.url, priorities });
        return { backend: make(), another: make, now: () => Date.now(), advance: (ms) => delay(ms) };
      },
    });
  });
}
