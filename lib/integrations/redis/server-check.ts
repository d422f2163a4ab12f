import { InvalidOptionError } from '../../errors/index.js';
import type { RedisConnection } from './redis-connection.js';

const oldest = [6, 2] as const;

/** Rejects where this server cannot do what is needed; warns where its settings lose jobs. */
export async function checkServer(
  connection: RedisConnection,
  warn: (message: string) => void,
): Promise<void> {
  const infos = await connection.ask(async (node) => {
    try {
      return parse(await node.info());
    } catch (error) {
      // Who may not ask has to know without us.
      if (/NOPERM|unknown command/i.test((error as Error).message)) return new Map<string, string>();
      throw error;
    }
  });
  for (const info of infos) checkVersion(info);
  if (!connection.client.isCluster && infos[0]?.get('redis_mode') === 'cluster') {
    throw new InvalidOptionError({
      owner: 'RedisJobBackend',
      option: 'url',
      given: 'a node of a Cluster',
      accepted: 'one Redis',
      cure: 'For a Cluster give nodes, or a Cluster of ioredis as client.',
    });
  }
  const policies = infos.map((info) => info.get('maxmemory_policy')).filter((policy) => policy !== undefined);
  const evicting = policies.find((policy) => policy !== 'noeviction');
  if (evicting !== undefined) {
    warn(
      `Redis is set to maxmemory-policy "${evicting}": when its memory is full it removes keys, and with them jobs. ` +
        'Set it to "noeviction".',
    );
  }
}

function checkVersion(info: ReadonlyMap<string, string>): void {
  const version = info.get('redis_version');
  if (version === undefined) return;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return;
  throw new Error(`this is Redis ${version}; version ${oldest.join('.')} or newer is needed`);
}

function parse(info: unknown): ReadonlyMap<string, string> {
  const lines = String(info).split(/\r?\n/);
  return new Map(
    lines.flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)]] : [];
    }),
  );
}
