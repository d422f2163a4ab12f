import type { JobQueueSummary, TaskQueueSummary, WorkerSummary } from '../documents.js';

/** How things stand: `bad` needs somebody, `warning` may, `busy` is on its way, `good` works, `idle` is over or off. */
export type Tone = 'bad' | 'warning' | 'busy' | 'good' | 'idle';

export type Status = WorkerSummary['status'];

const tones: Readonly<Record<Status, Tone>> = {
  unknown: 'bad',
  error: 'bad',
  stuck: 'bad',
  stalled: 'warning',
  backoff: 'warning',
  deferred: 'busy',
  stopping: 'busy',
  running: 'good',
  success: 'idle',
  cancelled: 'idle',
  disabled: 'idle',
};

export function toneOfStatus(status: Status): Tone {
  return tones[status] ?? 'bad';
}

export function toneOfWorker({ status }: WorkerSummary): Tone {
  return toneOfStatus(status);
}

export function toneOfTaskQueue({ status, degraded, paused, stuck }: TaskQueueSummary): Tone {
  const tone = toneOfStatus(status);
  if (tone === 'bad' || stuck > 0) return 'bad';
  return degraded || paused ? 'warning' : tone;
}

export function toneOfJobQueue({ levels, paused, consumer }: JobQueueSummary): Tone {
  const tone = consumer === null ? 'idle' : toneOfStatus(consumer.status);
  if (tone === 'bad' || (consumer !== null && consumer.stuck > 0)) return 'bad';
  if (levels === null || levels.dead > 0 || paused === true || consumer?.degraded === true) return 'warning';
  return tone;
}

const order: readonly Tone[] = ['bad', 'warning', 'busy', 'good', 'idle'];

/** Those in trouble first, then by name. */
export function troubleFirst<Item extends { readonly name: string }>(
  items: readonly Item[],
  toneOf: (item: Item) => Tone,
): Item[] {
  return items.toSorted(
    (a, b) => order.indexOf(toneOf(a)) - order.indexOf(toneOf(b)) || byName.compare(a.name, b.name),
  );
}

const byName = new Intl.Collator(undefined, { numeric: true });

/** How many are in trouble. */
export function troubled<Item>(items: readonly Item[], toneOf: (item: Item) => Tone): number {
  return items.filter((item) => inTrouble(toneOf(item))).length;
}

export function inTrouble(tone: Tone): boolean {
  return tone === 'bad' || tone === 'warning';
}
