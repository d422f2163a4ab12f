// Holds a job while the event loop is blocked, in either copy of the package, and ends by itself.
import { createRequire } from 'node:module';
import type * as RedisEntry from 'nestjs-worker/redis';

const { url, namespace, format } = JSON.parse(process.argv[2]!) as Record<
  'url' | 'namespace' | 'format',
  string
>;
const entry = (
  format === 'cjs'
    ? createRequire(import.meta.url)('nestjs-worker/redis')
    : await import('nestjs-worker/redis')
) as typeof RedisEntry;

const leaseMs = 600;
const queue = 'mail';
const backend = new entry.RedisJobBackend({ url, namespace });
await backend.open({
  onRevoked: () => {},
  onConnection: () => {},
  warn: (message) => console.log(`warning: ${message}`),
  setTimer: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
});
const onLost = (): void => console.log('lost');
const keeper = backend.keepLeases!({ queue, leaseMs, blockedLimitMs: 60_000, onLost });
const claim = { limit: 1, prefetch: 0, leaseMs, waitMs: 0, signal: new AbortController().signal };
await backend.enqueue([{ id: 'one', queue, name: '', payload: undefined, due: { inMs: 0 }, priority: 0 }]);
const jobs = await backend.claim(queue, claim);
keeper.hold(jobs, 0);
// The thread takes a moment to begin.
for (let end = jobs[0]!.leaseEndsAt; end === jobs[0]!.leaseEndsAt;) {
  const [stored] = await backend.get(queue, ['one']);
  end = stored!.leaseEndsAt!;
}
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3 * leaseMs);
console.log(`claimed again: ${(await backend.claim(queue, claim)).length}`);
const { accepted } = await backend.settle(queue, [{ kind: 'completed', job: jobs[0]!, keepMs: 0 }]);
console.log(`accepted: ${accepted.join()}`);
await backend.close();
console.log('closed');
