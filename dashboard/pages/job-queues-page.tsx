import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { useApp } from '../app.js';
import type { JobQueueSummary } from '../documents.js';
import { countText, durationText, nothing } from '../format.js';
import { useLive, useStore } from '../hooks.js';
import { FilterBar } from '../parts/filter-bar.js';
import { type Column, List } from '../parts/list.js';
import { Notice } from '../parts/notice.js';
import { Chip, Mark, StatusMark } from '../parts/status.js';
import { Nothing, Running } from '../parts/times.js';
import { hrefOf, type JobState } from '../routes.js';
import { filtered, statusCounts } from '../state/filtering.js';
import { currentMinute } from '../state/series.js';
import { toneOfJobQueue, troubled, troubleFirst } from '../state/tone.js';
import { Page } from './page.js';

export function JobQueueStates({ queue }: { queue: JobQueueSummary }): JSX.Element {
  const { consumer, levels, paused } = queue;
  return (
    <>
      {consumer === null ? <Mark tone="idle" text="not run here" /> : <StatusMark status={consumer.status} />}
      {paused === true && <Chip tone="warning">paused</Chip>}
      {levels !== null && levels.dead > 0 && <Chip tone="bad">dead jobs</Chip>}
      {levels === null && <Chip tone="warning">backend silent</Chip>}
      {consumer?.degraded === true && <Chip tone="warning">degraded</Chip>}
      {consumer !== null && consumer.stuck > 0 && (
        <Chip tone="bad">{`${countText(consumer.stuck)} stuck`}</Chip>
      )}
    </>
  );
}

const statusesOf = ({ consumer, paused, levels }: JobQueueSummary): readonly string[] => [
  consumer?.status ?? 'not run here',
  ...(paused === true ? ['paused'] : []),
  ...(levels !== null && levels.dead > 0 ? ['with dead jobs'] : []),
];

/** How many jobs ended in the minute that is now. */
export function MinuteText({ minute }: { minute: JobQueueSummary['minute'] }): JSX.Element {
  const textAt = useMemo(
    () => (now: number) => {
      const current = currentMinute(minute, now);
      if (current === undefined) return nothing;
      const failed = current.failed === 0 ? '' : `, ${countText(current.failed)} failed attempts`;
      return `${countText(current.completed)} completed${failed}`;
    },
    [minute],
  );
  return <Running textAt={textAt} />;
}

function level(state: JobState & ('ready' | 'active' | 'scheduled' | 'dead')) {
  return ({ name, levels }: JobQueueSummary): JSX.Element => {
    if (levels === null) return <Nothing />;
    const count = levels[state];
    return (
      <a
        class={`level ${state === 'dead' && count > 0 ? 'tone-bad' : ''}`}
        href={hrefOf({ page: 'queue-jobs', queue: name, state })}
      >
        {countText(count)}
        <span class="hidden"> {state}</span>
      </a>
    );
  };
}

const columns: readonly Column<JobQueueSummary>[] = [
  { key: 'status', label: 'Status', cell: (queue) => <JobQueueStates queue={queue} /> },
  {
    key: 'name',
    label: 'Queue',
    heading: true,
    cell: ({ name }) => <a href={hrefOf({ page: 'queue', queue: name })}>{name}</a>,
  },
  { key: 'ready', label: 'Ready', numeric: true, cell: level('ready') },
  { key: 'active', label: 'Active', numeric: true, cell: level('active') },
  { key: 'scheduled', label: 'Scheduled', numeric: true, cell: level('scheduled') },
  { key: 'dead', label: 'Dead', numeric: true, cell: level('dead') },
  {
    key: 'age',
    label: 'Oldest ready',
    numeric: true,
    cell: ({ levels }) =>
      levels === null || levels.oldest_ready_age_seconds === 0
        ? nothing
        : durationText(levels.oldest_ready_age_seconds),
  },
  {
    key: 'minute',
    label: 'This minute',
    numeric: true,
    cell: ({ minute }) => <MinuteText minute={minute} />,
  },
  {
    key: 'here',
    label: 'Running here',
    numeric: true,
    cell: ({ consumer }) =>
      consumer === null ? <Nothing /> : `${countText(consumer.running)} / ${countText(consumer.concurrency)}`,
  },
];

export function JobQueuesPage(): JSX.Element {
  const queues = useLive((data) => data.job_queues) ?? [];
  const filter = useStore(useApp().place, (place) => place.filter);
  const sorted = useMemo(() => troubleFirst(queues, toneOfJobQueue), [queues]);
  const statuses = useMemo(() => statusCounts(queues, statusesOf), [queues]);
  const shown = useMemo(() => filtered(sorted, filter, toneOfJobQueue, statusesOf), [sorted, filter]);
  return (
    <Page title="Job queues">
      {queues.length === 0 ? (
        <Notice title="No job queues yet">
          <p>
            Import <code>JobsModule.registerQueue()</code>, and mark a class <code>@JobHandler()</code> that
            runs its jobs.
          </p>
        </Notice>
      ) : (
        <>
          <FilterBar
            noun="job queue"
            total={queues.length}
            shown={shown.length}
            troubled={troubled(queues, toneOfJobQueue)}
            statuses={statuses}
          />
          {shown.length === 0 ? (
            <Notice title="No job queue is like that" />
          ) : (
            <List
              label="Job queues"
              columns={columns}
              items={shown}
              keyOf={({ name }) => name}
              class="queues"
            />
          )}
        </>
      )}
    </Page>
  );
}
