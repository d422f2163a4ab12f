import type { RunningDocument } from '../documents.js';
import { countText, durationText } from '../format.js';
import type { Column } from './list.js';

/** What is told of each attempt that is under way, of a task or of a job. */
export const runningColumns: readonly Column<RunningDocument>[] = [
  { key: 'state', label: 'Status', cell: ({ status }) => status },
  { key: 'attempt', label: 'Attempt', numeric: true, cell: ({ attempt }) => countText(attempt) },
  {
    key: 'running',
    label: 'Running for',
    numeric: true,
    cell: ({ running_seconds }) => durationText(running_seconds),
  },
];
