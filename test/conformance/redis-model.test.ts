import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import { RedisJobBackend } from 'nestjs-worker/redis';
import { afterAll, beforeAll, it } from 'vitest';
import { checkJobModel } from '../support/job-backend-commands.js';
import { RedisServer } from '../support/redis.js';

const watching = new AsyncLocalStorage<(at: number) => void>();

/** Has a client, and what is made like it, say when scripts were run, by the clock of Redis: each answers that first. */
function watched(client: Redis): Redis {
  const sendCommand = client.sendCommand.bind(client);
  const duplicate = client.duplicate.bind(client);
  return Object.assign(client, {
    duplicate: (options?: RedisOptions) => watched(duplicate(options)),
    sendCommand: (...[command, stream]: Parameters<Redis['sendCommand']>) => {
      const onExchange = watching.getStore();
      if (onExchange !== undefined && ['eval', 'evalsha'].includes(command.name)) {
        command.promise.then(
          (answer: readonly unknown[]) => onExchange(Number(answer[0])),
          () => {},
        );
      }
      return sendCommand(command, stream);
    },
  });
}

let server: RedisServer;
let client: Redis;
let runs = 0;

beforeAll(async () => {
  server = await RedisServer.start();
  client = watched(server.client());
}, 240_000);

afterAll(async () => {
  client?.disconnect();
  await server?.stop();
});

// By the time of Redis: its waits are real ones, and so fewer runs than on memory. More of them now and then: MODEL_RUNS=300.
const numRuns = Number(process.env['MODEL_RUNS'] ?? 10);

it('does what the model does', { timeout: 60_000 + 3_000 * numRuns }, async () => {
  const subject = {
    make: () => ({
      backend: new RedisJobBackend({ client, namespace: `model-${++runs}`, pollInterval: '1m' }),
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
    order: 'due' as const,
    fencing: true,
    clock: 'backend' as const,
    lostTurn: 'lease-end' as const,
    lapses: 'when-passed' as const,
    limits: { concurrency: true, perKey: true },
    settle: () => delay(5),
    patience: 400,
    watch: <Result>(call: () => Promise<Result>, onExchange: (at: number) => void) =>
      watching.run(onExchange, call),
  };
  await checkJobModel(subject, {
    numRuns,
    maxCommands: 40,
    endOnFailure: true,
  });
});
