import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { RedisJobBackend } from 'nestjs-worker/redis';
import { afterAll, beforeAll, it } from 'vitest';
import { checkJobModel } from '../support/job-backend-commands.js';
import { RedisServer } from '../support/redis.js';

let server: RedisServer;
let client: Redis;
let runs = 0;

beforeAll(async () => {
  server = await RedisServer.start();
  client = server.client();
}, 240_000);

afterAll(async () => {
  client?.disconnect();
  await server?.stop();
});

// By the time of Redis: its waits are real ones, and so fewer runs than on memory.
it('does what the model does', { timeout: 300_000 }, async () => {
  const subject = {
    make: () => ({
      backend: new RedisJobBackend({ url: server.url, namespace: `model-${++runs}`, pollInterval: '1m' }),
      now: async () => {
        const [seconds, micros] = await client.time();
        return Math.floor(Number(seconds) * 1_000 + Number(micros) / 1_000);
      },
      advance: (ms: number) => delay(ms),
    }),
    times: {
      delays: [0, 0, 20, 60, 2 ** 31 + 7],
      leases: [30, 100, 400],
      advances: [1, 10, 40, 120],
      ttls: [30, 3_000],
      keeps: [0, 50, 5_000],
    },
    priority: false,
    lostTurn: 'lease-end' as const,
    mayLapse: true,
    limits: { concurrency: true, perKey: true },
    settle: () => delay(5),
    patience: 400,
    rounding: 1,
  };
  await checkJobModel(subject, {
    numRuns: Number(process.env['MODEL_RUNS'] ?? 10),
    maxCommands: 40,
    endOnFailure: true,
  });
});
