import type { JSX } from 'preact';
import { useApp } from '../app.js';
import { useLive, useStore } from '../hooks.js';

/** What everybody should know who looks at any page. */
export function Banners(): JSX.Element {
  const connection = useStore(useApp().connection);
  const draining = useLive((data) => data.pool.draining);
  const backend = useLive((data) => data.backend);
  return (
    <>
      {connection.state === 'reconnecting' && (
        <p class="banner tone-warning" role="status">
          Reconnecting: what you see may be out of date. {connection.error}
        </p>
      )}
      {draining === true && (
        <p class="banner tone-warning" role="status">
          This process is shutting down: nothing new is begun, and what runs is brought to its end.
        </p>
      )}
      {backend !== undefined && backend !== null && backend.status !== 'up' && (
        <p class="banner tone-bad" role="status">
          The job backend “{backend.name}” is {backend.status}. {backend.error}
        </p>
      )}
    </>
  );
}
