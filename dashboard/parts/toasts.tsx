import type { JSX } from 'preact';
import { useApp } from '../app.js';
import type { Toast } from '../commands/command-desk.js';
import { useStore } from '../hooks.js';
import type { Tone } from '../state/tone.js';
import { Mark } from './status.js';

const tones: Readonly<Record<Toast['state'], Tone>> = { pending: 'busy', done: 'good', failed: 'bad' };

/** Says how commands go. It is always there, so that screen readers notice what comes into it. */
export function Toasts(): JSX.Element {
  const { desk } = useApp();
  const toasts = useStore(desk.toasts);
  return (
    <div class="toasts" role="status" aria-live="polite" aria-label="Commands">
      {toasts.map((toast) => (
        <div key={toast.id} class="toast" data-state={toast.state}>
          <Mark tone={tones[toast.state]} text={toast.text} />
          {toast.state !== 'pending' && (
            <button type="button" class="plain" aria-label="Dismiss" onClick={() => desk.dismiss(toast.id)}>
              ×
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
