import { setTimeout as delay } from 'node:timers/promises';
import { BullMqJobBackend } from 'nestjs-worker/bullmq';
import { describeJobBackend } from 'nestjs-worker/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { onlyParts } from '../support/conformance-parts.js';
import { RedisServer } from '../support/redis.js';

let server: RedisServer;
let prefixes = 0;

beforeAll(async () => {
  server = await RedisServer.start();
});

afterAll(async () => {
  await server?.stop();
});

/** With priorities jobs are at another place until they are claimed; the rest is the same. */
const parts = (priorities: boolean): RegExp => (priorities ? /^(?:capabilities|order|getting)/u : /./u);

for (const priorities of [false, true]) {
  describe(`priorities: ${priorities}`, () => {
    describeJobBackend({
      runner: { describe: onlyParts(describe, parts(priorities)), it },
      capabilities: new BullMqJobBackend({ redis: 'redis://127.0.0.1', priorities }).capabilities,
      make: () => {
        const prefix = `test-${++prefixes}`;
        const make = (): BullMqJobBackend => new BullMqJobBackend({ redis: server.url, prefix, priorities });
        return { backend: make(), another: make, now: () => Date.now(), advance: (ms) => delay(ms) };
      },
    });
  });
}
