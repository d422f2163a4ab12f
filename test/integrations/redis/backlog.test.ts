import type { ClaimedJob } from '../../../lib/jobs/index.js';
import { describe, expect, it } from 'vitest';
import { encodeGoJob } from '../../../lib/integrations/redis/go-job.js';
import { type Handle, queue, SomeRedis } from './some-redis.js';

const redis = new SomeRedis();

/** Puts so many jobs into the queue that are due, without having each go through here. */
async function fill(handle: Handle, from: number, to: number): Promise<void> {
  const at = Date.now() - 60_000;
  const job = { id: 'a-uuid-is-as-long-as-this-which-is-36', createdAt: at, updatedAt: at, enqueuedAt: at };
  const bytes = encodeGoJob({ ...job, payload: Buffer.alloc(50), retries: 0, lastError: '' });
  for (let first = from; first < to; first += 10_000) {
    await redis.client.eval(
      `for i = ARGV[1], ARGV[2] - 1 do
         local key = ARGV[3] .. string.format('%08d', i)
         redis.call('HSET', key, 'msgpack', ARGV[4])
         redis.call('ZADD', KEYS[1], string.format('%.3f', ARGV[5] + i / 1000000), key)
       end`,
      1,
      handle.keyOf('queue'),
      first,
      first + 10_000,
      handle.keyOf('job', 'a-uuid-is-as-long-as-this-wh'),
      bytes,
      at / 1_000,
    );
  }
}

/** Microseconds a job, of claiming and settling some in batches; the median of several rounds. */
async function costPerJob(handle: Handle): Promise<number> {
  const costs: number[] = [];
  for (let round = 0; round < 7; round++) {
    const since = performance.now();
    let held: readonly ClaimedJob[] = [];
    for (let batch = 0; batch < 10; batch++) {
      const settlements = held.map((job) => ({ kind: 'completed', job, keepMs: 0 }) as const);
      const next = { limit: 100, prefetch: 0, leaseMs: 60_000 };
      held = (await handle.backend.settle(queue, settlements, next)).claimed;
      expect(held).toHaveLength(100);
    }
    await handle.complete(...held);
    costs.push(performance.now() - since);
  }
  return costs.toSorted((a, b) => a - b)[3]!;
}

describe('a large backlog', () => {
  it('F18: takes so much memory a job, and of Redis no more than that', async () => {
    const handle = await redis.handle();
    const memory = async (): Promise<number> =>
      Number(/used_memory:(\d+)/.exec(await redis.client.info('memory'))![1]);
    const payload = Buffer.alloc(50, 'x');
    const count = 20_000;
    const uuidLike = (index: number): string => `0199a1b2-7c3d-7e4f-8a5b-${String(index).padStart(12, '0')}`;
    const before = await memory();
    const jobs = Array.from({ length: count }, (_, index) => handle.job({ id: uuidLike(index), payload }));
    await handle.backend.enqueue(jobs);
    const perJob = ((await memory()) - before) / count;
    console.log(
      `Memory per queued job in Redis, with a payload of ${payload.length} bytes: ${Math.round(perJob)} bytes`,
    );
    expect(perJob).toBeLessThan(1_000);

    for (
      let held = await handle.claim({ limit: 500 });
      held.length > 0;
      held = await handle.claim({ limit: 500 })
    ) {
      await handle.complete(...held);
    }
    // Besides, there are only the state of the queue and its throughput.
    const keys = await redis.client.keys(`${handle.namespace}:*`);
    expect(keys.toSorted()).toEqual(['active', 'minutes', 'state'].map((kind) => handle.keyOf(kind)));
  }, 60_000);

  it('costs no more to claim from than a small one', async () => {
    const handle = await redis.handle();
    await fill(handle, 0, 20_000);
    await costPerJob(handle);
    const small = await costPerJob(handle);
    await fill(handle, 20_000, 1_000_000);
    const large = await costPerJob(handle);
    const ratio = large / small;
    console.log(
      `Claiming and settling at a backlog of 10^6 takes ${ratio.toFixed(2)} times what it does at 10^4`,
    );
    expect(ratio).toBeLessThan(3);
    expect(await handle.counts()).toMatchObject({ active: 0 });
    await redis.client.flushall();
  }, 120_000);
});
