import type { JSX } from 'preact';
import { useApp } from '../app.js';
import type { RunningDocument, TaskQueueDocument } from '../documents.js';
import { countText, durationText, limitText, nothing } from '../format.js';
import { useDocument, useLive } from '../hooks.js';
import { pathTo } from '../net/api.js';
import { ErrorBlock } from '../parts/error-text.js';
import { Fact, Facts, Section } from '../parts/facts.js';
import { type Column, List } from '../parts/list.js';
import { Failure, Loading } from '../parts/notice.js';
import { runningColumns } from '../parts/running-columns.js';
import { Timeline } from '../parts/timeline.js';
import { Ago, Nothing } from '../parts/times.js';
import { Page } from './page.js';
import { TaskQueueStates } from './task-queues-page.js';

const taskColumns: readonly Column<RunningDocument>[] = [
  { key: 'task', label: 'Task', heading: true, cell: ({ name, id }) => name || <code>{id}</code> },
  ...runningColumns,
];

/** Give it a key that is the name. */
export function TaskQueuePage({ name }: { name: string }): JSX.Element {
  const { api } = useApp();
  const summary = useLive((data) => data.task_queues.find((queue) => queue.name === name));
  const { document, error } = useDocument<TaskQueueDocument>(
    (signal) => api.get(pathTo('task-queues/{}', name), signal),
    summary,
    1_000,
  );
  const now = summary ?? document;
  return (
    <Page
      title={name}
      path={[{ text: 'Task queues', href: '#/tasks' }]}
      states={now !== undefined && <TaskQueueStates queue={now} />}
    >
      {error !== undefined && <Failure error={error} stale={document !== undefined} />}
      {document === undefined ? (
        error === undefined && <Loading />
      ) : (
        // What is told live is without stacks.
        <Details queue={{ ...document, ...summary, last_error: document.last_error }} />
      )}
    </Page>
  );
}

function Details({ queue }: { queue: TaskQueueDocument }): JSX.Element {
  const age = queue.oldest_due_age_seconds;
  const ends = Object.entries(queue.completed_total);
  return (
    <>
      <Facts>
        <Fact name="Running">
          {countText(queue.running)} of {limitText(queue.concurrency)}
        </Fact>
        <Fact name="Queued">
          {countText(queue.queued)} of {limitText(queue.max_queued)}
        </Fact>
        <Fact name="Delayed">{countText(queue.delayed)}</Fact>
        <Fact name="Waiting for room">{countText(queue.waiting)}</Fact>
        <Fact name="Stuck">{countText(queue.stuck)}</Fact>
        <Fact name="Oldest due">{age === 0 ? nothing : durationText(age)}</Fact>
        <Fact name="Accepted">{countText(queue.enqueued_total)}</Fact>
        {ends.map(([how, count]) => (
          <Fact key={how} name={`Ended: ${how}`}>
            {countText(count)}
          </Fact>
        ))}
        <Fact name="Started">
          <Ago at={queue.started_at} />
        </Fact>
        <Fact name="Told to stop because">{queue.stop_reason?.replaceAll('-', ' ') ?? <Nothing />}</Fact>
      </Facts>
      {queue.last_error !== null && (
        <Section title="Last error">
          <ErrorBlock error={queue.last_error} />
        </Section>
      )}
      <Section title="Tasks that run">
        {queue.tasks.length === 0 ? (
          <p class="quiet">None just now.</p>
        ) : (
          <List label="Tasks that run" columns={taskColumns} items={queue.tasks} keyOf={({ id }) => id} />
        )}
      </Section>
      <Section title="History">
        <Timeline events={queue.events} />
      </Section>
    </>
  );
}
