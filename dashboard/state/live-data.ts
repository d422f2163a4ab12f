import type { ChangeDocument, CommandDocument, OverviewDocument } from '../documents.js';

/** What the event stream has told so far. */
export interface LiveData extends OverviewDocument {
  /** By how much the clock of the server is ahead of this one's, in milliseconds. */
  readonly aheadMs: number;
}

/** Commands that are kept for the page that lists them. */
const commandsKept = 200;

/** `localNow`: what this machine's clock says. */
export function dataOf(overview: OverviewDocument, localNow: number): LiveData {
  return { ...overview, aheadMs: aheadOf(overview.now, localNow) };
}

/** The same with a change merged in. What has not changed keeps its identity, so that it need not be drawn again. */
export function changed(data: LiveData, change: ChangeDocument, localNow: number): LiveData {
  return {
    ...data,
    now: change.now,
    aheadMs: steady(data.aheadMs, aheadOf(change.now, localNow)),
    pool: change.pool ?? data.pool,
    backend: change.backend === undefined ? data.backend : change.backend,
    workers: mergedByName(data.workers, change.workers),
    task_queues: mergedByName(data.task_queues, change.task_queues),
    job_queues: mergedByName(data.job_queues, change.job_queues),
  };
}

function aheadOf(now: string, localNow: number): number {
  const ahead = Date.parse(now) - localNow;
  return Number.isFinite(ahead) ? ahead : 0;
}

// Differences as small come from the network; following them would make running times stumble.
function steady(before: number, ahead: number): number {
  return Math.abs(before - ahead) < 750 ? before : ahead;
}

/** Items replace those of their name, in their place; new ones come last. */
export function mergedByName<Item extends { readonly name: string }>(
  items: Item[],
  changes: readonly Item[] | undefined,
): Item[] {
  if (changes === undefined || changes.length === 0) return items;
  const news = new Map(changes.map((item) => [item.name, item]));
  const merged = items.map((item) => {
    const replacement = news.get(item.name) ?? item;
    news.delete(item.name);
    return replacement;
  });
  return [...merged, ...news.values()];
}

/** Newest first, each once. */
export function withCommands(
  commands: readonly CommandDocument[],
  more: readonly CommandDocument[],
): readonly CommandDocument[] {
  const byId = new Map([...more, ...commands].map((command) => [command.id, command]));
  return [...byId.values()]
    .toSorted((a, b) => Date.parse(b.time) - Date.parse(a.time))
    .slice(0, commandsKept);
}
