import type { EventEmitter } from 'node:events';
import { type Cluster, Redis } from 'ioredis';
import type { RedisTarget } from './bullmq-options.js';

/** How a lost connection is made again: soon, then less and less often, and not by all at once. */
function reconnectDelay(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 10), 2_000) * (0.5 + Math.random() / 2);
}

/** What we need of a connection, whatever the user says of it. */
function required(commandTimeoutMs: number | undefined) {
  return {
    // Answers of the shape that BullMQ knows.
    replyMapping: 'legacy' as const,
    // Nothing is sent again by itself: whoever asked decides that.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    lazyConnect: true,
    disconnectTimeout: 200,
    ...(commandTimeoutMs !== undefined && { connectTimeout: commandTimeoutMs }),
    // One that does not answer is given up, and made anew: it may be dead, and nobody was told. No timer for each command.
    socketTimeout: commandTimeoutMs,
    commandTimeout: undefined,
  };
}

/** What we say of a connection where the user does not. */
const preferred = {
  connectionName: 'nestjs-worker',
  keepAlive: 10_000,
  retryStrategy: reconnectDelay,
  // After a failover it may be connected to what is a replica by now.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
};

/** Makes a client that is not connected yet, also of one of the user's, which is left alone. */
export function makeRedisClient(target: RedisTarget, commandTimeoutMs: number): Redis | Cluster {
  // By its shape it was found to be one.
  if ('client' in target) return duplicateOf(target.client as Redis | Cluster, required(commandTimeoutMs));
  const { url, options } = target;
  const complete = { ...preferred, ...options, ...required(commandTimeoutMs) };
  return url === undefined ? new Redis(complete) : new Redis(url, complete);
}

/** The same, to wait on, for as long as it takes; by its name BullMQ's tools know that somebody works. */
export function makeWaitingClient(client: Redis | Cluster, connectionName: string): Redis | Cluster {
  return duplicateOf(client, { ...required(undefined), connectionName });
}

type Ours = ReturnType<typeof required> & { readonly connectionName?: string };

function duplicateOf(client: Redis | Cluster, ours: Ours): Redis | Cluster {
  if (!client.isCluster) return (client as Redis).duplicate(ours);
  const options = { lazyConnect: true, redisOptions: ours };
  return (client as Cluster).duplicate([], options);
}

/** Whether that is what ioredis says of what was not sent, or not answered, since there was no connection. */
export function isOfLostConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { name, message } = error;
  return name === 'MaxRetriesPerRequestError' || /^(?:Connection is closed|Command aborted)/u.test(message);
}

/** `cause`: what ioredis has said of it. */
export function unreachable(why: Error, cause: unknown): Error {
  // One that stands for several, such as of all addresses of a name, says nothing itself.
  const reason = why.message || (why as NodeJS.ErrnoException).code || why.name;
  return new Error(`Redis cannot be reached (${reason})`, { cause });
}

/** One that does not end by itself is left to itself after so long. */
const longestEndMs = 1_000;

/** Ends a client, and waits until it has. One that was about to connect again says nothing when it ends. */
export async function endOf(client: Redis | Cluster): Promise<void> {
  if (client.status === 'end') return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, longestEndMs);
    (client as EventEmitter).once('end', () => {
      clearTimeout(timer);
      resolve();
    });
    client.disconnect();
  });
}
