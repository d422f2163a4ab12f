import type { JSX } from 'preact';
import { useApp } from './app.js';
import { useStore } from './hooks.js';
import { CommandsPage } from './pages/commands-page.js';
import { JobPage } from './pages/job-page.js';
import { JobQueuePage } from './pages/job-queue-page.js';
import { JobQueuesPage } from './pages/job-queues-page.js';
import { JobsPage } from './pages/jobs-page.js';
import { Page } from './pages/page.js';
import { RefusedPage } from './pages/refused-page.js';
import { SignInPage } from './pages/sign-in-page.js';
import { TaskQueuePage } from './pages/task-queue-page.js';
import { TaskQueuesPage } from './pages/task-queues-page.js';
import { WorkerPage } from './pages/worker-page.js';
import { WorkersPage } from './pages/workers-page.js';
import { Banners } from './parts/banners.js';
import { ConfirmDialog } from './parts/confirm-dialog.js';
import { Header } from './parts/header.js';
import { Navigation } from './parts/navigation.js';
import { Loading, Notice } from './parts/notice.js';
import { Toasts } from './parts/toasts.js';
import type { Route } from './routes.js';

/** All of the page. */
export function Dashboard(): JSX.Element {
  const app = useApp();
  const tokenWanted = useStore(app.tokenWanted);
  const connection = useStore(app.connection);
  const known = useStore(app.data, (data) => data !== null);
  const route = useStore(app.place, (place) => place.route);
  if (tokenWanted !== null) return <SignInPage reason={tokenWanted} />;
  if (connection.state === 'refused') return <RefusedPage {...connection} />;
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          // The part behind # is the page that is shown.
          event.preventDefault();
          document.querySelector<HTMLElement>('#main h1')?.focus();
        }}
      >
        Skip to the content
      </a>
      <Header />
      <Navigation />
      <Banners />
      <div class={connection.state === 'live' ? 'content' : 'content stale'}>
        {known ? (
          <PageOf route={route} />
        ) : (
          <main id="main">
            <h1 class="hidden">Workers</h1>
            <Loading />
          </main>
        )}
      </div>
      <ConfirmDialog />
      <Toasts />
    </>
  );
}

function PageOf({ route }: { route: Route }): JSX.Element {
  switch (route.page) {
    case 'workers':
      return <WorkersPage />;
    case 'worker':
      return <WorkerPage key={route.name} name={route.name} />;
    case 'tasks':
      return <TaskQueuesPage />;
    case 'task-queue':
      return <TaskQueuePage key={route.name} name={route.name} />;
    case 'jobs':
      return <JobQueuesPage />;
    case 'queue':
      return <JobQueuePage key={route.queue} name={route.queue} />;
    case 'queue-jobs':
      return <JobsPage key={`${route.queue} ${route.state}`} queue={route.queue} state={route.state} />;
    case 'job':
      return <JobPage key={`${route.queue} ${route.id}`} queue={route.queue} id={route.id} />;
    case 'commands':
      return <CommandsPage />;
    case 'unknown':
      return (
        <Page title="No such page">
          <Notice title="There is nothing at this address">
            <p>
              <a href="#/workers">Go to the workers</a>
            </p>
          </Notice>
        </Page>
      );
  }
}
