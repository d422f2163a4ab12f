import type { DrainedQueue, DrainLeft } from '../jobs/drain-jobs-tally.js';

const columns: readonly (readonly [title: string, read: (queue: DrainedQueue) => number])[] = [
  ['there before', ({ alreadyThere }) => alreadyThere],
  ['active', ({ left }) => left.active],
  ['duplicate', ({ left }) => left.duplicate],
  ['unreadable', ({ left }) => left.unreadable],
  ['refused', ({ left }) => left.refused],
  ['undeleted', ({ left }) => left.undeleted],
  ['late', ({ left }) => left.late],
  ['dead', ({ left }) => left.dead],
];

/** In words, what has become of jobs; of a dry run, what would. */
export function movedWord(isDry: boolean): string {
  return isDry ? 'would be moved' : 'moved';
}

/** One line per queue. */
export function drainTable(queues: readonly DrainedQueue[], isDry: boolean): string {
  const rows = [
    ['queue', movedWord(isDry), ...columns.map(([title]) => title)],
    ...queues.map((queue) => [
      queue.queue,
      String(queue.moved),
      ...columns.map(([, read]) => String(read(queue))),
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lineOf = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join('  ');
  return rows.map((row) => `${lineOf(row)}\n`).join('');
}

const meanings: Readonly<Record<keyof DrainLeft, string>> = {
  active: 'still being run: run this again once they have ended, or wait for longer (--wait)',
  duplicate:
    'with a unique key that another job holds there: run this again later, or with --duplicates, which those need ' +
    'whose ttl was over here',
  unreadable: 'with a payload that cannot be carried over: see --from-format and --to-format',
  refused: 'not to be moved as they are',
  undeleted: 'stored there, but not to be deleted here: delete them by hand, or they are run twice',
  late: 'which came while this went on: something still enqueues at the source',
  dead: 'dead: --dead moves them, too',
};

/** What is left, in words; dead jobs that nobody asked for included. Empty where nothing is. */
export function leftReport({ queue, left, leftJobs }: DrainedQueue, isDry: boolean): string {
  const lines: string[] = [];
  for (const [cause, meaning] of Object.entries(meanings) as [keyof DrainLeft, string][]) {
    const count = left[cause];
    if (count === 0) continue;
    lines.push(`${queue}: ${count} ${isDry ? 'would be ' : ''}left at the source, ${meaning}.`);
    const named = leftJobs.filter(({ why }) => why === cause);
    lines.push(...named.map(({ id, reason }) => `  ${id}: ${reason}`));
    if (named.length > 0 && count > named.length) lines.push(`  … and ${count - named.length} more`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** Whether a job is left that was to be moved. */
export function isIncomplete({ left }: DrainedQueue): boolean {
  return Object.entries(left).some(([cause, count]) => cause !== 'dead' && count > 0);
}
