import type { JSX } from 'preact';
import { useApp } from '../app.js';

/** The server does not let the user in. */
export function RefusedPage({ status, error }: { status: number; error: string }): JSX.Element {
  const app = useApp();
  return (
    <main id="main" class="alone">
      <h1>{status === 401 ? 'You are not signed in' : 'You may not see this'}</h1>
      <p>{error}</p>
      <p>
        {status === 401
          ? 'Sign in to the app as you usually do, and come back.'
          : 'Ask whoever runs this app to let you in.'}
      </p>
      <div class="buttons">
        <button type="button" class="primary" onClick={() => location.reload()}>
          Reload
        </button>
        {app.signIn === 'token' && (
          <button type="button" onClick={() => app.signOut()}>
            Sign in as somebody else
          </button>
        )}
      </div>
    </main>
  );
}
