import { setTimeout as delay } from 'node:timers/promises';

/** What holds the process open: how many timers, sockets, servers, child processes… by type. */
function heldOpenBy(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) counts.set(type, (counts.get(type) ?? 0) + 1);
  return counts;
}

/**
 * Begins to watch; call what it answers to learn what has been added since and is still there, as `'2 x Timeout'`.
 * Whatever is about to end gets `patienceMs` to do so. Timers are counted whether they are new or not: vitest has
 * some of its own, all shorter than that, and one that ends would make up for one that leaks.
 */
export function watchLeaks(): (patienceMs?: number) => Promise<string[]> {
  const before = heldOpenBy();
  before.delete('Timeout');
  before.delete('Immediate');

  return async (patienceMs = 1_000) => {
    const giveUpAt = performance.now() + patienceMs;
    for (;;) {
      const left = [...heldOpenBy()].flatMap(([type, count]) => {
        const more = count - (before.get(type) ?? 0);
        return more > 0 ? [`${more} x ${type}`] : [];
      });
      if (left.length === 0 || performance.now() > giveUpAt) return left;
      await delay(5);
    }
  };
}
