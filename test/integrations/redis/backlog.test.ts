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

/** Claims and settles some jobs, in batches. */
async function work(handle: Handle): Promise<void> {
  let held: readonly ClaimedJob[] = [];
  for (let batch = 0; batch < 5; batch++) {
    const settlements = held.map((job) => ({ kind: 'completed', job, keepMs: 0 }) as const);
    const next = { limit: 100, prefetch: 0, leaseMs: 60_000 };
    held = (await handle.backend.settle(queue, settlements, next)).claimed;
    expect(held).toHaveLength(100);
    await handle.backend.extend(
      queue,
      held.map((job) => ({ job, leaseMs: 60_000 })),
    );
  }
  await handle.complete(...held);
  await handle.counts();
}

/** Commands whose cost is that of their arguments: for each the logarithm of what there is, at most. */
const plain = new Set(
  'del evalsha exists get hdel hexists hget hlen hmget hset persist pexpire publish sadd set srem time zadd zcard zcount'
    .concat(' zmscore zrem zscore')
    .split(' '),
);

/** How many members, fields or keys a command looks at, at most; `Infinity` where that depends on how many there are. */
function looksAt([name = '', ...args]: readonly string[]): number {
  const command = name.toLowerCase();
  if (plain.has(command)) return args.length + 1;
  // The fields of a job, or of the last 60 minutes.
  if ((command === 'hgetall' || command === 'hvals') && /:(job|minutes):/.test(args[0] ?? '')) return 60;
  const limit = args.findIndex((argument) => argument.toLowerCase() === 'limit');
  if (limit > 0) return asCount(Number(args[limit + 1]) + Number(args[limit + 2]));
  if (command === 'zrange') return asCount(Number(args[2]) - Number(args[1]) + 1);
  return Infinity;
}

// Below 0: to the last one.
const asCount = (count: number): number => (count >= 0 ? count : Infinity);

/** The commands that Redis executes meanwhile, those in scripts among them. */
async function executedDuring(run: () => Promise<void>): Promise<string[][]> {
  const executed: string[][] = [];
  const isOver = `over ${Math.random()}`;
  const monitor = await redis.client.monitor();
  try {
    const over = new Promise<void>((resolve) => {
      monitor.on('monitor', (_: string, command: string[]) => {
        if (command[1] === isOver) resolve();
        else executed.push(command);
      });
    });
    await run();
    await redis.client.echo(isOver);
    await over;
    return executed;
  } finally {
    monitor.disconnect();
  }
}

/** How much is looked at in all, and by which commands. */
async function lookedAt(handle: Handle): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const command of await executedDuring(() => work(handle))) {
    const name = command[0]!.toLowerCase();
    sums[name] = (sums[name] ?? 0) + looksAt(command);
  }
  return sums;
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
    expect(keys.toSorted()).toEqual(
      ['active', 'claims', 'minutes', 'state'].map((kind) => handle.keyOf(kind)),
    );
  }, 60_000);

  it('costs no more to claim from than a small one', async () => {
    const handle = await redis.handle();
    await fill(handle, 0, 10_000);
    await work(handle);
    const small = await lookedAt(handle);
    await fill(handle, 10_000, 200_000);
    const large = await lookedAt(handle);
    // What is claimed at least is looked at.
    expect(small['zrangebyscore']).toBeGreaterThanOrEqual(500);
    expect(Object.entries(small).filter(([, count]) => count === Infinity)).toEqual([]);
    expect(large).toEqual(small);
    expect(await handle.counts()).toMatchObject({ active: 0 });
    await redis.client.flushall();
  }, 60_000);
});
