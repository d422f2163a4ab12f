import { Redis } from 'ioredis';
import { RedisJobBackend } from 'nestjs-worker/redis';
import { namespace } from '../names.mjs';

/** `threadless`: with a connection that is made here, and not by the backend, whose thread cannot make one like it. */
export function makeBackend({ url, threadless }) {
  if (!threadless) return new RedisJobBackend({ url, namespace });
  const client = new Redis(url);
  client.on('error', () => {});
  return new RedisJobBackend({ client, namespace });
}

/** It need not be there for the backend to say what it can. */
export const anywhere = 'redis://127.0.0.1';
/** Grows with each claim of a job. */
export const claimOf = BigInt;
/** So long may what ended be in no count: it is counted as it ends. */
export const countedWithinMs = 0;
