import { Cluster, Redis } from 'ioredis';
import type { RedisAddress, RedisClient } from './redis-options.js';

/** How a lost connection is made again: soon, then less and less often, and not by all at once. */
export function reconnectDelay(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 10), 2_000) * (0.5 + Math.random() / 2);
}

/** What we need of a connection, whatever the user says of it. */
function required(commandTimeoutMs: number) {
  return {
    // Answers of the shape that older versions have.
    replyMapping: 'legacy' as const,
    // Nothing is sent again by itself: whoever asked decides that.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    lazyConnect: true,
    connectTimeout: commandTimeoutMs,
    // One that is given up is most likely dead: it does not answer a goodbye.
    disconnectTimeout: 200,
  };
}

function requiredOfCluster(commandTimeoutMs: number) {
  return {
    lazyConnect: true,
    // It would send what was lost with a connection again.
    retryDelayOnFailover: 0,
    slotsRefreshTimeout: commandTimeoutMs,
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

/** Makes a client that is not connected yet. */
export function makeClient({ url, nodes, options }: RedisAddress, commandTimeoutMs: number): RedisClient {
  const complete = { ...preferred, ...options, ...required(commandTimeoutMs) };
  if (nodes === undefined) return url === undefined ? new Redis(complete) : new Redis(url, complete);
  // Of a Cluster, it is the nodes as a whole that are connected again, and not each.
  const { retryStrategy: _, ...redisOptions } = complete;
  return new Cluster([...nodes], {
    ...requiredOfCluster(commandTimeoutMs),
    clusterRetryStrategy: reconnectDelay,
    redisOptions,
  });
}

/** Makes a client like the user's, which is not connected yet. The user's own may be set to send what was lost again. */
export function makeClientLike(client: RedisClient, commandTimeoutMs: number): RedisClient {
  if (!client.isCluster) return (client as Redis).duplicate(required(commandTimeoutMs));
  const options = { ...requiredOfCluster(commandTimeoutMs), redisOptions: required(commandTimeoutMs) };
  return (client as Cluster).duplicate([], options);
}

/** Makes a connection for announcements. It does not connect again by itself. Of a Cluster, any node will do. */
export function makeSubscriber(client: RedisClient, commandTimeoutMs: number): Redis | undefined {
  const [node] = client.isCluster
    ? (client as Cluster).nodes('master').toSorted(() => Math.random() - 0.5)
    : [client as Redis];
  return node?.duplicate({
    ...required(commandTimeoutMs),
    connectionName: 'nestjs-worker:wake',
    retryStrategy: null,
    readOnly: false,
  });
}

/** The same for the thread that renews leases, which can be given no functions and makes its own. */
export function threadAddress({ url, nodes, options }: RedisAddress, commandTimeoutMs: number): RedisAddress {
  const { connectionName, keepAlive } = preferred;
  const complete = {
    keepAlive,
    ...options,
    ...required(commandTimeoutMs),
    connectionName: `${options.connectionName ?? connectionName}:leases`,
    lazyConnect: false,
  };
  return { url, nodes, options: complete };
}
