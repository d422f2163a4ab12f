import { setTimeout as delay } from 'node:timers/promises';
import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { afterAll, beforeAll, it } from 'vitest';
import { checkJobModel, type JobModelOptions } from '../support/job-backend-commands.js';
import { PostgresServer } from '../support/postgres.js';
import { RedisServer } from '../support/redis.js';

let redis: RedisServer;
let postgres: PostgresServer;
let runs = 0;

beforeAll(async () => {
  [redis, postgres] = await Promise.all([RedisServer.start(), PostgresServer.start()]);
}, 240_000);

afterAll(async () => {
  await Promise.all([redis?.stop(), postgres?.stop()]);
});

const common: Omit<JobModelOptions, 'make' | 'order'> = {
  times: {
    delays: [0, 0, 20, 60, 2 ** 31 + 7],
    leases: [30, 100, 400],
    advances: [1, 10, 40, 120],
    ttls: [30, 3_000],
    keeps: [0, 50, 5_000],
  },
  priority: false,
  fencing: false,
  clock: 'client',
  lostTurn: 'first',
  lapses: 'never',
  limits: { concurrency: false, perKey: false },
  settle: () => delay(5),
  patience: 400,
};

// Its waits are real ones, by the time of this machine: few runs by default.
const numRuns = Number(process.env['MODEL_RUNS'] ?? 10);
const timeout = 60_000 + 6_000 * numRuns;

it('does what the model does, on Redis', { timeout }, async () => {
  const subject: JobModelOptions = {
    ...common,
    order: 'arrival',
    make: () => ({
      backend: new BullMqJobBackend({ redis: redis.url, prefix: `model-${++runs}` }),
      now: () => Date.now(),
      advance: (ms: number) => delay(ms),
    }),
  };
  await checkJobModel(subject, { numRuns, maxCommands: 40, endOnFailure: true });
});

it('does what the model does, on PostgreSQL', { timeout }, async () => {
  const subject: JobModelOptions = {
    ...common,
    order: 'enqueued',
    make: () => ({
      backend: new BullMqJobBackend({ postgres: postgres.url, schema: `model_${++runs}` }),
      now: () => Date.now(),
      advance: (ms: number) => delay(ms),
    }),
  };
  await checkJobModel(subject, { numRuns, maxCommands: 40, endOnFailure: true });
});
