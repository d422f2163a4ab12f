import type { JSX } from 'preact';
import { useApp } from '../app.js';
import { countText } from '../format.js';
import { useLive, useStore } from '../hooks.js';
import { themes } from '../state/theme.js';
import type { Tone } from '../state/tone.js';
import { Mark } from './status.js';

const poolTones: Readonly<Record<string, Tone>> = { started: 'good', draining: 'warning', idle: 'busy' };
const backendTones: Readonly<Record<string, Tone>> = { up: 'good', degraded: 'warning' };

export function Header(): JSX.Element {
  const app = useApp();
  const title = useLive((data) => data.title);
  const access = useLive((data) => data.access);
  return (
    <header class="header">
      <a class="title" href="#/workers">
        {title ?? 'Workers'}
      </a>
      <div class="header-states">
        <Connection />
        <Pool />
        <Backend />
      </div>
      <div class="header-tools">
        {access === 'viewer' && <span class="chip">read-only</span>}
        <ThemeSwitch />
        {app.signIn === 'token' && (
          <button type="button" onClick={() => app.signOut()}>
            Sign out
          </button>
        )}
      </div>
    </header>
  );
}

function Connection(): JSX.Element {
  const connection = useStore(useApp().connection);
  return (
    <span role="status">
      {connection.state === 'live' && (
        <Mark tone="good" text="live" title="Changes are shown as they happen." />
      )}
      {connection.state === 'connecting' && <Mark tone="busy" text="connecting" />}
      {connection.state === 'reconnecting' && (
        <Mark tone="warning" text="reconnecting" title={connection.error} />
      )}
      {connection.state === 'refused' && <Mark tone="bad" text="refused" />}
    </span>
  );
}

function Pool(): JSX.Element | null {
  const pool = useLive((data) => data.pool);
  if (pool === undefined) return null;
  const errors = pool.isolated_errors;
  return (
    <>
      <Mark tone={poolTones[pool.status] ?? 'idle'} text={`pool ${pool.status}`} />
      {errors > 0 && (
        <Mark
          tone="warning"
          text={`${countText(errors)} isolated`}
          title="How often code beside the work, such as a listener, has thrown"
        />
      )}
    </>
  );
}

function Backend(): JSX.Element | null {
  const backend = useLive((data) => data.backend);
  if (backend === undefined || backend === null) return null;
  const kind = [
    backend.durable ? 'Jobs survive the process' : 'Jobs are lost with the process',
    backend.shared ? 'other processes share them' : 'no other process shares them',
  ].join('; ');
  return (
    <Mark
      tone={backendTones[backend.status] ?? 'bad'}
      text={`${backend.name} ${backend.status}`}
      title={`${kind}.${backend.error === null ? '' : ` ${backend.error}`}`}
    />
  );
}

function ThemeSwitch(): JSX.Element {
  const { theme } = useApp();
  const chosen = useStore(theme.chosen);
  return (
    <label>
      <span class="hidden">Theme</span>
      <select
        value={chosen}
        onChange={({ currentTarget }) => {
          const wanted = themes.find((one) => one === currentTarget.value);
          if (wanted !== undefined) theme.choose(wanted);
        }}
      >
        <option value="system">System theme</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </label>
  );
}
