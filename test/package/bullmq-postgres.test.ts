import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostgresServer } from '../support/postgres.js';
import { type Consumer, openConsumer } from './consumer.js';

/** Opens the backend, stores a job, and says what is there. */
const look = (url: string): string => `
  const backend = new BullMqJobBackend({ postgres: '${url}' });
  const host = { onRevoked() {}, onConnection() {}, warn() {}, setTimer() {} };
  const job = { id: process.argv[1], queue: 'mail', name: '', payload: undefined, due: { inMs: 0 }, priority: 0 };
  backend.open(host)
    .then(() => backend.enqueue([job]))
    .then(() => backend.get('mail', [job.id]))
    .then(([stored]) => console.log(stored.id, stored.state))
    .finally(() => backend.close());`;

describe('BullMQ on PostgreSQL in a project without ioredis', () => {
  let project: Consumer;
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.start();
    project = await openConsumer('bullmq-postgres');
  }, 300_000);
  afterAll(async () => {
    await server?.stop();
    project?.release();
  });

  it('there is none', async () => {
    const found = `try { console.log(require.resolve('ioredis')) } catch ({ code }) { console.log(code) }`;
    expect(await project.run(process.execPath, '--eval', found)).toBe('MODULE_NOT_FOUND\n');
  });

  it('compiles against the types', async () => {
    expect(await project.run('npx', 'tsc')).toBe('');
  }, 120_000);

  it.each([
    ['module', `import 'reflect-metadata'; import { BullMqJobBackend } from 'nestjs-worker/bullmq';`],
    [
      'commonjs',
      `require('reflect-metadata'); const { BullMqJobBackend } = require('nestjs-worker/bullmq');`,
    ],
  ] as const)('keeps jobs, loaded as %s', async (type, load) => {
    const code = load + look(server.url);
    expect(
      await project.run(process.execPath, `--input-type=${type}`, '--eval', code, '--', `by-${type}`),
    ).toBe(`by-${type} ready\n`);
  });
});
