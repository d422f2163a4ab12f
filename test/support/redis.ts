import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { vi } from 'vitest';
import { findDebianTool } from './debian-tool.js';
import { Program } from './program.js';

/** A real Redis on a port of its own, which writes nothing to the disk unless told to. */
export class RedisServer {
  readonly port: number;
  readonly #folder: string;
  readonly #settings: readonly string[];
  #program: Program | undefined;

  private constructor(port: number, folder: string, settings: readonly string[]) {
    this.port = port;
    this.#folder = folder;
    this.#settings = settings;
  }

  /** Installs it where that is necessary and possible. `settings` as on the command line of redis-server. */
  static async start(...settings: readonly string[]): Promise<RedisServer> {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-worker-redis-'));
    const server = new RedisServer(await freePort(), folder, settings);
    try {
      await server.begin();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** A client for the test itself. */
  client(): Redis {
    const client = new Redis(this.port, '127.0.0.1');
    client.on('error', () => {});
    return client;
  }

  /** Starts it again after `end()` or `kill()`. */
  async begin(): Promise<void> {
    const { path, env } = await findDebianTool({
      command: 'redis-server',
      package: 'redis-server',
      variable: 'REDIS_SERVER',
    });
    const settings = [
      ['--port', String(this.port), '--bind', '127.0.0.1'],
      ['--dir', this.#folder, '--save', '', '--appendonly', 'no'],
      this.#settings,
    ].flat();
    const program = new Program(path, settings, env);
    this.#program = program;
    await vi.waitUntil(
      () => {
        if (!program.running) throw new Error(`It has ended: ${program.stdout.join('\n')}`);
        return program.stdout.some((line) => line.includes('Ready to accept connections'));
      },
      { timeout: 10_000, interval: 10 },
    );
  }

  /** Ends it at once, as a crash does. */
  async kill(): Promise<void> {
    this.#program?.signal('SIGKILL');
    await this.#program?.ended;
  }

  /** Holds it, so that it answers nothing, or lets it go on. */
  hold(held: boolean): void {
    this.#program?.signal(held ? 'SIGSTOP' : 'SIGCONT');
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const slots = 16_384;

/** A Cluster of three nodes that store keys, without replicas. */
export class RedisCluster {
  readonly nodes: readonly RedisServer[];

  private constructor(nodes: readonly RedisServer[]) {
    this.nodes = nodes;
  }

  static async start(): Promise<RedisCluster> {
    const nodes = await Promise.all(
      [0, 1, 2].map((index) =>
        RedisServer.start('--cluster-enabled', 'yes', '--cluster-config-file', `nodes-${index}.conf`),
      ),
    );
    const cluster = new RedisCluster(nodes);
    try {
      await cluster.#join();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get addresses(): { host: string; port: number }[] {
    return this.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  async #join(): Promise<void> {
    const clients = this.nodes.map((node) => node.client());
    try {
      await Promise.all(
        clients.map(async (client, index) => {
          const first = Math.floor((slots * index) / clients.length);
          const end = Math.floor((slots * (index + 1)) / clients.length);
          const own = Array.from({ length: end - first }, (_, at) => first + at);
          await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
          await client.call('CLUSTER', 'ADDSLOTS', ...own.map(String));
        }),
      );
      for (const { port } of this.nodes.slice(1)) {
        await clients[0]!.call('CLUSTER', 'MEET', '127.0.0.1', String(port));
      }
      await vi.waitUntil(
        async () => {
          const infos = await Promise.all(clients.map((client) => client.call('CLUSTER', 'INFO')));
          return infos.every(
            (info) =>
              String(info).includes('cluster_state:ok') && String(info).includes('cluster_known_nodes:3'),
          );
        },
        { timeout: 20_000, interval: 50 },
      );
    } finally {
      clients.forEach((client) => client.disconnect());
    }
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
