import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { Duration } from '../../clock/index.js';
import { OptionReader } from '../../execution/index.js';

/** A client of ioredis, of one Redis or of a Cluster. */
export type RedisClient = Redis | Cluster;

/** Where Redis is, and how it is used. With nothing said, it is at `localhost:6379`. */
export interface RedisJobBackendOptions {
  /** `redis://…`, or `rediss://…` for TLS. */
  readonly url?: string | undefined;
  /**
   * Options of ioredis: those of the connection (`host`, `password`, `tls`, `sentinels` …), beside `url` or instead of it;
   * with `nodes`, for the connection to each node. `keyPrefix` is not among them: the namespace is what keys begin with.
   */
  readonly options?: RedisOptions | undefined;
  /** Some nodes of a Cluster, by which the others are found. Instead of `url`. */
  readonly nodes?: readonly { readonly host: string; readonly port: number }[] | undefined;
  /**
   * A client of your own, instead of all of the above. It says how to connect: by its `duplicate()` we make connections
   * of our own, with the settings that jobs need (nothing is sent twice), and leave the client itself alone; it may as
   * well be one that is not connected, and closing it is yours. Leases are then renewed by the main loop of this
   * process, and not by a thread.
   */
  readonly client?: RedisClient | undefined;
  /**
   * What all keys begin with. Go programs that share the queues give the same. On a Cluster it has a part in braces,
   * such as `{shop}`, by which all keys of it are on one node. Default `'work'`.
   */
  readonly namespace?: string | undefined;
  /**
   * How often to look for jobs that nobody announces: those of Go programs, and all while the connection for
   * announcements is down. Default `'1s'`.
   */
  readonly pollInterval?: Duration | undefined;
  /** How long Redis may take to answer; then the connection is taken to be dead, and made anew. Default `'5s'`. */
  readonly commandTimeout?: Duration | undefined;
}

/** How to connect, as far as that is ours to do. What a thread can be given. */
export interface RedisAddress {
  readonly url: string | undefined;
  readonly nodes: readonly { readonly host: string; readonly port: number }[] | undefined;
  readonly options: RedisOptions;
}

/** Options of the backend, checked and complete. */
export interface ResolvedRedisOptions {
  /** A client, or where to connect. */
  readonly at: { readonly client: RedisClient } | { readonly address: RedisAddress };
  readonly namespace: string;
  readonly pollIntervalMs: number;
  readonly commandTimeoutMs: number;
  /** Whether a thread can have a connection of its own: everything that it needs can be copied to it. */
  readonly threadable: boolean;
}

const owner = 'RedisJobBackend';
const optionNames: readonly (keyof RedisJobBackendOptions)[] = [
  'url',
  'options',
  'nodes',
  'client',
  'namespace',
  'pollInterval',
  'commandTimeout',
];

/** Checks the options of the backend and completes them. Throws `InvalidOptionError`. */
export function resolveRedisOptions(options: RedisJobBackendOptions): ResolvedRedisOptions {
  const reader = new OptionReader(owner, options, optionNames);
  const client = readClient(reader);
  const address: RedisAddress = {
    url: readUrl(reader),
    nodes: readNodes(reader),
    options: readOptions(reader),
  };
  const isCluster = client?.isCluster ?? address.nodes !== undefined;
  return {
    at: client === undefined ? { address } : { client },
    namespace: readNamespace(reader, isCluster),
    // Often enough to matter, and no busy loop.
    pollIntervalMs: reader.duration('pollInterval', 1_000, { min: 10 }),
    commandTimeoutMs: reader.duration('commandTimeout', 5_000, { min: 10 }),
    threadable: client === undefined && canBeCopied(address),
  };
}

function readClient(reader: OptionReader): RedisClient | undefined {
  const client = reader.get('client') as Partial<RedisClient> | null | undefined;
  if (client === undefined) return undefined;
  // By its shape: it may be of another copy of ioredis.
  if (typeof client?.duplicate !== 'function' || typeof client.callBuffer !== 'function') {
    return reader.refuse(
      'client',
      'a Redis or Cluster of ioredis',
      'Make one, as in new Redis(url), or give url.',
    );
  }
  for (const other of ['url', 'options', 'nodes'] as const) {
    if (reader.get(other) === undefined) continue;
    reader.refuse(
      other,
      'nothing beside client',
      'The client is connected as it is: give the one or the other.',
    );
  }
  if (hasKeyPrefix(client.options)) {
    reader.refuse('client', 'one without keyPrefix', 'Leave keyPrefix out, and give namespace here.');
  }
  return client as RedisClient;
}

function readUrl(reader: OptionReader): string | undefined {
  const url = reader.get('url');
  if (url === undefined || (typeof url === 'string' && /^rediss?:\/\/./.test(url))) return url;
  return reader.refuse('url', 'redis://… or rediss://…', "Write for example 'redis://localhost:6379'.");
}

function readNodes(reader: OptionReader): RedisAddress['nodes'] {
  const nodes = reader.get('nodes');
  if (nodes === undefined) return undefined;
  if (!Array.isArray(nodes) || nodes.length === 0 || !nodes.every(isNode)) {
    return reader.refuse(
      'nodes',
      'a list of { host, port }',
      "Give one node or more, as in [{ host: 'redis-1', port: 6379 }].",
    );
  }
  if (reader.get('url') !== undefined) {
    reader.refuse('url', 'nothing beside nodes', 'A Cluster is found by its nodes, one Redis by its url.');
  }
  return nodes;
}

function isNode(node: unknown): node is { readonly host: string; readonly port: number } {
  const { host, port } = (node ?? {}) as { readonly host?: unknown; readonly port?: unknown };
  return typeof host === 'string' && host !== '' && Number.isInteger(port);
}

function readOptions(reader: OptionReader): RedisOptions {
  const options = reader.get('options');
  if (options === undefined) return {};
  if (typeof options !== 'object' || options === null) {
    return reader.refuse(
      'options',
      'an object of options of ioredis',
      "As in { host: 'redis', password: '…' }.",
    );
  }
  if (hasKeyPrefix(options)) {
    reader.refuse('options', 'options without keyPrefix', 'Leave it out, and give namespace.');
  }
  return options;
}

const hasKeyPrefix = (options: unknown): boolean =>
  Boolean((options as Partial<RedisOptions> | undefined)?.keyPrefix);

function readNamespace(reader: OptionReader, isCluster: boolean): string {
  const namespace = reader.get('namespace') ?? 'work';
  if (typeof namespace !== 'string' || namespace.trim() === '') {
    return reader.refuse(
      'namespace',
      'a text that is not empty',
      "Give one, or leave it out: the default is 'work'.",
    );
  }
  if (!isCluster || hasHashTag(namespace)) return namespace;
  return reader.refuse(
    'namespace',
    'one with a part in braces, since this is a Cluster',
    `All keys of a namespace have to be on one node: write '{${namespace.replaceAll(/[{}]/g, '') || 'work'}}'.`,
  );
}

/** Whether a Cluster looks at a part of the key only: the first one in braces, unless there is nothing in it. */
export function hasHashTag(namespace: string): boolean {
  return /^[^{]*\{[^}]+\}/.test(namespace);
}

function canBeCopied(address: RedisAddress): boolean {
  try {
    structuredClone(address);
    return true;
  } catch {
    return false;
  }
}
