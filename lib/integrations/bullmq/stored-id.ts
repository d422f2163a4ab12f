const escape = '~';

/** What BullMQ on Redis has for keys of its own beside those of jobs. */
const reserved = new Set([
  '',
  'active',
  'completed',
  'delayed',
  'events',
  'failed',
  'id',
  'limiter',
  'marker',
  'meta',
  'paused',
  'pc',
  'prioritized',
  'repeat',
  'stalled',
  'stalled-check',
  'wait',
  'waiting-children',
]);

/** Jobs of others have these, by BullMQ's own count. */
export const isCounted = (id: string): boolean => /^\d+$/u.test(id);

/** The id under which BullMQ has a job of ours: the same, unless BullMQ would take it for something else. */
export function toStoredId(id: string): string {
  const isTaken = id.includes(':') || id.startsWith(escape) || reserved.has(id) || isCounted(id);
  return isTaken ? escape + encodeURIComponent(id) : id;
}

export function fromStoredId(id: string): string {
  if (!id.startsWith(escape)) return id;
  try {
    return decodeURIComponent(id.slice(escape.length));
  } catch {
    // None of ours.
    return id;
  }
}
