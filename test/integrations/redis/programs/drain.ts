// Claims and settles until nothing is left, and says what it had.
import { RedisJobBackend } from 'nestjs-worker/redis';

const { url, namespace } = JSON.parse(process.argv[2]!) as Record<'url' | 'namespace', string>;
const queue = 'mail';
const backend = new RedisJobBackend({ url, namespace });
await backend.open({
  onRevoked: () => {},
  onConnection: () => {},
  warn: () => {},
  setTimer: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
});
const ids: string[] = [];
const options = { limit: 100, prefetch: 0, leaseMs: 60_000 };
// All begin together, once there is anything.
const { signal } = new AbortController();
let held = await backend.claim(queue, { ...options, waitMs: 20_000, signal });
while (held.length > 0) {
  ids.push(...held.map(({ id }) => id));
  const settlements = held.map((job) => ({ kind: 'completed', job, keepMs: 0 }) as const);
  held = (await backend.settle(queue, settlements, options)).claimed;
}
console.log(`had ${ids.join(' ')}`);
await backend.close();
