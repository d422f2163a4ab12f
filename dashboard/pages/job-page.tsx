import type { JSX } from 'preact';
import { useApp } from '../app.js';
import { cancelCommand, deleteCommand, retryCommand } from '../commands/job-commands.js';
import type { JobDocument } from '../documents.js';
import { countText, dateTimeText, durationText, jsonText, nothing } from '../format.js';
import { useDocument, useLive } from '../hooks.js';
import { pathTo } from '../net/api.js';
import { CommandButton } from '../parts/command-button.js';
import { Fact, Facts, Section } from '../parts/facts.js';
import { Failure, Loading, Notice } from '../parts/notice.js';
import { Chip, Mark } from '../parts/status.js';
import { Ago } from '../parts/times.js';
import { hrefOf } from '../routes.js';
import type { Tone } from '../state/tone.js';
import { Page } from './page.js';

const tones: Readonly<Record<JobDocument['state'], Tone>> = {
  scheduled: 'busy',
  ready: 'busy',
  active: 'good',
  completed: 'good',
  cancelled: 'idle',
  dead: 'bad',
};

/** Give it a key that is made of both. */
export function JobPage({ queue, id }: { queue: string; id: string }): JSX.Element {
  const { api } = useApp();
  const trigger = useLive((data) => data.job_queues.find((one) => one.name === queue));
  const { document, error, replace } = useDocument<JobDocument>(
    (signal) => api.get(pathTo('jobs/{}?queue={}', id, queue), signal),
    trigger,
    1_000,
  );
  const gone = error?.status === 404;
  const shown = document !== undefined && !gone;
  return (
    <Page
      title={id}
      path={[
        { text: 'Job queues', href: '#/jobs' },
        { text: queue, href: hrefOf({ page: 'queue', queue }) },
        ...(document === undefined
          ? []
          : [
              {
                text: `${document.state} jobs`,
                href: hrefOf({ page: 'queue-jobs', queue, state: document.state }),
              },
            ]),
      ]}
      states={shown && <States job={document} />}
      buttons={shown && <Buttons job={document} onAnswer={(answer) => replace(answer as JobDocument)} />}
    >
      {gone && (
        <Notice title="This job is not there any more">
          <p>
            It has completed or was deleted, or it was never there: completed jobs are kept only where their
            handler says for how long.
          </p>
        </Notice>
      )}
      {error !== undefined && !gone && <Failure error={error} stale={document !== undefined} />}
      {document === undefined ? (
        error === undefined && <Loading />
      ) : (
        <div class={gone ? 'stale' : ''}>
          <Details job={document} />
        </div>
      )}
    </Page>
  );
}

function States({ job }: { job: JobDocument }): JSX.Element {
  return (
    <>
      <Mark tone={tones[job.state]} text={job.state} />
      {job.cause !== null && <Chip tone="bad">{job.cause}</Chip>}
    </>
  );
}

function Buttons({ job, onAnswer }: { job: JobDocument; onAnswer: (answer: unknown) => void }): JSX.Element {
  const { api } = useApp();
  const { state } = job;
  const retryable = state === 'dead' || state === 'scheduled';
  const cancellable = state === 'ready' || state === 'scheduled' || state === 'active';
  return (
    <>
      <CommandButton command={retryCommand(api, job)} possible={retryable} onAnswer={onAnswer} />
      <CommandButton command={cancelCommand(api, job)} possible={cancellable} onAnswer={onAnswer} />
      <CommandButton
        command={deleteCommand(api, job)}
        onAnswer={() => location.assign(hrefOf({ page: 'queue-jobs', queue: job.queue, state }))}
      />
    </>
  );
}

function Details({ job }: { job: JobDocument }): JSX.Element {
  return (
    <>
      <Facts>
        <Fact name="Handler">{job.name || nothing}</Fact>
        <Fact name="Priority">{countText(job.priority)}</Fact>
        <Fact name="Enqueued">
          <Ago at={job.created_at} />
        </Fact>
        <Fact name="Due">
          <Ago at={job.due_at} />
        </Fact>
        <Fact name="Ended">
          <Ago at={job.ended_at} />
        </Fact>
        {job.lease_ends_at !== null && (
          <Fact name="Lease ends">
            <Ago at={job.lease_ends_at} />
          </Fact>
        )}
        <Fact name="Failures">{countText(job.failures)}</Fact>
        <Fact name="Processes lost">{countText(job.deaths)}</Fact>
        {job.unique_key !== null && <Fact name="Unique key">{job.unique_key}</Fact>}
        {job.limit_key !== null && <Fact name="Limit key">{job.limit_key}</Fact>}
      </Facts>
      {job.last_error !== null && (
        <Section title="Last error">
          <div class="error-block">
            <p>{job.last_error}</p>
          </div>
        </Section>
      )}
      <History job={job} />
      <Carried job={job} name="payload" title="Payload" error={job.payload_error} />
      <Carried job={job} name="progress" title="Progress" />
      <Carried job={job} name="result" title="Result" />
      <Carried job={job} name="headers" title="Headers" />
    </>
  );
}

function History({ job }: { job: JobDocument }): JSX.Element {
  return (
    <Section title="Attempts that did not complete it">
      {job.history.length === 0 ? (
        <p class="quiet">None.</p>
      ) : (
        <ol class="timeline" reversed>
          {job.history.toReversed().map((attempt, index) => (
            <li key={job.history.length - index}>
              <div class="timeline-head">
                <Mark
                  tone={attempt.outcome === 'snoozed' ? 'busy' : 'warning'}
                  text={`Attempt ${attempt.attempt} ${attempt.outcome.replace('-', ' ')} after ${durationText(
                    (Date.parse(attempt.ended_at) - Date.parse(attempt.started_at)) / 1_000,
                  )}`}
                />
                <span class="quiet">
                  <Ago at={attempt.ended_at} /> <span class="clock">({dateTimeText(attempt.ended_at)})</span>
                </span>
              </div>
              {attempt.error !== null && (
                <div class="error-block">
                  <p>{attempt.error}</p>
                </div>
              )}
            </li>
          ))}
        </ol>
      )}
    </Section>
  );
}

interface CarriedProps {
  readonly job: JobDocument;
  readonly name: JobDocument['hidden'][number];
  readonly title: string;
  readonly error?: string | null;
}

/** What a job carries. As text, whatever it is. */
function Carried({ job, name, title, error = null }: CarriedProps): JSX.Element | null {
  const value = job[name];
  const hidden = job.hidden.includes(name);
  const nothingThere = value === null || (name === 'headers' && Object.keys(job.headers).length === 0);
  if (!hidden && nothingThere && error === null && name !== 'payload') return null;
  return (
    <Section title={title}>
      {hidden && <p class="quiet">Hidden from read-only users.</p>}
      {error !== null && <p class="banner tone-bad">It cannot be read: {error}</p>}
      {!hidden && nothingThere && error === null && <p class="quiet">None.</p>}
      {!hidden && !nothingThere && (
        <pre tabIndex={0} role="group" aria-label={title}>
          {jsonText(value)}
        </pre>
      )}
    </Section>
  );
}
