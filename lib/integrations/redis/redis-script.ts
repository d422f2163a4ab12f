import { createHash } from 'node:crypto';

/** A Lua script that Redis knows by its hash. It declares one key, by which a Cluster finds the node, and derives the rest. */
export interface RedisScript {
  readonly lua: string;
  readonly sha: string;
}

export function redisScript(...parts: readonly string[]): RedisScript {
  const lua = parts.join('\n');
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}
