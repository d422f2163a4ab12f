// Begins the thread that renews leases, and closes nothing: what is left open then is the thread.
import { Redis } from 'ioredis';
import { RedisJobBackend } from 'nestjs-worker/redis';

const { url, namespace } = JSON.parse(process.argv[2]!) as Record<'url' | 'namespace', string>;
const backend = new RedisJobBackend({ url, namespace, options: { connectionName: namespace } });
await backend.open({
  onRevoked: () => {},
  onConnection: () => {},
  warn: (message) => console.log(`warning: ${message}`),
  setTimer: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
});
backend.keepLeases!({ queue: 'mail', leaseMs: 30_000, blockedLimitMs: 60_000, onLost: () => {} });
const looking = new Redis(url);
while (!String(await looking.client('LIST')).includes(`${namespace}:leases`));
await looking.quit();
// Its connection for calls would hold the process open as well.
const { _getActiveHandles: handles } = process as unknown as {
  readonly _getActiveHandles: () => { readonly unref?: () => void }[];
};
for (const handle of handles()) handle.unref?.();
console.log('idle');
