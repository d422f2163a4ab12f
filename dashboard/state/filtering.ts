import type { ErrorDocument } from '../documents.js';
import type { Filter } from '../routes.js';
import { inTrouble, type Tone } from './tone.js';

/** The choice of a status that stands for all that are in trouble. */
export const trouble = 'trouble';

interface Filtered {
  readonly name: string;
  readonly last_error?: ErrorDocument | null;
}

/**
 * Those that fit. Every word of the text must occur in the name or in the last error, in either case; `statusesOf`
 * says which choices of status an item fits.
 */
export function filtered<Item extends Filtered>(
  items: readonly Item[],
  filter: Filter,
  toneOf: (item: Item) => Tone,
  statusesOf: (item: Item) => readonly string[],
): readonly Item[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0 && filter.status === '') return items;
  return items.filter((item) => {
    if (filter.status === trouble ? !inTrouble(toneOf(item)) : !fits(statusesOf(item), filter.status))
      return false;
    const { name, last_error: error } = item;
    const text = `${name} ${error?.name ?? ''} ${error?.message ?? ''} ${error?.code ?? ''}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

function fits(statuses: readonly string[], wanted: string): boolean {
  return wanted === '' || statuses.includes(wanted);
}

/** How many items fit each status, the most frequent first. */
export function statusCounts<Item>(
  items: readonly Item[],
  statusesOf: (item: Item) => readonly string[],
): readonly (readonly [status: string, count: number])[] {
  const counts = new Map<string, number>();
  for (const item of items)
    for (const status of statusesOf(item)) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].toSorted(([a, m], [b, n]) => n - m || a.localeCompare(b));
}
