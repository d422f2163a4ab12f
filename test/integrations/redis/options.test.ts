import { Cluster, Redis } from 'ioredis';
import { RedisJobBackend, type RedisJobBackendOptions } from 'nestjs-worker/redis';
import { describe, expect, it } from 'vitest';
import { hasHashTag } from '../../../lib/integrations/redis/redis-options.js';

const lazy = { lazyConnect: true } as const;
const node = { host: '127.0.0.1', port: 6379 };

describe('RedisJobBackend', () => {
  it.each<[what: string, options: object, message: RegExp]>([
    [
      'an option that is not known',
      { uri: 'redis://x' },
      /"uri" of RedisJobBackend is 'redis:\/\/x'.* options url,/,
    ],
    ['what is no url', { url: 'localhost:6379' }, /"url".*accepted is redis:\/\/… or rediss:\/\/…/],
    ['no object of options', { options: 'host' }, /"options".*an object of options of ioredis/],
    ['keyPrefix', { options: { keyPrefix: 'x:' } }, /"options".*without keyPrefix.*give namespace/],
    ['nodes that are none', { nodes: [{ host: 'x' }] }, /"nodes".*a list of \{ host, port \}/],
    ['no nodes', { nodes: [] }, /"nodes".*Give one node or more/],
    [
      'nodes beside a url',
      { nodes: [node], url: 'redis://x', namespace: '{x}' },
      /"url".*nothing beside nodes/,
    ],
    ['a client that is none', { client: {} }, /"client".*a Redis or Cluster of ioredis/],
    ['null for a client', { client: null }, /"client".*a Redis or Cluster of ioredis/],
    ['a url beside a client', { client: new Redis(lazy), url: 'redis://x' }, /"url".*nothing beside client/],
    [
      'a client with a keyPrefix',
      { client: new Redis({ ...lazy, keyPrefix: 'x' }) },
      /"client".*without keyPrefix/,
    ],
    ['an empty namespace', { namespace: ' ' }, /"namespace".*the default is 'work'/],
    ['a namespace of another kind', { namespace: 5 }, /"namespace".*a text that is not empty/],
    ['a pollInterval that is too short', { pollInterval: 5 }, /"pollInterval".*10 ms or more/],
    [
      'a commandTimeout that is no duration',
      { commandTimeout: 'soon' },
      /"commandTimeout".*number of milliseconds/,
    ],
  ])('refuses %s', (_, options, message) => {
    expect(() => new RedisJobBackend(options as RedisJobBackendOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) as string }),
    );
  });

  it.each([
    ['nodes', { nodes: [node] }],
    ['a client', { client: new Cluster([node], lazy) }],
  ])('refuses a namespace without braces on a Cluster, given by %s', (_, options) => {
    expect(() => new RedisJobBackend({ ...options, namespace: 'shop}' })).toThrow(/write '\{shop\}'/);
    expect(() => new RedisJobBackend(options)).toThrow(/"namespace".*since this is a Cluster.*'\{work\}'/);
    expect(new RedisJobBackend({ ...options, namespace: 'a{shop}' }).capabilities.name).toBe('redis');
  });

  it('knows which namespaces have all their keys on one node', () => {
    expect(['{a}', 'x{a}y', '{a}{b}', '{{a}'].filter((one) => !hasHashTag(one))).toEqual([]);
    expect(['a', '{}', 'a}', '{a', '{}{a}', '}{'].filter(hasHashTag)).toEqual([]);
  });

  it.each<[what: string, options: RedisJobBackendOptions, thread: boolean]>([
    ['a url', { url: 'rediss://x' }, true],
    ['nothing', {}, true],
    ['plain options', { options: { host: 'x', tls: { servername: 'y' } } }, true],
    ['nodes', { nodes: [node], namespace: '{x}' }, true],
    ['options with functions', { options: { retryStrategy: () => 5 } }, false],
    ['a client', { client: new Redis(lazy) }, false],
  ])('says of %s whether a thread can renew leases', (_, options, leaseThread) => {
    const backend = new RedisJobBackend(options);
    expect(backend.capabilities.leaseThread).toBe(leaseThread);
    expect(backend.keepLeases !== undefined).toBe(leaseThread);
  });
});

it('says its namespace among what it can do', () => {
  expect(new RedisJobBackend().capabilities).toMatchObject({ name: 'redis', namespace: 'work' });
  expect(new RedisJobBackend({ namespace: '{shop}' }).capabilities).toMatchObject({ namespace: '{shop}' });
});
