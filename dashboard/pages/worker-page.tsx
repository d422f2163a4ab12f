import type { JSX } from 'preact';
import { useApp } from '../app.js';
import { workerCommand } from '../commands/worker-commands.js';
import type { WorkerDocument } from '../documents.js';
import { attemptText, countText, durationText } from '../format.js';
import { useDocument, useLive } from '../hooks.js';
import { pathTo } from '../net/api.js';
import { CommandButton } from '../parts/command-button.js';
import { ErrorBlock } from '../parts/error-text.js';
import { Fact, Facts, Section } from '../parts/facts.js';
import { Failure, Loading } from '../parts/notice.js';
import { Chip, StatusMark } from '../parts/status.js';
import { Timeline } from '../parts/timeline.js';
import { Ago, Nothing, Since, Until } from '../parts/times.js';
import type { Status } from '../state/tone.js';
import { Page } from './page.js';

const ended: ReadonlySet<Status> = new Set(['unknown', 'success', 'error', 'cancelled', 'disabled']);

/** Give it a key that is the name. */
export function WorkerPage({ name }: { name: string }): JSX.Element {
  const { api } = useApp();
  const summary = useLive((data) => data.workers.find((worker) => worker.name === name));
  const { document, error, replace } = useDocument<WorkerDocument>(
    (signal) => api.get(pathTo('workers/{}', name), signal),
    summary,
    250,
  );
  const now = summary ?? document;
  const stopped = now !== undefined && ended.has(now.status);
  const onAnswer = (answer: unknown): void => replace(answer as WorkerDocument);
  return (
    <Page
      title={name}
      path={[{ text: 'Workers', href: '#/workers' }]}
      states={
        now !== undefined && (
          <>
            <StatusMark status={now.status} />
            {now.ignorable && <Chip tone="idle">ignorable</Chip>}
          </>
        )
      }
      buttons={
        now !== undefined && (
          <>
            <CommandButton command={workerCommand(api, 'restart', name)} onAnswer={onAnswer} />
            <CommandButton
              command={workerCommand(api, 'start', name)}
              possible={stopped}
              onAnswer={onAnswer}
            />
            <CommandButton
              command={workerCommand(api, 'stop', name)}
              possible={!stopped}
              onAnswer={onAnswer}
            />
          </>
        )
      }
    >
      {error !== undefined && <Failure error={error} stale={document !== undefined} />}
      {document === undefined ? error === undefined && <Loading /> : <Details worker={document} />}
    </Page>
  );
}

function Details({ worker }: { worker: WorkerDocument }): JSX.Element {
  return (
    <>
      <Facts>
        <Fact name="Attempt">{attemptText(worker.attempt, worker.max_attempts)}</Fact>
        <Fact name="Started">
          <Ago at={worker.started_at} />
        </Fact>
        {worker.status === 'running' && (
          <Fact name="Uptime">
            <Since at={worker.started_at} />
          </Fact>
        )}
        <Fact name="Last attempt ended">
          <Ago at={worker.ended_at} />
        </Fact>
        <Fact name="Next restart">
          <Until at={worker.next_attempt_at} />
        </Fact>
        <Fact name="Restarts">{countText(worker.restarts)}</Fact>
        <Fact name="Recent restarts">{countText(worker.restarts_in_window)}</Fact>
        {worker.deferred_start_seconds > 0 && (
          <Fact name="Start deferred by">{durationText(worker.deferred_start_seconds)}</Fact>
        )}
        <Fact name="Told to stop because">{worker.stop_reason?.replaceAll('-', ' ') ?? <Nothing />}</Fact>
        <Fact name="Declared by">{worker.origin}</Fact>
        <Fact name="Id of the attempt">
          <code>{worker.execution_id}</code>
        </Fact>
      </Facts>
      {worker.last_error !== null && (
        <Section title="Last error">
          <ErrorBlock error={worker.last_error} />
        </Section>
      )}
      <Section title="History">
        <Timeline events={worker.events} dropped={worker.events_dropped} />
      </Section>
    </>
  );
}
