import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { useApp } from '../app.js';
import type { TaskQueueSummary } from '../documents.js';
import { countText, durationText, limitText, nothing } from '../format.js';
import { useLive, useStore } from '../hooks.js';
import { ErrorLine } from '../parts/error-text.js';
import { FilterBar } from '../parts/filter-bar.js';
import { type Column, List } from '../parts/list.js';
import { Notice } from '../parts/notice.js';
import { Chip, StatusMark } from '../parts/status.js';
import { hrefOf } from '../routes.js';
import { filtered, statusCounts } from '../state/filtering.js';
import { toneOfTaskQueue, troubled, troubleFirst } from '../state/tone.js';
import { Page } from './page.js';

export function TaskQueueStates({ queue }: { queue: TaskQueueSummary }): JSX.Element {
  return (
    <>
      <StatusMark status={queue.status} />
      {queue.paused && <Chip tone="warning">paused</Chip>}
      {queue.degraded && <Chip tone="warning">behind</Chip>}
      {queue.stuck > 0 && <Chip tone="bad">{`${countText(queue.stuck)} stuck`}</Chip>}
    </>
  );
}

const statusesOf = ({ status, paused, degraded }: TaskQueueSummary): readonly string[] => [
  status,
  ...(paused ? ['paused'] : []),
  ...(degraded ? ['behind'] : []),
];

const columns: readonly Column<TaskQueueSummary>[] = [
  { key: 'status', label: 'Status', cell: (queue) => <TaskQueueStates queue={queue} /> },
  {
    key: 'name',
    label: 'Queue',
    heading: true,
    cell: ({ name }) => <a href={hrefOf({ page: 'task-queue', name })}>{name}</a>,
  },
  {
    key: 'running',
    label: 'Running',
    numeric: true,
    cell: ({ running, concurrency }) => `${countText(running)} / ${limitText(concurrency)}`,
  },
  {
    key: 'queued',
    label: 'Queued',
    numeric: true,
    cell: ({ queued, max_queued }) =>
      max_queued === null ? countText(queued) : `${countText(queued)} / ${limitText(max_queued)}`,
  },
  { key: 'delayed', label: 'Delayed', numeric: true, cell: ({ delayed }) => countText(delayed) },
  { key: 'waiting', label: 'Without room', numeric: true, cell: ({ waiting }) => countText(waiting) },
  {
    key: 'age',
    label: 'Oldest due',
    numeric: true,
    cell: ({ oldest_due_age_seconds: age }) => (age === 0 ? nothing : durationText(age)),
  },
  { key: 'total', label: 'Accepted', numeric: true, cell: ({ enqueued_total }) => countText(enqueued_total) },
  { key: 'error', label: 'Last error', cell: ({ last_error }) => <ErrorLine error={last_error} /> },
];

export function TaskQueuesPage(): JSX.Element {
  const queues = useLive((data) => data.task_queues) ?? [];
  const filter = useStore(useApp().place, (place) => place.filter);
  const sorted = useMemo(() => troubleFirst(queues, toneOfTaskQueue), [queues]);
  const statuses = useMemo(() => statusCounts(queues, statusesOf), [queues]);
  const shown = useMemo(() => filtered(sorted, filter, toneOfTaskQueue, statusesOf), [sorted, filter]);
  return (
    <Page title="Task queues">
      {queues.length === 0 ? (
        <Notice title="No task queues yet">
          <p>
            Import <code>TaskQueueModule</code>, and submit functions to a <code>TaskQueue</code>: they run in
            this process, and are lost with it.
          </p>
        </Notice>
      ) : (
        <>
          <FilterBar
            noun="task queue"
            total={queues.length}
            shown={shown.length}
            troubled={troubled(queues, toneOfTaskQueue)}
            statuses={statuses}
          />
          {shown.length === 0 ? (
            <Notice title="No task queue is like that" />
          ) : (
            <List
              label="Task queues"
              columns={columns}
              items={shown}
              keyOf={({ name }) => name}
              class="tasks"
            />
          )}
        </>
      )}
    </Page>
  );
}
