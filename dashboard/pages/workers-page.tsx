import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { useApp } from '../app.js';
import type { WorkerSummary } from '../documents.js';
import { attemptText, countText } from '../format.js';
import { useLive, useStore } from '../hooks.js';
import { ErrorLine } from '../parts/error-text.js';
import { FilterBar } from '../parts/filter-bar.js';
import { type Column, List } from '../parts/list.js';
import { Notice } from '../parts/notice.js';
import { Chip, StatusMark } from '../parts/status.js';
import { Ago, Nothing, Since, Until } from '../parts/times.js';
import { hrefOf } from '../routes.js';
import { filtered, statusCounts } from '../state/filtering.js';
import { toneOfWorker, troubled, troubleFirst } from '../state/tone.js';
import { Page } from './page.js';

const statusesOf = ({ status }: WorkerSummary): readonly string[] => [status];

const columns: readonly Column<WorkerSummary>[] = [
  { key: 'status', label: 'Status', cell: ({ status }) => <StatusMark status={status} /> },
  {
    key: 'name',
    label: 'Worker',
    heading: true,
    cell: ({ name, ignorable }) => (
      <>
        <a href={hrefOf({ page: 'worker', name })}>{name}</a>
        {ignorable && <Chip tone="idle">ignorable</Chip>}
      </>
    ),
  },
  {
    key: 'attempt',
    label: 'Attempt',
    numeric: true,
    cell: ({ attempt, max_attempts }) => attemptText(attempt, max_attempts),
  },
  { key: 'uptime', label: 'Uptime', numeric: true, cell: uptime },
  {
    key: 'next',
    label: 'Next restart',
    numeric: true,
    cell: ({ next_attempt_at }) => <Until at={next_attempt_at} />,
  },
  { key: 'restarts', label: 'Restarts', numeric: true, cell: ({ restarts }) => countText(restarts) },
  { key: 'error', label: 'Last error', cell: ({ last_error }) => <ErrorLine error={last_error} /> },
];

/** How long it has been up, or when it ended. */
export function uptime({ status, started_at, ended_at }: WorkerSummary): JSX.Element {
  switch (status) {
    case 'running':
    case 'stalled':
    case 'stuck':
    case 'stopping':
      return <Since at={started_at} />;
    case 'success':
    case 'error':
    case 'cancelled':
    case 'backoff':
      return ended_at === null ? (
        <Nothing />
      ) : (
        <span class="quiet">
          ended <Ago at={ended_at} />
        </span>
      );
    default:
      return <Nothing />;
  }
}

export function WorkersPage(): JSX.Element {
  const workers = useLive((data) => data.workers) ?? [];
  const filter = useStore(useApp().place, (place) => place.filter);
  const sorted = useMemo(() => troubleFirst(workers, toneOfWorker), [workers]);
  const statuses = useMemo(() => statusCounts(workers, statusesOf), [workers]);
  const shown = useMemo(() => filtered(sorted, filter, toneOfWorker, statusesOf), [sorted, filter]);
  return (
    <Page title="Workers">
      {workers.length === 0 ? (
        <Notice title="No workers yet">
          <p>
            Mark a class <code>@Worker()</code>, give it a method <code>run(ctx)</code>, and list it among the
            providers of a module.
          </p>
        </Notice>
      ) : (
        <>
          <FilterBar
            noun="worker"
            total={workers.length}
            shown={shown.length}
            troubled={troubled(workers, toneOfWorker)}
            statuses={statuses}
          />
          {shown.length === 0 ? (
            <Notice title="No worker is like that" />
          ) : (
            <List
              label="Workers"
              columns={columns}
              items={shown}
              keyOf={({ name }) => name}
              class="workers"
            />
          )}
        </>
      )}
    </Page>
  );
}
