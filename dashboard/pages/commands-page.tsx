import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useApp } from '../app.js';
import type { CommandDocument } from '../documents.js';
import { dateTimeText, nothing } from '../format.js';
import { useLive, useOperator, useStore } from '../hooks.js';
import { ApiError } from '../net/api.js';
import { type Column, List } from '../parts/list.js';
import { Failure, Loading, Notice } from '../parts/notice.js';
import { Mark } from '../parts/status.js';
import { Ago } from '../parts/times.js';
import { withCommands } from '../state/live-data.js';
import { Page } from './page.js';

const columns: readonly Column<CommandDocument>[] = [
  {
    key: 'when',
    label: 'When',
    cell: ({ time }) => (
      <>
        <Ago at={time} /> <span class="quiet clock">{dateTimeText(time)}</span>
      </>
    ),
  },
  { key: 'command', label: 'Command', heading: true, cell: ({ command }) => command },
  {
    key: 'target',
    label: 'Target',
    cell: ({ target }) =>
      Object.entries(target)
        .map(([kind, name]) => `${kind} ${name}`)
        .join(', '),
  },
  { key: 'by', label: 'By', cell: ({ by }) => by ?? nothing },
  {
    key: 'answer',
    label: 'Answer',
    cell: ({ status, code }) =>
      status < 400 ? (
        <Mark tone="good" text={`done (${status})`} />
      ) : (
        <Mark tone="bad" text={`refused (${status}${code === null ? '' : `, ${code}`})`} />
      ),
  },
];

/** What operators have done. */
export function CommandsPage(): JSX.Element {
  const app = useApp();
  const operator = useOperator();
  const commands = useStore(app.commands);
  const overviewAt = useLive((data) => data.access);
  const live = useStore(app.connection, ({ state }) => state === 'live');
  const [loaded, setLoaded] = useState(false);
  const [error, setError] = useState<ApiError>();
  useEffect(() => {
    if (!operator || !live) return undefined;
    const left = new AbortController();
    app.api.get<{ commands: CommandDocument[] }>('commands', left.signal).then(
      (answer) => {
        app.commands.update((known) => withCommands(known, answer.commands));
        setLoaded(true);
        setError(undefined);
      },
      (thrown: unknown) => {
        if (!left.signal.aborted && thrown instanceof ApiError) setError(thrown);
      },
    );
    return () => left.abort();
  }, [app, operator, live, overviewAt]);
  return (
    <Page title="Commands">
      {!operator && (
        <Notice title="Only operators may see commands">
          <p>You may look at the rest, and change nothing.</p>
        </Notice>
      )}
      {error !== undefined && <Failure error={error} stale={loaded} />}
      {operator && !loaded && error === undefined && <Loading />}
      {operator && loaded && commands.length === 0 && (
        <Notice title="No commands yet">
          <p>What operators do here or over the HTTP API since the process began is listed on this page.</p>
        </Notice>
      )}
      {operator && commands.length > 0 && (
        <List label="Commands" columns={columns} items={commands} keyOf={({ id }) => id} class="commands" />
      )}
    </Page>
  );
}
