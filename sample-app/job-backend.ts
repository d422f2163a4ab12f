import type { JobBackend } from 'nestjs-worker';
import { RedisJobBackend } from 'nestjs-worker/redis';
import { settings } from './settings.js';

/**
 * Where the scans are that were ingested and not passed on yet. By default in memory: those that have not begun when the
 * process ends are lost with it. In Redis they are there at the next start, and other processes may help.
 */
export function jobBackend(): JobBackend | undefined {
  if (settings.redisUrl === undefined) return undefined;
  return new RedisJobBackend({ url: settings.redisUrl, namespace: '{parcels}' });
}
