import { setTimeout as delay } from 'node:timers/promises';
import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { describeJobBackend } from 'nestjs-worker/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { RedisServer } from '../support/redis.js';

let server: RedisServer;
let prefixes = 0;

beforeAll(async () => {
  server = await RedisServer.start();
});

afterAll(async () => {
  await server?.stop();
});

for (const priorities of [false, true]) {
  describe(priorities ? 'with priorities' : 'without priorities', () => {
    describeJobBackend({
      runner: { describe, it },
      capabilities: new BullMqJobBackend({ redis: 'redis://127.0.0.1', priorities }).capabilities,
      make: () => {
        const prefix = `test-${++prefixes}`;
        const make = (): BullMqJobBackend => new BullMqJobBackend({ redis: server.url, prefix, priorities });
        return { backend: make(), another: make, now: () => Date.now(), advance: (ms) => delay(ms) };
      },
    });
  });
}
