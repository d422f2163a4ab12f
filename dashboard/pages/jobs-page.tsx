import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { useApp } from '../app.js';
import type { JobPage, JobSummary } from '../documents.js';
import { countText, nothing, pluralText } from '../format.js';
import { useLive } from '../hooks.js';
import { type Api, ApiError, pathTo } from '../net/api.js';
import { Coalesced } from '../net/coalesced.js';
import { type Column, List } from '../parts/list.js';
import { Failure, Loading, Notice } from '../parts/notice.js';
import { Chip } from '../parts/status.js';
import { StateLinks } from '../parts/state-links.js';
import { Ago } from '../parts/times.js';
import { hrefOf, type JobState } from '../routes.js';
import { QueueButtons } from './job-queue-page.js';
import { JobQueueStates } from './job-queues-page.js';
import { Page } from './page.js';

const id: Column<JobSummary> = {
  key: 'job',
  label: 'Job',
  heading: true,
  cell: (job) => (
    <a href={hrefOf({ page: 'job', queue: job.queue, id: job.id })}>
      <code>{job.id}</code>
    </a>
  ),
};
const common: readonly Column<JobSummary>[] = [
  { key: 'handler', label: 'Handler', cell: ({ name }) => name || nothing },
  { key: 'priority', label: 'Priority', numeric: true, cell: ({ priority }) => countText(priority) },
  { key: 'created', label: 'Enqueued', numeric: true, cell: ({ created_at }) => <Ago at={created_at} /> },
];
const due: Column<JobSummary> = {
  key: 'due',
  label: 'Due',
  numeric: true,
  cell: ({ due_at }) => <Ago at={due_at} />,
};
const endedAt: Column<JobSummary> = {
  key: 'ended',
  label: 'Ended',
  numeric: true,
  cell: ({ ended_at }) => <Ago at={ended_at} />,
};
const troubles: readonly Column<JobSummary>[] = [
  {
    key: 'failures',
    label: 'Failures',
    numeric: true,
    cell: ({ failures, deaths }) =>
      deaths === 0
        ? countText(failures)
        : `${countText(failures)} + ${pluralText(deaths, 'lost process', 'lost processes')}`,
  },
  {
    key: 'error',
    label: 'Last error',
    cell: ({ last_error, cause }) => (
      <>
        {cause !== null && <Chip tone="bad">{cause}</Chip>}{' '}
        <span class="error-line" title={last_error ?? ''}>
          {last_error ?? nothing}
        </span>
      </>
    ),
  },
];
const open = [id, ...common, due, ...troubles];
const closed = [id, ...common, endedAt, ...troubles];

const empty: Readonly<Record<JobState, string>> = {
  ready: 'Every job that is due has been taken.',
  active: 'No job is being run just now.',
  scheduled: 'No job waits for its time.',
  dead: 'No job has been given up on.',
  completed: 'Completed jobs are kept only where their handler says for how long (keepCompleted).',
  cancelled: 'No cancelled job is kept.',
};

/** Give it a key that is made of both. */
export function JobsPage({ queue, state }: { queue: string; state: JobState }): JSX.Element {
  const { api } = useApp();
  const summary = useLive((data) => data.job_queues.find((one) => one.name === queue));
  const pages = usePages(api, queue, state, summary);
  const ended = state === 'dead' || state === 'completed' || state === 'cancelled';
  return (
    <Page
      title={`${state[0]?.toUpperCase()}${state.slice(1)} jobs`}
      path={[
        { text: 'Job queues', href: '#/jobs' },
        { text: queue, href: hrefOf({ page: 'queue', queue }) },
      ]}
      states={summary !== undefined && <JobQueueStates queue={summary} />}
      buttons={summary !== undefined && <QueueButtons queue={summary} />}
    >
      <StateLinks queue={queue} levels={summary?.levels ?? null} current={state} />
      {pages.error !== undefined && <Failure error={pages.error} stale={pages.jobs !== undefined} />}
      {pages.jobs === undefined && pages.error === undefined && <Loading />}
      {pages.jobs?.length === 0 && (
        <Notice title={`No ${state} jobs`}>
          <p>{empty[state]}</p>
        </Notice>
      )}
      {pages.jobs !== undefined && pages.jobs.length > 0 && (
        <List
          label={`${state} jobs of ${queue}`}
          columns={ended ? closed : open}
          items={pages.jobs}
          keyOf={(job) => job.id}
          class="jobs"
        />
      )}
      <div class="buttons more">
        {pages.more !== undefined && (
          <button type="button" aria-disabled={pages.busy} onClick={pages.more}>
            More
          </button>
        )}
        {pages.extended && (
          <>
            <button type="button" aria-disabled={pages.busy} onClick={pages.again}>
              Read again
            </button>
            <span class="quiet">A list of more than one page is not kept up to date.</span>
          </>
        )}
      </div>
    </Page>
  );
}

interface Pages {
  readonly jobs: readonly JobSummary[] | undefined;
  readonly error: ApiError | undefined;
  readonly busy: boolean;
  /** There is more than the first page. */
  readonly extended: boolean;
  /** `undefined`: this is all. */
  readonly more: (() => void) | undefined;
  readonly again: () => void;
}

/** The first page is read again whenever `trigger` changes; as soon as there are more, only when it is asked for. */
function usePages(api: Api, queue: string, state: JobState, trigger: unknown): Pages {
  const [pages, setPages] = useState<{ readonly jobs: readonly JobSummary[]; cursor: string | null }>();
  const [error, setError] = useState<ApiError>();
  const [busy, setBusy] = useState(false);
  const [extended, setExtended] = useState(false);
  const first = useRef<Coalesced>(null);
  const isExtended = useRef(false);
  isExtended.current = extended;

  const read = async (cursor: string | null): Promise<JobPage | undefined> => {
    const next = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    try {
      const page = await api.get<JobPage>(
        `${pathTo('queues/{}/jobs?state={}', queue, state)}&limit=50${next}`,
      );
      setError(undefined);
      return page;
    } catch (thrown) {
      setError(thrown instanceof ApiError ? thrown : new ApiError(0, { error: String(thrown) }));
      return undefined;
    }
  };
  useEffect(() => {
    const coalesced = new Coalesced(async () => {
      const page = await read(null);
      if (page !== undefined && !isExtended.current) setPages(page);
    }, 2_000);
    first.current = coalesced;
    return () => coalesced.stop();
  }, []);
  useEffect(() => {
    if (!isExtended.current) first.current?.request();
  }, [trigger]);

  const cursor = pages?.cursor ?? null;
  const more = async (): Promise<void> => {
    setExtended(true);
    setBusy(true);
    const page = await read(cursor);
    if (page !== undefined) setPages((before) => joinedPages(before?.jobs ?? [], page));
    setBusy(false);
  };
  const again = (): void => {
    setExtended(false);
    isExtended.current = false;
    first.current?.request();
  };
  return {
    jobs: pages?.jobs,
    error,
    busy,
    extended,
    more: cursor === null ? undefined : () => void (busy || more()),
    again,
  };
}

// A job may have moved to the next page meanwhile.
function joinedPages(before: readonly JobSummary[], page: JobPage): JobPage {
  const known = new Set(before.map((job) => job.id));
  return { jobs: [...before, ...page.jobs.filter((job) => !known.has(job.id))], cursor: page.cursor };
}
