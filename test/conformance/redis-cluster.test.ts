import { setTimeout as delay } from 'node:timers/promises';
import { Cluster } from 'ioredis';
import { RedisJobBackend } from 'nestjs-worker/redis';
import { describeJobBackend } from 'nestjs-worker/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { RedisCluster } from '../support/redis.js';

// With a client of the user's: leases are then not renewed from a thread, and another handle shares the client.
let cluster: RedisCluster;
let client: Cluster;
let namespaces = 0;

beforeAll(async () => {
  cluster = await RedisCluster.start();
  client = new Cluster(cluster.addresses);
}, 60_000);

afterAll(async () => {
  client?.disconnect();
  await cluster?.stop();
});

const now = async (): Promise<number> => {
  const [node] = client.nodes('master');
  const [seconds, micros] = await node!.time();
  return Math.floor(Number(seconds) * 1_000 + Number(micros) / 1_000);
};

const { leaseThread: _, ...others } = new RedisJobBackend({ url: 'redis://127.0.0.1' }).capabilities;

describeJobBackend({
  runner: { describe, it },
  capabilities: { ...others, leaseThread: false },
  make: () => {
    // The tag says on which node its keys are.
    const namespace = `{test-${++namespaces}}`;
    const make = (): RedisJobBackend => new RedisJobBackend({ client, namespace, pollInterval: '1m' });
    return { backend: make(), another: make, now, advance: (ms) => delay(ms) };
  },
});
