import type { JSX } from 'preact';
import { useApp } from '../app.js';
import { pauseCommand, redriveCommand, resumeCommand } from '../commands/job-commands.js';
import type { JobQueueDocument, JobQueueSummary, RunningDocument } from '../documents.js';
import { countText, durationText, nothing } from '../format.js';
import { useDocument, useLive } from '../hooks.js';
import { pathTo } from '../net/api.js';
import { CommandButton } from '../parts/command-button.js';
import { ErrorBlock } from '../parts/error-text.js';
import { Fact, Facts, Section } from '../parts/facts.js';
import { type Column, List } from '../parts/list.js';
import { Failure, Loading } from '../parts/notice.js';
import { QueuePlots } from '../parts/queue-plots.js';
import { runningColumns } from '../parts/running-columns.js';
import { StateLinks } from '../parts/state-links.js';
import { Timeline } from '../parts/timeline.js';
import { hrefOf } from '../routes.js';
import { JobQueueStates, MinuteText } from './job-queues-page.js';
import { Page } from './page.js';

type RunningJob = RunningDocument & { readonly queue: string };

const jobColumns: readonly Column<RunningJob>[] = [
  {
    key: 'job',
    label: 'Job',
    heading: true,
    cell: ({ queue, id }) => (
      <a href={hrefOf({ page: 'job', queue, id })}>
        <code>{id}</code>
      </a>
    ),
  },
  { key: 'handler', label: 'Handler', cell: ({ name }) => name || nothing },
  ...runningColumns,
];

/** Give it a key that is the name. */
export function JobQueuePage({ name }: { name: string }): JSX.Element {
  const { api } = useApp();
  const summary = useLive((data) => data.job_queues.find((queue) => queue.name === name));
  const { document, error, replace } = useDocument<JobQueueDocument>(
    (signal) => api.get(pathTo('queues/{}', name), signal),
    summary,
    1_000,
  );
  const now: JobQueueSummary | undefined = summary ?? document;
  return (
    <Page
      title={name}
      path={[{ text: 'Job queues', href: '#/jobs' }]}
      states={now !== undefined && <JobQueueStates queue={now} />}
      buttons={
        now !== undefined && (
          <QueueButtons queue={now} onAnswer={(answer) => replace(answer as JobQueueDocument)} />
        )
      }
    >
      {error !== undefined && <Failure error={error} stale={document !== undefined} />}
      {now !== undefined && <Glance queue={now} />}
      {document === undefined ? error === undefined && <Loading /> : <Details queue={document} live={now} />}
    </Page>
  );
}

export function QueueButtons({
  queue,
  onAnswer,
}: {
  queue: JobQueueSummary;
  onAnswer?: (answer: unknown) => void;
}): JSX.Element {
  const { api } = useApp();
  const dead = queue.levels?.dead ?? 0;
  return (
    <>
      <CommandButton
        command={queue.paused === true ? resumeCommand(api, queue.name) : pauseCommand(api, queue.name)}
        onAnswer={onAnswer}
      />
      <CommandButton command={redriveCommand(api, queue.name, dead)} possible={dead > 0} />
    </>
  );
}

/** What is most looked for. */
function Glance({ queue }: { queue: JobQueueSummary }): JSX.Element {
  const age = queue.levels?.oldest_ready_age_seconds ?? 0;
  return (
    <>
      <StateLinks queue={queue.name} levels={queue.levels} />
      <Facts>
        <Fact name="Oldest ready job has waited">{age === 0 ? nothing : durationText(age)}</Fact>
        <Fact name="This minute">
          <MinuteText minute={queue.minute} />
        </Fact>
        {queue.consumer === null ? (
          <Fact name="In this process">nothing runs its jobs</Fact>
        ) : (
          <>
            <Fact name="Running in this process">
              {countText(queue.consumer.running)} of {countText(queue.consumer.concurrency)}
            </Fact>
            <Fact name="At hand">{countText(queue.consumer.at_hand)}</Fact>
            <Fact name="Stuck">{countText(queue.consumer.stuck)}</Fact>
            <Fact name="Leases lost">{countText(queue.consumer.leases_lost)}</Fact>
          </>
        )}
      </Facts>
    </>
  );
}

function Details({
  queue,
  live,
}: {
  queue: JobQueueDocument;
  live: JobQueueSummary | undefined;
}): JSX.Element {
  const handlers = queue.handlers.map((handler) => handler || '(without a name)');
  // Not the live one: what is told live is without stacks.
  const error = queue.consumer?.last_error ?? null;
  return (
    <>
      <QueuePlots queue={queue} live={live ?? queue} />
      {error !== null && (
        <Section title="Last error of the consumer">
          <ErrorBlock error={error} />
        </Section>
      )}
      <Section title="Jobs that run in this process">
        {queue.jobs.length === 0 ? (
          <p class="quiet">None just now.</p>
        ) : (
          <List
            label="Jobs that run in this process"
            columns={jobColumns}
            items={queue.jobs.map((job) => ({ ...job, queue: queue.name }))}
            keyOf={({ id }) => id}
          />
        )}
        <p class="quiet">Handlers in this process: {handlers.length === 0 ? 'none' : handlers.join(', ')}</p>
      </Section>
      {queue.consumer !== null && (
        <Section title="History of the consumer">
          <Timeline events={queue.events} />
        </Section>
      )}
    </>
  );
}
