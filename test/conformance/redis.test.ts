import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { RedisJobBackend } from 'nestjs-worker/redis';
import { describeJobBackend } from 'nestjs-worker/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { RedisServer } from '../support/redis.js';

let server: RedisServer;
let client: Redis;
let namespaces = 0;

beforeAll(async () => {
  server = await RedisServer.start();
  client = server.client();
});

afterAll(async () => {
  client?.disconnect();
  await server?.stop();
});

const now = async (): Promise<number> => {
  const [seconds, micros] = await client.time();
  return Math.floor(Number(seconds) * 1_000 + Number(micros) / 1_000);
};

describeJobBackend({
  runner: { describe, it },
  capabilities: new RedisJobBackend({ url: 'redis://127.0.0.1' }).capabilities,
  make: () => {
    const namespace = `test-${++namespaces}`;
    const make = (): RedisJobBackend =>
      new RedisJobBackend({ url: server.url, namespace, pollInterval: '1m' });
    return { backend: make(), another: make, now, advance: (ms) => delay(ms) };
  },
});
